"""What must agree in a database that nobody tampered with: the texts, what was said of them, and the ledger."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from handlers.context import digest
from storage.database import Saved
from storage.evidence import Evidence
from storage.ledger import canonical
from storage.records import VerdictKind

_GIVEN = tuple(kind.value for kind in VerdictKind)


async def disagreements(saved: Saved) -> AsyncIterator[str]:
    """Each thing that does not fit, in a sentence. The chain itself is another matter: see `storage.chain`."""
    evidence = Evidence(saved.connection)
    for look in (_texts, _verdicts, _entries_without_a_verdict):
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


def _read(body: str) -> dict[str, Any]:
    try:
        read = json.loads(body)
    except ValueError:
        return {}  # the chain says so
    return read if isinstance(read, dict) else {}
