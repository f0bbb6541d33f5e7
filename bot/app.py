"""The map of the program: who gets which tools, and what runs beside what."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Callable, Collection, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot import parts
from bot.clock import SharedClock, utc_now
from bot.distributed import Distributed
from bot.fence import Displaced
from bot.glance import Glance
from bot.held import Held
from bot.intake import Intake, Tools
from bot.metrics import Metrics
from bot.models.assigned import AssignedModels
from bot.models.shared_seats import SharedSeats
from bot.moved_house import must_still_live_here
from bot.parts import Parts
from bot.queue import Alone, Embedded, perform_in_order
from bot.readiness import Readiness
from bot.repair import Repair
from bot.schedule import Ticks
from bot.settings import SlackAccess
from bot.slack.backlog import Backlog
from bot.slack.chat import Chat, build_client, build_session
from bot.slack.door import Door
from bot.slack.home import Home, address_of
from bot.slack.listeners import build_app
from bot.slack.lookup import Lookup
from bot.slack.ourselves import who_we_are
from bot.slack.pace import Pace
from bot.slack.rich_text import parts_of
from bot.slack.shared_pace import SharedPace
from bot.slack.transport import SocketMode, http_app, listen, serve
from bot.sources.fetch import ReadingRoom
from bot.stack_file import LiveStack, Loaded
from bot.under_way import UnderWay
from bot.webhook import Webhook
from handlers.ports import Sources
from handlers.redraw import redraw_cards
from handlers.result import NotOurs
from handlers.review import meaning
from handlers.run import run_broke, run_stage
from handlers.stack import Stack
from handlers.stack_noted import note_stack
from handlers.waiting import look_at_what_waits
from storage.crashpoints import crashpoint
from storage.database import Database
from storage.errands import Subject
from storage.records import Run, Work
from storage.schema import migrate as bring_to_newest
from storage.trouble import is_trouble

log = structlog.get_logger(__name__)


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


class Countersign(Parts):
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
        super().__init__()
        self._access, self._stack_path, self._port = slack, stack_path, port
        self._database_url, self.role = database_url, role
        self._given_pace = pace
        self._follow = follow
        self._sources = sources
        self._environment = dict(os.environ) if environment is None else environment
        self.metrics = Metrics()
        self.under_way = UnderWay()
        self._is_introduced = False
        self._team: str | None = None
        self._drawn_by = ""  # the digest of the stack that reviews' cards were compared with
        self._bolt: AsyncApp | None = None
        self._socket: SocketMode | None = None
        self._listening: socket.socket | None = None
        self._courier_of_many: Distributed | None = None

    @property
    def is_on_sqlite(self) -> bool:
        return self._database_url.startswith("sqlite")

    async def _start(self) -> None:
        self.live = LiveStack(self._stack_path)
        self.live.on_change(self._stack_changed)
        self.storage = Database(self._database_url)
        self._exit.enter_context(Alone(self.storage.url.database if self.storage.is_sqlite else None))
        self._exit.push_async_callback(self.storage.close)
        self.storage.on_ended(self.metrics.ended)
        self.storage.on_trouble(_tell_of_the_database)
        await bring_to_newest(self.storage)
        await must_still_live_here(self.storage)
        if self._port is not None:
            self._listening = self._exit.enter_context(listen(self._port))
        self.now = SharedClock(self.storage, utc_now)
        await self.now.look()
        self._look_after_ourselves()
        if self._listening is not None:
            self._serve_http(self._listening)
        self._pace = self._given_pace or (Pace() if self.storage.is_sqlite else SharedPace(self.storage))
        self._pace.on_wait(self.metrics.paced)
        session = await self._exit.enter_async_context(build_session())
        token = self._access.bot_token.get_secret_value()
        client = build_client(token, self._access.api_url, session)
        seats = None if self.storage.is_sqlite else SharedSeats(self.storage)
        self.models = AssignedModels(
            environment=self._environment, metrics=self.metrics, seats=seats, stack=lambda: self.live.stack
        )
        self._exit.push_async_callback(self.models.aclose)
        self.sources = self._sources or self._reading_room()
        who = await who_we_are(client)
        self.lookup = lookup = Lookup(client=client, pace=self._pace, metrics=self.metrics, storage=self.storage)
        self.chat = Chat(
            client=client,
            database=self.storage,
            clock=self.now,
            pace=self._pace,
            on_refused_root=self._root_refused,
            metrics=self.metrics,
        )
        self.courier = await self._courier()
        self._exit.push_async_callback(self.chat.aclose)
        tools = Tools(
            storage=self.storage,
            slack=lookup,
            stack=lambda: self.live.stack,
            now=self.now,
            new_id=new_id,
            answer_privately=self.chat.answer_privately,
            abort=self.courier.abort,
            stack_since=lambda: self.live.loaded_at,
            newer_stack=lambda: next((f"{one.code} in line {one.line}." for one in self.live.problems), ""),
            cut=cut,
            link_to=lambda channel, ts: address_of(who["url"], channel, ts),
            metrics=self.metrics,
        )
        self.intake = Intake(tools)
        self._team = who["team_id"] if who["team_id"].startswith("T") else None  # else installed for an organisation
        if self.role is not Role.WORK:
            self._receive(client, who, lookup)
        self._is_introduced = True
        await self._keep_up()
        if self.role is not Role.INTAKE:
            self._work(tools)

    async def _keep_up(self) -> None:
        """With the file and the clock."""
        self._beside("stack", self.live.watch())
        self._beside("clock", self.now.watch())
        await self._note_stack()

    async def _courier(self) -> Embedded | Distributed:
        if self.storage.is_sqlite:
            return Embedded(storage=self.storage, perform=self._perform, now=self.now)
        self._held = Held(self.storage)
        courier = Distributed(
            url=self.storage.libpq_url,
            storage=self.storage,
            now=self.now,
            shares=self._pace.share,
            stop=self._held.stop,
            attends=self.role is not Role.INTAKE,
            metrics=self.metrics,
        )
        await self._exit.enter_async_context(courier)
        self._courier_of_many = courier
        self.storage.carry = courier.carry
        return courier

    def _work(self, tools: Tools) -> None:
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
                self._exit.enter_context(
                    Ticks(self.storage, self.now, *wakes.values(), look=self.look_at_what_waits, metrics=self.metrics)
                )
            case Distributed() as courier:
                attendants = {
                    Subject.LINE: self.intake.attend,
                    Subject.WORK: self._perform_all,
                    Subject.LANE: self.chat.attend,
                }
                self._beside("queue", courier.serve(attendants))
                self._beside("held", self._held.watch())
                self._exit.enter_context(
                    Ticks(self.storage, self.now, look=self.look_at_what_waits, metrics=self.metrics)
                )

        self.webhook = Webhook(
            storage=self.storage,
            slack=tools.slack,
            stack=lambda: self.live.stack,
            environment=self._environment,
            now=self.now,
            metrics=self.metrics,
        )
        self._beside("webhook", self.webhook.run())

    async def look_at_what_waits(self) -> int:
        """Remind reviewers, bring in their backup, let reviews expire; in any process, any number of times.

        What another stack changes is shown first: who may decide, and how.
        """
        if self._drawn_by != (digest := self.live.stack.digest):
            await redraw_cards(storage=self.storage, stack=self.live.stack, now=self.now)
            self._drawn_by = digest
        return await look_at_what_waits(storage=self.storage, stack=self.live.stack, now=self.now)

    async def _perform_all(self, work_id: str, _: bool) -> None:  # noqa: FBT001  the courier's word with each errand
        async def held(run: Run) -> None:
            await self._held.perform(run, self._perform)

        await perform_in_order(work_id, storage=self.storage, perform=held, now=self.now)

    def _receive(self, client: AsyncWebClient, who: dict[str, str], lookup: Lookup) -> None:
        """Open the doors: Socket Mode when there is an app token, and HTTP when there is a port."""
        signing_secret = self._access.signing_secret.get_secret_value() if self._access.signing_secret else None

        def door() -> Door:
            rules = self.live.stack
            return Door(
                bot_user=who["user_id"],
                team=self._team,
                prefix=rules.commands.prefix,
                means_something=lambda emoji: meaning(emoji, rules.review) is not None,
                now=self.now,
            )

        self.home = Home(
            storage=self.storage,
            chat=self.chat,
            slack=lookup,
            stack=lambda: self.live.stack,
            now=self.now,
            site=who["url"],
        )
        self.storage.on_errand(Subject.LANE, self.home.wake)
        self._beside("home", self.home.run())
        self._bolt = app = build_app(
            client=client,
            signing_secret=signing_secret,
            storage=self.storage,
            chat=self.chat,
            door=door,
            stack=lambda: self.live.stack,
            lookup=lookup,
            metrics=self.metrics,
            home=self.home,
        )
        backlog = Backlog(client, self._pace, metrics=self.metrics)
        repair = Repair(
            storage=self.storage,
            backlog=backlog,
            stack=lambda: self.live.stack,
            door=door,
            now=self.now,
            metrics=self.metrics,
        )
        self._beside("repair", repair.run())
        if self._access.app_token:
            token = self._access.app_token.get_secret_value()
            self._socket = SocketMode(app, token, reconnected=repair.reconnected, metrics=self.metrics)
            self._beside("socket", self._socket.run())

    def _serve_http(self, at: socket.socket) -> None:
        """What a balancer and a monitor ask for, and what Slack sends if there is no socket for that."""
        secret = self._access.signing_secret.get_secret_value() if self._access.signing_secret else None
        has_door = self.role is not Role.WORK and not self._access.app_token
        web = http_app(
            (lambda: self._bolt) if has_door else None,
            signing_secret=secret,
            look=self.readiness.look,
            metrics=self.metrics,
            now=self.now,
        )
        self._beside("http", serve(web, at))

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
            now=self.now,
            slack=self._slack_trouble,
            stack_problems=lambda: self.live.problems,
            takes_in=self.role is not Role.WORK,
            cannot_write=lambda: self.storage.cannot_be_written,
            is_queue_away=lambda: self._courier_of_many is not None and self._courier_of_many.is_out_of_reach,
        )

    async def _slack_trouble(self) -> str:
        if not self._is_introduced:
            return "Slack has not said yet who we are; it is asked until it does, and the log says what keeps it."
        return "" if self._socket is None else await self._socket.trouble()

    async def ready(self) -> None:
        """Wait until deliveries can arrive; raises what a part has failed with meanwhile."""
        while not (await self.readiness.look()).is_ready:
            if self._failed is not None and self._failed.done():
                self._failed.result()
            await asyncio.sleep(0.02)

    async def _root_refused(self, _: Work, runs: Sequence[Run], __: str) -> None:
        for run in runs:
            await self.courier.abort(run)

    async def _stack_changed(self, _: Loaded, loaded: Loaded) -> None:
        if self._follow is not None:
            self._follow(loaded.stack)
        if self._is_introduced:
            await self._note_stack()

    async def _note_stack(self) -> None:
        """Trouble with the database costs this note, not the start: each answer's entry names its stack as well."""
        if self._team is None or self.role is Role.INTAKE:
            return
        try:
            await note_stack(self.live.stack, self._team, storage=self.storage, now=self.now)
        except Exception as problem:
            if not is_trouble(problem):
                raise
            log.warning("the ledger does not say yet which stack is in use", stack=self.live.stack.digest[:12])

    async def _perform(self, run: Run) -> None:
        with self.under_way.performing():
            await self._perform_one(run)

    async def _perform_one(self, run: Run) -> None:
        try:
            await run_stage(
                run,
                storage=self.storage,
                slack=self.lookup,
                models=self.models,
                sources=self.sources,
                heartbeats=self.chat,
                stack=self.live.stack,
                cut=cut,
                now=self.now,
                new_id=new_id,
            )
        except (NotOurs, Displaced):
            raise
        except Exception as problem:
            if is_trouble(problem):  # the run begins again when the database is back
                raise
            reference = secrets.token_hex(4)
            log.exception("a run broke", reference=reference)
            await run_broke(run, reference, storage=self.storage, now=self.now)
        crashpoint("cp11")

    async def stop(self) -> None:
        """Take nothing new, let runs finish or give them back, say what is owed, close. Within 20 s, whatever hangs."""
        self.under_way.stop_begins()
        deadline = asyncio.get_running_loop().time() + parts.STOP_SECONDS
        await self._step(
            "the doors",
            self._end("socket", "http", "home", "repair", "inbox", "stack", "clock", "webhook"),
            deadline,
            keep=5 / 6,
        )
        drain = max(0.0, deadline - asyncio.get_running_loop().time() - parts.STOP_SECONDS * 7 / 18)
        await self._step("the runs", self.courier.drain(drain), deadline, keep=13 / 36)
        await self._step("the queue", self._end("queue", "held"), deadline, keep=11 / 36)
        await self._step("the last words", self.chat.settled(), deadline, keep=3 / 36)
        await self._step("the outbox", self._end("outbox"), deadline, keep=2 / 36)
        if self._failed is not None and not self._failed.done():
            self._failed.cancel()
        await self._step("the closing", self._exit.aclose(), deadline, keep=0)


def _tell_of_the_database(problem: BaseException | None) -> None:
    """One line when it begins, one when it is over."""
    if problem is None:
        log.info("the database can be used again")
    else:
        cause = str(getattr(problem, "orig", None) or problem).strip()[:200] or type(problem).__name__
        log.error("the database cannot be used; nothing is acknowledged and nothing begun until it can", cause=cause)
