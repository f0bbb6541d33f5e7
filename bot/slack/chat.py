"""The one gateway to Slack for everything that is seen: what is owed arrives once and in order, the rest at best."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.fence import Displaced
from bot.later import Later
from bot.logs import about
from bot.metrics import Metrics
from bot.slack.asides import Asides
from bot.slack.calls import CallFailed, Calls, Trouble, build_client, build_session
from bot.slack.heartbeats import Heartbeats
from bot.slack.pace import Pace
from bot.slack.posting import Posting
from bot.slack.seen import digest_of
from handlers.ports import Clock, Sleep
from handlers.words import Body, line
from storage.database import Database
from storage.records import Kind, Message, Run, Work

__all__ = ["Chat", "build_client", "build_session", "digest_of"]

_MOST_LANES = 1_000
_OF_A_CHANNEL = 50  # lanes, beside those that are stuck; a channel takes one message a second
_TICK = 5.0  # seconds after which we look again even if nobody woke us
_LONGEST_REST = 60.0
_ODD_TRIES = 6
_STRUGGLES = 2
_HANDED_BACK = 8  # failures in a row: a minute of rests


class _Outcome(Enum):
    DONE = auto()
    LIMITED = auto()  # tried again when its bucket opens
    FAILED = auto()  # tried again after a rest
    REFUSED = auto()  # likewise, but not for ever: nobody here knows why


@dataclass(slots=True)
class _Struggle:
    """What stood in a lane's way lately: in a row, but for refusals, which no outage adds to or takes from."""

    failures: int = 0
    limits: int = 0
    refusals: int = 0  # of the next message, for reasons that nobody here knows

    def heard(self, outcome: _Outcome) -> None:
        self.failures = self.failures + 1 if outcome in {_Outcome.FAILED, _Outcome.REFUSED} else 0
        self.limits = self.limits + 1 if outcome is _Outcome.LIMITED else 0
        if outcome is _Outcome.DONE:
            self.refusals = 0
        elif outcome is _Outcome.REFUSED:
            self.refusals += 1


async def _nothing_else(_work: Work, _runs: Sequence[Run], _code: str) -> None:
    """What happens by default beside telling whoever asked."""


