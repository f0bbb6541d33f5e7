"""Opening the database, and its transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from weakref import WeakValueDictionary

from sqlalchemy import Connection, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from storage import sqlite
from storage.answers import Answers
from storage.cooldowns import Cooldowns
from storage.errands import Errands, Subject
from storage.handings import Handings
from storage.inbox import Inbox
from storage.ledger import Ledger
from storage.marks import Marks
from storage.outbox import Outbox
from storage.paces import Paces
from storage.records import Run
from storage.reviews import Reviews
from storage.runs import Runs
from storage.spendings import Spendings
from storage.trouble import Follow, Watch
from storage.usage import Usage
from storage.walks import Walks
from storage.works import Works
from storage.writers import Writers

_BUSY_MS = 10_000
_POOL = 16
WRITERS = 0xC0DE  # an arbitrary number that stands for "whoever writes" among PostgreSQL's advisory locks
# What a session of ours may do to others: a process that stands still inside a transaction loses it, and a host that
# is gone is noticed, so that neither keeps the writers' lock.
_SESSION = {
    "idle_in_transaction_session_timeout": "5s",
    "statement_timeout": "30s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "timezone": "UTC",
    "synchronous_commit": "on",  # an ack is a promise, however the server is set up
}

# A connection of ours, as libpq has it: its session as above, and how soon we notice that the database's host is gone.
# Without the latter, that is when the kernel gives up.
CONNECT: dict[str, str | int] = {
    "options": " ".join(f"-c {name}={value}" for name, value in _SESSION.items()),
    "application_name": "countersign",
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

ALONE = text("SELECT pg_advisory_xact_lock(:lock)")

Carry = Callable[["Saved"], Awaitable[None]]
"""Hands the errands of a transaction on, inside it."""


@dataclass(slots=True)
class _Inside:
    database: Database
    is_over: bool = False


_inside: ContextVar[_Inside | None] = ContextVar("inside a transaction", default=None)


class Saved:
    """What one transaction sees: everything the bot remembers, by subject.

    `errands` is what it leaves for somebody to attend to, `ended` the runs it ended.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self.errands: Errands = {}
        self.ended: list[Run] = []
        self.inbox = Inbox(connection, self.errands)
        self.works = Works(connection)
        self.runs = Runs(connection, self.errands, self.ended)
        self.walks = Walks(connection)
        self.answers = Answers(connection)
        self.outbox = Outbox(connection, self.errands)
        self.reviews = Reviews(connection)
        self.handings = Handings(connection)
        self.ledger = Ledger(connection)
        self.marks = Marks(connection)
        self.paces = Paces(connection)
        self.spendings = Spendings(connection)
        self.cooldowns = Cooldowns(connection)
        self.usage = Usage(connection)

    async def clock(self) -> datetime:
        """What time it is by the database's clock. PostgreSQL only."""
        found: datetime = (await self.connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
        return found

    async def driver(self) -> Any:
        """The driver's own connection, for whoever adds something of theirs to the transaction."""
        return (await self.connection.get_raw_connection()).driver_connection


class Database:
    """The bot's memory behind one SQLAlchemy URL with an async driver.

    SQLite has one writing connection in this process, so that writers wait in line here (and share
    commits) instead of fighting over the file, and every writing transaction begins IMMEDIATE: a deferred one fails at
    once when it must be upgraded, whatever the busy time-out (trap 12 in the design's trust notes).

    PostgreSQL is shared by many processes. There, too, whoever reads and then writes on the strength of it is alone
    meanwhile: an advisory lock makes writers wait for each other, so that both databases behave alike. Those of one
    process wait in line here first: the one that holds the lock is not slowed down by dozens that ask for it, and
    those that only read find a connection.
    """

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writing = _sqlite_engine(url, writes=True) if self.is_sqlite else _postgresql_engine(url)
        self._reading = (
            _sqlite_engine(url, writes=False)
            if self.is_sqlite
            else self._writing.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        )
        self._writers = Writers(self._writing) if self.is_sqlite else None
        self._line = asyncio.Lock()
        self._wakes: dict[Subject, list[Callable[[], None]]] = {}
        self._followers: list[Callable[[Run], None]] = []
        self._watch = Watch()
        self.carry: Carry | None = None
        self._orders: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.transactions = 0

    @property
    def libpq_url(self) -> str:
        """Where it is, as PostgreSQL's own programs and psycopg have it; with the password."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)

    @property
    def commits(self) -> int:
        """How often we waited for the disk."""
        return self._writers.commits if self._writers else self.transactions

    def on_errand(self, subject: Subject, wake: Callable[[], None]) -> None:
        """Call `wake` after each commit that left such an errand; losing a call costs time, never work."""
        self._wakes.setdefault(subject, []).append(wake)

    def on_ended(self, follow: Callable[[Run], None]) -> None:
        """Tell somebody of each run this process ended, after the commit that ended it."""
        self._followers.append(follow)

    @property
    def cannot_be_written(self) -> bool:
        """Whether the last transaction met trouble that passes, such as a full disk."""
        return self._watch.cannot_write

    def on_trouble(self, follow: Follow) -> None:
        """Tell somebody once when the database cannot be used, and with None once when it can again."""
        self._watch.follow(follow)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._writers:
            await self._writers.close()
        await self._writing.dispose()
        if self.is_sqlite:
            await self._reading.dispose()

    @asynccontextmanager
    async def transaction(self, *, alone: bool = True) -> AsyncIterator[Saved]:
        """Everything inside is remembered together, durably, or not at all. Talk to nobody inside.

        `alone`: no other such transaction is under way meanwhile. Only one that reads nothing it acts upon may do
        without, and need not wait for others then; on SQLite all are alone.
        """
        before = self._refuse_another_within()
        begin = self._writers.transaction if self._writers else self._writing.begin
        async with self._watch.over("write"), AsyncExitStack() as turn:
            if alone and not self.is_sqlite:
                await turn.enter_async_context(self._line)
            connection = await turn.enter_async_context(begin())
            here = _Inside(self)
            _inside.set(here)
            try:
                if alone and not self.is_sqlite:
                    await connection.execute(ALONE, {"lock": WRITERS})
                saved = Saved(connection)
                yield saved
                if self.carry is not None and saved.errands:
                    await self.carry(saved)
            finally:
                here.is_over = True
                _inside.set(before)
        self.transactions += 1
        for subject in {errand.subject: None for errand in saved.errands}:
            for wake in self._wakes.get(subject, ()):
                wake()
        for run in saved.ended:
            for follow in self._followers:
                follow(run)

    def order(self, name: str) -> AbstractAsyncContextManager[None]:
        """Be inside, and transactions of one name that are not alone come about in the order of asking.

        On SQLite they do so anyway: its writers stand in one line.
        """
        return nullcontext() if self.is_sqlite else self._orders.setdefault(name, asyncio.Lock())

    def _refuse_another_within(self) -> _Inside | None:
        """Whoever waited for a second transaction inside a first would wait for themselves, and all others with them.

        Tasks started inside one are refused as long as it lasts: whoever started them may be waiting for them.
        """
        outer = _inside.get()
        if outer is not None and outer.database is self and not outer.is_over:
            raise RuntimeError("A transaction was asked for inside another: it would wait for itself. Use the first.")
        return outer

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Saved]:
        """A consistent look at what is remembered; nothing can be written through it."""
        async with self._watch.over("read"), self._reading.connect() as connection, connection.begin():
            yield Saved(connection)

    @property
    def engine(self) -> AsyncEngine:
        """For migrations only."""
        return self._writing


def _postgresql_engine(url: str) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=_POOL,
        max_overflow=0,
        pool_timeout=30,
        pool_pre_ping=True,
        connect_args=dict(CONNECT),
        hide_parameters=True,
    )


def _sqlite_engine(url: str, *, writes: bool) -> AsyncEngine:
    size = 1 if writes else 4
    ours = {"async_creator_fn": sqlite.connect, "only_reads": not writes}
    engine = create_async_engine(
        url, pool_size=size, max_overflow=0, pool_timeout=3_600, connect_args=ours, hide_parameters=True
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        cursor.execute("PRAGMA foreign_keys=ON")
        if writes:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
        else:
            cursor.execute("PRAGMA wal_autocheckpoint=0")
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        if writes:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            cursor = connection.connection.cursor()  # the driver's own: this runs many times a second
            cursor.execute("BEGIN")
            cursor.close()

    return engine
