"""Text nobody here wrote, made safe to look at: hidden characters shown, one-liners in which nothing comes alive."""

import re
import unicodedata
from typing import Final

# What a reader cannot see: controls (tab and newline stay), soft hyphens and fillers, joiners, direction marks,
# variation selectors, tags, lone surrogates, noncharacters. `_is_wanted` knows which of them have their place.
_NONCHARACTERS = "".join(chr(plane * 0x10000 + low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    f"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff{_NONCHARACTERS}"
)
# The flags of England, Scotland and Wales are the only tag sequences emoji fonts draw.
_TAG_FLAGS = "|".join(
    "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in region) + "\U000e007f"
    for region in ("gbeng", "gbsct", "gbwls")
)
_HIDDEN_RUN = re.compile(f"(?:{_TAG_FLAGS})|(?P<one>[{_HIDDEN}])(?P=one){{3,}}|[{_HIDDEN}]")
# Eight marks on one letter are more than any script needs; a taller stack reaches into the lines around it.
_TALL_STACK = re.compile(
    "(?P<kept>[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{8})"
    "(?P<more>[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+)"
)

_JOINERS = "\u200c\u200d"
_SPELT_WITH_JOINERS = re.compile("[\u0600-\u109f\u1780-\u18aa\ua800-\uabff]")
_EMOJI_STYLE = "\ufe0e\ufe0f"
_STYLED_AS_EMOJI = "0123456789#*\u203c\u2049\u2139\u3030\u303d"


def visible(text: str) -> str:
    r"""Write out what cannot be seen: U+202E becomes ``\u{202E}``, and four or more of a kind end in a count.

    Joiners stay inside emoji and in the scripts that are spelt with them, variation selectors behind what they vary.
    Everything else, tabs and newlines among it, stays byte for byte.
    """
    text = _HIDDEN_RUN.sub(_shown, text)
    if text.isascii():
        return text
    return _TALL_STACK.sub(lambda tall: tall["kept"] + "".join(_notation(mark) for mark in tall["more"]), text)


def _shown(found: re.Match[str]) -> str:
    run = found[0]
    if found["one"]:
        return f"\\u{{{ord(run[0]):04X}\u00d7{len(run)}}}"
    return run if _is_wanted(found) else _notation(run)


def _notation(character: str) -> str:
    return f"\\u{{{ord(character):04X}}}"


def _is_wanted(found: re.Match[str]) -> bool:
    character, text = found[0], found.string
    if len(character) > 1:
        return True  # a flag
    before = text[found.start() - 1] if found.start() else ""
    after = text[found.end() : found.end() + 1]
    if character in _JOINERS:
        return _is_joined_emoji(before, character, after) or (_is_joining(before) and after not in tuple(_JOINERS))
    if character in _EMOJI_STYLE:
        return bool(before) and (before in _STYLED_AS_EMOJI or unicodedata.category(before) in {"So", "Sm", "Sk"})
    if "\u180b" <= character <= "\u180f":
        return "\u1820" <= before <= "\u18aa"
    if "\ufe00" <= character <= "\ufe0d" or "\U000e0100" <= character <= "\U000e01ef":
        return bool(before) and unicodedata.category(before) in {"Lo", "Sm"}
    return False


def _is_joined_emoji(before: str, character: str, after: str) -> bool:
    if character != "\u200d" or not before or not after:
        return False
    return (before == "\ufe0f" or unicodedata.category(before) in {"So", "Sk"}) and (
        unicodedata.category(after) in {"So", "Sm"}
    )


def _is_joining(before: str) -> bool:
    """Whether this is a letter or mark of a script from Arabic to Khmer and Mongolian, where joiners are spelling."""
    return bool(_SPELT_WITH_JOINERS.match(before)) and unicodedata.category(before)[0] in "LM"


_BROADCAST = re.compile(r"@(?=(?:here|channel|everyone|group)\b)", re.IGNORECASE)
_FULL_WIDTH_AT: Final = "\uff20"


def mrkdwn_escape(text: str) -> str:
    """Escape the three characters Slack's mrkdwn gives a meaning to; `<!channel>` and `<@U1>` are then plain text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def one_line(text: str, limit: int) -> str:
    """A text as one line of at most `limit` characters: hidden characters gone, white space one blank, cut with "…"."""
    seen = _TALL_STACK.sub(lambda tall: tall["kept"], _HIDDEN_RUN.sub(_without_hidden, text))
    line = " ".join(seen.split())
    if len(line) <= limit:
        return line
    return line[: whole_characters(line, max(limit - 1, 0))].rstrip() + "\u2026"


def _without_hidden(found: re.Match[str]) -> str:
    run = found[0]
    if not found["one"] and _is_wanted(found):
        return run
    # A control or a line separator stands between words; a zero-width character stands within one.
    return " " if unicodedata.category(run[0]) in {"Cc", "Zl", "Zp"} else ""


def inert(text: str, limit: int = 300) -> str:
    """Somebody's text as one line for a mrkdwn object of ours: no mention, broadcast or code span comes alive in it.

    Bold, italic and :emoji: still show, and a bare URL stays the link to itself: Slack has no escape for these.
    """
    line = one_line(text, limit).replace("`", "'")
    return mrkdwn_escape(_BROADCAST.sub(_FULL_WIDTH_AT, line))


_NOTATION_TAIL = re.compile(r"\\(?:u(?:\{[0-9A-F\u00d7]{0,16})?)?$")
_FLAG_LETTERS = "".join(map(chr, range(0x1F1E6, 0x1F200)))
_LONGEST_GRAPHEME: Final = 32


def whole_characters(text: str, end: int, start: int = 0) -> int:
    """The last place after `start`, at or before `end`, where a cut leaves accents, emoji and notations whole."""
    place = end
    while (
        start < place < len(text) and end - place < _LONGEST_GRAPHEME and _belongs_to_the_one_before(text, place, start)
    ):
        place -= 1
    tail = _NOTATION_TAIL.search(text, max(start, place - 20), place)
    if tail and place < len(text):
        place = tail.start()
    for broken in ("[:]", "[.]"):
        found = text.find(broken, max(start, place - 2), place + 2)
        if 0 <= found < place < found + len(broken):
            place = found
    return place if place > start else end


def _belongs_to_the_one_before(text: str, place: int, start: int) -> bool:
    here, before = text[place], text[place - 1]
    if here.isascii():
        return False
    if before == "\u200d" or here in "\u200d\ufe0e\ufe0f" or "\U0001f3fb" <= here <= "\U0001f3ff":
        return True
    if here in _FLAG_LETTERS:
        letters = place - start - len(text[start:place].rstrip(_FLAG_LETTERS))
        return letters % 2 == 1
    return unicodedata.category(here) in {"Mn", "Mc", "Me"} or "\U000e0020" <= here <= "\U000e007f"
