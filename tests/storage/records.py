"""Records with character, for the tests of the stores."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from storage.database import Database
from storage.records import (
    Answer,
    Entry,
    Event,
    Handing,
    Kind,
    Lane,
    Letter,
    Message,
    Review,
    Run,
    RunState,
    Verdict,
    VerdictKind,
    Walk,
    Work,
)

NOON = datetime(2026, 11, 3, 12, 0, 0, 123456, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def letter(key: str = "command/spirou", **more: Any) -> Letter:
    said: dict[str, Any] = {"key": key, "kind": "request", "line": "houba", "body": {"hop": 1}, "received_at": NOON}
    return Letter(**(said | more))


def work(name: str = "w-palombia", **more: Any) -> Work:
    said: dict[str, Any] = {
        "id": name,
        "team": "T0ZOO",
        "channel": "C0JUNGLE",
        "brief": "Find the marsupilami",
        "opened_by": "U0SPIROU",
        "opened_at": NOON,
    }
    return Work(**(said | more))


def run(name: str = "r-hop", of: str = "w-palombia", **more: Any) -> Run:
    said: dict[str, Any] = {
        "id": name,
        "work_id": of,
        "request_key": f"command/{name}",
        "stage": "draft",
        "lane": Lane.CONTENT,
        "state": RunState.QUEUED,
        "asked_by": "U0SPIROU",
        "entrance": "command",
        "asked_at": NOON,
    }
    return Run(**(said | more))


def answer(name: str = "a-nest", of: str | None = "r-hop", **more: Any) -> Answer:
    said: dict[str, Any] = {
        "id": name,
        "work_id": "w-palombia",
        "run_id": of,
        "stage": "draft",
        "lane": Lane.CONTENT,
        "number": 1,
        "text": "Houba houba.",
        "sha256": "ab" * 32,
        "made_at": NOON,
    }
    return Answer(**(said | more))


def message(slot: str = "w-palombia/r-hop/card", **more: Any) -> Message:
    said: dict[str, Any] = {
        "slot": slot,
        "work_id": "w-palombia",
        "kind": Kind.CARD,
        "team": "T0ZOO",
        "channel": "C0JUNGLE",
        "body": {"fallback": "a tail"},
        "planned_at": NOON,
    }
    return Message(**(said | more))


def review(of: str = "a-nest", **more: Any) -> Review:
    said: dict[str, Any] = {
        "answer_id": of,
        "run_id": "r-hop",
        "work_id": "w-palombia",
        "asked_by": "U0SPIROU",
        "authors": ("U0SPIROU", "U0FANTASIO"),
        "opened_at": NOON,
        "expires_at": at(60),
    }
    return Review(**(said | more))


def verdict(key: str = "reaction/Ev1", **more: Any) -> Verdict:
    said: dict[str, Any] = {
        "answer_id": "a-nest",
        "person": "U0ZORGLUB",
        "kind": VerdictKind.APPROVE,
        "via": "reaction",
        "request_key": key,
        "evidence": {"message": "1.1"},
        "at": NOON,
        "emoji": "white_check_mark",
    }
    return Verdict(**(said | more))


def handing(name: str = "approval_nest", **more: Any) -> Handing:
    said: dict[str, Any] = {
        "id": name,
        "event": Event.GRANTED,
        "work_id": "w-palombia",
        "run_id": "r-hop",
        "answer_id": "a-nest",
        "head": "cd" * 32,
        "planned_at": NOON,
        "due_at": at(1),
    }
    return Handing(**(said | more))


def entry(what: str = "approve", team: str = "T0ZOO", **more: Any) -> Entry:
    said: dict[str, Any] = {"team": team, "at": NOON, "who": "U0ZORGLUB", "what": what, "body": {"tail": 8}}
    return Entry(**(said | more))


def walk(name: str = "k-hop", of: str = "w-palombia", **more: Any) -> Walk:
    said: dict[str, Any] = {
        "id": name,
        "work_id": of,
        "request_key": f"mention/{name}",
        "name": "content",
        "stages": ("scout", "draft"),
        "asked_by": "U0SPIROU",
        "begun_at": NOON,
        "run_id": "r-hop",
    }
    return Walk(**(said | more))


async def keep(database: Database, *records: Any, then: Exception | None = None) -> list[bool]:
    """Remember these in one transaction, each in its store; or try to, and fail at the end."""
    async with database.transaction() as saved:
        ways: dict[type, Callable[[Any], Awaitable[Any]]] = {
            Letter: saved.inbox.put,
            Work: saved.works.open,
            Run: saved.runs.add,
            Walk: saved.walks.begin,
            Answer: saved.answers.add,
            Message: saved.outbox.plan,
            Review: saved.reviews.open,
            Verdict: saved.reviews.give,
            Handing: saved.handings.plan,
            Entry: saved.ledger.append,
        }
        kept = [bool(await ways[type(one)](one)) for one in records]
        if then is not None:
            raise then
    return kept
