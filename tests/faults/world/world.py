"""One world from its seed to its end: it lives, comes to rest, and is looked at."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from procrastinate.exceptions import ConnectorException
from sqlalchemy import text

from bot import distributed
from bot.slack import listeners
from tests.fakes import a_stack
from tests.faults.world import oracles
from tests.faults.world.dice import Dice
from tests.faults.world.jobs import Jobs
from tests.faults.world.loop import PROCESS, DrawnLoop, Stuck
from tests.faults.world.memory import Disk, Gone, Memory, place
from tests.faults.world.models import DrawnModels, DrawnSources
from tests.faults.world.people import Payload, People
from tests.faults.world.seed import Plan, Rates, plan_of
from tests.faults.world.slack import Slack
from tests.faults.world.trace import Trace
from tests.faults.world.worker import METRICS, Distributing, Worker

_BEGINNING = datetime(2026, 11, 3, 14, 32, tzinfo=UTC)
_ACK_SECONDS = 3.0
_LIVES = 500.0  # steps a process takes on average until it dies, while deaths are left
_REST_SECONDS = 2_400.0
_AFTERWARDS = 8.0
_CALM = {"lost", "limited", "refused", "not_reached", "model_fails", "model_is_slow", "dies", "freezes"}

_UNDONE = """
SELECT 'inbox', key, outcome FROM inbox WHERE handled_at IS NULL
UNION ALL SELECT 'runs', id, state FROM runs WHERE state IN ('queued', 'running')
UNION ALL SELECT 'outbox', slot, given_up FROM outbox WHERE shown < revision AND given_up IS NULL
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """What became of one seed."""

    seed: int
    digest: str
    wrong: list[str]
    counts: dict[str, int]
    lines: list[str] = field(default_factory=list)


