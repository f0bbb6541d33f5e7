"""Fakes of the ports: the outside, as a test says it is. test_fakes.py holds them to the originals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event

from handlers.context import digest
from handlers.errors import ModelFailed
from handlers.ports import (
    Assignment,
    Before,
    LookupFailed,
    ModelAnswer,
    Person,
    Place,
    Prompt,
    SeenMessage,
    Settle,
    Source,
    SourceUnread,
    StopReason,
    Unanswered,
    Usage,
)
from handlers.stack import Stack
from handlers.words import Body
from storage.database import Database
from storage.records import Work
from storage.schema import migrate


class FakeClock:
    """The port Clock, standing still until told to go on."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 3, 14, 32, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def goes_on(self, **for_: float) -> datetime:
        self.time += timedelta(**for_)
        return self.time


class FakeIds:
    """The port NewId: each id is new, and the same in every run of a test."""

    def __init__(self) -> None:
        self.given = 0

    def __call__(self, prefix: str) -> str:
        self.given += 1
        return f"{prefix}{self.given:012d}"


class FakeSlack:
    """The port Slack: people, groups, places and messages as a test says; all else Slack does not say."""

    def __init__(self, *people: Person | str) -> None:
        self.people = {one.id: one for one in (Person(id=p) if isinstance(p, str) else p for p in people)}
        self.groups: dict[str, frozenset[str]] = {}
        self.places: dict[str, Place] = {}
        self.posted: dict[tuple[str, str], SeenMessage] = {}
        self.silent_about: set[str] = set()
        self.asked: list[str] = []

    def knows(self, person: str, **traits: bool) -> None:
        self.people[person] = Person(id=person, **traits)

    def shows(self, message: SeenMessage) -> None:
        self.posted[message.channel, message.ts] = message

    def tampers(self, channel: str, ts: str, **changes: Any) -> None:
        self.posted[channel, ts] = replace(self.posted[channel, ts], **changes)

    async def person(self, person: str) -> Person:
        self._says("person", person)
        return self.people.get(person, Person(id=person, is_deactivated=True))

    async def members_of(self, group: str) -> frozenset[str]:
        self._says("group", group)
        if group not in self.groups:
            raise LookupFailed("usergroups.users.list: no_such_subteam")
        return self.groups[group]

    async def place(self, channel: str, *, now: bool = False) -> Place:  # noqa: ARG002  it is always so
        self._says("place", channel)
        return self.places.get(channel) or Place(id=channel, is_member=False)

    async def message(self, channel: str, ts: str, *, thread_ts: str | None = None) -> SeenMessage | None:  # noqa: ARG002  so
        self._says("message", ts)
        return self.posted.get((channel, ts))

    async def messages(self, channel: str, thread_ts: str, wanted: Sequence[str]) -> dict[str, SeenMessage]:
        self._says("messages", thread_ts)
        return {ts: seen for ts in wanted if (seen := self.posted.get((channel, ts)))}

    def _says(self, what: str, of: str) -> None:
        self.asked.append(f"{what} {of}")
        if of in self.silent_about or what in self.silent_about:
            raise LookupFailed(f"{what} of {of}: no answer")


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that nobody announces."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  that is why
            await asyncio.sleep(0.001)


Script = str | ModelAnswer | ModelFailed | Exception


class FakeModels:
    """The port Models: answers as scripted by the model's key, in order; the last one stays."""

    def __init__(self, **scripts: Script | Sequence[Script]) -> None:
        self.scripts: dict[str, list[Script]] = {
            key: list(said) if isinstance(said, list | tuple) else [said]  # type: ignore[list-item]  # it is one
            for key, said in scripts.items()
        }
        self.asked: list[tuple[Assignment, Prompt]] = []
        self.hold: asyncio.Event | None = None

    async def ask(self, assignment: Assignment, prompt: Prompt, *, before: Before) -> ModelAnswer:
        settle = await before()
        self.asked.append((assignment, prompt))
        if self.hold is not None:
            await self.hold.wait()
        script = self.scripts.get(assignment.key) or [f"{assignment.key} has spoken."]
        said = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(said, Exception):
            if isinstance(said, ModelFailed):
                await settle(Unanswered.MAYBE_BILLED)
            raise said
        answer = an_answer(said, assignment.model.id) if isinstance(said, str) else said
        await settle(answer)
        return answer


