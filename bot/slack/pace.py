"""Slack's rate limits, kept from our side: token buckets with room for a burst, so that a lone request never waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from handlers.ports import Sleep


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """So many calls a minute in the long run, and so many at once after a quiet time."""

    per_minute: float
    burst: int


_TIER_2 = Limit(per_minute=20, burst=8)
_TIER_3 = Limit(per_minute=50, burst=20)
_TIER_4 = Limit(per_minute=100, burst=40)
_SPECIAL = Limit(per_minute=300, burst=60)

# https://docs.slack.dev/apis/web-api/rate-limits and the methods' own pages.
LIMITS = {
    "assistant.threads.setStatus": _SPECIAL,
    "auth.test": _SPECIAL,
    "chat.postEphemeral": _TIER_4,
    "chat.postMessage": _SPECIAL,  # "several hundred messages per minute" in a workspace
    "chat.update": _TIER_3,
    "conversations.history": _TIER_3,
    "conversations.info": _TIER_3,
    "conversations.replies": _TIER_3,
    "files.completeUploadExternal": _TIER_4,
    "files.getUploadURLExternal": _TIER_4,
    "reactions.get": _TIER_3,
    "usergroups.users.list": _TIER_2,
    "users.conversations": _TIER_3,
    "users.info": _TIER_4,
    "views.open": _TIER_4,
    "views.publish": _TIER_4,
}
PER_CHANNEL = {"chat.postMessage": Limit(per_minute=60, burst=6)}  # one a second, short bursts allowed

SPARE_SHARE = 1 / 3
_NEARLY = 1 - 1e-9  # sums of floats: a whole call, for all we care


class _Bucket:
    """Holds the calls that may be made at once; `line` is where callers queue, first come, first served."""

    def __init__(self, limit: Limit, now: float) -> None:
        self._limit = limit
        self._calls = float(limit.burst)
        self._at = now
        self._opens_at = now
        self.line = asyncio.Lock()

    def _fill(self, now: float) -> None:
        gained = max(0.0, now - self._at) * self._limit.per_minute / 60
        self._calls = min(float(self._limit.burst), self._calls + gained)
        self._at = max(now, self._at)

    def wait(self, now: float) -> float:
        """Seconds until a call may be made; 0 when it may be made now."""
        if now < self._opens_at:
            return self._opens_at - now
        self._fill(now)
        return 0.0 if self._calls >= _NEARLY else (1 - self._calls) * 60 / self._limit.per_minute

    def narrow(self, limit: Limit) -> None:
        """Another limit from now on; what was saved up stays, as far as it has room."""
        self._limit = limit
        self._calls = min(self._calls, float(limit.burst))

    def take(self) -> None:
        self._calls -= 1

    def take_if_any(self) -> None:
        """A call that was made by another's leave, of those that are saved up here."""
        self._calls = max(0.0, self._calls - 1)

    def close(self, now: float, seconds: float) -> None:
        """Nothing goes until then, and after that there is no burst."""
        self._opens_at = max(self._opens_at, now + seconds)
        self._at = self._opens_at
        self._calls = 1.0

    def has_spare(self, now: float) -> bool:
        return not self.line.locked() and not self.wait(now) and self._calls >= self._limit.burst * SPARE_SHARE


def _nobody(_method: str, _seconds: float) -> None:
    """Hears of waits until somebody else does."""


class Pace:
    """Whose turn it is to call Slack: a bucket a method, and for posts another one a channel."""

    def __init__(self, *, tick: Callable[[], float] = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._tick = tick
        self._sleep = sleep
        self._made: dict[tuple[str, str], _Bucket] = {}
        self._processes = 1
        self._on_wait: Callable[[str, float], None] = _nobody

    def on_wait(self, told: Callable[[str, float], None]) -> None:
        """Tell somebody of each wait for a turn: the method, and for how many seconds."""
        self._on_wait = told

    def share(self, processes: int) -> None:
        """So many processes call Slack for one workspace: each keeps to its share of the limits."""
        if processes != self._processes:
            self._processes = processes
            for (method, channel), bucket in self._made.items():
                bucket.narrow(self._limit(method, channel))

    def _limit(self, method: str, channel: str) -> Limit:
        whole = PER_CHANNEL[method] if channel else LIMITS.get(method, _TIER_3)
        return Limit(per_minute=whole.per_minute / self._processes, burst=max(1, whole.burst // self._processes))

    async def turn(self, method: str, channel: str = "") -> bool:
        """Wait for the turn of a call that is owed; True if that took time, so that what was read may be old."""
        waited, began = False, self._tick()
        try:
            for bucket in self._buckets(method, channel):
                waited = waited or bucket.line.locked()
                async with bucket.line:
                    while (wait := bucket.wait(self._tick())) > 0:
                        waited = True
                        await self._sleep(wait)
                    bucket.take()
        finally:
            if waited:
                self._on_wait(method, self._tick() - began)
        return waited

    def spare(self, method: str, channel: str = "") -> bool:
        """Take a turn for a call that is not owed; False, at once, unless a third of the room is free."""
        buckets = self._buckets(method, channel)
        now = self._tick()
        if not all(bucket.has_spare(now) for bucket in buckets):
            return False
        for bucket in buckets:
            bucket.take()
        return True

    def close(self, method: str, channel: str, seconds: float) -> None:
        """Slack said 429: nothing of this method goes for so long; for posts, nothing to this channel."""
        self._buckets(method, channel)[0].close(self._tick(), seconds)

    def _buckets(self, method: str, channel: str) -> list[_Bucket]:
        """The narrowest bucket first."""
        buckets = [self._bucket(method, "")]
        if method in PER_CHANNEL and channel:
            buckets.insert(0, self._bucket(method, channel))
        return buckets

    def _bucket(self, method: str, channel: str) -> _Bucket:
        key = (method, channel)
        if key not in self._made:
            self._made[key] = _Bucket(self._limit(method, channel), self._tick())
        return self._made[key]
