"""The final owner's answer taken apart: the decision, the text that is reviewed, the notes beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from handlers.sections import Heading, before_rule, headings, trimmed, unwrapped


class Decision(StrEnum):
    """The final owner's call; NONE if it was not given, or not clearly."""

    READY = "ready"
    BLOCKED = "blocked"
    NONE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalAnswer:
    """What the owner said. Without a decision, the text is the whole answer and `remarks` says what was wrong."""

    decision: Decision
    text: str
    notes: str = ""
    blocked_because: str = ""
    remarks: str = ""


_OWNER = r"(?:final )?owner['’ʼ`´]?s?['’]?"
_DECISION = rf"(?:(?:the |my |final |{_OWNER} )?decision)"
_TEXT = r"(?:(?:the )?final (?:text|version))"
_NOTES = rf"(?:(?:the )?{_OWNER} notes|notes from the {_OWNER}|notes)"

_LONGEST_PREAMBLE = 200
_CALL = re.compile(
    r"[\s>*_`~\"'“”‘’\-–—•:]*(?:(?P<sign>[✅✔☑🟢❌✖🚫🛑⛔🔴])\ufe0f?[\s*_`\"'“”‘’:]*)?"
    r"(?P<word>ready|blocked|not[ \t]+(?:yet[ \t]+)?ready)(?P<rest>.*)",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
_GOOD_SIGNS, _BAD_SIGNS = frozenset("✅✔☑🟢"), frozenset("❌✖🚫🛑⛔🔴")
_WORD_GOES_ON = re.compile(r"[^\W_]|[-'’]\w|[\u0300-\u036f\u200b-\u200f\u2060\ufeff?]")
_SPEAKS_OF_BLOCKING = re.compile(
    r"(?<!\w)(?:block(?:ed|s|ing)?|not[ \t]+(?:yet[ \t]+)?ready|unready|isn['’]?t[ \t]+ready)(?!\w)",
    re.IGNORECASE,
)
_OR_READY = re.compile(r"[\s*_`\"'“”]*(?:or|and|/|\||,)[\s*_`\"'“”]*ready(?!\w)", re.IGNORECASE)
_TAKES_IT_BACK = re.compile(r"[\W_]*(?:no|not|none|false)[\W_]*$", re.IGNORECASE)
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_NO_TEXT = re.compile(r"[\W_]*(?:nothing|none|no text|n/?a|empty)[\W_]*", re.IGNORECASE)


def read_final(text: str) -> FinalAnswer:
    """The owner's decision, text and notes, by their headings.

    The decision comes first, with at most one short line before it; what looks like a decision inside the text is the
    text's. The text ends at the last heading of the owner's notes. Decisions that differ are none.
    """
    start, end = unwrapped(text, 0, len(text))
    answer = text[start:end]
    decisions = list(headings(answer, _DECISION))
    if not decisions:
        return _undecided(text, "the owner gave no decision")
    preamble = answer[: decisions[0].start].strip()
    if len(preamble) > _LONGEST_PREAMBLE or "\n" in preamble:
        return _undecided(text, "the owner gave no decision at the head of the answer")
    opening = next((head for head in headings(answer, _TEXT) if head.start > decisions[0].start), None)
    closing = _closing(list(headings(answer, _NOTES)), opening, decisions[0])
    calls = _calls(answer, decisions, opening, closing)
    if len({decision for decision, _ in calls}) > 1:
        return _undecided(text, "the owner's decisions contradict each other")
    decision, rest = calls[0]
    kept = _text(answer, opening, closing)
    notes = answer[closing.body :] if closing else ""
    match decision:
        case Decision.NONE:
            return _undecided(text, "the owner gave no clear decision")
        case Decision.READY if not kept:
            return _undecided(text, "the owner gave no text")
        case Decision.READY:
            return FinalAnswer(decision=decision, text=kept, notes=_joined(preamble, rest, notes))
        case Decision.BLOCKED:
            because, more = _reason(rest)
            kept = "" if _NO_TEXT.fullmatch(kept) else kept
            remarks = "" if because else "the owner gave no reason"
            notes = _joined(preamble, more, notes)
            return FinalAnswer(decision=decision, text=kept, notes=notes, blocked_because=because, remarks=remarks)


def _undecided(text: str, remarks: str) -> FinalAnswer:
    start, end = trimmed(text, 0, len(text))
    return FinalAnswer(decision=Decision.NONE, text=text[start:end], remarks=remarks)


def _closing(notes: Sequence[Heading], opening: Heading | None, decision: Heading) -> Heading | None:
    """Where the notes begin: at the last heading that names the owner, else at a "Notes" in the style of the text's."""
    after = opening or decision
    behind = [head for head in notes if head.start >= after.body]
    named = [head for head in behind if "owner" in head.name]
    bare = [head for head in behind if "owner" not in head.name and head.style == after.style]
    candidates = named or bare
    return candidates[-1] if candidates else None


def _calls(
    answer: str, decisions: Sequence[Heading], opening: Heading | None, closing: Heading | None
) -> list[tuple[Decision, str]]:
    """Every decision the owner stated, before the text or among the notes, with the words after it."""
    calls = []
    text_start = opening.start if opening else len(answer)
    notes_start = closing.start if closing else len(answer)
    for place, head in enumerate(decisions):
        if text_start < head.start < notes_start:
            continue
        borders = [text_start, notes_start, len(answer)]
        if place > 0:  # the first one keeps what stands before the text, a repetition included: nothing is lost
            borders += [other.start for other in decisions[place + 1 : place + 2]]
        calls.append(_call(answer[head.body : min(border for border in borders if border >= head.body)]))
    return calls


def _call(body: str) -> tuple[Decision, str]:
    """The call that opens a decision, and what was said with it.

    `ready` has to stand alone or with words that do not speak of blocking; the word that comes first counts, and a sign
    that says the opposite makes it none.
    """
    found = _CALL.match(body)
    if found is None or _WORD_GOES_ON.match(found["rest"]):
        return Decision.NONE, body
    rest, is_ready = found["rest"], found["word"].lower() == "ready"
    first_line = rest.partition("\n")[0]
    signs = {found["sign"], *first_line}
    if _TAKES_IT_BACK.match(first_line) or signs & (_BAD_SIGNS if is_ready else _GOOD_SIGNS):
        return Decision.NONE, body
    if is_ready:
        return (Decision.NONE if _SPEAKS_OF_BLOCKING.search(rest) else Decision.READY), body if _says(rest) else ""
    return (Decision.NONE if _OR_READY.match(rest) else Decision.BLOCKED), rest


def _text(answer: str, opening: Heading | None, closing: Heading | None) -> str:
    if opening is None:
        return ""
    end = before_rule(answer, opening.body, closing.start) if closing else len(answer)
    start, end = unwrapped(answer, opening.body, end)
    return answer[start:end]


def _reason(rest: str) -> tuple[str, str]:
    """The reason is the first paragraph after the word; more of it goes to the notes."""
    first, *more = _BLANK_LINE.split(rest.lstrip(" \t\r\n:;,.–—-*_`~"), maxsplit=1)
    return first.strip(), "".join(more)


def _joined(*pieces: str) -> str:
    return "\n\n".join(piece.strip() for piece in pieces if _says(piece))


def _says(words: str) -> bool:
    return any(char.isalnum() for char in words)