async def _nothing_came(_: ModelAnswer | Unanswered) -> None: ...


async def at_no_cost() -> Settle:
    """The Before of whoever has no limits."""
    return _nothing_came


async def always() -> None:
    """The May of a channel that nothing happens to."""


def an_answer(text: str, served: str | None = None, **more: Any) -> ModelAnswer:
    said: dict[str, Any] = {
        "stop": StopReason.FINISHED,
        "usage": Usage(input_tokens=120, output_tokens=40),
        "served_id": served,
    }
    return ModelAnswer(text=text, **(said | more))


class FakeSources:
    """The port Sources: pages by their address; all others are not there."""

    def __init__(self) -> None:
        self.pages: dict[str, Source | str] = {}
        self.asked: list[str] = []

    def holds(self, url: str, text: str, *, title: str = "", found_at: str | None = None) -> None:
        self.pages[url] = Source(url=found_at or url, title=title, text=text, kind="html", fetched_bytes=len(text))

    async def read(self, url: str) -> Source:
        self.asked.append(url)
        page = self.pages.get(url, "it answered HTTP 404")
        if isinstance(page, str):
            raise SourceUnread(page)
        return page


@dataclass
class FakeHeartbeats:
    """What people would have seen while a model worked."""

    beats: list[tuple[str, Body]] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)

    async def heartbeat(self, slot: str, body: Body) -> None:
        self.beats.append((slot, body))

    async def still(self, slot: str) -> None: ...

    async def show_status(self, work: Work, text: str) -> None:  # noqa: ARG002  the port's shape
        self.statuses.append(text)


def fake_cut(markdown: str, linkable: Collection[str]) -> list[list[dict[str, Any]]]:
    """One message for each piece between lines of `---`."""
    return [
        [{"type": "rich_text", "elements": [], "said": piece.strip(), "linkable": sorted(linkable)}]
        for piece in markdown.split("\n---\n")
    ]


def seen(
    channel: str, ts: str, text: str, *, author: str | None = "U0ANN", thread_ts: str | None = None
) -> SeenMessage:
    """A message as Slack would return it."""
    return SeenMessage(channel=channel, ts=ts, thread_ts=thread_ts, author=author, text=text, digest=digest(text))


def a_model(**said: Any) -> dict[str, Any]:
    return {"wire": "openai", "id": "quick-1", "base_url": "http://127.0.0.1:9/v1", "trust": 2, **said}


def a_stack(review: dict[str, Any] | None = None, **tables: Any) -> Stack:
    """A quick and a careful model; Rae and Sam review."""
    models = {"quick": a_model(), "careful": a_model(id="careful-1", trust=5)}
    rules = {"reviewers": ["U0RAE", "U0SAM"], **(review or {})}
    return Stack.model_validate({"models": models, "review": rules, **tables})


_TEMPLATE: list[bytes] = []


async def new_database_file(path: Path) -> str:
    """An empty database in the newest schema; returns its URL. The migrations run once for all tests."""
    url = f"sqlite+aiosqlite:///{path}"
    if _TEMPLATE:
        await asyncio.to_thread(path.write_bytes, _TEMPLATE[0])
        return url
    async with Database(url) as database:
        await migrate(database)
    _TEMPLATE.append(await asyncio.to_thread(path.read_bytes))
    return url


@asynccontextmanager
async def open_database(folder: Path, name: str = "marsupilami.db", *, durable: bool = True) -> AsyncIterator[Database]:
    """A database of its own; one that need not outlive a power failure is much faster."""
    async with Database(await new_database_file(folder / name)) as database:
        if not durable:
            event.listen(database.engine.sync_engine, "connect", _hurry)
        yield database


def _hurry(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=OFF")
    cursor.close()


def ticker(clock: FakeClock) -> Callable[[], str]:
    """Slack's timestamps, one after the other, as from this clock."""
    count = 0

    def next_ts() -> str:
        nonlocal count
        count += 1
        return f"{int(clock().timestamp())}.{count:06d}"

    return next_ts
