"""Writers who wait at the same moment share a commit, and nothing else: no failure, no early promise."""

from __future__ import annotations

import asyncio
import runpy
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from storage import sqlite
from storage.database import Database
from storage.writers import TakenBack
from tests.fakes import new_database_file
from tests.storage.records import keep, letter

NESTS = [f"nest {number}" for number in range(12)]


@pytest.fixture
async def database(tmp_path: Any) -> Any:
    async with Database(await new_database_file(tmp_path / "nests.db")) as opened:
        yield opened


async def letters(database: Database) -> set[str]:
    async with database.reading() as saved:
        return {row.key for row in await saved.connection.execute(text("SELECT key FROM inbox"))}


@contextmanager
def befalls_the_thread(monkeypatch: pytest.MonkeyPatch, step: str, happens: Callable[[], None]) -> Iterator[None]:
    """Something happens where a step of the writing connection is about to be done."""
    real = sqlite.Connection._execute

    async def execute(self: sqlite.Connection, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        is_meant = getattr(fn, "__name__", "") == step or step in args
        if not is_meant or self.only_reads:
            return await real(self, fn, *args, **kwargs)

        def broken(*given: Any) -> Any:
            happens()
            return fn(*given)

        return await real(self, broken, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(sqlite.Connection, "_execute", execute)
        yield


def _full() -> None:
    raise sqlite3.OperationalError("database or disk is full")


async def test_those_who_wait_together_share_commits(database: Database) -> None:
    await asyncio.gather(*(keep(database, letter(name)) for name in NESTS))
    assert await letters(database) == set(NESTS)
    assert database.transactions == len(NESTS)
    assert database.commits == 1


async def test_one_alone_commits_alone(database: Database) -> None:
    for name in NESTS[:3]:
        await keep(database, letter(name))
    assert database.commits == 3


async def test_who_fails_takes_back_only_their_own_part(database: Database) -> None:
    async def stumble(name: str) -> None:
        async with database.transaction() as saved:
            await saved.inbox.put(letter(name))
            if name in NESTS[3:5]:
                raise ZeroDivisionError

    ended = await asyncio.gather(*(stumble(name) for name in NESTS), return_exceptions=True)
    assert [type(one) for one in ended if one] == [ZeroDivisionError] * 2
    assert await letters(database) == set(NESTS) - set(NESTS[3:5])
    assert database.commits == 1


async def test_nobody_is_told_before_the_commit_has_returned(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, at_disk = asyncio.get_running_loop(), asyncio.Event()
    told: list[str] = []
    seen: list[set[str]] = []

    async def write(name: str) -> None:
        await keep(database, letter(name))
        told.append(name)

    def look() -> None:
        seen.append(asyncio.run_coroutine_threadsafe(letters(database), loop).result(10) | set(told))
        loop.call_soon_threadsafe(at_disk.set)

    with befalls_the_thread(monkeypatch, "commit", look):
        await asyncio.gather(*(write(name) for name in NESTS))
    assert at_disk.is_set()
    assert seen == [set()]
    assert sorted(told) == sorted(NESTS)


async def test_a_commit_that_fails_is_a_failure_for_all_who_shared_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with befalls_the_thread(monkeypatch, "commit", _full):
        ended = await asyncio.gather(*(keep(database, letter(name)) for name in NESTS), return_exceptions=True)
    assert {type(one) for one in ended} == {OperationalError}
    assert await letters(database) == set()
    assert database.transactions == 0
    assert await keep(database, letter("after the disk was cleared")) == [True]


async def test_what_cannot_be_begun_is_a_failure_for_all_in_line(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with befalls_the_thread(monkeypatch, "BEGIN IMMEDIATE", _full):
        ended = await asyncio.gather(*(keep(database, letter(name)) for name in NESTS), return_exceptions=True)
    assert {type(one) for one in ended} == {OperationalError}
    assert await keep(database, letter("after the lock was gone")) == [True]


async def test_when_sqlite_takes_all_back_nobody_believes_it_was_kept(database: Database) -> None:
    async def write(name: str) -> None:
        async with database.transaction() as saved:
            await saved.inbox.put(letter(name))
            if name == NESTS[2]:  # as SQLite does by itself when the disk is full
                await saved.connection.exec_driver_sql("ROLLBACK")
                raise ZeroDivisionError

    ended = await asyncio.gather(*(write(name) for name in NESTS), return_exceptions=True)
    assert [type(one) for one in ended[:2]] == [TakenBack, TakenBack]
    assert isinstance(ended[2], OperationalError | ZeroDivisionError)
    assert ended[3:] == [None] * len(NESTS[3:])
    assert await letters(database) == set(NESTS[3:])


async def test_who_is_called_off_while_waiting_leaves_the_others_their_commit(database: Database) -> None:
    tasks = [asyncio.create_task(keep(database, letter(name))) for name in NESTS]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in ended[::2]] == [asyncio.CancelledError] * 6
    assert set(NESTS[1::2]) <= await letters(database)


async def test_closing_waits_for_the_last_commit(tmp_path: Any) -> None:
    url = await new_database_file(tmp_path / "nests.db")
    async with Database(url) as database:
        last = asyncio.create_task(keep(database, letter("the last egg")))
        await asyncio.sleep(0)
    assert await last == [True]
    async with Database(url) as again:
        assert await letters(again) == {"the last egg"}


async def test_what_may_go_through_much_leaves_the_loop_free(database: Database) -> None:
    async with database.transaction() as saved:
        driver: Any = (await saved.connection.get_raw_connection()).driver_connection

        async def goes_to_the_thread(statement: str) -> bool:
            given = driver._given
            await saved.connection.execute(text(statement))
            return bool(driver._given > given)

        assert await goes_to_the_thread("DELETE FROM inbox WHERE seq < 0")
        assert not await goes_to_the_thread("SELECT seq FROM inbox")


def test_a_sqlite_that_cannot_be_shared_by_threads_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "threadsafety", 1)
    with pytest.raises(ImportError, match="threadsafety is 1, 3 is needed"):
        runpy.run_path(sqlite.__file__)
