"""Whether a run may send its thread's words to a model: the channel as it is now, not as it was when somebody asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from handlers import messages
from handlers.errors import ModelFailed
from handlers.ports import Clock, LookupFailed, Slack, Sleep
from handlers.request import check_place
from handlers.stack import Stack
from storage.records import Work

_PAUSES = (1.0, 2.0, 5.0, 10.0, *[30.0] * 9)
"""Seconds between the looks: five minutes in all."""
FRESH = timedelta(seconds=30)
"""So old may a look be when a model is asked: whoever waited longer, for a place or for one that rests, looks again."""
PLACE_UNKNOWN = "place_unknown"


class Channel:
    """The channel of one run, looked at as often as its words may be sent."""

    def __init__(
        self, work: Work, stack: Stack, *, slack: Slack, now: Clock, waits: Callable[[str], None] = lambda _: None
    ) -> None:
        self._work, self._stack, self._slack, self._now, self._waits = work, stack, slack, now, waits
        self._seen_at: datetime | None = None

    async def may_be_worked_in(self) -> None:
        """Return if it may, by a look that is fresh; raises as `see_that_it_may_go_on` does."""
        at = self._now()
        if self._seen_at is not None and timedelta(0) <= at - self._seen_at <= FRESH:
            return
        await see_that_it_may_go_on(self._work, self._stack, slack=self._slack, waits=self._waits)
        self._seen_at = at


async def see_that_it_may_go_on(
    work: Work,
    stack: Stack,
    *,
    slack: Slack,
    waits: Callable[[str], None] = lambda _: None,
    sleep: Sleep = asyncio.sleep,
) -> None:
    """Return if the channel may be worked in. As long as Slack does not say, it may not.

    Raises:
        Refusal: it became shared with outsiders, or archived, or we were put out, since somebody asked.
        ModelFailed: Slack has not told for five minutes.
    """
    for pause in (*_PAUSES, None):
        try:
            place = await slack.place(work.channel, now=True)
        except LookupFailed:
            if pause is None:
                break
            waits("Slack does not say whether this channel may still be worked in")
            await sleep(pause)
        else:
            waits("")
            check_place(place, stack.policy(work.channel))
            return
    raise ModelFailed(
        "Slack has not told me about this channel for five minutes, so nothing was sent to a model. "
        f"`{messages.BOT} again` tries once more.",
        code=PLACE_UNKNOWN,
    )
