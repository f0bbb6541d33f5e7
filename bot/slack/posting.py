"""Bringing one owed message into Slack, once: read back what may be there, post or edit, remember in one commit."""

from __future__ import annotations

import asyncio
import math
import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakValueDictionary

from bot.fence import pass_fence
from bot.metrics import Metrics, Shown
from bot.slack.blocks import render
from bot.slack.calls import CallFailed, Calls, Trouble
from bot.slack.plainer import plainer_pieces
from bot.slack.read_back import ReadBack
from bot.slack.seen import digest_of, words_of_blocks
from bot.slack.shared_file import SHARE, share
from bot.slack.shut import ShutChannels
from handlers.download import ANOTHER_TEXT, exact_bytes, tell_that_slack_took_no_file
from handlers.ports import Clock, Sleep
from handlers.words import Body
from storage.crashpoints import crashpoint
from storage.database import Database, Saved
from storage.records import Kind, Message, Run, Work

# What a plainer form of an answer may get around.
_TRUNCATED = "msg_truncated"  # our name for it: Slack says nothing
_TOO_MUCH = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", _TRUNCATED})

RefusedRoot = Callable[[Work, Sequence[Run], str], Awaitable[None]]
_NOBODY = "slack"  # who cancels where Slack leaves no other way


@dataclass(slots=True)
class _Doubt:
    work_id: str
    sent_by: float  # the tick after which it was not sent again; whoever waits for that asks anew


