"""Several processes on one PostgreSQL: who dies, stands still or comes late changes nothing that people see."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.distributed import LOST
from bot.playground.scripted import Recorded, Reply, demo_answers
from tests.faults.process import PATIENCE, Host, host
from tests.postgres import Server

BRIEF = "Say that the Fantacoptère has landed"
FINAL = [
    ("root", "final", ""),
    ("card", "final", "answered"),
    ("answer", "final", ""),
    ("notes", "final", ""),
    ("review", "final", "awaiting"),
]
SLOW = 600.0  # seconds for an answer: nobody waits for that one


@asynccontextmanager
async def hosts(folder: Path, postgres: Server, *roles: str, pace: float = 0.0) -> AsyncIterator[Host]:
    url = await asyncio.to_thread(postgres.fresh)
    commands = {role: role.rstrip("0123456789") for role in roles}
    anywhere = {"PORT": "0"}  # all of them are on one machine
    async with host(folder, pace=pace, database_url=url, roles=commands, more=anywhere) as us:
        yield us


async def asks(us: Host, brief: str = BRIEF) -> None:
    assert (await us.slack.as_person("ann").command("/final", brief)).ok


async def nothing_is_owed(us: Host) -> None:
    """A process that stands still between asking for its errand and the first byte of a post is another matter."""

    async def is_so() -> bool:
        return not await us.rows("SELECT slot FROM outbox WHERE shown < revision")

    await us.slack.until(is_so, timeout=PATIENCE)


async def test_a_web_and_three_workers_do_what_one_process_does(tmp_path: Path, postgres: Server) -> None:
    async with hosts(tmp_path, postgres, "web", "worker1", "worker2", "worker3") as us:
        await us.start()
        briefs = [f"{BRIEF} {number}" for number in range(8)]
        await asyncio.gather(*(asks(us, brief) for brief in briefs))
        await us.quiet()
        for brief in briefs:
            assert us.said_in(await us.root_of(brief)) == FINAL
        await us.slack.as_person("rae").reacts("white_check_mark", us.slack.by_bot("answer")[0])
        await us.quiet()
        assert [one.state for one in us.slack.by_bot("verdict")] == ["approved"]


async def test_what_is_delivered_three_times_to_different_processes_happens_once(
    tmp_path: Path, postgres: Server
) -> None:
    async with hosts(tmp_path, postgres, "web1", "web2", "worker1", "worker2") as us:
        us.slack.repeat_deliveries = 3
        await us.start()
        await us.slack.until(lambda: us.slack.connections == 2, timeout=PATIENCE)
        await asyncio.gather(*(asks(us, f"{BRIEF} {number}") for number in range(4)))
        await us.quiet()
        for number in range(4):
            assert us.said_in(await us.root_of(f"{BRIEF} {number}")) == FINAL


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_another_worker_ends_what_one_left_in_the_middle(
    tmp_path: Path, postgres: Server, how: signal.Signals
) -> None:
    """Killed, or standing still for longer than anybody waits and then going on: the thread is the same."""
    async with hosts(tmp_path, postgres, "web", "worker1", "worker2", pace=SLOW) as us:
        us.begin("web")
        us.begin("worker1")
        await us.connected()
        await asks(us)
        await us.slack.until(lambda: us.models.requests, timeout=PATIENCE)
        await nothing_is_owed(us)
        us.models.pace = 0.0
        us.lives["worker1"].send_signal(how)
        if how is signal.SIGKILL:
            await us.kill("worker1")
        us.begin("worker2")
        await us.quiet()
        assert us.said_in(await us.root_of(BRIEF)) == FINAL
        assert len(us.models.requests) == 2
        if how is signal.SIGSTOP:
            us.lives["worker1"].send_signal(signal.SIGCONT)
            await asyncio.sleep(2)
            await asks(us, "And that it has wings")
            await us.quiet()
            assert us.said_in(await us.root_of(BRIEF)) == FINAL
            assert us.said_in(await us.root_of("And that it has wings")) == FINAL
            (run, _) = await us.rows("SELECT epoch FROM runs ORDER BY seq")
            assert run["epoch"] == 2


async def test_two_workers_never_take_a_run_from_each_other_in_turns(tmp_path: Path, postgres: Server) -> None:
    """One goes on while its successor is at work: its answer is refused, and it lets go."""
    answers = [asyncio.Event(), asyncio.Event(), asyncio.Event()]
    asked: list[Recorded] = []

    async def when_told(request: Recorded) -> Reply:
        asked.append(request)
        await answers[len(asked) - 1].wait()
        reply = demo_answers()(request)
        assert isinstance(reply, Reply)
        return reply

    async with hosts(tmp_path, postgres, "web", "worker1", "worker2") as us:
        us.models.answers = when_told
        us.begin("web")
        us.begin("worker1")
        await us.connected()
        await asks(us)
        await us.slack.until(lambda: len(asked) == 1, timeout=PATIENCE)
        await nothing_is_owed(us)
        us.lives["worker1"].send_signal(signal.SIGSTOP)
        us.begin("worker2")
        await us.slack.until(lambda: len(asked) == 2, timeout=PATIENCE)
        us.lives["worker1"].send_signal(signal.SIGCONT)
        answers[0].set()
        await asyncio.sleep(LOST)
        assert len(asked) == 2
        (seat,) = await us.rows("SELECT is_seated FROM runs")
        assert seat["is_seated"]  # the successor's, whoever got up meanwhile
        answers[1].set()
        await us.quiet()
        assert us.said_in(await us.root_of(BRIEF)) == FINAL
        (run,) = await us.rows("SELECT epoch FROM runs")
        assert run["epoch"] == 2


async def test_a_cancel_stops_the_call_in_whichever_process_it_is(tmp_path: Path, postgres: Server) -> None:
    async with hosts(tmp_path, postgres, "web", "worker1", "worker2", "worker3", pace=SLOW) as us:
        await us.start()
        await asks(us)
        await us.slack.until(lambda: us.models.requests, timeout=PATIENCE)
        root = await us.root_of(BRIEF)
        await us.slack.as_person("ann").replies(root, "<@UBOT> cancel")
        await us.slack.until(lambda: us.models.broken_off, timeout=PATIENCE)
        await us.quiet()
        assert us.said_in(root)[1] == ("card", "final", "cancelled")
        assert len(us.models.requests) == 1


async def test_a_worker_told_to_stop_hands_its_run_to_another(tmp_path: Path, postgres: Server) -> None:
    async with hosts(tmp_path, postgres, "web", "worker1", "worker2", pace=SLOW) as us:
        us.begin("web")
        us.begin("worker1")
        await us.connected()
        await asks(us)
        await us.slack.until(lambda: us.models.requests, timeout=PATIENCE)
        us.models.pace = 0.0
        us.begin("worker2")
        us.lives["worker1"].send_signal(signal.SIGTERM)
        async with asyncio.timeout(LOST + 20):
            assert await us._ends("worker1", None) == 0
        await us.quiet()
        assert us.said_in(await us.root_of(BRIEF)) == FINAL
