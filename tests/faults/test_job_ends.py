"""What becomes of a job whose end the database does not hear of."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from bot import distributed
from bot.distributed import Attend, Distributed
from storage.database import Database
from storage.errands import Subject
from tests.bot.test_distributed import jobs, nothing, now, process
from tests.postgres import Server, or_skipped, server
from tests.storage.records import keep, letter

PATIENCE = 60.0


@pytest.fixture
def our_server() -> Iterator[Server]:
    """One that may be stopped without stopping anybody else's."""
    with or_skipped(), server() as running:
        yield running


@contextmanager
def nothing_unasked() -> Iterator[None]:
    """No task ends with an error of which nobody asks."""
    told: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))
    try:
        yield
        gc.collect()
    finally:
        loop.set_exception_handler(None)
    assert told == []


def begin(courier: Distributed, attend: Attend) -> asyncio.Task[None]:
    return asyncio.create_task(courier.serve(dict.fromkeys(Subject, nothing) | {Subject.LINE: attend}))


def under_way() -> list[str]:
    """The jobs whose end procrastinate has not tried to tell yet."""
    return [name for task in asyncio.all_tasks() if (name := task.get_name()).startswith("process job")]


async def until_there_is_no_job(storage: Database) -> None:
    async with asyncio.timeout(PATIENCE):
        while await jobs(storage):  # noqa: ASYNC110  the database tells nobody
            await asyncio.sleep(0.05)


async def test_a_job_that_ends_as_the_database_goes_away_is_renewed_and_nothing_breaks(
    our_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "HEARTBEAT", 0.3)
    url = await asyncio.to_thread(our_server.fresh)
    came: list[bool] = []
    away = asyncio.Event()

    async def ends_in_trouble(_: str, doubt: bool) -> None:  # noqa: FBT001  the courier's word
        came.append(doubt)
        if len(came) == 1:
            await asyncio.to_thread(our_server.stop, "immediate")
            away.set()

    async with process(url) as (storage, courier):
        courier._app.connector.pool.timeout = 0.3  # type: ignore[attr-defined]
        with nothing_unasked():
            await keep(storage, letter(line="l"))
            served = begin(courier, ends_in_trouble)
            async with asyncio.timeout(PATIENCE):
                await away.wait()
                while under_way():  # noqa: ASYNC110  another task of this loop does it
                    await asyncio.sleep(0.05)
                await asyncio.to_thread(our_server.start)
                while len(came) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            await until_there_is_no_job(storage)
            served.cancel()
            await asyncio.gather(served, return_exceptions=True)
    assert came[0] is False
    assert all(came[1:])  # the sweep may find it, too: it comes once more, and is doubted


async def test_a_job_that_somebody_else_took_over_ends_without_a_word(our_server: Server) -> None:
    url = await asyncio.to_thread(our_server.fresh)
    came: list[str] = []

    async with process(url) as (storage, courier):

        async def loses_its_job(key: str, _: bool) -> None:  # noqa: FBT001  the courier's word
            async with storage.engine.begin() as connection:
                await connection.execute(text("DELETE FROM procrastinate_jobs"))
            came.append(key)

        with nothing_unasked(), capture_logs() as logs:
            served = begin(courier, loses_its_job)
            await keep(storage, letter(line="l", received_at=now()))  # too young for the sweep
            async with asyncio.timeout(PATIENCE):
                while not any(entry["event"] == "somebody else took it over" for entry in logs):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            served.cancel()
            await asyncio.gather(served, return_exceptions=True)
    assert came == ["l"]
    assert [entry for entry in logs if entry["log_level"] in {"warning", "error"}] == []


async def test_who_was_taken_for_dead_begins_anew_and_says_so_without_alarm(our_server: Server) -> None:
    url = await asyncio.to_thread(our_server.fresh)
    came: list[str] = []

    async def attends(key: str, _: bool) -> None:  # noqa: FBT001  the courier's word
        came.append(key)

    async with process(url) as (storage, courier):
        with nothing_unasked(), capture_logs() as logs:
            served = begin(courier, attends)
            async with asyncio.timeout(PATIENCE):
                while len(courier._manager.workers) < len(Subject):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                async with storage.engine.begin() as connection:
                    await connection.execute(text("DELETE FROM procrastinate_workers"))
                await keep(storage, letter(line="l"))
                while not came:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            served.cancel()
            await asyncio.gather(served, return_exceptions=True)
    assert came == ["l"]
    told = [(entry["log_level"], entry["event"]) for entry in logs if entry["log_level"] in {"warning", "error"}]
    assert ("warning", "others took this process for dead; it begins anew") in told
    assert {level for level, _ in told} == {"warning"}


async def test_who_must_stop_while_the_database_is_away_stops(
    our_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "_GRACE", 0.1)
    url = await asyncio.to_thread(our_server.fresh)
    came = asyncio.Event()

    async def attends(_: str, __: bool) -> None:  # noqa: FBT001  the courier's word
        came.set()
        await asyncio.Event().wait()

    async with process(url) as (storage, courier):
        courier._app.connector.pool.timeout = 0.3  # type: ignore[attr-defined]
        served = begin(courier, attends)
        await keep(storage, letter(line="l"))
        await asyncio.wait_for(came.wait(), PATIENCE)
        await asyncio.to_thread(our_server.stop, "immediate")
        served.cancel()
        ended, _ = await asyncio.wait([served], timeout=PATIENCE)
        await asyncio.to_thread(our_server.start)
    assert ended
    assert served.cancelled()
