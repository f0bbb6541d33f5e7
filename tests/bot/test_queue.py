"""The embedded courier: runs begin as their threads come free, and none is lost or done twice."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot import queue
from bot.queue import Alone, Embedded
from handlers.errors import Refusal
from handlers.result import NotOurs
from storage.errands import Subject
from storage.records import Run, RunState, Work
from tests.fakes import until
from tests.handlers.house import House, open_house


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(queue, "_TROUBLE_SECONDS", 0.01)
    with capture_logs():
        yield


@dataclass
class Desk:
    """A courier over a house; performing is what a test makes of it, by default the run's end."""

    house: House
    performed: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    at_once: dict[str, int] = field(default_factory=dict)
    hold: asyncio.Event | None = None

    def __post_init__(self) -> None:
        self.courier = self.another()

    def another(self) -> Embedded:
        made = Embedded(storage=self.house.storage, perform=self.perform, now=self.house.now)
        self.house.storage.on_errand(Subject.WORK, made.wake)
        return made

    async def perform(self, run: Run) -> None:
        self.performed.append(run.id)
        self.at_once[run.work_id] = self.at_once.get(run.work_id, 0) + 1
        try:
            assert self.at_once[run.work_id] == 1, "a thread runs one at a time"
            if self.hold is not None:
                await self.hold.wait()
            await self.ends(run)
        finally:
            self.at_once[run.work_id] -= 1

    async def ends(self, run: Run, state: RunState = RunState.ANSWERED) -> None:
        async with self.house.storage.transaction() as saved:
            if not await saved.runs.leave(run, state, at=self.house.now()):
                raise NotOurs
        self.ended.append(run.id)

    @asynccontextmanager
    async def serving(self, courier: Embedded | None = None) -> AsyncIterator[Embedded]:
        made = courier or self.courier
        task = asyncio.create_task(made.serve())
        try:
            yield made
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def asks(self, *, work: Work | None = None) -> Run:
        return await self.house.asks("draft", "Announce", work=work)

    async def thread(self) -> tuple[Run, Work]:
        run = await self.asks()
        await self.house.posts()
        return run, await self.house.work(run.work_id)

    async def state(self, run: Run) -> RunState:
        return (await self.house.run(run)).state


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_house(tmp_path) as house:
        yield Desk(house)


async def test_a_run_put_in_line_is_performed(desk: Desk) -> None:
    async with desk.serving():
        run = await desk.asks()
        await until(lambda: desk.ended == [run.id])
    assert await desk.state(run) is RunState.ANSWERED
    assert (await desk.house.run(run)).epoch == 1


async def test_a_thread_runs_one_at_a_time_in_order_and_threads_side_by_side(desk: Desk) -> None:
    desk.hold = asyncio.Event()
    first, work = await desk.thread()
    second = await desk.asks(work=work)
    third = await desk.asks(work=work)
    elsewhere = await desk.asks()
    async with desk.serving():
        await until(lambda: len(desk.performed) == 2)
        await asyncio.sleep(0.02)
        assert set(desk.performed) == {first.id, elsewhere.id}
        desk.hold.set()
        await until(lambda: len(desk.ended) == 4)
    assert desk.performed[2:] == [second.id, third.id]


async def test_a_hundred_threads_are_performed_at_once(desk: Desk) -> None:
    desk.hold = asyncio.Event()
    for _ in range(100):
        await desk.asks()
    async with desk.serving():
        await until(lambda: len(desk.performed) == 100)
        desk.hold.set()
        await until(lambda: len(desk.ended) == 100)


async def test_an_aborted_run_is_let_go_and_the_next_of_its_thread_begins(desk: Desk) -> None:
    desk.hold = asyncio.Event()
    first, work = await desk.thread()
    second = await desk.asks(work=work)
    async with desk.serving() as courier:
        await until(lambda: desk.performed == [first.id])
        async with desk.house.storage.transaction() as saved:
            await saved.runs.cancel(first.id, by="U0ANN", at=desk.house.now())
        await courier.abort(first)
        await courier.abort(replace(first, id="r-unknown"))
        await until(lambda: desk.performed == [first.id, second.id])
        desk.hold.set()
        await until(lambda: desk.ended == [second.id])
    assert await desk.state(first) is RunState.CANCELLED


async def test_what_a_dead_process_left_running_is_resumed(desk: Desk) -> None:
    run = await desk.asks()
    async with desk.house.storage.transaction() as saved:
        await saved.runs.begin(run.id, at=desk.house.now())
    async with desk.serving():
        await until(lambda: desk.ended == [run.id])
    assert (await desk.house.run(run)).epoch == 2


async def test_stopping_parks_what_is_under_way_for_the_next_start(desk: Desk) -> None:
    desk.hold = asyncio.Event()
    run = await desk.asks()
    async with desk.serving():
        await until(lambda: desk.performed == [run.id])
    assert await desk.state(run) is RunState.QUEUED
    desk.hold = None
    async with desk.serving(desk.another()):
        await until(lambda: desk.ended == [run.id])
    assert await desk.state(run) is RunState.ANSWERED