class Posting:
    """Shows messages in Slack and remembers that it did.

    A message is *doubted* while nobody knows whether Slack has it: from before its post until the commit of its
    place, and at the start of the process. A doubted message is looked for before it is sent.
    """

    def __init__(
        self,
        *,
        calls: Calls,
        database: Database,
        clock: Clock,
        sleep: Sleep,
        tick: Callable[[], float],
        log: Any,
        on_refused_root: RefusedRoot,
        metrics: Metrics | None = None,
    ) -> None:
        self._calls = calls
        self._database = database
        self._clock = clock
        self._tick = tick
        self._log = log
        self._on_refused_root = on_refused_root
        self._metrics = metrics or Metrics()
        self._shut = ShutChannels(clock=clock, tick=tick)
        self._read_back = ReadBack(calls, sleep=sleep, tick=tick)
        self._doubted: dict[str, _Doubt] = {}  # by slot
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def doubt(self, messages: Iterable[Message]) -> None:
        """These may be in Slack although we do not know their place."""
        at = self._tick()
        for message in messages:
            if message.ts is None:
                known = self._doubted.setdefault(message.slot, _Doubt(message.work_id, at))
                known.sent_by = max(at, known.sent_by)  # one that is on its way goes on being so

    def lock(self, slot: str) -> asyncio.Lock:
        """Whoever edits a message holds this, so that an older form never arrives behind a newer one."""
        return self._locks.setdefault(slot, asyncio.Lock())

    async def show(self, message: Message, work: Work) -> None:
        """Bring a message's newest form into Slack; raises CallFailed when Slack did not take it."""
        if message.person:
            await self._whisper(message, work, message.person)
            return
        with self._shut.trying(message, work):
            if message.ts is None:
                await self._post(message, work)
            else:
                await self._edit(message)

    async def give_up(self, message: Message, work: Work, code: str) -> None:
        """Slack will never take this message: an answer goes on as plain text.

        Without its root a work says nothing, so that nothing more may be paid for it: its open runs are cancelled.
        """
        pieces = plainer_pieces(message, self._clock()) if code in _TOO_MUCH else []
        is_refused_root = message.kind is Kind.ROOT and work.thread_ts is None
        async with self._database.transaction() as saved:
            lost = await saved.outbox.owed_to(work.id) if is_refused_root else [message]
            ended = await self._cancel_all(saved, work, code) if is_refused_root else []
            for one in lost:
                await saved.outbox.give_up(one.slot, code)
            for piece in pieces:
                await saved.outbox.plan(piece)
            if message.kind is Kind.FILE:
                await tell_that_slack_took_no_file(message, work, code, saved, now=self._clock)
        for one in lost:
            self._doubted.pop(one.slot, None)
            self._metrics.shown(one.kind, Shown.GIVEN_UP)
            self._log.error("message given up", slot=one.slot, work=work.id, channel=one.channel, code=code)
        if pieces:
            self._log.error("answer goes on as plain text", slot=message.slot, pieces=len(pieces))
        if ended:
            await self._on_refused_root(work, ended, code)

    async def _cancel_all(self, saved: Saved, work: Work, code: str) -> list[Run]:
        facts = {"error_code": code, "error": f"Slack does not let me post in this channel ({code})."}
        open_runs = await saved.runs.open_of_work(work.id)
        ended = [await saved.runs.cancel(run.id, by=_NOBODY, at=self._clock(), **facts) for run in open_runs]
        await saved.walks.stop(work.id, at=self._clock())
        return [run for run in ended if run is not None]

    # The three ways

    async def _post(self, message: Message, work: Work) -> None:
        if message.slot in self._doubted and (seen := await self._look_for(message, work)) is not None:
            await self._adopt(message, work, seen)
            return
        newest = await self._in_turn(SHARE if message.kind is Kind.FILE else "chat.postMessage", message)
        if newest is None or newest.ts is not None:  # somebody else posted it meanwhile
            self._doubted.pop(message.slot, None)
            if newest is not None:
                await self._edit(newest)
            return
        message = newest
        doubt = self._doubted.setdefault(message.slot, _Doubt(work.id, math.inf))
        doubt.sent_by = math.inf
        try:
            seen = await self._new(message, work)
            await self._remember(message, work, seen)
        except CallFailed as failed:
            if failed.trouble is not Trouble.UNKNOWN:
                self._doubted.pop(message.slot, None)
            raise
        finally:
            doubt.sent_by = self._tick()
        self._doubted.pop(message.slot, None)
        self._metrics.shown(message.kind, Shown.POSTED)
        crashpoint("cp19")

    async def _new(self, message: Message, work: Work) -> dict[str, Any]:
        """Post it; as Slack shows it then."""
        if message.kind is Kind.FILE:
            return await self._share(message, work)
        reply = await self._calls.send("chat.postMessage", **_post_of(message, work))
        seen = _seen_in(reply, message)
        _refuse_a_torso(message, seen)
        return seen

    async def _share(self, message: Message, work: Work) -> dict[str, Any]:
        async with self._database.reading() as saved:
            answer = await saved.answers.get(message.answer_id or "")
        content = exact_bytes(answer) if answer else None
        if content is None:
            raise CallFailed(Trouble.NEVER, ANOTHER_TEXT)
        await share(message, work, content, calls=self._calls)
        at = self._tick()
        found = await self._read_back.find(message, work, {message.slot}, sent_by=lambda: at)
        if message.slot not in found:
            raise CallFailed(Trouble.UNKNOWN, "not_shown_yet")
        return found[message.slot]

    async def _look_for(self, message: Message, work: Work) -> dict[str, Any] | None:
        """The message, if Slack has it. What was looked for and is not there is doubted no more."""
        doubted = {slot: doubt for slot, doubt in self._doubted.items() if doubt.work_id == work.id}
        found = await self._read_back.find(
            message, work, doubted, sent_by=lambda: max(doubt.sent_by for doubt in doubted.values())
        )
        self._metrics.read_back(found=message.slot in found)
        if message.slot not in found:
            for slot in doubted.keys() - found.keys():
                self._doubted.pop(slot, None)
        return found.get(message.slot)

    async def _adopt(self, message: Message, work: Work, seen: dict[str, Any]) -> None:
        """Slack has a message we did not know of. If it was revised since, nobody knows which form that is."""
        self._log.info("found in Slack", slot=message.slot, ts=seen.get("ts"))
        if message.revision > 1 and message.kind is not Kind.FILE:
            if (newest := await self._in_turn("chat.update", message)) is None:
                self._doubted.pop(message.slot, None)
                return
            message = replace(newest, ts=newest.ts or str(seen["ts"]))
            seen = _seen_in(await self._calls.send("chat.update", **_edit_of(message)), message)
        _refuse_a_torso(message, seen)
        await self._remember(message, work, seen)
        self._doubted.pop(message.slot, None)
        self._metrics.shown(message.kind, Shown.FOUND)

    async def _edit(self, message: Message) -> None:
        """An edit may be repeated until its reply arrives: the second changes nothing."""
        async with self.lock(message.slot):
            if (newest := await self._in_turn("chat.update", message)) is None:
                return
            message = newest
            reply = await self._calls.send("chat.update", **_edit_of(message))
            crashpoint("cp20")
            await self._remember(message, None, _seen_in(reply, message))
        self._metrics.shown(message.kind, Shown.EDITED)

    async def _whisper(self, message: Message, work: Work, person: str) -> None:
        """For one person's eyes: nothing can be read back, so it is marked as sent first and sent at most once."""
        if (newest := await self._in_turn("chat.postEphemeral", message)) is None:
            return
        message = newest
        await pass_fence()
        await self._mark(message, shown=message.revision)
        drawn = render(message)
        try:
            await self._calls.send(
                "chat.postEphemeral",
                channel=message.channel,
                user=person,
                thread_ts=work.thread_ts,
                text=drawn.text,
                blocks=drawn.blocks or None,
            )
        except CallFailed as failed:
            if failed.trouble is Trouble.UNKNOWN:
                self._log.warning("may not have arrived", slot=message.slot, code=failed.code)
                return
            if failed.trouble is not Trouble.NEVER:
                await self._mark(message, shown=0)
            raise
        self._metrics.shown(message.kind, Shown.WHISPERED)

    # What they share

    async def _in_turn(self, method: str, message: Message) -> Message | None:
        """Wait for the turn of a call. Whoever had to wait says what is newest by then; None if that is not owed."""
        if not await self._calls.pace.turn(method, message.channel):
            return message
        async with self._database.reading() as saved:
            newest = await saved.outbox.get(message.slot)
        return newest if newest is not None and newest.is_owed else None

    async def _remember(self, message: Message, work: Work | None, seen: dict[str, Any]) -> None:
        async with self._database.transaction(alone=False) as saved:
            await saved.outbox.sent(
                message.slot, shown=message.revision, ts=str(seen["ts"]), digest=digest_of(seen), at=self._clock()
            )
            if work is not None and message.kind is Kind.ROOT:
                await saved.works.rooted(work.id, str(seen["ts"]))
            crashpoint("cp25" if message.kind is Kind.VERDICT else "cp06")

    async def _mark(self, message: Message, *, shown: int) -> None:
        async with self._database.transaction(alone=False) as saved:
            await saved.outbox.sent(message.slot, shown=shown, ts=None, digest=None, at=self._clock())


