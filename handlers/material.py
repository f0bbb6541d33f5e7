"""Which answers of a thread a run may read: the newest that fit, by lane and lineage (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.answers import number, read_answer
from handlers.context import Item
from handlers.stack import StageName
from handlers.stages import REVISE, STAGES, Reads, Stage, is_text
from storage.records import Answer, Lane, Run, Work

MESSAGE = "message"
"""The stage of an answer that no run made: a message somebody pointed at."""


def stage_of(run: Run) -> Stage:
    return REVISE if run.revises else STAGES[StageName(run.stage)]


def title(answer: Answer) -> str:
    """What people call an answer: "draft 1", "critique 2", "message", or the "description" of a patch."""
    if answer.stage == MESSAGE:
        return "description" if answer.about_id else "message"
    made = {StageName.SCOUT: "scout notes", StageName.IMPLEMENT: "patch"}.get(StageName(answer.stage), answer.stage)
    return f"{made} {answer.number}"


def counts_as_text(answer: Answer) -> bool:
    """Whether polish and final may take it up as the text."""
    return answer.stage == MESSAGE or is_text(StageName(answer.stage))


def newest_text(answers: Sequence[Answer], lane: Lane) -> Answer | None:
    """The text of a lane that nothing has superseded. A second opinion is one only for who points at it."""
    return next((a for a in reversed(answers) if a.lane is lane and counts_as_text(a) and not a.second_to), None)


def lane_for(
    stage: StageName, *, target: Answer | None, answers: Sequence[Answer], in_thread: bool, revises: bool = False
) -> Lane:
    """Code for implement; else the lane of what was pointed at, or of the newest answer when asked in the thread.

    What begins anew, from the brief, is content: a draft that revises nothing and scout notes.
    """
    if stage is StageName.IMPLEMENT:
        return Lane.CODE
    newest = next((a for a in reversed(answers) if not a.second_to), None) if in_thread else None
    begins_anew = stage is StageName.SCOUT or (stage is StageName.DRAFT and not revises and target is None)
    nearest = target or newest
    return Lane.CONTENT if begins_anew or nearest is None else nearest.lane


def target_of(run: Run, answers: Sequence[Answer]) -> Answer | None:
    """The one text a run works on: what a person pointed at, else the newest text of its lane."""
    if run.target_id is not None or run.second_to is not None:  # which works on what the first one did, if anything
        return next((a for a in answers if a.id == run.target_id), None)
    if Reads.TARGET not in stage_of(run).reads:
        return None
    return newest_text(answers, run.lane)


def critiques_of(text: Answer, answers: Sequence[Answer]) -> list[Answer]:
    """The critiques that read exactly this text; those of its predecessors are stale."""
    same = {text.id}  # and what it was before it was posted again
    before = next((a for a in answers if a.id == text.about_id), None)
    while before is not None and before.id not in same and (before.stage, before.sha256) == (text.stage, text.sha256):
        same.add(before.id)
        before = next((a for a in answers if a.id == before.about_id), None)
    return [a for a in answers if a.stage == StageName.CRITIQUE and a.about_id in same]


def material(run: Run, work: Work, answers: Sequence[Answer], *, sources: Sequence[Item] = ()) -> list[Item]:
    """Everything that crosses into a run's context, in the order its stage reads it; `sources` were read for it."""
    stage = stage_of(run)
    target = target_of(run, answers)
    items: list[Item] = []
    for reads in stage.reads:
        items += _crossing(reads, stage, run, work, answers, target)
        items += [item for item in sources if item.reads is reads]
    return items


def _crossing(
    reads: Reads, stage: Stage, run: Run, work: Work, answers: Sequence[Answer], target: Answer | None
) -> list[Item]:
    match reads:
        case Reads.BRIEF:
            author = work.carried.brief_by if work.carried else work.opened_by
            return [Item(reads=reads, title="brief", text=work.brief, author=author)] if work.brief else []
        case Reads.TARGET | Reads.PLAN:
            return [_item(reads, target)] if target else []
        case Reads.SCOUT_NOTES:
            notes = [a for a in answers if a.stage == StageName.SCOUT and a.lane is Lane.CONTENT]
            return [_item(reads, notes[-1])] if notes else []
        case Reads.CRITIQUES:
            critiques = critiques_of(target, answers) if target else []
            if stage.name is StageName.POLISH:
                critiques = _newest(critiques)
            return [_item(reads, critique) for critique in critiques]
        case Reads.FINDINGS:
            return _findings(critiques_of(target, answers)) if target else []
        case Reads.NOTE:
            return [Item(reads=reads, title="note", text=run.note, author=run.asked_by)] if run.note else []
        case Reads.SOURCES | Reads.UNREAD | Reads.EVIDENCE:
            return []


def _newest(critiques: Sequence[Answer]) -> list[Answer]:
    """The newest critique with the second opinions on it: none of them stands in for another."""
    firsts = [critique.second_to or critique.id for critique in critiques]
    return [c for c, first in zip(critiques, firsts, strict=True) if first == firsts[-1]]


def _item(reads: Reads, answer: Answer) -> Item:
    return Item(reads=reads, title=title(answer), text=answer.text, answer_id=answer.id, author=answer.author)


def _findings(critiques: Sequence[Answer]) -> list[Item]:
    """The open findings of a text, each with its number in the thread."""
    items = []
    for critique in critiques:
        found = read_answer(StageName.CRITIQUE, critique.text).findings
        labels = number(found, critique.number)
        lines = [f"{label} {finding.text}" for label, finding in zip(labels, found, strict=True)]
        text = "\n".join(lines) if lines else critique.text
        named = f"findings of {title(critique)}"
        items.append(Item(reads=Reads.FINDINGS, title=named, text=text, answer_id=critique.id))
    return items