async def test_draining_ends_what_is_under_way_and_begins_nothing_more(desk: Desk) -> None:
    desk.hold = asyncio.Event()
    first, work = await desk.thread()
    second = await desk.asks(work=work)
    async with desk.serving() as courier:
        await until(lambda: desk.performed == [first.id])
        draining = asyncio.create_task(courier.drain(10))
        await asyncio.sleep(0.01)
        assert not draining.done()
        desk.hold.set()
        await draining
        courier.wake()
        await asyncio.sleep(0.02)
    assert desk.performed == [first.id]
    assert await desk.state(first) is RunState.ANSWERED
    assert await desk.state(second) is RunState.QUEUED


async def test_draining_gives_up_in_time_and_parks_the_rest(desk: Desk) -> None:
    desk.hold = asyncio.Event()
    run = await desk.asks()
    async with desk.serving() as courier:
        await until(lambda: desk.performed == [run.id])
        await courier.drain(0.01)
    assert await desk.state(run) is RunState.QUEUED


async def test_draining_nothing_is_quick(desk: Desk) -> None:
    async with desk.serving() as courier:
        await courier.drain(100)


async def test_performing_that_raises_puts_the_run_back_in_line(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [2]

    async def stumbles(run: Run) -> None:
        desk.performed.append(run.id)
        if left[0]:
            left[0] -= 1
            raise OSError("database or disk is full")
        await desk.ends(run)

    courier = Embedded(storage=desk.house.storage, perform=stumbles, now=desk.house.now)
    run = await desk.asks()
    other = await desk.asks()
    async with desk.serving(courier):
        await until(lambda: len(desk.ended) == 2)
    assert len(desk.performed) == 4
    assert {await desk.state(run), await desk.state(other)} == {RunState.ANSWERED}


async def test_a_run_that_is_somebody_elses_by_now_is_left_alone(desk: Desk) -> None:
    async def not_ours(run: Run) -> None:
        desk.performed.append(run.id)
        async with desk.house.storage.transaction() as saved:
            await saved.runs.cancel(run.id, by="U0ANN", at=desk.house.now())
        raise NotOurs

    run = await desk.asks()
    async with desk.serving(Embedded(storage=desk.house.storage, perform=not_ours, now=desk.house.now)):
        await until(lambda: bool(desk.performed))
        await asyncio.sleep(0.03)
    assert desk.performed == [run.id]
    assert await desk.state(run) is RunState.CANCELLED


async def test_a_queue_that_cannot_be_read_is_read_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, failures = desk.house.storage.reading, [2]

    def fails() -> Any:
        if failures[0]:
            failures[0] -= 1
            raise OSError("disk gone")
        return reading()

    run = await desk.asks()
    monkeypatch.setattr(desk.house.storage, "reading", fails)
    async with desk.serving() as courier:
        while failures[0]:
            courier.wake()
            await asyncio.sleep(0.005)
        courier.wake()
        await until(lambda: desk.ended == [run.id])


async def test_a_queue_that_cannot_be_written_is_written_when_it_can(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [3]
    transaction = desk.house.storage.transaction

    def fails() -> Any:
        if desk.performed and failures[0]:
            failures[0] -= 1
            raise OSError("database or disk is full")
        return transaction()

    run = await desk.asks()
    monkeypatch.setattr(desk.house.storage, "transaction", fails)
    async with desk.serving():
        await until(lambda: desk.ended == [run.id])
    assert len(desk.performed) == 2
    assert await desk.state(run) is RunState.ANSWERED


# alone


def test_a_second_process_on_one_database_is_refused_in_words(tmp_path: Path) -> None:
    database = tmp_path / "zoo.db"
    program = f"from bot.queue import Alone\nwith Alone({str(database)!r}):\n    print('alone')"
    with Alone(str(database)):
        other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert other.returncode != 0
        assert "alone" not in other.stdout
        assert str(database) in other.stderr
    again = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert again.stdout == "alone\n", again.stderr


def test_a_folder_that_is_not_there_is_a_sentence_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"There is no folder .*/deep for the database zoo\.db"):
        Alone(str(tmp_path / "deep" / "zoo.db")).__enter__()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_database_is_a_sentence_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    letter, folder = tmp_path / "letter.txt", tmp_path / "cupboard"
    letter.write_text("Dear Fantasio,")
    folder.mkdir()
    for no_database in (letter, folder):
        with pytest.raises(Refusal, match=f"{no_database.name} is no SQLite database"):
            Alone(str(no_database)).__enter__()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cupboard", "letter.txt"]
    assert letter.read_text() == "Dear Fantasio,"


def test_an_empty_file_and_a_database_are_taken(tmp_path: Path) -> None:
    (tmp_path / "new.db").touch()
    with closing(sqlite3.connect(tmp_path / "old.db")) as old:
        old.execute("CREATE TABLE animals (name)")
    for name in ("new.db", "old.db"):
        with Alone(str(tmp_path / name)):
            pass


async def test_a_file_is_alone_under_all_its_names_and_nobody_elses_to_read(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    with Alone(str(tmp_path / "real.db")):
        assert (tmp_path / "real.db").stat().st_mode & 0o777 == 0o600
        with pytest.raises(Refusal, match="already working on"), Alone(str(tmp_path / "link.db")):
            pass


@pytest.mark.parametrize("database", [None, "", ":memory:"])
def test_what_is_no_file_needs_no_lock(database: str | None) -> None:
    with Alone(database), Alone(database):
        pass


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("bot.queue.os.open", refuses)
    wanted = r"Nothing can be written beside .*cats\.db \(Read-only file system\): see to"
    with pytest.raises(Refusal, match=wanted), Alone(str(tmp_path / "cats.db")):
        pass
