"""One process of the bot in a world: the real parts, put together as bot/app.py does, until it dies."""

from __future__ import annotations

import asyncio
import contextvars
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import structlog
from procrastinate import App
from slack_sdk.web.async_client import AsyncWebClient

from bot.app import cut
from bot.clock import SharedClock
from bot.distributed import Distributed
from bot.held import Held
from bot.intake import Intake, Tools
from bot.metrics import Metrics
from bot.queue import Embedded, perform_in_order
from bot.slack.chat import Chat
from bot.slack.door import Door
from bot.slack.lookup import Lookup
from bot.slack.pace import Pace
from handlers.result import NotOurs
from handlers.review import meaning
from handlers.run import run_broke, run_stage
from storage.database import Database
from storage.errands import Subject
from storage.records import Run
from tests.fakes import fake_cut
from tests.faults.world.jobs import Connector
from tests.faults.world.loop import PROCESS
from tests.faults.world.memory import Memory
from tests.faults.world.slack import BOT, TEAM, Client

if TYPE_CHECKING:
    from tests.faults.world.world import World

_TICK_SECONDS = 30.0
METRICS = Metrics()
"""Of all worlds together, for nobody reads them: making them anew takes longer than most of what a process does."""


class _DatabasesClock:
    """As much of PostgreSQL as a SharedClock asks for: what time it is by the world's own clock."""

    is_sqlite = False

    def __init__(self, world: World) -> None:
        self._world = world

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[_DatabasesClock]:
        yield self

    async def clock(self) -> datetime:
        return self._world.now()


def _at_once(work: Coroutine[Any, Any, None]) -> None:
    """Something that never waits, where nobody may wait."""
    with suppress(StopIteration):
        work.send(None)
        raise AssertionError("it waited")


class Worker:
    """The embedded bot: everything in one process."""

    def __init__(self, world: World, number: int, *, lives: float) -> None:
        self._world, self._number, self._lives = world, number, lives
        self.is_dead = self.is_frozen = False
        self.ahead = timedelta(seconds=world.dice.between(-1.0, 1.0) * world.plan.clocks_apart)
        self.context = contextvars.Context()
        self.context.run(PROCESS.set, self)
        self.context.run(self._put_together)

    def __str__(self) -> str:
        return f"#{self._number}"

    def stepped(self) -> None:
        self._lives -= 1
        if self._lives <= 0:
            self._world.kill(self, "anywhere")

    def wall(self) -> datetime:
        """What this machine's clock says, which may be far from everybody else's."""
        return self._world.now() + self.ahead

    shares_commits = True

    def _put_together(self) -> None:
        world, loop = self._world, asyncio.get_running_loop()
        self.storage = Memory(world.disk, shares_commits=self.shares_commits)
        self.now = SharedClock(cast("Database", _DatabasesClock(world)), self.wall)
        _at_once(self.now.look())  # as the program does before it takes anything in
        client = cast("AsyncWebClient", Client(world.slack))
        self.pace = pace = Pace(tick=loop.time)
        self.chat = Chat(
            client=client,
            database=self.storage,
            clock=self.now,
            pace=pace,
            tick=loop.time,
            on_refused_root=self._root_refused,
            metrics=METRICS,
        )
        courier = self.courier()
        self.lookup = Lookup(client=client, pace=pace, tick=loop.time, metrics=METRICS)
        tools = Tools(
            storage=self.storage,
            slack=self.lookup,
            stack=lambda: world.stack,
            now=self.now,
            new_id=world.new_id,
            answer_privately=self.chat.answer_privately,
            abort=courier.abort,
            stack_since=self.now,
            newer_stack=str,
            cut=fake_cut,
            link_to=lambda _, __: None,
            metrics=METRICS,
        )
        self.intake = Intake(tools)
        self.abort = courier.abort
        self.work(courier)

    def courier(self) -> Any:
        return Embedded(storage=self.storage, perform=self._perform, now=self.now)

    def work(self, courier: Any) -> None:
        """Attend to what is to be done, found in the tables by three loops."""
        wakes = {Subject.LINE: self.intake.wake, Subject.WORK: courier.wake, Subject.LANE: self.chat.wake}
        for subject, wake in wakes.items():
            self.storage.on_errand(subject, wake)
        self._beside("outbox", self.chat.deliver())
        self._beside("queue", courier.serve())
        self._beside("inbox", self.intake.run())
        self._beside("ticks", _tick(*wakes.values()))

    def _beside(self, name: str, part: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(part, context=self.context, name=name)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not self.is_dead and not self._world.is_over:
            problem = None if task.cancelled() else task.exception()
            self._world.wrong(f"{task.get_name()} of {self} ended: {problem!r}")

    async def _root_refused(self, _: Any, runs: Any, __: str) -> None:
        for run in runs:
            await self.abort(run)

    async def _perform(self, run: Run) -> None:
        world = self._world
        try:
            await run_stage(
                run,
                storage=self.storage,
                slack=self.lookup,
                models=world.models,
                sources=world.sources,
                heartbeats=self.chat,
                stack=world.stack,
                cut=cut,
                now=self.now,
                new_id=world.new_id,
            )
        except NotOurs:
            raise
        except Exception:  # noqa: BLE001  as bot/app.py does
            reference = secrets.token_hex(4)
            structlog.get_logger("worker").exception("a run broke", run=run.id)
            await run_broke(run, reference, storage=self.storage, now=self.now)

    def door(self) -> Door:
        rules = self._world.stack
        return Door(
            bot_user=BOT,
            team=TEAM,
            prefix=rules.commands.prefix,
            means_something=lambda emoji: meaning(emoji, rules.review) is not None,
            now=self.now,
        )


class Distributing(Worker):
    """One of several on one database: takes in and works, with procrastinate's own workers between."""

    shares_commits = False

    def courier(self) -> Distributed:
        self._held = Held(self.storage)
        made = Distributed(
            url="postgresql://nowhere",
            storage=self.storage,
            now=self.now,
            shares=lambda _: None,
            stop=self._held.stop,
            metrics=METRICS,
        )
        made._use(App(connector=Connector(self._world.jobs, self._world.disk.pause)))
        self.storage.carry = made.carry
        return made

    def work(self, courier: Distributed) -> None:
        attendants = {
            Subject.LINE: self.intake.attend,
            Subject.WORK: self._perform_all,
            Subject.LANE: self.chat.attend,
        }
        self._beside("queue", courier.serve(attendants))
        self._beside("held", self._held.watch())
        self._beside("clock", self.now.watch())

    async def _perform_all(self, work_id: str, _: bool) -> None:  # noqa: FBT001  as the courier calls it
        async def held(run: Run) -> None:
            await self._held.perform(run, self._perform)

        await perform_in_order(work_id, storage=self.storage, perform=held, now=self.now)


async def _tick(*wakes: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        for wake in wakes:
            wake()
