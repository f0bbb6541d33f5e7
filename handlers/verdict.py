"""The critic's verdict: the one thing a pipeline learns from model text, and so read to the letter."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

from handlers.sections import lines_of


class CriticVerdict(StrEnum):
    """All that a pipeline ever learns from a critique."""

    NOTHING_SERIOUS = "nothing serious found"
    REVISE = "revise"


def _exactly(verdict: str) -> re.Pattern[str]:
    """The verdict's line, plain or in bold, with a full stop or without."""
    closing = r"(?:\.?{0}|{0}\.)"
    return re.compile(
        rf" {{0,3}}(?:Verdict: {verdict}\.?"
        rf"|(?P<line>\*\*|__)Verdict: {verdict}{closing.format('(?P=line)')}"
        rf"|(?P<name>\*\*|__)Verdict:(?P=name) {verdict}\.?"
        rf"|Verdict: (?P<said>\*\*|__){verdict}{closing.format('(?P=said)')})[ \t]*\r?",
        # ASCII: else case is ignored in Unicode's way, and a long s or a Kelvin sign would do.
        re.IGNORECASE | re.ASCII,
    )


_EXACT = {verdict: _exactly(verdict) for verdict in CriticVerdict}
_LOOKS_LIKE_ONE = re.compile(r"^[\W\d_]*v[\W_]?e[\W_]?r[\W_]?d[\W_]?i[\W_]?c[\W_]?t|verdict[\s*_\"'`]{0,6}[:=\-–—]")
_LOOK_ALIKES = str.maketrans("ѵνеεгԁіιıℓ1lсϲтτ", "vveerdiiiiiicctt")


def read_verdict(text: str) -> tuple[CriticVerdict, str]:
    """The verdict, and what was wrong with its line if it was not as asked.

    Nothing serious was found only if the last line says exactly that, outside any code block, and no other line looks
    like a verdict, however it is spelled. Upper case, a full stop and bold are let pass. All else means revise.
    """
    lookers = sum(bool(line and _LOOKS_LIKE_ONE.search(line)) for line in _plain_letters(text).splitlines())
    if lookers == 0:
        return CriticVerdict.REVISE, "the critic gave no verdict"
    if lookers > 1:
        return CriticVerdict.REVISE, "the critic gave more than one verdict"
    last = next(line for line in reversed(lines_of(text, unclosed_runs_on=True)) if line.words.strip())
    said = [verdict for verdict, line in _EXACT.items() if not last.fenced and line.fullmatch(last.words)]
    if not said:
        return CriticVerdict.REVISE, "the critic's verdict is not in the form asked for"
    return said[0], ""


def _plain_letters(text: str) -> str:
    """The text without accents, invisible characters, compatibility forms, and letters that only look alike."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    visible = "".join(char for char in folded if unicodedata.category(char) not in {"Mn", "Me", "Cf"})
    return visible.translate(_LOOK_ALIKES)
