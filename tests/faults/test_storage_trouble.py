"""Trouble with the database never fakes success: no ack, one notice, nothing lost, and all goes on by itself."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from structlog.testing import capture_logs

from bot.distributed import Distributed
from bot.logs import set_up_logging
from bot.playground.scripted import Recorded, Reply, ScriptedModels, demo_answers
from bot.repeats import Repeats
from bot.settings import read_settings
from storage.database import Database
from storage.errands import Subject
from storage.schema import migrate
from storage.trouble import is_trouble
from tests.postgres import Server, or_skipped, server
from tests.storage.records import keep, run, work
from tests.stories import workspace
from tests.stories.workspace import Team, stage_of, team

BEGAN = "the database cannot be used; nothing is acknowledged and nothing begun until it can"
OVER = "the database can be used again"
LONG = "w" * 2_500
"""Words that need a page of their own."""

Trouble = Callable[[Team], AbstractAsyncContextManager[None]]


@pytest.fixture(scope="module")
def our_server() -> Iterator[Server]:
    """One that may be stopped without stopping anybody else's."""
    with or_skipped(), server() as running:
        yield running


async def _pragma(us: Team, statement: str) -> None:
    async with us.bot.storage.engine.connect() as connection:
        await connection.exec_driver_sql(statement)


@pytest.fixture(autouse=True)
def _logged_as_in_the_program() -> Iterator[None]:
    """What the libraries log while the database is away goes through our handler, which must not break them."""
    root, before, level = logging.getLogger(), logging.getLogger().handlers[:], logging.getLogger().level
    set_up_logging(read_settings({}))
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@asynccontextmanager
async def full(us: Team) -> AsyncIterator[None]:
    """The file may not grow: SQLite says so in the very way it does of a full disk."""
    await _pragma(us, "PRAGMA max_page_count = 1")
    yield
    await _pragma(us, "PRAGMA max_page_count = 1000000000")


@asynccontextmanager
async def read_only(us: Team) -> AsyncIterator[None]:
    await _pragma(us, "PRAGMA query_only = ON")
    yield
    async with us.bot.storage.engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.execute("PRAGMA query_only = OFF")


@asynccontextmanager
async def locked(us: Team) -> AsyncIterator[None]:
    """Somebody opened the file with another program and began to write."""
    other = sqlite3.connect(us.bot.storage.url.database or "", isolation_level=None)
    while True:
        try:
            other.execute("BEGIN IMMEDIATE")
            break
        except sqlite3.OperationalError:
            await asyncio.sleep(0.01)
    try:
        yield
    finally:
        other.close()


def _server() -> Server:
    assert workspace.POSTGRESQL is not None
    return workspace.POSTGRESQL


@asynccontextmanager
async def gone(_: Team) -> AsyncIterator[None]:
    """As after a power failure, or while another machine takes over."""
    await asyncio.to_thread(_server().stop, "immediate")
    yield
    await asyncio.to_thread(_server().start)


@asynccontextmanager
async def standby(us: Team) -> AsyncIterator[None]:
    """Only to be read, as a standby is; connections are cut, as in a failover."""
    name = us.bot.storage.url.database
    with _server().connect("postgres") as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
        _cut(connection, name)
        await asyncio.sleep(0.5)  # a session that had begun before and was not known yet may write
        _cut(connection, name)
    yield
    with _server().connect("postgres") as connection:
        connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
        _cut(connection, name)


@asynccontextmanager
async def cut_off(us: Team) -> AsyncIterator[None]:
    """Every connection is ended, again and again."""

    async def again_and_again() -> None:
        with _server().connect("postgres") as connection:
            while True:
                _cut(connection, us.bot.storage.url.database)
                await asyncio.sleep(0.01)

    cutting = asyncio.create_task(again_and_again())
    yield
    cutting.cancel()


def _cut(connection: Any, name: str | None) -> None:
    connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


