"""A critic's findings as values, read leniently: people read them first, the program second."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from handlers.sections import lines_of, unwrapped


class Severity(StrEnum):
    """How much a finding matters."""

    BLOCKER = "blocker"
    MAJOR = "major"
    MINOR = "minor"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One finding; a field is empty where the critic left it out or it cannot be told apart.

    Attributes:
        text: the finding as written, without its number.
    """

    text: str
    severity: Severity | None = None
    quote: str = ""
    why: str = ""
    mend: str = ""


_MOST = 100
_SEVERITIES = {
    "blocker": Severity.BLOCKER,
    "blocking": Severity.BLOCKER,
    "critical": Severity.BLOCKER,
    "major": Severity.MAJOR,
    "minor": Severity.MINOR,
    "nit": Severity.MINOR,
}
_GRADE_WORD = rf"(?P<severity>{'|'.join(_SEVERITIES)})s?\b"
_LEAD = re.compile(
    r"(?P<indent> {0,3})(?:#{1,6}[ \t]+)?(?P<bold>\*\*|__)?"
    r"(?:(?P<number>finding[ \t]+#?\d{1,3}[.):]?|\d{1,3}[.)])(?P<closed>\*\*|__)?(?:[ \t]+|$)|[-+•–*][ \t]+)?",
    re.IGNORECASE,
)
_GRADE = re.compile(rf"[\s*_`(\[]*{_GRADE_WORD}(?P<set_off>[*_`)\]]*[ \t]*(?:[·:|•\-–—*)\]“\"«„]|$))?", re.IGNORECASE)
_ASIDE = re.compile(rf"[(\[][ \t]*{_GRADE_WORD}[ \t]*[)\]]", re.IGNORECASE)
_GROUP = re.compile(rf"[ \t#*_]*{_GRADE_WORD}(?:[ \t]+findings?)?[ \t:*_]*$", re.IGNORECASE)
_ROW = re.compile(rf"[ \t]*\|(?:[^|]*\|)?[ \t*_]*{_GRADE_WORD}[ \t*_]*\|", re.IGNORECASE)
_VERDICT = re.compile(r"[\W_]*verdict\b", re.IGNORECASE)
_GOES_ON = re.compile(
    r"[ \t>|“\"«„`]|[-+•*–][ \t]|[*_]*(?:why|because|quote|mend|fix|problem|suggestion)\b", re.IGNORECASE
)
_QUOTES = ("“”", '""', "«»", "„“", "„”", "‹›", "「」", "『』")
_QUOTE = re.compile("|".join(f"{pair[0]}([^{pair}]{{1,2000}}){pair[1]}" for pair in _QUOTES))
_CODE_QUOTE = re.compile(r"`([^`\n]{1,2000})`")
_WHY = re.compile(r"^[\W_]*(?:why|because|problem|issue)[*_]*[ \t]*:[*_]*[ \t]*", re.IGNORECASE)
_MEND = re.compile(
    r"(?<!\w)(?:what would mend (?:it|them|this)|mend|fix|suggestion|remedy)[*_]*[ \t]*:[*_]*[ \t]*",
    re.IGNORECASE,
)
_DOTS = re.compile(r"[·|•]")
_DASH = re.compile(r"(?<=\s)[–—-](?=\s)")
_EDGES = " \t\r\n·|•:;,–—-*_"


def read_findings(text: str) -> tuple[Finding, ...]:
    """The findings of a critique in its order, at most a hundred; numbered or not, on one line or several."""
    start, end = unwrapped(text, 0, len(text))
    return tuple(_finding("\n".join(lines).strip(), severity) for lines, severity in _items(text[start:end])[:_MOST])


def number(findings: Sequence[Finding], critique_number: int) -> tuple[str, ...]:
    """Each finding's name in its thread: the third of critique 2 is C2.3, whatever number the critic gave it."""
    return tuple(f"C{critique_number}.{place}" for place, _ in enumerate(findings, start=1))


def _items(text: str) -> list[tuple[list[str], Severity | None]]:
    found: list[tuple[list[str], Severity | None]] = []
    group: Severity | None = None
    is_open = after_blank = False
    for line in lines_of(text):
        words = line.words.rstrip("\r")
        begun = None if line.fenced else _begun(words, group)
        if begun:
            found.append(([begun[0]], begun[1]))
            is_open = True
        elif not line.fenced and (heads := _GROUP.match(words)):
            group, is_open = _SEVERITIES[heads["severity"].casefold()], False
        elif not line.fenced and (
            _VERDICT.match(words) or (after_blank and words.strip() and not _GOES_ON.match(words))
        ):
            is_open = False
        elif is_open:
            found[-1][0].append(words)
        after_blank = not words.strip()
    return found


def _begun(words: str, group: Severity | None) -> tuple[str, Severity | None] | None:
    """The first words of a finding and its grade, if this line begins one."""
    if row := _ROW.match(words):
        return words[row.start("severity") :].strip(" \t|"), _SEVERITIES[row["severity"].casefold()]
    lead = _LEAD.match(words)
    if lead is None or not (rest := words[lead.end() :]) or rest[:1].isspace():
        return None
    if lead["bold"] and not lead["closed"]:
        rest = rest.replace(lead["bold"], "", 1)
    marked = lead.end() > lead.end("indent") + len(lead["bold"] or "")
    if (grade := _GRADE.match(rest)) and (marked or grade["set_off"]):
        return rest, _SEVERITIES[grade["severity"].casefold()]
    if len(lead["indent"]) > 1:
        return None
    aside = _ASIDE.search(rest) if marked else None
    if aside or lead["number"] or (group and (marked or _QUOTE.match(rest))):
        return rest, _SEVERITIES[aside["severity"].casefold()] if aside else group
    return None


def _finding(text: str, severity: Severity | None) -> Finding:
    grade = _GRADE.match(text)
    body = text[grade.end("severity") :] if grade else text
    quoted = _QUOTE.search(body) or _CODE_QUOTE.search(body)
    if quoted is None:
        why, mend = _why_and_mend(body)
        return Finding(text=text, severity=severity, why=why, mend=mend)
    quote = next(group for group in quoted.groups() if group is not None)
    why, mend = _why_and_mend(body[quoted.end() :])
    return Finding(text=text, severity=severity, quote=quote, why=why, mend=mend)


def _why_and_mend(rest: str) -> tuple[str, str]:
    """By label, else by the dots of the form, else by a lone dash, else by lines; all of it is why if none is there."""
    rest = _ASIDE.sub("", rest, count=1).strip(_EDGES)
    if label := _MEND.search(rest):
        return _bare_why(rest[: label.start()]), rest[label.end() :].strip(_EDGES)
    for separator, most in ((_DOTS, _MOST), (_DASH, 2)):
        parts = separator.split(rest)
        if 1 < len(parts) <= most:
            cut = separator.search(rest)
            assert cut is not None
            return _bare_why(rest[: cut.start()]), rest[cut.end() :].strip(_EDGES)
    first, _, more = rest.partition("\n")
    return _bare_why(first), more.strip(_EDGES)


def _bare_why(words: str) -> str:
    return _WHY.sub("", words, count=1).strip(_EDGES)
