"""Slack's rate limits: a bucket a method (a channel, for posts), filled at the documented rate."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum


class Tier(Enum):
    """Calls a minute."""

    TWO = 20
    THREE = 50
    FOUR = 100
    SPECIAL = 600  # "hundreds per minute"


POSTS_A_SECOND = 1.0
POST_BURST = 10
POSTS_A_MINUTE = 300  # over all channels: "several hundred"


@dataclass(slots=True)
class Bucket:
    """Holds `room` calls, gains `rate` a second."""

    room: float
    rate: float
    level: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.level, self.at = self.room, -math.inf

    def take(self, now: float) -> float:
        """Takes one call and returns 0, or takes nothing and returns the seconds until there is one."""
        if self.at > -math.inf:
            self.level = min(self.room, self.level + (now - self.at) * self.rate)
        self.at = now
        if self.level >= 1:
            self.level -= 1
            return 0.0
        return (1 - self.level) / self.rate


class Pace:
    """Whether a call may pass now. A bucket holds a minute's calls, so bursts have room."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.enabled = True
        self._clock = clock
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def wait(self, method: str, tier: Tier, channel: str) -> int:
        """Whole seconds for Retry-After; 0 if the call may pass."""
        if not self.enabled:
            return 0
        if method == "chat.postMessage":
            waits = (
                self._take((method, channel), POST_BURST, POSTS_A_SECOND),
                self._take((method, ""), POSTS_A_MINUTE, POSTS_A_MINUTE / 60),
            )
            return math.ceil(max(waits))
        return math.ceil(self._take((method, ""), tier.value, tier.value / 60))

    def _take(self, key: tuple[str, str], room: float, rate: float) -> float:
        return self._buckets.setdefault(key, Bucket(room, rate)).take(self._clock())
