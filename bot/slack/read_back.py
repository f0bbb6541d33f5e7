"""Looking in Slack for messages we may have sent: by the slot in their metadata, and only among our own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection
from datetime import datetime, timedelta
from typing import Any

from bot.slack.calls import CallFailed, Calls, Trouble
from bot.slack.shared_file import mark_of, marks_of_files
from handlers.ports import Sleep
from storage.records import Kind, Message, Work

_PAGE = 200
_MARGIN = timedelta(minutes=10)  # a clock may have been set meanwhile
_SETTLE = 5.0  # seconds after which a message Slack took is there to be read
_FILE_SETTLES = 30.0  # Slack shares a file by and by
_SOON = 1.0
_GONE = frozenset({"message_not_found", "thread_not_found"})

Slots = dict[str, dict[str, Any]]


class _Look:
    """One reading of a channel that others may still join."""

    def __init__(self, oldest: datetime) -> None:
        self.oldest = oldest
        self.result: asyncio.Future[Slots | CallFailed | None] = asyncio.get_running_loop().create_future()


class ReadBack:
    """Reads threads, and channels for roots, until what is looked for is found or would have shown."""

    def __init__(
        self, calls: Calls, *, sleep: Sleep = asyncio.sleep, tick: Callable[[], float] = time.monotonic
    ) -> None:
        self._calls = calls
        self._sleep = sleep
        self._tick = tick
        self._own: tuple[str, str] | None = None
        self._open_looks: dict[str, _Look] = {}
        self._lines: dict[str, asyncio.Lock] = {}  # one reading of a channel at a time; those who wait share the next

    async def find(
        self, message: Message, work: Work, slots: Collection[str], *, sent_by: Callable[[], float]
    ) -> Slots:
        """The message, and whatever else of these slots stands in the same place, by slot.

        `sent_by` gives the tick after which none of them was sent, as it is known by then: one may be on its way.
        Raises CallFailed when Slack does not say.
        """
        while True:
            age = self._tick() - sent_by()
            there = await self._look(message, work)
            found = {slot: there[mark_of(slot)] for slot in slots if mark_of(slot) in there}
            settles = _FILE_SETTLES if message.kind is Kind.FILE else _SETTLE
            if message.slot in found or age >= settles:
                return found
            await self._sleep(min(max(age, _SOON), settles - age))

    async def thread(self, channel: str, thread_ts: str) -> Slots:
        """All that we said in a thread, by slot. Raises CallFailed when Slack does not say."""
        try:
            return await self._ours("conversations.replies", channel=channel, ts=thread_ts)
        except CallFailed as failed:
            if failed.code not in _GONE:
                raise
            return {}

    async def _look(self, message: Message, work: Work) -> Slots:
        if message.kind is Kind.ROOT:
            return await self._look_in_channel(message)
        # The whole thread, so that no clock matters. A root posted just now may not be there to be read; if it is gone,
        # a post will be told so.
        return await self.thread(message.channel, str(work.thread_ts))

    async def _look_in_channel(self, message: Message) -> Slots:
        """Read a channel for a root; whoever asks before the reading begins shares it, for there may be hundreds."""
        while (look := self._open_looks.get(message.channel)) is not None:
            look.oldest = min(look.oldest, message.planned_at)
            match await asyncio.shield(look.result):
                case CallFailed() as failed:
                    raise CallFailed(failed.trouble, failed.code)
                case dict() as found:
                    return found
                case None:
                    continue  # whoever read for us was called off
        return await self._lead(message)

    async def _lead(self, message: Message) -> Slots:
        method, channel = "conversations.history", message.channel
        look = self._open_looks[channel] = _Look(message.planned_at)
        outcome: Slots | CallFailed | None = None
        try:
            async with self._lines.setdefault(channel, asyncio.Lock()):
                await self._calls.pace.turn(method, channel)
                del self._open_looks[channel]
                await self._identity()  # whoever was answered knows how far our clock is ahead
                ahead = max(self._calls.ahead, timedelta())
                oldest = f"{(look.oldest - ahead - _MARGIN).timestamp():.6f}"
                outcome = await self._ours(method, channel=channel, oldest=oldest, is_our_turn=True)
        except CallFailed as failed:
            outcome = failed
            raise
        finally:
            if self._open_looks.get(channel) is look:
                del self._open_looks[channel]
            look.result.set_result(outcome)
        return outcome

    async def _ours(self, method: str, *, is_our_turn: bool = False, **where: Any) -> Slots:
        bot_id, user_id = await self._identity()
        found: Slots = {}
        async for seen in self._pages(method, where, is_our_turn=is_our_turn):
            metadata = seen.get("metadata") or {}
            slot = (metadata.get("event_payload") or {}).get("slot")
            is_ours = seen.get("bot_id") == bot_id or seen.get("user") == user_id
            if is_ours and metadata.get("event_type") == "countersign" and isinstance(slot, str):
                found[slot] = seen
            elif is_ours:
                found |= dict.fromkeys(marks_of_files(seen), seen)
        return found

    async def _identity(self) -> tuple[str, str]:
        """Our bot and user id: another app could carry our slots in its metadata."""
        if self._own is None:
            reply = await self._calls.ask("auth.test")
            self._own = str(reply.get("bot_id") or "-"), str(reply.get("user_id") or "-")
        return self._own

    async def _pages(self, method: str, where: dict[str, Any], *, is_our_turn: bool) -> AsyncIterator[dict[str, Any]]:
        asked: dict[str, Any] = {**where, "include_all_metadata": True, "limit": _PAGE}
        while True:
            page = await self._page(method, asked, is_our_turn=is_our_turn)
            listed = page.get("messages")
            if not isinstance(listed, list) or not all(isinstance(seen, dict) for seen in listed):
                raise CallFailed(Trouble.LATER, "unreadable_reply")
            for seen in listed:
                yield seen
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if (page.get("has_more") and not cursor) or (cursor and cursor == asked.get("cursor")):
                raise CallFailed(Trouble.LATER, "no_next_page")  # what is there is not told, and may be ours
            if not cursor:
                return
            asked["cursor"], is_our_turn = cursor, False

    async def _page(self, method: str, asked: dict[str, Any], *, is_our_turn: bool) -> dict[str, Any]:
        if is_our_turn:
            try:
                return await self._calls.send(method, **asked)
            except CallFailed as failed:
                if failed.trouble is not Trouble.LIMITED:
                    raise
        return await self._calls.ask(method, **asked)
