"""The map of the program: who gets which tools, and what runs beside what."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from sqlite3 import sqlite_version
from typing import Any, Self

import aiohttp
import structlog
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.distributed import Distributed
from bot.fence import Displaced
from bot.glance import Glance
from bot.intake import Intake, Tools
from bot.logs import learn_secrets
from bot.metrics import Metrics
from bot.models.assigned import AssignedModels
from bot.models.shared_seats import SharedSeats
from bot.queue import Alone, Embedded, perform_in_order
from bot.readiness import Readiness
from bot.repair import Repair
from bot.schedule import Ticks
from bot.settings import Settings, SlackAccess
from bot.slack.backlog import Backlog
from bot.slack.chat import Chat, build_client, build_session
from bot.slack.door import Door
from bot.slack.listeners import build_app
from bot.slack.lookup import Lookup
from bot.slack.pace import Pace
from bot.slack.rich_text import parts_of
from bot.slack.shared_pace import SharedPace
from bot.slack.transport import SocketMode, http_app, serve
from bot.sources.fetch import ReadingRoom
from bot.stack_file import LiveStack, Loaded
from handlers.errors import Refusal
from handlers.ports import Sources
from handlers.result import NotOurs
from handlers.review import meaning
from handlers.run import run_broke, run_stage
from handlers.stack import Stack
from storage.crashpoints import crashpoint
from storage.database import Database
from storage.errands import Subject
from storage.records import Run, Work
from storage.schema import migrate as bring_to_newest
from storage.sqlite import may_corrupt
from storage.trouble import is_trouble

log = structlog.get_logger(__name__)

_STOP_SECONDS = 18.0  # of the 20 that a host gives before it kills; each step keeps a share for those after it


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_id(prefix: str) -> str:
    """A short random id: 12 hex digits behind a letter that says of what."""
    return prefix + secrets.token_hex(6)


def cut(markdown: str, linkable: Collection[str]) -> Sequence[Sequence[dict[str, Any]]]:
    """A model's Markdown as the blocks of one or more messages."""
    return [part.blocks for part in parts_of(markdown, linkable=linkable)]


class Role(StrEnum):
    """What a process is for. Those with one database may be many, where that is PostgreSQL."""

    ALL = "run"
    INTAKE = "web"
    WORK = "worker"


