"""Payloads on their way to the app: events with their retries, commands and interactions with none."""

import asyncio
import time
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol, TypeVar

from bot.playground.channels import Channel
from bot.playground.people import APP_ID, BOT, TEAM
from bot.playground.shapes import Json

# What the app subscribes to; message events by the kind of conversation they happen in.
SUBSCRIBED = frozenset({
    "app_mention", "reaction_added", "reaction_removed", "message.channel", "message.group", "message.im",
    "app_home_opened", "member_joined_channel", "member_left_channel", "subteam_members_changed", "app_uninstalled",
    "tokens_revoked", "channel_archive", "channel_unarchive",
})  # fmt: skip


T = TypeVar("T")


class Kind(Enum):
    """Socket Mode's names for the three sorts of payload."""

    EVENT = "events_api"
    COMMAND = "slash_commands"
    INTERACTION = "interactive"


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    attempt: int = 0
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ack:
    """How the app answered one delivery."""

    problem: str = ""  # operation_timeout, dispatch_failed: what the person sees; also the reason of a retry
    reason: str = ""  # Slack's name for it in retry headers
    body: Json = field(default_factory=dict)
    no_retry: bool = False

    @property
    def ok(self) -> bool:
        return not self.problem


class Transport(Protocol):
    """A way to the app: Socket Mode or signed HTTP."""

    async def attempt(self, kind: Kind, payload: Json, retry: Retry) -> Ack: ...


@dataclass(kw_only=True)
class Delivery:
    """Sends payloads by the transport in use, again and again where Slack would."""

    transport: Transport
    retry_delays: tuple[float, ...] = (0, 60, 300)
    repeat: int = 1
    subscribed: set[str] = field(default_factory=lambda: set(SUBSCRIBED))
    given_up: list[Json] = field(default_factory=list)  # events nobody acked, after the last retry
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def event(self, event: Json, channel: Channel | None) -> None:
        """An event happened: told to the app if it subscribes to it and is there to see it."""
        kind = f"message.{event['channel_type']}" if event["type"] == "message" else event["type"]
        if kind not in self.subscribed or (channel is not None and not channel.has_bot):
            return
        payload = _envelope(event, channel)
        for _ in range(self.repeat):
            self._later(self._until_acked(payload))

    async def _until_acked(self, payload: Json) -> None:
        ack = await self.transport.attempt(Kind.EVENT, payload, Retry())
        for attempt, delay in enumerate(self.retry_delays, start=1):
            if ack.ok or ack.no_retry:
                return
            await asyncio.sleep(delay)
            ack = await self.transport.attempt(Kind.EVENT, payload, Retry(attempt=attempt, reason=ack.reason))
        if not ack.ok:
            self.given_up.append(payload)

    async def once(self, kind: Kind, payload: Json) -> Ack:
        """A command or interaction: never retried by Slack, and the person sees it fail."""
        first = self._later(self.transport.attempt(kind, payload, Retry()))
        for _ in range(self.repeat - 1):
            self._later(self.transport.attempt(kind, payload, Retry()))
        return await asyncio.shield(first)

    def _later(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _envelope(event: Json, channel: Channel | None) -> Json:
    return {
        "token": "playground",
        "team_id": TEAM,
        "context_team_id": TEAM,
        "context_enterprise_id": None,
        "api_app_id": APP_ID,
        "event": event,
        "type": "event_callback",
        "event_id": f"Ev{uuid.uuid4().hex[:10].upper()}",
        "event_time": int(time.time()),
        "authorizations": [
            {"enterprise_id": None, "team_id": TEAM, "user_id": BOT.id, "is_bot": True, "is_enterprise_install": False}
        ],
        "is_ext_shared_channel": bool(channel and channel.is_ext_shared),
        "event_context": f"4-{uuid.uuid4().hex}",
    }
