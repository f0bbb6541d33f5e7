"""Transactions: all or nothing, durable, one writer at a time, and readers that see one moment."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, StatementError

from storage.database import Database, Saved
from storage.errands import Subject
from storage.sqlite import may_corrupt
from tests.fakes import new_database_file
from tests.postgres import Server
from tests.storage.records import entry, keep, letter, message, run, work


async def pragma(saved: Saved, name: str) -> object:
    return (await saved.connection.execute(text(f"PRAGMA {name}"))).scalar()


async def letters(database: Database) -> set[str]:
    async with database.reading() as saved:
        return {row.key for row in await saved.connection.execute(text("SELECT key FROM inbox"))}


async def test_the_writer_is_durable_and_keeps_foreign_keys(durable: Database) -> None:
    async with durable.transaction() as saved:
        assert await pragma(saved, "journal_mode") == "wal"
        assert await pragma(saved, "synchronous") == 2  # FULL
        assert await pragma(saved, "foreign_keys") == 1
        assert await pragma(saved, "busy_timeout") == 10_000
        assert await pragma(saved, "query_only") == 0


async def test_readers_never_write_nor_checkpoint(durable: Database) -> None:
    async with durable.reading() as saved:
        assert await pragma(saved, "journal_mode") == "wal"
        assert await pragma(saved, "foreign_keys") == 1
        assert await pragma(saved, "query_only") == 1
        assert await pragma(saved, "wal_autocheckpoint") == 0
        with pytest.raises(OperationalError, match="readonly"):
            await saved.inbox.put(letter())
    assert await letters(durable) == set()


async def test_two_hundred_tasks_each_get_their_transaction(durable: Database) -> None:
    await keep(durable, letter("counter", body={"count": 0}))

    async def count(number: int) -> None:
        async with durable.transaction() as saved:
            found = await saved.inbox.get("counter")
            assert found is not None
            await asyncio.sleep(0)  # others may run now, but not inside this transaction
            body = {"count": found.body["count"] + 1}
            await saved.connection.execute(text("UPDATE inbox SET body = :b WHERE key = 'counter'"), {"b": _json(body)})
            await saved.inbox.put(letter(f"task {number}"))

    async with asyncio.TaskGroup() as tasks:
        for number in range(200):
            tasks.create_task(count(number))
    async with durable.reading() as saved:
        found = await saved.inbox.get("counter")
    assert found is not None
    assert found.body == {"count": 200}
    assert len(await letters(durable)) == 201


def _json(body: dict[str, int]) -> str:
    return str(body).replace("'", '"')


async def test_a_hundred_readers_do_not_wait_for_a_writer(database: Database) -> None:
    await keep(database, letter("before"))
    async with database.transaction() as saved:
        await saved.inbox.put(letter("inside"))
        async with asyncio.timeout(20):
            found = await asyncio.gather(*(letters(database) for _ in range(100)))
    assert all(one == {"before"} for one in found)


async def test_a_reader_sees_one_moment_however_long_it_looks(database: Database) -> None:
    await keep(database, letter("first"))
    async with database.reading() as saved:
        assert await saved.inbox.get("first") is not None
        await keep(database, letter("second"))
        assert await saved.inbox.get("second") is None
    assert await letters(database) == {"first", "second"}


async def test_a_rollback_takes_everything_with_it(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        await keep(database, work(), run(), letter(), message(), entry(), then=ZeroDivisionError())
    async with database.reading() as saved:
        for table in ("works", "runs", "inbox", "outbox", "ledger"):
            assert (await saved.connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar() == 0
    assert await keep(database, work()) == [True]  # and the next one finds the way free


async def test_errands_are_told_after_the_commit_and_to_whom_it_concerns(database: Database) -> None:
    told: list[str] = []
    for subject in Subject:
        database.on_errand(subject, lambda subject=subject: told.append(subject))  # type: ignore[misc]  # mypy cannot see the default
    async with database.transaction() as saved:
        await saved.works.open(work())
        await saved.runs.add(run())
        await saved.runs.add(run("r-2"))
        assert told == []
    assert told == ["work"]
    told.clear()
    await keep(database, letter(), message())
    assert sorted(told) == ["lane", "line"]


async def test_a_rollback_leaves_no_errand(database: Database) -> None:
    told: list[str] = []
    database.on_errand(Subject.LINE, lambda: told.append("inbox"))
    with pytest.raises(ZeroDivisionError):
        await keep(database, letter(), then=ZeroDivisionError())
    assert told == []


async def test_tasks_that_are_cancelled_leave_pairs_whole_and_the_way_free(database: Database) -> None:
    dice = random.Random(1938)
    sure: set[str] = set()

    async def pair(number: int) -> None:
        async with database.transaction() as saved:
            await saved.inbox.put(letter(f"left {number}"))
            await asyncio.sleep(0)
            await saved.inbox.put(letter(f"right {number}"))
        sure.add(f"left {number}")

    tasks = [asyncio.create_task(pair(number)) for number in range(120)]
    while not all(task.done() for task in tasks):
        for _ in range(dice.randrange(1, 9)):
            await asyncio.sleep(0)
        dice.choice(tasks).cancel()
        await asyncio.sleep(0.001 * dice.random())
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(one) for one in ended} <= {type(None), asyncio.CancelledError}
    found = await letters(database)
    assert sure <= found
    assert all(f"right{key.removeprefix('left')}" in found for key in found if key.startswith("left"))
    assert all(f"left{key.removeprefix('right')}" in found for key in found if key.startswith("right"))
    async with asyncio.timeout(5):
        assert await keep(database, letter("afterwards")) == [True]


async def test_another_process_that_writes_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    async with Database(await new_database_file(path)) as database:
        holding, let_go = threading.Event(), threading.Event()

        def hold() -> None:
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            holding.set()
            let_go.wait(10)
            other.execute("COMMIT")
            other.close()

        thread = threading.Thread(target=hold)
        thread.start()
        await asyncio.to_thread(holding.wait, 10)
        kept = asyncio.create_task(keep(database, letter()))
        await asyncio.sleep(0.05)
        assert not kept.done()
        assert await letters(database) == set()
        let_go.set()
        assert await kept == [True]
        thread.join()


async def test_two_databases_on_one_file_never_find_it_locked(tmp_path: Path) -> None:
    url = await new_database_file(tmp_path / "shared.db")
    async with Database(url) as one, Database(url) as other:

        async def read_then_write(database: Database, name: str) -> None:
            for number in range(15):
                async with database.transaction() as saved:
                    await saved.inbox.next_due()
                    await saved.inbox.put(letter(f"{name} {number}"))

        await asyncio.gather(read_then_write(one, "one"), read_then_write(other, "other"))
        assert len(await letters(one)) == 30


async def test_a_transaction_inside_another_is_refused_instead_of_waiting_for_itself(database: Database) -> None:
    async def again() -> None:
        async with database.transaction() as saved:
            await saved.inbox.put(letter("the inner one"))

    async with asyncio.timeout(5):
        async with database.transaction() as saved:
            await saved.inbox.put(letter("the outer one"))
            for attempt in (again(), asyncio.create_task(again())):
                with pytest.raises(RuntimeError, match="inside another"):
                    await attempt
        assert await letters(database) == {"the outer one"}
        await again()
    assert await letters(database) == {"the outer one", "the inner one"}


async def test_what_was_started_inside_a_transaction_may_write_after_it(database: Database) -> None:
    is_over = asyncio.Event()

    async def afterwards() -> list[bool]:
        await is_over.wait()
        return await keep(database, letter())

    async with database.transaction():
        later = asyncio.create_task(afterwards())
    with pytest.raises(ZeroDivisionError):
        await keep(database, letter("fails"), then=ZeroDivisionError())
    is_over.set()
    assert await later == [True]


async def test_two_databases_may_be_written_to_at_once(database: Database, durable: Database) -> None:
    async with database.transaction() as one, durable.transaction() as other:
        assert await one.inbox.put(letter())
        assert await other.inbox.put(letter())


async def test_what_a_statement_was_given_is_not_told_when_it_fails(database: Database) -> None:
    secret = "the brief nobody else may read"
    with pytest.raises(IntegrityError) as failed:
        await keep(database, run("r-orphan", of="w-nowhere", note=secret))
    assert secret not in str(failed.value)
    async with database.reading() as saved:
        with pytest.raises((OperationalError, ProgrammingError)) as lost:
            await saved.connection.execute(text("SELECT :secret FROM nowhere"), {"secret": secret})
    assert secret not in str(lost.value)


async def test_a_moment_without_a_zone_is_refused(database: Database) -> None:
    naive = letter().received_at.replace(tzinfo=None)
    with pytest.raises(StatementError, match="needs its zone"):
        await keep(database, letter(received_at=naive))


async def test_a_closed_database_leaves_only_its_file(tmp_path: Path) -> None:
    path = tmp_path / "alone.db"
    async with Database(await new_database_file(path)) as database:
        await keep(database, letter())
        await letters(database)
    assert os.listdir(tmp_path) == ["alone.db"]  # noqa: PTH208  the log was folded in
    with closing(sqlite3.connect(path)) as again:
        assert again.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 46, 1), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
        ((4, 0, 0), False),
    ],
)
def test_an_sqlite_that_may_lose_pages_is_known(version: tuple[int, ...], *, told: bool) -> None:
    assert may_corrupt(version) is told


async def test_those_who_write_to_postgresql_wait_in_line_in_their_process(postgres: Server) -> None:
    async with Database(await asyncio.to_thread(postgres.fresh)) as database:
        inside, most = 0, 0
        held: list[int] = []

        async def write(number: int) -> None:
            nonlocal inside, most
            async with database.transaction() as saved:
                inside += 1
                most = max(most, inside)
                held.append(database.engine.pool.checkedout())  # type: ignore[attr-defined]  # a QueuePool
                await saved.marks.set(f"houba/{number}", datetime.now(UTC))
                inside -= 1

        writers = [asyncio.create_task(write(number)) for number in range(40)]
        await asyncio.sleep(0)
        writers[7].cancel()  # whoever leaves the line holds nobody up
        ended = await asyncio.gather(*writers, return_exceptions=True)
        assert [number for number, one in enumerate(ended) if one is not None] == [7]
        assert most == 1
        assert max(held) == 1  # those in line leave the connections to whoever reads