class Countersign:
    """One process of the bot. Use as an async context manager: inside, it works; leaving drains it."""

    def __init__(
        self,
        *,
        slack: SlackAccess,
        database_url: str,
        stack_path: Path,
        role: Role = Role.ALL,
        port: int | None = None,
        environment: dict[str, str] | None = None,
        pace: Pace | None = None,
        follow: Callable[[Stack], None] | None = None,
        sources: Sources | None = None,
    ) -> None:
        self._access, self._stack_path, self._port = slack, stack_path, port
        self._database_url, self.role = database_url, role
        self._given_pace = pace
        self._follow = follow
        self._sources = sources
        self._environment = dict(os.environ) if environment is None else environment
        self._exit = AsyncExitStack()
        self._tasks: list[asyncio.Task[Any]] = []
        self.metrics = Metrics()
        self._socket: SocketMode | None = None
        self._failed: asyncio.Future[None] | None = None

    @property
    def is_on_sqlite(self) -> bool:
        return self._database_url.startswith("sqlite")

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._end(*(task.get_name() for task in self._tasks))
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _start(self) -> None:
        self._failed = asyncio.get_running_loop().create_future()
        self.live = LiveStack(self._stack_path)
        self.live.on_change(self._stack_changed)
        self.storage = Database(self._database_url)
        self._exit.enter_context(Alone(self.storage.url.database if self.storage.is_sqlite else None))
        self._exit.push_async_callback(self.storage.close)
        self.storage.on_ended(self.metrics.ended)
        self.storage.on_trouble(_tell_of_the_database)
        await bring_to_newest(self.storage)
        self._pace = self._given_pace or (Pace() if self.storage.is_sqlite else SharedPace(self.storage))
        self._pace.on_wait(self.metrics.paced)
        session = await self._exit.enter_async_context(build_session())
        token = self._access.bot_token.get_secret_value()
        client = build_client(token, self._access.api_url, session)
        seats = None if self.storage.is_sqlite else SharedSeats(self.storage)
        self.models = AssignedModels(environment=self._environment, metrics=self.metrics, seats=seats)
        self._exit.push_async_callback(self.models.aclose)
        self.sources = self._sources or self._reading_room()
        who = await _who_we_are(client)
        lookup = Lookup(client=client, pace=self._pace, metrics=self.metrics)
        self.chat = Chat(
            client=client,
            database=self.storage,
            clock=utc_now,
            pace=self._pace,
            on_refused_root=self._root_refused,
            metrics=self.metrics,
        )
        self.courier = await self._courier()
        tools = Tools(
            storage=self.storage,
            slack=lookup,
            stack=lambda: self.live.stack,
            now=utc_now,
            new_id=new_id,
            answer_privately=self.chat.answer_privately,
            abort=self.courier.abort,
            metrics=self.metrics,
        )
        self.intake = Intake(tools)
        self._look_after_ourselves()
        if self.role is not Role.WORK:
            self._receive(client, who, lookup)
        elif self._port is not None:
            self._serve_http(None)
        self._beside("stack", self.live.watch())
        if self.role is not Role.INTAKE:
            self._work()

    async def _courier(self) -> Embedded | Distributed:
        if self.storage.is_sqlite:
            return Embedded(storage=self.storage, perform=self._perform, now=utc_now)
        url = self.storage.url.set(drivername="postgresql").render_as_string(hide_password=False)
        courier = Distributed(url=url, storage=self.storage, now=utc_now, shares=self._pace.share, metrics=self.metrics)
        await self._exit.enter_async_context(courier)
        self.storage.carry = courier.carry
        return courier

    def _work(self) -> None:
        """Attend to what is to be done: found in the tables by three loops, or brought by the courier."""
        match self.courier:
            case Embedded() as courier:
                wakes = {
                    Subject.LINE: self.intake.wake,
                    Subject.WORK: courier.wake,
                    Subject.LANE: self.chat.wake,
                }
                for subject, wake in wakes.items():
                    self.storage.on_errand(subject, wake)
                self._beside("outbox", self.chat.deliver())
                self._beside("queue", courier.serve())
                self._beside("inbox", self.intake.run())
                self._exit.enter_context(Ticks(self.storage, utc_now, *wakes.values(), metrics=self.metrics))
            case Distributed() as courier:
                attendants = {
                    Subject.LINE: self.intake.attend,
                    Subject.WORK: self._perform_all,
                    Subject.LANE: self.chat.attend,
                }
                self._beside("queue", courier.serve(attendants))
                self._exit.enter_context(Ticks(self.storage, utc_now, metrics=self.metrics))

    async def _perform_all(self, work_id: str, _: bool) -> None:  # noqa: FBT001  the courier's word with each errand
        await perform_in_order(work_id, storage=self.storage, perform=self._perform, now=utc_now)

    def _receive(self, client: AsyncWebClient, who: dict[str, str], lookup: Lookup) -> None:
        """Open the doors: Socket Mode when there is an app token, and HTTP when there is a port."""
        signing_secret = self._access.signing_secret.get_secret_value() if self._access.signing_secret else None

        def door() -> Door:
            rules = self.live.stack
            return Door(
                bot_user=who["user_id"],
                team=who["team_id"] if who["team_id"].startswith("T") else None,  # else installed for an organisation
                prefix=rules.commands.prefix,
                means_something=lambda emoji: meaning(emoji, rules.review) is not None,
                now=utc_now,
            )

        app = build_app(
            client=client,
            signing_secret=signing_secret,
            storage=self.storage,
            chat=self.chat,
            door=door,
            lookup=lookup,
            metrics=self.metrics,
        )
        backlog = Backlog(client, self._pace, metrics=self.metrics)
        repair = Repair(
            storage=self.storage,
            backlog=backlog,
            stack=lambda: self.live.stack,
            door=door,
            now=utc_now,
            metrics=self.metrics,
        )
        self._beside("repair", repair.run())
        if self._access.app_token:
            token = self._access.app_token.get_secret_value()
            self._socket = SocketMode(app, token, reconnected=repair.reconnected, metrics=self.metrics)
            self._beside("socket", self._socket.run())
        if self._port is not None:
            self._serve_http(None if self._access.app_token else app)

    def _serve_http(self, app: AsyncApp | None) -> None:
        """What a balancer and a monitor ask for; with an app, what Slack sends too."""
        assert self._port is not None
        secret = self._access.signing_secret.get_secret_value() if self._access.signing_secret else None
        web = http_app(app, signing_secret=secret, look=self.readiness.look, metrics=self.metrics, now=utc_now)
        self._beside("http", serve(web, self._port))

    def _reading_room(self) -> Sources:
        """The public web, and nothing that is not public."""
        room = ReadingRoom()
        self._exit.push_async_callback(room.aclose)
        return room

    def _look_after_ourselves(self) -> None:
        """What this process says of itself: by /readyz, by /metrics."""
        intake = "none" if self.role is Role.WORK else "socket" if self._access.app_token else "http"
        self.metrics.is_a(self.role, intake=intake, database=self.storage.url.get_backend_name())
        glance = Glance(self.storage)
        self._exit.push_async_callback(glance.aclose)
        self.readiness = Readiness(
            glance=glance,
            now=utc_now,
            is_connected=self._is_connected if intake == "socket" else None,
            stack_problems=lambda: self.live.problems,
        )

    async def _is_connected(self) -> bool:
        return self._socket is not None and await self._socket.is_connected()

    async def ready(self) -> None:
        """Wait until deliveries can arrive."""
        while not (await self.readiness.look()).is_ready:  # noqa: ASYNC110  neither database nor socket has an event
            await asyncio.sleep(0.02)

    async def _root_refused(self, _: Work, runs: Sequence[Run], __: str) -> None:
        for run in runs:
            await self.courier.abort(run)

    async def _stack_changed(self, _: Loaded, loaded: Loaded) -> None:
        if self._follow is not None:
            self._follow(loaded.stack)

    def _beside(self, name: str, work: Awaitable[Any]) -> None:
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        task.set_name(name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """None of them may end by itself: if one does, the process says so and stops, to be started again."""
        assert self._failed is not None
        if task.cancelled() or self._failed.done():
            return
        problem = task.exception()
        log.error("a part of the bot stopped", part=task.get_name(), exc_info=problem)
        self._failed.set_exception(problem or RuntimeError(f"{task.get_name()} ended"))

    async def broken(self) -> None:
        """Wait for a failure that no part recovers from; raises it."""
        assert self._failed is not None
        await asyncio.shield(self._failed)

    async def _perform(self, run: Run) -> None:
        try:
            await run_stage(
                run,
                storage=self.storage,
                models=self.models,
                sources=self.sources,
                heartbeats=self.chat,
                stack=self.live.stack,
                cut=cut,
                now=utc_now,
                new_id=new_id,
            )
        except (NotOurs, Displaced):
            raise
        except Exception as problem:
            if is_trouble(problem):  # the run begins again when the database is back
                raise
            reference = secrets.token_hex(4)
            log.exception("a run broke", reference=reference)
            await run_broke(run, reference, storage=self.storage, now=utc_now)
        crashpoint("cp11")

    async def stop(self) -> None:
        """Take nothing new, let runs finish or give them back, say what is owed, close. Within 20 s, whatever hangs."""
        deadline = asyncio.get_running_loop().time() + _STOP_SECONDS
        await self._step("the doors", self._end("socket", "http", "repair", "inbox", "stack"), deadline, keep=5 / 6)
        drain = max(0.0, deadline - asyncio.get_running_loop().time() - _STOP_SECONDS * 7 / 18)
        await self._step("the runs", self.courier.drain(drain), deadline, keep=13 / 36)
        await self._step("the queue", self._end("queue"), deadline, keep=11 / 36)
        await self._step("the last words", self.chat.settled(), deadline, keep=3 / 36)
        await self._step("the outbox", self._end("outbox"), deadline, keep=2 / 36)
        if self._failed is not None and not self._failed.done():
            self._failed.cancel()
        await self._step("the closing", self._exit.aclose(), deadline, keep=0)

    async def _step(self, name: str, work: Coroutine[Any, Any, None], deadline: float, *, keep: float) -> None:
        """One step of the stop, left behind if it does not end; `keep` is the share of the time for those after it."""
        task = asyncio.create_task(work)
        left = deadline - _STOP_SECONDS * keep - asyncio.get_running_loop().time()
        try:
            await asyncio.wait([task], timeout=max(0.0, left))
        finally:
            task.cancel()  # and not waited for: what hangs may ignore it
        if not task.done():
            log.warning("a step of the stop did not end in time; what it owed follows at the next start", step=name)
        elif not task.cancelled():
            task.result()

    async def _end(self, *names: str) -> None:
        ending = [task for task in self._tasks if task.get_name() in names]
        for task in ending:
            task.cancel()
        if ending:
            done, _ = await asyncio.wait(ending)  # unlike gather it can be left, whatever the tasks do
            for task in done:
                _ = task.cancelled() or task.exception()  # seen: told already when it ended


def _tell_of_the_database(problem: BaseException | None) -> None:
    """One line when it begins, one when it is over."""
    if problem is None:
        log.info("the database can be used again")
    else:
        cause = str(getattr(problem, "orig", None) or problem).strip()[:200] or type(problem).__name__
        log.error("the database cannot be used; nothing is acknowledged and nothing begun until it can", cause=cause)


async def _who_we_are(client: AsyncWebClient) -> dict[str, str]:
    """Ask Slack whose token this is, for as long as it takes to get an answer."""
    pause = 0.5
    while True:
        try:
            said = await client.auth_test()
            return {"team_id": said["team_id"], "user_id": said["user_id"]}
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            log.warning("slack does not answer yet", cause=type(problem).__name__, again_in=pause)
            await asyncio.sleep(pause)
            pause = min(30.0, pause * 2)


async def work(bot: Countersign, *, announce: Callable[[], None]) -> None:
    """Start, say so, and work until SIGTERM or Ctrl-C, or until a part fails for good. Told early, it never starts."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    if not await _first(_started(bot), stop):
        return
    try:
        announce()
        await _first(bot.broken(), stop)
    finally:
        await bot.stop()


async def _started(bot: Countersign) -> None:
    await bot.__aenter__()
    try:
        await bot.ready()
    except BaseException:
        await bot.stop()
        raise


async def _first(wanted: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Whether it came to its end before we were told to stop; its failure is ours."""
    task, told = asyncio.create_task(wanted), asyncio.create_task(stop.wait())
    await asyncio.wait([task, told], return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if task.done():
        task.result()
        return True
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return False


async def run(settings: Settings, stack_path: Path) -> None:
    """Everything in one process."""
    await _serve(settings, stack_path, Role.ALL)


async def web(settings: Settings, stack_path: Path) -> None:
    """Intake only: needs a database that several processes may share."""
    _must_be_shared(settings, Role.INTAKE)
    await _serve(settings, stack_path, Role.INTAKE)


async def worker(settings: Settings, stack_path: Path) -> None:
    """What is to be done: needs a database that several processes may share."""
    _must_be_shared(settings, Role.WORK)
    await _serve(settings, stack_path, Role.WORK)


async def _serve(settings: Settings, stack_path: Path, role: Role) -> None:
    access = settings.slack(intake=role is not Role.WORK)
    takes_http = role is Role.INTAKE or (role is Role.ALL and not access.socket_mode)
    bot = Countersign(
        slack=access,
        database_url=settings.database_url.get_secret_value(),
        stack_path=stack_path,
        role=role,
        port=settings.port if settings.port_is_set or takes_http else None,
        follow=lambda stack: learn_secrets(settings, stack),
    )
    mode = "none" if role is Role.WORK else "socket" if access.socket_mode else "http"

    def announce() -> None:
        if bot.is_on_sqlite and may_corrupt():
            log.warning(
                "this SQLite may lose pages if another program writes to the file too; let none", version=sqlite_version
            )
        log.info("ready", role=role.value, intake=mode, stack=str(stack_path))

    await work(bot, announce=announce)


def _must_be_shared(settings: Settings, role: Role) -> None:
    if settings.database_url.get_secret_value().startswith("sqlite"):
        raise Refusal(
            f"`{role}` is one of several processes on one PostgreSQL, and this database is a SQLite file, which one "
            "process has for itself. Start `python -m bot run`, or set DATABASE_URL to a PostgreSQL."
        )


async def migrate(settings: Settings) -> str:
    """Bring the database to the newest schema; return a sentence."""
    async with Database(settings.database_url.get_secret_value()) as storage:
        before, after = await bring_to_newest(storage)
    return f"The schema is {after}." if before == after else f"The schema went from {before or 'nothing'} to {after}."