class Chat:
    """Delivers the outbox: works side by side, each in a lane of its own in which messages keep their order."""

    def __init__(
        self,
        *,
        client: AsyncWebClient,
        database: Database,
        clock: Clock,
        sleep: Sleep = asyncio.sleep,
        pace: Pace | None = None,
        tick: Callable[[], float] = time.monotonic,
        log: Any = None,
        on_refused_root: Callable[[Work, Sequence[Run], str], Awaitable[None]] = _nothing_else,
        metrics: Metrics | None = None,
    ) -> None:
        """`on_refused_root` hears of a work that can say nothing, of its runs that were cancelled for it, and why."""
        self._database = database
        self._sleep = sleep
        self._log = log or structlog.get_logger("slack")
        counted = metrics or Metrics()
        calls = Calls(client, pace or Pace(tick=tick, sleep=sleep), metrics=counted, clock=clock)
        self._on_refused_root = on_refused_root
        self._posting = Posting(
            calls=calls,
            database=database,
            clock=clock,
            sleep=sleep,
            tick=tick,
            log=self._log,
            on_refused_root=self._root_was_refused,
            metrics=counted,
        )
        self._heartbeats = Heartbeats(
            calls=calls,
            posting=self._posting,
            database=database,
            sleep=sleep,
            tick=tick,
            log=self._log,
            others_deliver=lambda: not self._is_delivering,
        )
        self._asides = Asides(client=client, calls=calls, sleep=sleep, tick=tick, log=self._log)
        self._lanes: set[str] = set()
        self._struggling: set[str] = (
            set()
        )  # lanes whose work failed twice and more: nothing of theirs is deliverable now
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._is_delivering = self._is_looking = False

    async def aclose(self) -> None:
        """Break off what is not owed and still on its way."""
        await self._heartbeats.close()

    # What is owed

    def wake(self) -> None:
        """Say that something new is owed; losing it costs time, never work."""
        self._idle.clear()
        self._news.set()

    async def deliver(self) -> None:
        """Bring owed messages to Slack until cancelled."""
        self._is_delivering = True
        await self._doubt_what_is_owed()
        async with asyncio.TaskGroup() as lanes:
            while True:
                await self._look(lanes)
                await self._wait_for_news()

    async def attend(self, work_id: str, doubt: bool) -> None:  # noqa: FBT001  the courier's word with each errand
        """Deliver what one work owes. Nobody else may attend to its lane meanwhile.

        `doubt`: whoever did so before may have died between a send and its commit. Raises Displaced, and
        Later after a minute of failures or where a channel or the app is shut.
        """
        if doubt:
            async with self._database.reading() as saved:
                self._posting.doubt(await saved.outbox.owed_to(work_id))
        self._lanes.add(work_id)
        await self._lane(work_id, may_hand_back=True)

    async def settled(self) -> None:
        """Wait until nothing owed can be delivered now: all is shown, given up, or failed or limited repeatedly."""
        if self._is_delivering:
            self.wake()
            await self._idle.wait()

    async def _doubt_what_is_owed(self) -> None:
        """The process before this one may have died between a send and its commit."""
        failures = 0
        while True:
            try:
                async with self._database.reading() as saved:
                    self._posting.doubt(await saved.outbox.owed(limit=1_000_000))
            except Exception:  # noqa: BLE001  the database may come back; delivery waits for it
                failures += 1
                self._log.exception("cannot read what is owed")
                await self._sleep(_rest_after(failures))
            else:
                return

    async def _look(self, lanes: asyncio.TaskGroup) -> None:
        """Open a lane for every work that owes something and has none."""
        self._is_looking = True
        self._news.clear()
        try:
            while len(self._lanes) < _MOST_LANES:
                each = _OF_A_CHANNEL + len(self._struggling)
                async with self._database.reading() as saved:
                    owing = await saved.outbox.works_owing(without=self._lanes, each=each)
                if not owing:
                    break
                for work_id in owing:
                    self._lanes.add(work_id)
                    lanes.create_task(self._lane(work_id))
        except Exception:  # noqa: BLE001  looked at again with the next tick
            self._log.exception("cannot read what is owed")
        finally:
            self._is_looking = False
        self._note_idleness()

    async def _wait_for_news(self) -> None:
        try:
            async with asyncio.timeout(_TICK):
                await self._news.wait()
        except TimeoutError:
            return

    def _note_idleness(self) -> None:
        if len(self._struggling) == len(self._lanes) and not self._is_looking and not self._news.is_set():
            self._idle.set()

    async def _lane(self, work_id: str, *, may_hand_back: bool = False) -> None:
        """Deliver what one work owes, one message after the other, until it owes nothing."""
        with about(work=work_id):
            await self._deliver_all(work_id, may_hand_back=may_hand_back)

    async def _deliver_all(self, work_id: str, *, may_hand_back: bool) -> None:
        self._idle.clear()
        struggle = _Struggle()
        try:
            while True:
                outcome = _Outcome.FAILED
                try:
                    if (found := await self._next(work_id)) is None:
                        return
                    with about(slot=found[0].slot):
                        outcome = await self._try(*found, struggle, may_hand_back=may_hand_back)
                except (Displaced, Later):
                    raise
                except Exception:  # noqa: BLE001  a fault of ours or of the database; what is owed stays owed
                    self._log.exception("delivery stumbled")
                struggle.heard(outcome)
                self._note_struggle(work_id, max(struggle.failures, struggle.limits))
                if may_hand_back and struggle.failures >= _HANDED_BACK:
                    raise Later(_LONGEST_REST)
                if struggle.failures:
                    await self._sleep(_rest_after(struggle.failures))
        finally:
            self._struggling.discard(work_id)
            self._lanes.discard(work_id)
            self._news.set()

    async def _next(self, work_id: str) -> tuple[Message, Work] | None:
        """What a work says next: its root before all others, and what is new before what only changed.

        Where the root was given up, so is all the rest.
        """
        while True:
            async with self._database.reading() as saved:
                owed = await saved.outbox.owed_to(work_id)
                if not owed:
                    return None
                work = await saved.works.get(work_id)
                assert work is not None, "the database keeps a message's work"
                if work.thread_ts is not None:
                    return next((message for message in owed if message.ts is None), owed[0]), work
                root = next((message for message in owed if message.kind is Kind.ROOT), None)
                if root is not None:
                    return root, work
                lost = [one.given_up for one in await saved.outbox.of_work(work_id) if one.kind is Kind.ROOT]
            if not lost or not lost[0]:
                raise LookupError(f"the work {work_id} has neither a thread nor a root to be posted")
            await self._posting.give_up(owed[0], work, lost[0])

    async def _try(self, message: Message, work: Work, struggle: _Struggle, *, may_hand_back: bool) -> _Outcome:
        """Show a message, or give it up, or say how it is tried again. Raises Later if that takes somebody's help."""
        try:
            await self._posting.show(message, work)
        except CallFailed as failed:
            facts = {"code": failed.code, "failures": struggle.failures + 1}
            match failed.trouble:
                case Trouble.LIMITED:
                    return _Outcome.LIMITED  # its bucket is closed; the next try waits for its turn
                case Trouble.NEVER:
                    await self._posting.give_up(message, work, failed.code)
                    return _Outcome.DONE
                case Trouble.ODD if struggle.refusals >= _ODD_TRIES:
                    await self._posting.give_up(message, work, failed.code)
                    return _Outcome.DONE
                case Trouble.ODD:
                    self._log.warning("not delivered yet", **facts)
                    return _Outcome.REFUSED
                case Trouble.OPERATOR:
                    self._log.error("Slack refuses this app; what is owed waits until it is mended", **facts)
                    if may_hand_back:
                        raise Later(_LONGEST_REST) from failed
                case Trouble.UNKNOWN | Trouble.LATER:
                    self._log.warning("not delivered yet", **facts)
            return _Outcome.FAILED
        return _Outcome.DONE

    async def _root_was_refused(self, work: Work, runs: Sequence[Run], code: str) -> None:
        """The thread can tell nobody, so whoever asked hears it alone."""
        await self._on_refused_root(work, runs, code)
        sentence = f"Slack does not let me post in this channel ({code}); invite me or ask in another channel."
        told = Body(lines=(line(sentence),), fallback=sentence)
        for person in dict.fromkeys(run.asked_by for run in runs):
            await self._asides.answer_privately(
                reply_url=None, channel=work.channel, person=person, thread_ts=None, body=told
            )

    def _note_struggle(self, work_id: str, failures: int) -> None:
        if failures >= _STRUGGLES:
            self._struggling.add(work_id)
            self._note_idleness()
        elif work_id in self._struggling:
            self._struggling.discard(work_id)
            self._idle.clear()

    # What is not owed

    async def heartbeat(self, slot: str, body: Body) -> None:
        """Refresh the card of a running run, if there is room; never behind what is owed."""
        await self._heartbeats.beat(slot, body)

    async def still(self, slot: str) -> None:
        """Wait until no refresh of a card is on its way: what is said next may be said by another process."""
        await self._heartbeats.still(slot)

    async def show_status(self, work: Work, text: str) -> None:
        """Show a short status under the thread where Slack allows it; an empty text takes it away."""
        if work.thread_ts is None:  # its root may have been posted since
            async with self._database.reading() as saved:
                work = await saved.works.get(work.id) or work
        await self._asides.show_status(work, text)

    async def answer_privately(
        self, *, reply_url: str | None, channel: str, person: str, thread_ts: str | None, body: Body
    ) -> None:
        """Tell one person something, once, at best: by the command's own address, or in the channel."""
        await self._asides.answer_privately(
            reply_url=reply_url, channel=channel, person=person, thread_ts=thread_ts, body=body
        )

    async def publish_home(self, person: str, view: dict[str, Any]) -> bool:
        """Show somebody their Home, with spare room only; False if it was not taken and a moment later may be."""
        return await self._asides.publish_home(person, view)

    async def open_view(self, trigger_id: str, view: dict[str, Any]) -> bool:
        """Open a modal; False if Slack did not, mostly because three seconds had passed."""
        return await self._asides.open_view(trigger_id, view)


def _rest_after(failures: int) -> float:
    return min(_LONGEST_REST, 0.25 * 2.0 ** min(failures, 10))
