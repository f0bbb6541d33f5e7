"""The courier between processes: at least once, one at a time, with the transaction or not at all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from procrastinate.exceptions import ConnectorException
from sqlalchemy import text

from bot import distributed
from bot.distributed import Attend, Distributed
from bot.fence import Displaced, fenced, pass_fence
from bot.later import Later
from storage.database import Database
from storage.errands import Errand, Subject
from storage.records import RunState
from tests.postgres import Server
from tests.storage.records import keep, letter, message, run, work

LINE, WORK, LANE = Subject.LINE, Subject.WORK, Subject.LANE


def now() -> datetime:
    return datetime.now(UTC)


async def nothing(_: str, __: bool) -> None: ...  # noqa: FBT001  the courier's word


@dataclass
class Attended:
    """Who was attended to, by whom, and how many at once."""

    came: list[tuple[Subject, str, bool]] = field(default_factory=list)
    inside: Counter[tuple[Subject, str]] = field(default_factory=Counter)
    most: Counter[tuple[Subject, str]] = field(default_factory=Counter)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    def of(self, subject: Subject) -> Attend:
        async def attend(key: str, doubt: bool) -> None:  # noqa: FBT001  the courier's word
            self.came.append((subject, key, doubt))
            with self._counted((subject, key)):
                await self.hold.wait()

        return attend

    @contextmanager
    def _counted(self, what: tuple[Subject, str]) -> Iterator[None]:
        self.inside[what] += 1
        self.most[what] = max(self.most[what], self.inside[what])
        try:
            yield
        finally:
            self.inside[what] -= 1

    async def until(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.came) < count:  # noqa: ASYNC110  another task of this loop does it
                await asyncio.sleep(0.02)


@pytest.fixture
async def url(postgres: Server) -> str:
    return await asyncio.to_thread(postgres.fresh)


@asynccontextmanager
async def process(url: str) -> AsyncIterator[tuple[Database, Distributed]]:
    async with AsyncExitStack() as scene:
        storage = await scene.enter_async_context(Database(url))
        courier = Distributed(url=storage.libpq_url, storage=storage, now=now, shares=lambda _: None)
        await scene.enter_async_context(courier)
        storage.carry = courier.carry
        yield storage, courier


@asynccontextmanager
async def serving(courier: Distributed, attended: Attended) -> AsyncIterator[None]:
    task = asyncio.create_task(courier.serve({subject: attended.of(subject) for subject in Subject}))
    try:
        yield
    finally:
        attended.hold.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def jobs(storage: Database) -> list[dict[str, Any]]:
    async with storage.reading() as saved:
        rows = await saved.connection.exec_driver_sql("SELECT lock, status::text, args FROM procrastinate_jobs")
        return [dict(row._mapping) for row in rows]


async def test_an_errand_goes_out_with_its_transaction_or_not_at_all(url: str) -> None:
    async with process(url) as (storage, _):
        with pytest.raises(ZeroDivisionError):
            await keep(storage, letter(line="l"), then=ZeroDivisionError())
        assert await jobs(storage) == []
        await keep(storage, work(), run(), letter(line="l"), message())
        assert sorted(job["lock"] for job in await jobs(storage)) == ["lane:w-palombia", "line:l", "work:w-palombia"]


async def test_one_at_a_time_attends_to_a_thing_whichever_process_it_is(url: str) -> None:
    attended = Attended()
    async with (
        process(url) as (storage, one),
        process(url) as (_, other),
        serving(one, attended),
        serving(other, attended),
    ):
        for number in range(4):
            await keep(storage, letter(f"a{number}", line="a"), letter(f"b{number}", line="b"))
        await attended.until(2)
        await asyncio.sleep(0.5)
        assert len(attended.came) == 2
        attended.hold.set()
        await attended.until(4)
    assert attended.most == {(LINE, "a"): 1, (LINE, "b"): 1}


async def test_what_is_put_off_comes_at_its_time(url: str) -> None:
    attended = Attended()
    attended.hold.set()
    async with process(url) as (storage, courier), serving(courier, attended):
        await keep(storage, letter("a", line="a"))
        await attended.until(1)
        async with storage.transaction() as saved:
            await saved.inbox.later(letter("a", line="a"), due_at=now() + timedelta(seconds=0.3))
        await attended.until(2)


async def test_what_breaks_or_is_called_off_is_in_line_again_and_doubted(url: str) -> None:
    came: list[bool] = []

    async def breaks(_: str, doubt: bool) -> None:  # noqa: FBT001
        came.append(doubt)
        if len(came) == 1:
            raise ZeroDivisionError

    async with process(url) as (storage, courier):
        task = asyncio.create_task(courier.serve({LINE: breaks, WORK: nothing, LANE: nothing}))
        await keep(storage, letter())
        async with asyncio.timeout(30):
            while len(came) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert came == [False, True]


async def test_what_is_handed_back_comes_again_at_its_time_with_doubt_and_before_its_like(url: str) -> None:
    came: list[tuple[datetime, bool]] = []

    async def hands_back(_: str, doubt: bool) -> None:  # noqa: FBT001
        came.append((now(), doubt))
        if len(came) == 1:
            raise Later(1.5)

    async with process(url) as (storage, courier):
        task = asyncio.create_task(courier.serve({LINE: hands_back, WORK: nothing, LANE: nothing}))
        await keep(storage, letter("a", line="a"))
        async with asyncio.timeout(30):
            while not came:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await keep(storage, letter("b", line="a"))
            while len(came) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert came[1][1], "whoever had it may have sent something"
    assert came[1][0] - came[0][0] >= timedelta(seconds=1.5)


async def test_a_process_that_must_stop_puts_what_it_did_in_line_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "_GRACE", 0.1)
    attended, again = Attended(), Attended()
    again.hold.set()
    async with process(url) as (storage, one), process(url) as (_, other):
        task = asyncio.create_task(one.serve({subject: attended.of(subject) for subject in Subject}))
        await keep(storage, letter(line="a"))
        await attended.until(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with serving(other, again):
            await again.until(1)
    assert again.came == [(LINE, "a", True)]


async def test_a_process_that_must_stop_while_it_waits_after_trouble_puts_that_in_line_again_too(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "_GRACE", 0.1)
    monkeypatch.setattr(distributed, "_TROUBLE_SECONDS", 3_600.0)
    came, again = asyncio.Event(), Attended()
    again.hold.set()

    async def breaks(_: str, __: bool) -> None:  # noqa: FBT001
        came.set()
        raise ZeroDivisionError

    async with process(url) as (storage, one), process(url) as (_, other):
        task = asyncio.create_task(one.serve({LINE: breaks, WORK: nothing, LANE: nothing}))
        await keep(storage, letter(line="a", received_at=now()))  # too young for the sweep
        await asyncio.wait_for(came.wait(), 30)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with serving(other, again):
            await again.until(1)
    assert again.came == [(LINE, "a", True)]


async def test_a_silent_process_loses_its_errands_and_cannot_end_those_of_its_successor(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops beating but goes on working, as one that is cut off for a while does."""
    monkeypatch.setattr(distributed, "HEARTBEAT", 0.2)
    monkeypatch.setattr(distributed, "LOST", 0.6)
    silent, successor = Attended(), Attended()
    was_ours: list[bool] = []

    async def holds(key: str, doubt: bool) -> None:  # noqa: FBT001
        await silent.of(LINE)(key, doubt)
        try:
            await pass_fence()
            was_ours.append(True)
        except Displaced:
            was_ours.append(False)
            raise

    async with process(url) as (storage, one), process(url) as (_, other):
        monkeypatch.setattr(one._app.job_manager, "update_heartbeat", lambda _: asyncio.sleep(0))
        monkeypatch.setattr(one, "_rescue", lambda: asyncio.sleep(0, 0))
        task = asyncio.create_task(one.serve({LINE: holds, WORK: nothing, LANE: nothing}))
        await keep(storage, letter(line="a"))
        await silent.until(1)
        monkeypatch.setattr(one._app.job_manager, "fetch_job", lambda **_: asyncio.sleep(0))
        async with serving(other, successor):
            await successor.until(1)
            assert successor.came == [(LINE, "a", True)]
            silent.hold.set()
            await asyncio.sleep(0.5)
            assert was_ours == [False]
            states = [job["status"] for job in await jobs(storage) if job["lock"] == "line:a"]
            assert states.count("doing") == 1  # still the successor's
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_who_takes_over_looks_first_whatever_else_is_in_line(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An errand left in the meantime knows nothing of the death; it must not come before the one that does."""
    monkeypatch.setattr(distributed, "HEARTBEAT", 0.2)
    monkeypatch.setattr(distributed, "LOST", 0.6)
    silent, successor = Attended(), Attended()
    successor.hold.set()
    async with process(url) as (storage, one), process(url) as (_, other):
        monkeypatch.setattr(one._app.job_manager, "update_heartbeat", lambda _: asyncio.sleep(0))
        monkeypatch.setattr(one, "_rescue", lambda: asyncio.sleep(0, 0))
        task = asyncio.create_task(one.serve({LINE: silent.of(LINE), WORK: nothing, LANE: nothing}))
        await keep(storage, letter("a1", line="a"))
        await silent.until(1)
        monkeypatch.setattr(one._app.job_manager, "fetch_job", lambda **_: asyncio.sleep(0))
        await keep(storage, letter("a2", line="a"))
        async with serving(other, successor):
            await successor.until(2)
        silent.hold.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert successor.came[0] == (LINE, "a", True)


async def test_what_nobody_carries_is_found_in_the_tables(url: str) -> None:
    async with process(url) as (storage, courier):
        past = now() - timedelta(minutes=1)
        kept = letter("old", line="old", received_at=past), letter("new", line="new", received_at=now())
        await keep(storage, work(), run(), run("r-2", state=RunState.RUNNING), message(), *kept)
        async with storage.engine.begin() as connection:
            await connection.exec_driver_sql("DELETE FROM procrastinate_jobs")
        assert await courier.reconcile() == 3
        found = {job["lock"]: job["args"]["doubt"] for job in await jobs(storage)}
        assert found == {"line:old": True, "work:w-palombia": True, "lane:w-palombia": True}
        assert await courier.reconcile() == 0


async def test_what_comes_while_a_line_waits_leaves_no_heap_of_jobs_and_is_attended_to(url: str) -> None:
    """Six hundred letters: while one is attended to, and while it is put off."""
    attended, seen = Attended(), asyncio.Event()
    letters = [letter(f"l-{number}", line="a") for number in range(600)]
    unread: set[str] = set()

    async def attends(key: str, doubt: bool) -> None:  # noqa: FBT001
        await attended.of(LINE)(key, doubt)
        async with storage.reading() as saved:
            unread.update(row.key for row in await saved.connection.exec_driver_sql("SELECT key FROM inbox"))
        if len(unread) == 600:
            seen.set()
        elif not seen.is_set():
            raise Later(3.0)

    async with process(url) as (storage, courier):
        task = asyncio.create_task(courier.serve({LINE: attends, WORK: nothing, LANE: nothing}))
        await keep(storage, letters[0])
        await attended.until(1)
        for one in letters[1:200]:
            await keep(storage, one)
        assert len(await jobs(storage)) <= 3
        attended.hold.set()
        while not any(job["args"]["doubt"] for job in await jobs(storage)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for one in letters[200:]:
            await keep(storage, one)
        assert len(await jobs(storage)) <= 4
        await asyncio.wait_for(seen.wait(), 30)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_who_relies_on_a_job_that_waits_keeps_it_waiting_until_what_it_leaves_can_be_seen(url: str) -> None:
    attended, found = Attended(), asyncio.Event()

    async def attends(key: str, doubt: bool) -> None:  # noqa: FBT001
        async with storage.reading() as saved:
            if await saved.inbox.get("third"):
                found.set()
        await attended.of(LINE)(key, doubt)

    async with process(url) as (storage, courier):
        task = asyncio.create_task(courier.serve({LINE: attends, WORK: nothing, LANE: nothing}))
        await keep(storage, letter("first", line="a"))
        await attended.until(1)
        await keep(storage, letter("second", line="a"))
        async with storage.transaction() as saved:
            await saved.inbox.put(letter("third", line="a"))
            await courier.carry(saved)
            saved.errands.clear()
            attended.hold.set()
            await asyncio.sleep(2.0)  # the first job ends, and the second could begin
            # Seen from inside: the second still waits, and no third was put behind it.
            waiting = await saved.connection.exec_driver_sql("SELECT id FROM procrastinate_jobs WHERE status = 'todo'")
            assert len(waiting.all()) == 1
        await asyncio.wait_for(found.wait(), 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_part_that_breaks_begins_anew_and_the_others_go_on(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "_TROUBLE_SECONDS", 0.1)
    attended, called_off, swept = Attended(), asyncio.Event(), 0

    async def performs(key: str, doubt: bool) -> None:  # noqa: FBT001
        try:
            await attended.of(WORK)(key, doubt)
        except asyncio.CancelledError:
            called_off.set()
            raise

    async def breaks() -> int:
        nonlocal swept
        swept += 1
        raise ConnectionError

    async with process(url) as (storage, courier):
        monkeypatch.setattr(distributed, "_GRACE", 0.1)
        monkeypatch.setattr(courier, "_rescue", breaks)
        task = asyncio.create_task(courier.serve({LINE: nothing, WORK: performs, LANE: nothing}))
        await keep(storage, work(), run())
        await attended.until(1)
        while swept < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert not called_off.is_set()
        assert len(attended.came) == 1
        attended.hold.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_call_under_way_outlives_the_loss_of_every_connection(
    postgres: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "_GRACE", 0.1)
    monkeypatch.setattr(distributed, "HEARTBEAT", 0.3)
    attended, called_off, ended = Attended(), asyncio.Event(), asyncio.Event()

    async def performs(key: str, doubt: bool) -> None:  # noqa: FBT001
        try:
            await attended.of(WORK)(key, doubt)
            ended.set()
        except asyncio.CancelledError:
            called_off.set()
            raise

    async with process(url) as (storage, courier):
        task = asyncio.create_task(courier.serve({LINE: nothing, WORK: performs, LANE: nothing}))
        await keep(storage, work(), run())
        await attended.until(1)
        for _ in range(3):
            with postgres.connect("postgres") as admin:
                admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            await asyncio.sleep(0.7)
        assert not called_off.is_set()
        assert len(attended.came) == 1
        attended.hold.set()
        await asyncio.wait_for(ended.wait(), 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_job_whose_beginning_was_not_heard_of_is_begun_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "HEARTBEAT", 0.2)
    attended = Attended()
    attended.hold.set()
    async with process(url) as (storage, courier):
        fetch, lost = courier._app.job_manager.fetch_job, asyncio.Event()

        async def loses_one(queues: Any, worker_id: int) -> Any:
            job = await fetch(queues=queues, worker_id=worker_id)
            if job is not None and not lost.is_set():
                lost.set()
                return None
            return job

        monkeypatch.setattr(courier._app.job_manager, "fetch_job", loses_one)
        async with serving(courier, attended):
            await keep(storage, letter(line="a"))
            await asyncio.wait_for(lost.wait(), 10)
            await attended.until(1)
    assert attended.came == [(LINE, "a", True)]


async def test_what_could_not_be_put_in_line_is_put_there_once_the_database_is_back(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for the sweep of the next minute."""
    monkeypatch.setattr(distributed, "HEARTBEAT", 0.3)
    came: list[bool] = []
    async with process(url) as (storage, courier):
        put, refused = courier._put, 0

        async def refuses(errands: Iterable[Errand], *, doubt: bool) -> None:
            nonlocal refused
            if refused < 2 and (left := list(errands)):
                refused += 1
                raise ConnectorException(f"{left} could not be kept")
            await put(errands, doubt=doubt)

        async def breaks_once(_: str, doubt: bool) -> None:  # noqa: FBT001  the courier's word
            came.append(doubt)
            if len(came) == 1:
                raise Later(0.0)

        monkeypatch.setattr(courier, "_put", refuses)
        await keep(storage, letter(line="l", received_at=now()))  # too young for the sweep
        attendants = dict.fromkeys(Subject, nothing) | {LINE: breaks_once}
        served = asyncio.create_task(courier.serve(attendants))
        async with asyncio.timeout(20):
            while len(came) < 2:  # noqa: ASYNC110  another task of this loop does it
                await asyncio.sleep(0.02)
        served.cancel()
        await asyncio.gather(served, return_exceptions=True)
    assert came == [False, True]
    assert refused == 2


@pytest.mark.parametrize("when", ["before the tables are read", "after that"])
async def test_what_comes_or_goes_while_the_tables_are_read_is_not_taken_for_lost(
    url: str, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    async with process(url) as (storage, courier):
        await keep(storage, work(), run())
        looks = distributed.undone_errands
        names = iter(range(100))

        async def in_between() -> None:
            """Another work comes, and the one there was is done with its job."""
            number = next(names)
            await keep(storage, work(f"w-{number}", thread_ts=str(number)), run(f"r-{number}", of=f"w-{number}"))
            before = "w-palombia" if not number else f"w-{number - 1}"
            async with storage.engine.begin() as connection:
                await connection.exec_driver_sql(f"UPDATE runs SET state = 'answered' WHERE work_id = '{before}'")
                await connection.exec_driver_sql(f"DELETE FROM procrastinate_jobs WHERE lock = 'work:{before}'")

        async def looks_slowly(*given: Any, **more: Any) -> list[Errand]:
            if when.startswith("before"):
                await in_between()
            found = await looks(*given, **more)
            if when.startswith("after"):
                await in_between()
            return found

        monkeypatch.setattr(distributed, "undone_errands", looks_slowly)
        assert await courier.reconcile() == 0


async def test_the_database_may_go_and_come_back(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "_TROUBLE_SECONDS", 0.2)
    url = await asyncio.to_thread(postgres.fresh)
    attended = Attended()
    attended.hold.set()
    async with process(url) as (storage, courier), serving(courier, attended):
        await keep(storage, letter("a", line="a"))
        await attended.until(1)
        with postgres.connect("postgres") as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        for _ in range(100):
            try:
                await keep(storage, letter("b", line="b"))
                break
            except Exception:  # noqa: BLE001  until it answers again
                await asyncio.sleep(0.1)
        await attended.until(2)


async def test_outside_a_fence_everybody_may_send() -> None:
    await pass_fence()

    async def no() -> bool:
        return False

    with fenced(no), pytest.raises(Displaced):
        await asyncio.create_task(pass_fence())
    await pass_fence()


def test_an_errand_is_a_value() -> None:
    assert {Errand(LINE, "a"): None, Errand(LINE, "a"): None} == {Errand(LINE, "a"): None}


async def test_whoever_stands_still_between_two_statements_keeps_nothing_locked(url: str) -> None:
    async with (
        process(url) as (storage, courier),
        storage.reading() as saved,
        courier._app.connector.pool.connection() as frozen,  # type: ignore[attr-defined]
    ):
        await frozen.execute("DELETE FROM procrastinate_workers")
        asked = text("SELECT state FROM pg_stat_activity WHERE pid = :pid")
        found = await saved.connection.execute(asked, {"pid": frozen.info.backend_pid})
        assert found.scalar_one() == "idle"
        limits = await frozen.execute("SHOW idle_in_transaction_session_timeout")
        assert await limits.fetchone() == ("5s",)