class World:
    """Everything there is, and everything that befalls it."""

    def __init__(self, plan: Plan, dice: Dice, trace: Trace, loop: DrawnLoop) -> None:
        self.plan, self.dice, self.trace, self._loop = plan, dice, trace, loop
        self._born = self._moments = 0
        self.stack = a_stack({"quorum": dice.pick((1, 1, 2))})
        self.slack = Slack(dice, plan.rates, trace, wall=lambda: self.now().timestamp())
        self.jobs = Jobs(self.now)
        self.disk = Disk(self._pause, self.jobs)
        self.models = DrawnModels(dice, plan.rates, trace)
        self.sources = DrawnSources(dice)
        self.accepted: dict[str, str] = {}
        self.asked = 0
        self.is_over = self.is_calm = False
        self.clocks_differ = plan.clocks_apart > 0
        self._wrong: list[str] = []
        self._deaths = plan.deaths
        self._rates = plan.rates
        self._workers: list[Worker] = []
        self._deliveries = 0

    # What the program is given

    def now(self) -> datetime:
        """The time, which is never the same twice: what was done at one moment was done together."""
        self._moments += 1
        return _BEGINNING + timedelta(seconds=self._loop.time(), microseconds=self._moments)

    def new_id(self, prefix: str) -> str:
        return prefix + self.dice.id()

    async def _pause(self, why: str) -> None:
        """Others may have their turn here, and the process may be over."""
        process = PROCESS.get()
        self.trace.note("disk", why)
        if isinstance(process, Worker) and self._deaths and self.dice.happens(self._rates.dies):
            self.kill(process, why)
            await self._loop.create_future()
        if self.dice.happens(0.5):
            await asyncio.sleep(self.dice.between(0.0, 0.01) if self.dice.happens(0.3) else 0)

    # What befalls it

    def wrong(self, what: str) -> None:
        self._wrong.append(what)

    def kill(self, process: Worker, where: str) -> None:
        """From here on it does nothing, not even what it would do last."""
        process.is_dead = True
        self._deaths -= 1
        self.disk.died(process)
        self.trace.count(f"killed: {where}")
        self.trace.note("world", "killed", f"{process} {where}")
        self._workers.remove(process)
        self._loop.call_later(self.dice.between(0.5, 10.0), self._start, context=self.trace.nobody)

    def freeze(self, process: Worker) -> None:
        """It stands still, and may find on waking that others took it for dead."""
        if self.disk.holder is process or self.is_calm:
            return  # a database gives up on whoever stands still in the middle of a transaction
        process.is_frozen = True
        self.trace.count("frozen")
        self.trace.note("world", "froze", str(process))
        self._loop.call_later(self.dice.between(2.0, 30.0), self._thaw, process, context=self.trace.nobody)

    def _thaw(self, process: Worker) -> None:
        process.is_frozen = False
        self.trace.note("world", "thawed", str(process))
        self._loop.thaw()

    def _start(self) -> None:
        lives = self.dice.wait(_LIVES) if self._deaths > 0 else float("inf")
        self._born += 1
        made = Distributing if self.plan.workers > 1 else Worker
        freezes = (
            self._loop.time() + self.dice.wait(20.0)
            if self._deaths > 0 and self.dice.happens(self._rates.freezes)
            else None
        )
        self._workers.append(made(self, self._born, lives=lives))
        if freezes and self.plan.workers > 1:
            self._loop.call_at(freezes, self.freeze, self._workers[-1], context=self.trace.nobody)
        self.trace.note("world", "started", str(self._born))

    def deliver(self, what: str, body: Payload) -> None:
        """Slack delivers it, perhaps late, perhaps more than once, again until somebody says it has it."""
        copies = 1 + (1 + self.dice.below(3) if self.dice.happens(self._rates.copies) else 0)
        self.trace.count(f"asked: {what}")
        self.asked += 1
        self.trace.count("delivered again", copies - 1)
        for _ in range(copies):
            self._deliveries += 1
            self._beside(self._delivered(what, body))

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        self._loop.create_task(work, context=contextvars.Context())

    async def _delivered(self, what: str, body: Payload) -> None:
        if self.dice.happens(self._rates.late):
            self.trace.count("delivered late")
            await asyncio.sleep(self.dice.wait(20.0))
        await asyncio.sleep(self.dice.between(0.0, 0.5))
        while not await self._attempted(what, body):  # noqa: ASYNC110  as Slack does
            await asyncio.sleep(self.dice.between(0.5, 10.0))
        self._deliveries -= 1

    async def _attempted(self, what: str, body: Payload) -> bool:
        """One delivery; whether it was acknowledged in time."""
        if not self._workers:
            return False
        worker = self.dice.pick(self._workers)
        keys = [letter.key for letter in worker.door().letters(body)]
        acked = self._loop.create_future()

        async def ack() -> None:
            if not acked.done():
                acked.set_result(None)

        keeping = listeners.keep_then(ack, body, storage=worker.storage, door=worker.door(), metrics=METRICS)
        task = self._loop.create_task(keeping, context=worker.context.copy())
        await asyncio.wait([acked, task], timeout=_ACK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if task.done() and not worker.is_dead and (problem := task.exception()):
            self.wrong(f"a delivery broke: {_named(problem)}")
        self.trace.note("slack", "acked" if acked.done() else "not acked", f"{what} {keys}")
        if not acked.done():
            self.trace.count("not acknowledged")
            acked.cancel()
            return False
        if what != "reason":
            self.accepted.update(dict.fromkeys(keys, what))
        return True

    # From its beginning to its end

    async def live(self) -> None:
        for _ in range(self.plan.workers):
            self._start()
        for after, seconds in self.plan.outages:
            self._loop.call_later(after, self.slack.goes_down, seconds, context=self.trace.nobody)
        await People(self).live()
        await self._comes_to_rest()
        await oracles.nothing_is_wrong(self)

    async def _comes_to_rest(self) -> None:
        """Nothing goes wrong any more: whatever is undone now has to be done soon."""
        self._deaths, self.is_calm = 0, True
        for worker in self._workers:
            self._thaw(worker)
        calm: dict[str, Any] = dict.fromkeys(_CALM, 0.0)
        self._rates = self.slack._rates = self.models._rates = replace(self._rates, **calm)
        self.slack.goes_up()
        until = max(self._loop.time(), self.slack.out_until) + _REST_SECONDS
        while self._deliveries:
            if self._loop.time() > until:
                self.wrong(f"{self._deliveries} deliveries are never acknowledged")
                return
            await asyncio.sleep(1.0)
        while undone := await self.rows(_UNDONE):
            seen = self.disk.commits
            while self.disk.commits == seen:
                if self._loop.time() > until:
                    self.wrong(f"left undone: {undone}")
                    return
                await asyncio.sleep(1.0)
        await asyncio.sleep(_AFTERWARDS)
        if undone := await self.rows(_UNDONE):
            self.wrong(f"came up again: {undone}")

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        async with self.storage.reading() as saved:
            return [tuple(row) for row in await saved.connection.execute(text(statement))]

    @property
    def storage(self) -> Memory:
        """The world's own look at the database."""
        return Memory(self.disk, shares_commits=False)

    @property
    def rates(self) -> Rates:
        return self._rates

    def heard(self, event: dict[str, Any], level: str) -> None:
        """A line of the program's log."""
        said = str(event.pop("event", ""))
        problem = event.pop("exc_info", None)
        self.trace.note("log", said, f"{level} {sorted((k, str(v)) for k, v in event.items())}")
        if level == "exception":
            self.wrong(f"log: {said}: {_named(problem)}")

    def take_down(self) -> None:
        """Everybody goes; nobody remembers anything."""
        self.is_over = True
        for worker in self._workers:
            worker.is_dead = True
        self._workers.clear()


def _named(problem: Any) -> str:
    import sys
    import traceback

    found = problem if isinstance(problem, BaseException) else sys.exc_info()[1]
    return "".join(traceback.format_exception(found)) if found else "?"


def live(seed: int, *, keeps_lines: bool = False, otherwise: Callable[[Plan], Plan] = lambda plan: plan) -> Ended:
    """One world, from its seed to its end; `otherwise` changes what the seed planned."""
    place()  # made before there is a loop: the migrations bring one of their own
    with _nothing_cleared_away(), _polled_seldom():
        return _lived(seed, keeps_lines=keeps_lines, otherwise=otherwise)


def _lived(seed: int, *, keeps_lines: bool, otherwise: Callable[[Plan], Plan]) -> Ended:
    dice, trace = Dice(seed), Trace(keeps=keeps_lines)
    plan = otherwise(plan_of(seed, dice))
    loop = DrawnLoop(_order(plan.order, dice))
    wrong: list[str] = []
    worlds: list[World] = []
    asyncio.events.set_event_loop(None)

    async def all_of_it() -> None:
        world = World(plan, dice, trace, loop)
        worlds.append(world)
        with _heard_by(world.heard), _drawn_secrets(dice):
            try:
                await world.live()
            except Exception as problem:  # noqa: BLE001  told with the seed
                world.wrong(_named(problem))
        wrong.extend(world._wrong)

    try:
        loop.run(all_of_it())
    except Stuck as stuck:
        wrong += [*worlds[0]._wrong, str(stuck)]
    digest = trace.digest
    wrong += [f"unheard: {task.get_name()}: {task.exception()!r}" for task in loop.tasks if _failed_unheard(task)]
    with _heard_by(lambda *_: None):
        _take_down(loop, worlds[0])
    counts = {
        **trace.counts,
        f"worlds with {plan.workers} workers": 1,
        "steps": loop.steps,
        "commits": worlds[0].disk.commits,
        "seconds": int(loop.time()),
    }
    return Ended(seed=seed, digest=digest, wrong=wrong, counts=counts, lines=trace.lines)


def _order(order: str, dice: Dice) -> Callable[[int], int]:
    match order:
        case "in turn":
            return lambda _: 0
        case "newest first":
            return lambda count: count - 1 if count > 1 and dice.happens(0.7) else 0
        case _:
            return dice.below


def _failed_unheard(task: asyncio.Task[Any]) -> bool:
    if not task.done() or task.cancelled() or not getattr(task, "_log_traceback", False):
        return False
    # A process that was taken for dead is told so in tasks of procrastinate's own.
    return not isinstance(task.exception(), Gone | ConnectorException)


def _take_down(loop: DrawnLoop, world: World) -> None:
    tasks = loop.tasks
    world.take_down()
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    world.disk.close()
    loop._scheduled.clear()  # type: ignore[attr-defined]
    loop._ready.clear()
    asyncio.events._set_running_loop(loop)
    try:
        for task in tasks:
            for _ in range(0 if task.done() else 9):  # once for each await on its way out
                with suppress(BaseException):  # whatever it would still do, the database is closed to it
                    task.context.run(task.get_coro().close)
    finally:
        asyncio.events._set_running_loop(None)
    loop._ready.clear()
    loop.tasks.clear()
    loop.close()


@contextmanager
def _nothing_cleared_away() -> Iterator[None]:
    """While a world lives, which is short: looking for what could go takes a third of its time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.collect(1)
        if was_on:
            gc.enable()


@contextmanager
def _polled_seldom() -> Iterator[None]:
    """procrastinate's workers are told of new jobs; looking for those that became due takes most of their time."""
    before = distributed._POLL
    distributed._POLL = 6.0
    try:
        yield
    finally:
        distributed._POLL = before


@contextmanager
def _heard_by(hears: Callable[[dict[str, Any], str], None]) -> Iterator[None]:
    before = structlog.get_config()

    def hear(_: Any, level: str, event: dict[str, Any]) -> Any:
        exc = "exception" if event.get("exc_info") else level
        hears(event, exc)
        raise structlog.DropEvent

    structlog.configure(
        processors=[hear],  # type: ignore[list-item]  # it lets nothing through
        cache_logger_on_first_use=False,
    )
    deaf = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # procrastinate's words are not ours
    try:
        yield
    finally:
        logging.disable(deaf)
        structlog.configure(**before)


@contextmanager
def _drawn_secrets(dice: Dice) -> Iterator[None]:
    before = secrets.token_hex
    secrets.token_hex = lambda nbytes=None: dice.id()[: 2 * (nbytes or 16)]
    try:
        yield
    finally:
        secrets.token_hex = before


Pause = Callable[[str], Awaitable[None]]