@asynccontextmanager
async def exhausted(us: Team) -> AsyncIterator[None]:
    """Something else holds all connections that the pool may open."""
    engine = us.bot.storage.engine
    held = [await engine.connect() for _ in range(16)]
    yield
    for connection in held:
        await connection.close()


SQLITE = {"full": full, "read-only": read_only, "locked": locked}
POSTGRESQL = {"gone": gone, "standby": standby, "cut off": cut_off, "exhausted": exhausted}


@pytest.mark.parametrize("trouble", SQLITE.values(), ids=SQLITE)
async def test_on_sqlite_nothing_is_promised_and_nothing_lost(
    trouble: Trouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.database._BUSY_MS", 300)
    await told(trouble, tmp_path)


@pytest.mark.parametrize("trouble", POSTGRESQL.values(), ids=POSTGRESQL)
async def test_on_postgresql_nothing_is_promised_and_nothing_lost(
    trouble: Trouble, tmp_path: Path, our_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "POSTGRESQL", our_server)
    await told(trouble, tmp_path)


async def told(trouble: Trouble, folder: Path) -> None:
    """Trouble comes while a model writes and goes after somebody asked by a command, and somebody by a mention."""
    go_on, usual = asyncio.Event(), demo_answers()

    async def answers(asked: Recorded) -> Reply | str:
        if stage_of(asked.system) == "draft":
            await go_on.wait()
        said = usual(asked)
        return await said if isinstance(said, Awaitable) else said

    with capture_logs() as lines:
        async with team(folder, answers=answers) as us:
            us.slack._delivery.retry_delays = (0.5,) * 100
            root = await us.starts("scout", "Say what to do in a storm")
            ann = us.person("ann")
            await ann.replies(root, "<@UBOT> draft")
            await us.slack.until(lambda: us.prompts("draft"))
            async with trouble(us):
                go_on.set()
                asked = await ann.command("/draft", f"never {LONG}", channel="launch")
                await ann.replies(root, f"<@UBOT> critique {LONG}")
                await asyncio.sleep(3.0)
                was_kept = asked.ok and not any("could not be stored" in said for said in us.whispers("ann"))
                if trouble is not cut_off:  # between two cuts, something may be kept
                    assert not was_kept
                    assert us.slack._delivery._tasks, "a mention was acknowledged that nobody had kept"
                    assert ("draft", "answered") not in us.states(root)
            await us.slack.until(lambda: ("critique", "answered") in us.states(root), timeout=30)
            await us.quiet()
            assert us.states(root) == [(stage, "answered") for stage in ("scout", "draft", "critique")]
            kept = await us.rows("SELECT id FROM works WHERE brief LIKE 'never%'")
            assert len(kept) == was_kept or (trouble is cut_off and kept)  # a commit whose end was not heard may hold
            assert us.slack.given_up == []
            forget_what_began_again(us.models)
    notices = [line for line in lines if line["event"] in {BEGAN, OVER}]
    if trouble is exhausted:  # where others are given a connection, nothing is wrong with the database
        assert any(line["event"] == "the inbox could not be written; not acknowledged" for line in lines)
    else:
        is_told(notices)
    assert [line for line in lines if line["event"] == "a run broke"] == []
    assert [line for line in lines if line["event"] == "a part of the bot stopped"] == []


def is_told(notices: list[Any]) -> None:
    """Once when it began, once when it was over; where it came and went, as often as that."""
    assert [line["event"] for line in notices][:2] == [BEGAN, OVER]
    assert notices[0]["log_level"] == "error"
    assert [line["event"] for line in notices] == [BEGAN, OVER] * (len(notices) // 2)


def forget_what_began_again(models: ScriptedModels) -> None:
    """Only the last of a run's goes at a model is remembered, so only that one can be compared."""
    last = {stage_of(asked.system): asked for asked in models.requests}
    models.requests[:] = [asked for asked in models.requests if last[stage_of(asked.system)] is asked]


async def test_a_job_that_ended_while_the_database_was_away_does_not_block_its_thread(our_server: Server) -> None:
    """Its worker lives and beats, so that nobody would ever take it for dead."""
    url = await asyncio.to_thread(our_server.fresh)
    came: list[bool] = []
    ended = asyncio.Event()

    async def attend(_: str, doubt: bool) -> None:  # noqa: FBT001  the courier's word
        came.append(doubt)
        if len(came) == 1:
            await asyncio.to_thread(renamed, "procrastinate_jobs", "away")  # the end of a job is refused for a while
            ended.set()

    async def nothing(_: str, __: bool) -> None: ...  # noqa: FBT001  the courier's word

    def renamed(old: str, new: str) -> None:
        """Waits for whoever is in a transaction, so never on the loop that they need."""
        with our_server.connect(str(storage.url.database)) as connection:
            connection.execute(f"ALTER TABLE {old} RENAME TO {new}".encode())

    async with AsyncExitStack() as scene:
        storage = await scene.enter_async_context(Database(url))
        courier = Distributed(
            url=storage.libpq_url, storage=storage, now=lambda: datetime.now(UTC), shares=lambda _: None
        )
        await scene.enter_async_context(courier)
        storage.carry = courier.carry
        served = asyncio.create_task(
            courier.serve({Subject.LINE: nothing, Subject.WORK: attend, Subject.LANE: nothing})
        )
        await keep(storage, work(), run())
        async with asyncio.timeout(50):
            await ended.wait()
            await asyncio.sleep(0.3)
            await asyncio.to_thread(renamed, "away", "procrastinate_jobs")
            while len(came) < 2:  # noqa: ASYNC110  another task of this loop does it
                await asyncio.sleep(0.05)
        served.cancel()
    assert came[:2] == [False, True]


async def test_what_does_not_pass_ends_the_queue_and_is_told(our_server: Server) -> None:
    url = await asyncio.to_thread(our_server.fresh)

    def shares(_: int) -> None:
        raise ZeroDivisionError

    async with (
        Database(url) as storage,
        Distributed(url=storage.libpq_url, storage=storage, now=lambda: datetime.now(UTC), shares=shares) as courier,
    ):
        async with asyncio.timeout(30):
            with pytest.raises(ExceptionGroup, match="unhandled"):
                await courier.serve({})


def test_repeats_are_written_once_a_minute_and_counted() -> None:
    now = 0.0
    repeats = Repeats(lambda: now)
    trouble = sqlite3.OperationalError("database is locked")
    trouble.sqlite_errorcode = 5

    def said(problem: Exception, what: str = "the inbox could not be written") -> Any:
        try:
            return repeats(None, "error", {"event": what, "exc_info": problem})
        except structlog.DropEvent:
            return None

    assert said(trouble) == {"event": "the inbox could not be written", "cause": "database is locked"}
    assert [said(trouble) for _ in range(1_000)] == [None] * 1_000
    assert said(trouble, "the queue could not be read") is not None
    now = 61.0
    assert said(trouble)["repeated"] == 1_000
    fault = KeyError("ours")
    assert [said(fault)["exc_info"] for _ in range(3)] == [fault] * 3


@pytest.mark.parametrize("statement", ["SELECT nothing FROM nowhere", "INSERT INTO works (id) VALUES ('w')"])
async def test_a_fault_of_ours_is_not_taken_for_trouble(our_server: Server, tmp_path: Path, statement: str) -> None:
    """Such a run would begin again for ever."""
    for url in (await asyncio.to_thread(our_server.fresh), f"sqlite+aiosqlite:///{tmp_path / 'a.db'}"):
        async with Database(url) as storage:
            await migrate(storage)
            seen: list[BaseException | None] = []
            storage.on_trouble(seen.append)
            with pytest.raises(SQLAlchemyError) as caught:
                async with storage.transaction() as saved:
                    await saved.connection.execute(text(statement))
            assert not is_trouble(caught.value)
            assert seen == []
