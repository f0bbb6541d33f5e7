"""Text from anywhere, made harmless for a terminal and a log: one line, nothing that moves the cursor or hides."""

from __future__ import annotations

import re

# Controls, line and paragraph separators, zero-width and bidirectional marks, lone surrogates.
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\xa0\xad\u061c\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def one_line(text: str) -> str:
    """The text with everything unprintable written out as its code."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