def _post_of(message: Message, work: Work) -> dict[str, Any]:
    drawn = render(message)
    return {
        "channel": message.channel,
        "thread_ts": None if message.kind is Kind.ROOT else work.thread_ts,
        "text": drawn.text,
        "blocks": drawn.blocks or None,
        "metadata": drawn.metadata,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _edit_of(message: Message) -> dict[str, Any]:
    drawn = render(message)
    return {
        "channel": message.channel,
        "ts": message.ts,
        "text": drawn.text,
        "blocks": drawn.blocks or None,
        "metadata": drawn.metadata,
    }


def _seen_in(reply: dict[str, Any], message: Message) -> dict[str, Any]:
    """The message as Slack returns it after a post or an edit, with its place.

    What tells of another message than ours says nothing of ours: it is looked for, or edited again.
    """
    ts, seen = reply.get("ts"), reply.get("message")
    if not isinstance(ts, str) or not isinstance(seen, dict):
        raise CallFailed(Trouble.UNKNOWN, "unreadable_reply")
    slot = ((seen.get("metadata") or {}).get("event_payload") or {}).get("slot")
    if seen.get("ts", ts) != ts or ts != (message.ts or ts) or slot not in {None, message.slot}:
        raise CallFailed(Trouble.UNKNOWN, "reply_of_another_message")
    return {**seen, "ts": ts}


def _refuse_a_torso(message: Message, seen: dict[str, Any]) -> None:
    """An answer that Slack cut without a word goes on as plain text, and nobody can approve what is left of it."""
    sent, shown = Body.from_json(message.body).answer, seen.get("blocks")
    if sent and shown and _letters(shown) < _letters(render(message).blocks):
        raise CallFailed(Trouble.NEVER, _TRUNCATED)


def _letters(blocks: Any) -> int:
    """How much is said, whatever Slack makes of spaces, quotes and emoji."""
    return sum(map(str.isalnum, unicodedata.normalize("NFC", words_of_blocks(blocks))))
