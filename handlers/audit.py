"""What must agree in a database that nobody tampered with: the texts, what was said of them, and the ledger."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from handlers.budget import RAISED, dollars
from handlers.context import digest, seen_digest
from handlers.judge import ReviewState, state_of
from handlers.opening import opened_as
from storage.canonical import canonical
from storage.database import Saved
from storage.evidence import Evidence
from storage.records import VerdictKind

_GIVEN = tuple(kind.value for kind in VerdictKind)


async def disagreements(saved: Saved) -> AsyncIterator[str]:
    """Each thing that does not fit, in a sentence. The chain itself is another matter: see `storage.chain`."""
    evidence = Evidence(saved.connection)
    for look in (
        _texts,
        _answered,
        _reviews,
        _verdicts,
        _posted,
        _announced,
        _entries_without_a_verdict,
        _raises,
    ):
        async for sentence in look(evidence):
            yield sentence


async def _texts(evidence: Evidence) -> AsyncIterator[str]:
    """Every text is the one whose digest stands beside it, and in the ledger."""
    async for answer_id, text, sha256 in evidence.texts():
        if digest(text) != sha256:
            yield f"The text of answer {answer_id} is not the one that was made: its digest is another."
    async for seq, answer_id, what, body, is_now in evidence.about_answers():
        told = _read(body).get("sha256")
        if told is not None and told != is_now:
            yield f"Entry {seq} ({what}) is about another text than answer {answer_id} holds now."


async def _answered(evidence: Evidence) -> AsyncIterator[str]:
    """Who answered, by which stack, what they saw and what they noted is what the ledger says of it.

    An entry from before all of it was written down is held to what it says.
    """
    async for row in evidence.answered(("answered", "posted_again")):
        said, run = _read(row.body), f"the run behind answer {row.answer_id}"
        kept = {
            "stage": (row.stage, f"answer {row.answer_id} is of another stage"),
            "lane": (row.lane, f"answer {row.answer_id} is of another lane"),
            "model": (row.model, f"{run} names another model"),
            "served": (row.served_id, f"{run} names another served model"),
            "stack": ((row.route or {}).get("stack"), f"{run} names another stack"),
            "route": (digest(canonical(row.route or {})), f"{run} was routed otherwise"),
            "context": (_seen(row), f"{run} saw something else"),
            "notes": (None if row.notes is None else digest(row.notes), f"answer {row.answer_id} has other notes"),
        }
        for name, (value, what) in kept.items():
            if name in said and said[name] != value:
                yield f"Entry {row.seq} ({row.what}) says otherwise: {what}."


def _seen(row: Any) -> str | None:
    return None if row.system is None else seen_digest(row.system, row.prompt, row.manifest)


async def _reviews(evidence: Evidence) -> AsyncIterator[str]:
    """Every review is as it was opened: who may not approve, who asked, until when.

    An entry from before all of it was written down is held to what it says.
    """
    async for review, body in evidence.reviews("review_opened"):
        said, kept = _read(body or ""), opened_as(review)
        if body is None:
            yield f"The review of answer {review.answer_id} has no entry in the ledger."
        elif any(name in said and said[name] != value for name, value in kept.items()):
            yield f"The review of answer {review.answer_id} is not as it was opened."
    async for seq, answer_id in evidence.entries_without_review("review_opened"):
        yield f"Entry {seq} opened a review of answer {answer_id}, and there is none."


async def _posted(evidence: Evidence) -> AsyncIterator[str]:
    """An approval is of the messages that are remembered as posted."""
    async for seq, answer_id, said, parts in evidence.posted(VerdictKind.APPROVE):
        if "parts" in said and said["parts"] != [{"ts": ts, "sha256": sha256} for ts, sha256 in parts]:
            yield f"The messages of answer {answer_id} are not those that verdict {seq} approved."


async def _announced(evidence: Evidence) -> AsyncIterator[str]:
    """What is approved was said to be in its thread: nobody can write that into Slack without us."""
    told = await evidence.announced(ReviewState.APPROVED)
    async for answer_id, said in evidence.said_of_each():
        state = state_of(said, quorum=1, superseded=False, expires_at=None, now=said[-1].at)
        if state is ReviewState.APPROVED and answer_id not in told:
            yield f"Answer {answer_id} is approved, and no message in its thread ever said so."


async def _verdicts(evidence: Evidence) -> AsyncIterator[str]:
    """Every verdict has its entry, which says the same."""
    async for verdict, entry in evidence.verdicts():
        if entry is None:
            yield f"Verdict {verdict.seq} ({verdict.kind} by {verdict.person}) has no entry in the ledger."
            continue
        said = _read(entry.entry_body)
        facts = {"emoji": verdict.emoji, "via": verdict.via, "reacted_at": verdict.at.isoformat()}
        expected = {"sha256": said.get("sha256"), **verdict.evidence, **facts}  # a withdrawal's has no digest
        by = (entry.entry_who, entry.entry_what, entry.entry_answer_id)
        if by != (verdict.person, verdict.kind.value, verdict.answer_id) or canonical(expected) != canonical(said):
            which = f"Verdict {verdict.seq} ({verdict.kind} by {verdict.person})"
            yield f"{which} is not what entry {entry.entry_seq} says."


async def _entries_without_a_verdict(evidence: Evidence) -> AsyncIterator[str]:
    async for seq, who, what in evidence.entries_without_verdict(_GIVEN):
        yield f"Entry {seq} ({what} by {who}) has no verdict."


async def _raises(evidence: Evidence) -> AsyncIterator[str]:
    """Every raise of a limit has its entry, which says the same, and the other way round."""
    async for raised, entry in evidence.raises():
        said = _read(entry.entry_body) if entry is not None else {}
        by = None if entry is None else (entry.entry_who, entry.entry_what, said.get("limit"), said.get("usd"))
        if by != (raised.who, RAISED, raised.which, dollars(raised.amount)):
            yield f"What was raised in work {raised.work_id} is not what the ledger says of it."
    async for seq, who in evidence.entries_without_raise(RAISED):
        yield f"Entry {seq} ({RAISED} by {who}) raised nothing that is kept."


def _read(body: str) -> dict[str, Any]:
    try:
        read = json.loads(body)
    except ValueError:
        return {}  # the chain says so
    return read if isinstance(read, dict) else {}
