"""Looking in Slack for messages we may have sent: by the slot in their metadata, and only among our own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import timedelta
from typing import Any

from bot.slack.calls import Calls
from handlers.ports import Sleep
from storage.records import Kind, Message, Work

_PAGE = 200
_MARGIN = timedelta(minutes=10)  # our clock and Slack's differ
_SETTLE = (1.0, 4.0)  # a message that was taken shows at once as a rule, within five seconds always


class ReadBack:
    """Reads threads, and channels for roots, until what is looked for is found or would have shown."""

    def __init__(self, calls: Calls, *, sleep: Sleep = asyncio.sleep) -> None:
        self._calls = calls
        self._sleep = sleep
        self._own: tuple[str, str] | None = None

    async def find(self, message: Message, work: Work) -> dict[str, Any] | None:
        """The message as it stands in Slack, or None when it does not; raises CallFailed when Slack does not say."""
        return (await self.find_any(message, work, {message.slot})).get(message.slot)

    async def find_any(self, message: Message, work: Work, slots: Collection[str]) -> dict[str, dict[str, Any]]:
        """Like `find`, and whatever else of these slots stands in the same place, by slot."""
        for wait in (*_SETTLE, None):
            found = {slot: seen async for slot, seen in self._ours(message, work) if slot in slots}
            if message.slot in found or wait is None:
                return found
            await self._sleep(wait)
        raise AssertionError("the last look has no wait behind it")

    async def _ours(self, message: Message, work: Work) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        bot_id, user_id = await self._identity()
        async for seen in self._standing(message, work):
            metadata = seen.get("metadata") or {}
            slot = (metadata.get("event_payload") or {}).get("slot")
            is_ours = seen.get("bot_id") == bot_id or seen.get("user") == user_id
            if is_ours and metadata.get("event_type") == "countersign" and isinstance(slot, str):
                yield slot, seen

    async def _identity(self) -> tuple[str, str]:
        """Our bot and user id: another app could carry our slots in its metadata."""
        if self._own is None:
            reply = await self._calls.ask("auth.test")
            self._own = str(reply.get("bot_id") or "-"), str(reply.get("user_id") or "-")
        return self._own

    async def _standing(self, message: Message, work: Work) -> AsyncIterator[dict[str, Any]]:
        """The whole thread, so that no clock matters; for a root the channel, from before it was planned."""
        where: dict[str, Any] = {"channel": message.channel, "include_all_metadata": True, "limit": _PAGE}
        if message.kind is Kind.ROOT:
            method = "conversations.history"
            where["oldest"] = f"{(message.planned_at - _MARGIN).timestamp():.6f}"
        else:
            method = "conversations.replies"
            where["ts"] = work.thread_ts
        while True:
            page = await self._calls.ask(method, **where)
            for seen in page.get("messages") or []:
                yield seen
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return
            where["cursor"] = cursor
