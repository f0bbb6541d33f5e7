"""What the final owner's notes say became of the critics' findings; nothing is claimed where they are unclear."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from handlers.sections import lines_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What became of the findings."""

    taken_up: int
    declined: int
    unsaid: int

    @property
    def in_words(self) -> str:
        """For a card, such as "4 findings: 3 taken up, 1 declined"; empty if there were none."""
        total = self.taken_up + self.declined + self.unsaid
        counts = [(self.taken_up, "taken up"), (self.declined, "declined"), (self.unsaid, "not answered")]
        said = ", ".join(f"{count} {what}" for count, what in counts if count)
        return f"{total} finding{'' if total == 1 else 's'}: {said}" if total else ""


class _Fate(Enum):
    TAKEN_UP = auto()
    DECLINED = auto()


_LABEL = re.compile(r"(?<!\w)C\d{1,3}\.\d{1,3}(?!\w)", re.IGNORECASE)
_NUMBERS = r"#?\d{1,3}(?:[ \t]*(?:,|and|&)[ \t]*#?\d{1,3})*"
_NUMBERS_FIRST = re.compile(
    rf"[\W_]*(?:findings?[ \t]+)?(?P<numbers>{_NUMBERS})(?!\w|\.\d|[ \t]+(?:\w+[ \t]+)?findings?\b)",
    re.IGNORECASE,
)
_NUMBERS_LAST = re.compile(rf"(?P<fate>[^\d\n]{{1,40}}):[*_]*[ \t]*(?P<numbers>{_NUMBERS})(?![\w%])", re.IGNORECASE)
_ALL = re.compile(r"[\W_]*(?:all|both)\b[^.\n\d]{0,30}\bfindings?\b", re.IGNORECASE)
_DECLINED = re.compile(
    r"\b(?:(?:not|never) (?:been )?(?:accepted|taken up|taken on|adopted|addressed|fixed|applied)|declined?|rejected?|"
    r"dismissed?|disagreed?|won['’]t fix|(?:kept|left) as (?:is|it (?:is|was)))\b",
    re.IGNORECASE,
)
_TAKEN_UP = re.compile(
    r"\b(?:accept(?:ed)?|taken (?:up|on)|took up|adopted|agreed?|addressed|fixed|mended|applied|incorporated|"
    r"resolved)\b",
    re.IGNORECASE,
)
_FILLING = re.compile(
    r"(?:[\W\d_]|\b(?:blockers?|major|minor|findings?|was|were|is|are|and|has|have|been)\b)*", re.IGNORECASE
)
_HEDGE = re.compile(r"\b(?:part(?:ly|ially)?|in part|half)\b", re.IGNORECASE)
_EXCEPTION = re.compile(r"\b(?:except|but|other than|apart from|besides|unless|not all)\b", re.IGNORECASE)
_QUOTED = re.compile(r"“[^“”]*”|\"[^\"]*\"|«[^«»]*»|„[^„“”]*[“”]")


def taken_up(notes: str, labels: Sequence[str]) -> Tally:
    """How many of these findings the owner's notes call taken up, declined, or leave unclear.

    Read leniently, claimed strictly: a finding counts when its own line, or the heading over it, says one thing of it
    and no other line says the other. Bare numbers are understood while all the findings are of one critique.

    Args:
        notes: the owner's notes.
        labels: the findings' names in their thread, such as "C2.3".
    """
    fates: dict[str, set[_Fate]] = {label.upper(): set() for label in labels}
    heading: _Fate | None = None
    for line in lines_of(notes):
        if not line.words or line.words.isspace():
            continue
        words = "" if line.fenced else _QUOTED.sub(" ", line.words)
        told = list(_told(words, list(fates), heading))
        for label, fate in told:
            if label in fates:
                fates[label].add(fate)
        if words.strip() and not told and not words[0].isspace():
            heading = _as_heading(words)
    values = list(fates.values())
    up, down = values.count({_Fate.TAKEN_UP}), values.count({_Fate.DECLINED})
    return Tally(taken_up=up, declined=down, unsaid=len(values) - up - down)


def _told(words: str, labels: Sequence[str], heading: _Fate | None) -> Iterator[tuple[str, _Fate]]:
    """What one line says of which findings."""
    named = list(_LABEL.finditer(words))
    if named:
        before = _fate(words[: named[0].start()])
        if _EXCEPTION.search(words[: named[0].start()]):
            before = None
        yield from _told_by_label(words, named, heading if before is None else before)
    elif _ALL.match(words) and not _EXCEPTION.search(words):
        fate = _fate(words)
        yield from ((label, fate) for label in labels if fate is not None)
    elif len({label.partition(".")[0] for label in labels}) == 1:
        yield from _told_by_number(words, labels[0].partition(".")[0])


def _told_by_label(words: str, named: Sequence[re.Match[str]], otherwise: _Fate | None) -> Iterator[tuple[str, _Fate]]:
    """From the last to the first, so that "C1.1 and C1.2 declined" says it of both."""
    following: _Fate | None = None
    ends = [found.start() for found in named[1:]] + [len(words)]
    for found, end in reversed(list(zip(named, ends, strict=True))):
        segment = words[found.end() : end]
        is_last = end == len(words)
        if _FILLING.fullmatch(segment):
            fate = otherwise if is_last else following
        else:
            fate = _fate(segment)
            fate = otherwise if fate is None and not _says_something(segment) else fate
        following = fate
        if fate is not None:
            yield found[0].upper(), fate


def _told_by_number(words: str, critique: str) -> Iterator[tuple[str, _Fate]]:
    fate = None
    if found := _NUMBERS_FIRST.match(words):
        fate = _opening_fate(words[found.end() :])
    elif (found := _NUMBERS_LAST.match(words)) and _as_heading(found["fate"]) is not None:
        fate = _as_heading(found["fate"])
    if found is None or fate is None:
        return
    for number in re.findall(r"\d+", found["numbers"]):
        yield f"{critique}.{int(number)}", fate


def _fate(words: str) -> _Fate | None:
    """None if the words say neither, or both."""
    opening = _opening_fate(words)
    if opening is not None or _HEDGE.search(words):
        return opening
    declined = bool(_DECLINED.search(words))
    accepted = bool(_TAKEN_UP.search(_DECLINED.sub(" ", words)))
    if accepted is declined:
        return None
    return _Fate.DECLINED if declined else _Fate.TAKEN_UP


def _opening_fate(words: str) -> _Fate | None:
    filled = _FILLING.match(words)
    start = filled.end() if filled else 0
    declined, accepted = _DECLINED.match(words, start), _TAKEN_UP.match(words, start)
    found = declined or accepted
    if found is None or _HEDGE.match(words[found.end() :].lstrip(" ,(")):
        return None
    return _Fate.DECLINED if declined else _Fate.TAKEN_UP


def _says_something(words: str) -> bool:
    """Whether a segment speaks of fates, even if unclearly."""
    return bool(_HEDGE.search(words) or _DECLINED.search(words) or _TAKEN_UP.search(words))


def _as_heading(words: str) -> _Fate | None:
    """The fate a line gives to the lines under it, if it is nothing else than that."""
    fate = _opening_fate(words)
    left = (_DECLINED if fate is _Fate.DECLINED else _TAKEN_UP).sub("", words)
    return fate if _FILLING.fullmatch(left) else None
