"""Reading back what Slack holds: channels, threads, reactions; page by page, behind every call that is owed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.metrics import Metrics
from bot.slack.calls import CallFailed, Calls, Trouble
from bot.slack.pace import Pace
from handlers.ports import Sleep
from handlers.repair import Sight

_PAGE = 200
_WAIT = 0.5
_ASK_AGAIN = 3

Shown = dict[str, Any]


class Withheld(Exception):  # noqa: N818  reads as a fact
    """Slack does not show this to us, and will not: we are not there, lack a scope, or it is gone."""

    def __init__(self, method: str, code: str) -> None:
        super().__init__(f"{method}: {code}")
        self.method = method
        self.code = code


class Backlog:
    """Questions that nobody waits for. Each raises Withheld, or CallFailed where Slack may answer later."""

    def __init__(
        self, client: AsyncWebClient, pace: Pace, *, sleep: Sleep = asyncio.sleep, metrics: Metrics | None = None
    ) -> None:
        self._calls = Calls(client, pace, metrics=metrics)
        self._sleep = sleep

    async def channels(self) -> list[str]:
        """The channels we are in; not the archived ones, in which nothing happens."""
        look = {"types": "public_channel,private_channel", "exclude_archived": True}
        return [str(shown["id"]) async for shown in self._listed("users.conversations", "channels", look)]

    async def top_level(self, channel: str, *, since: str) -> AsyncIterator[Shown]:
        """What was posted in a channel since then, the newest first; of a thread only its root."""
        look = {"channel": channel, "oldest": since, "inclusive": True}
        async for shown in self._listed("conversations.history", "messages", look):
            yield shown

    async def replies(self, channel: str, thread_ts: str, *, since: str) -> AsyncIterator[Shown]:
        """What was said in a thread since then, the oldest first, perhaps after its root."""
        look = {"channel": channel, "ts": thread_ts, "oldest": since, "inclusive": True}
        async for shown in self._listed("conversations.replies", "messages", look):
            yield shown

    async def reactions(self, channel: str, ts: str) -> Sight:
        """Everybody's reactions on a message. Where Slack does not name all who gave one, it is asked again."""
        sight = await self._sight(channel, ts)
        for _ in range(_ASK_AGAIN):
            if not sight.unsure:
                break
            await self._sleep(_WAIT)
            sight = await self._sight(channel, ts)
        return sight

    async def _sight(self, channel: str, ts: str) -> Sight:
        reply = await self._ask("reactions.get", {"channel": channel, "timestamp": ts, "full": True})
        message = reply.get("message")
        if not isinstance(message, dict):
            raise CallFailed(Trouble.LATER, "unreadable_reply")
        found = list(_reactions(message))
        return Sight(
            standing=frozenset((user, name) for name, users, _ in found for user in users),
            unsure=frozenset(name for name, users, count in found if count != len(set(users))),
        )

    async def _listed(self, method: str, what: str, look: dict[str, Any]) -> AsyncIterator[Shown]:
        asked = {**look, "limit": _PAGE}
        while True:
            page = await self._ask(method, asked)
            listed = page.get(what)
            if not isinstance(listed, list) or not all(isinstance(shown, dict) for shown in listed):
                raise CallFailed(Trouble.LATER, "unreadable_reply")
            for shown in listed:
                yield shown
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor and page.get("has_more"):
                raise CallFailed(Trouble.LATER, "no_cursor")
            if not cursor:
                return
            asked["cursor"] = cursor

    async def _ask(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A call in its turn, which is when nobody else wants one."""
        while True:
            while not self._calls.pace.spare(method):
                await self._sleep(_WAIT)
            try:
                return await self._calls.send(method, **arguments)
            except CallFailed as failed:
                if failed.trouble is Trouble.NEVER or failed.code == "missing_scope":
                    raise Withheld(method, failed.code) from failed
                if failed.trouble is not Trouble.LIMITED:
                    raise


def _reactions(message: Shown) -> Iterator[tuple[str, list[str], int]]:
    for one in message.get("reactions") or []:
        name, users, count = one.get("name"), one.get("users"), one.get("count")
        if not isinstance(name, str) or not isinstance(users, list) or not isinstance(count, int):
            raise CallFailed(Trouble.LATER, "unreadable_reply")
        yield name, [user for user in users if isinstance(user, str)], count
