"""What an answer is worth to us: text, notes, decision, verdict and findings, read leniently and claimed strictly."""

from __future__ import annotations

from dataclasses import dataclass

from handlers.finals import Decision, read_final
from handlers.findings import Finding, Severity, number, read_findings
from handlers.sections import before_rule, headings, trimmed, unwrapped
from handlers.stack import StageName
from handlers.tally import Tally, taken_up
from handlers.verdict import CriticVerdict, read_verdict

__all__ = [
    "CriticVerdict",
    "Decision",
    "Deliverable",
    "Finding",
    "Severity",
    "Tally",
    "number",
    "read_answer",
    "taken_up",
]

_CHANGED = r"(?:changed|changes(?: made)?|what (?:has )?changed|what i changed)"
_POLISHED_TEXT = r"(?:(?:the )?(?:polished|revised) (?:text|version))"


@dataclass(frozen=True, kw_only=True, slots=True)
class Deliverable:
    """An answer taken apart.

    `text` is always one unbroken piece of the answer, without blank lines around it and without a code fence around all
    of it that says no more than "this is text". Every word of the answer stands in `text`, `notes` or
    `blocked_because`, except the headings, the bare word of the decision, and a placeholder such as "none" for the text
    of a blocked final.

    Attributes:
        text: what the stage was asked to make; of a final, what a reviewer approves.
        notes: what stands beside the text: the owner's notes, or what polishing changed.
        decision: a final owner's; NONE for every other stage.
        blocked_because: the owner's reason; empty unless blocked.
        verdict: a critic's; None for every other stage.
        remarks: what the card says when the answer missed its form, such as "the owner gave no decision".
    """

    text: str
    notes: str = ""
    decision: Decision = Decision.NONE
    blocked_because: str = ""
    verdict: CriticVerdict | None = None
    findings: tuple[Finding, ...] = ()
    remarks: str = ""


def read_answer(stage: StageName, text: str) -> Deliverable:
    """The answer of a stage, whatever its form; never fails."""
    match stage:
        case StageName.SCOUT | StageName.DRAFT | StageName.IMPLEMENT:
            return Deliverable(text=_whole(text))
        case StageName.CRITIQUE:
            return _critique(text)
        case StageName.POLISH:
            return _polished(text)
        case StageName.FINAL:
            return _final(text)


def _whole(text: str) -> str:
    start, end = trimmed(text, 0, len(text))
    return text[start:end]


def _critique(text: str) -> Deliverable:
    verdict, remarks = read_verdict(text)
    findings = read_findings(text)
    serious = any(finding.severity in {Severity.BLOCKER, Severity.MAJOR} for finding in findings)
    if verdict is CriticVerdict.NOTHING_SERIOUS and serious:
        verdict, remarks = CriticVerdict.REVISE, "the critic's verdict contradicts the findings"
    return Deliverable(text=_whole(text), verdict=verdict, findings=findings, remarks=remarks)


def _polished(text: str) -> Deliverable:
    """The text up to the last heading that says what changed; a third-level one belongs to a changelog."""
    start, end = unwrapped(text, 0, len(text))
    answer = text[start:end]
    body = next((head.body for head in headings(answer, _POLISHED_TEXT) if not answer[: head.start].strip()), 0)
    ways = [head for head in headings(answer, _CHANGED) if not head.style.startswith("###") and head.start > body]
    cut = ways[-1] if ways else None
    kept_start, kept_end = unwrapped(answer, body, before_rule(answer, body, cut.start) if cut else len(answer))
    if kept_start == kept_end:
        return Deliverable(text=_whole(text))
    notes = answer[cut.body :].strip() if cut else ""
    return Deliverable(text=answer[kept_start:kept_end], notes=notes)


def _final(text: str) -> Deliverable:
    final = read_final(text)
    return Deliverable(
        text=final.text,
        notes=final.notes,
        decision=final.decision,
        blocked_because=final.blocked_because,
        remarks=final.remarks,
    )
