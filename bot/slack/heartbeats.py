"""Refreshing the card of a running run: often enough to be seen, never at the cost of what is owed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bot.fence import Displaced
from bot.slack.blocks import render
from bot.slack.calls import CallFailed, Calls, Trouble
from bot.slack.posting import Posting
from handlers.ports import Sleep
from handlers.words import Body
from storage.database import Database
from storage.records import Message

_APART = 3.0  # seconds between two edits of one message
_PATIENCE = 10.0
_SETTLE = 5.0
_MOST_REMEMBERED = 5_000
_OPEN = frozenset({"queued", "running"})


class Heartbeats:
    """Edits outside the outbox. A beat is dropped, never queued: the next one tells more."""

    def __init__(
        self,
        *,
        calls: Calls,
        posting: Posting,
        database: Database,
        sleep: Sleep,
        tick: Callable[[], float],
        log: Any,
        others_deliver: Callable[[], bool],
    ) -> None:
        """`others_deliver`: whether what is owed may be shown by another process than this one."""
        self._calls = calls
        self._posting = posting
        self._database = database
        self._sleep = sleep
        self._tick = tick
        self._log = log
        self._others_deliver = others_deliver
        self._last: dict[str, float] = {}
        self._numbers = itertools.count(1)
        self._beating: set[asyncio.Task[None]] = set()

    async def beat(self, slot: str, body: Body) -> None:
        """Edit the card unless it was edited just now, owes a newer form, or Slack has little room.

        A caller that goes away does not break off an edit on its way: the slot stays locked until its outcome is
        known, so that a final form never overtakes it.
        """
        if self._posting.lock(slot).locked() or self._tick() - self._last.get(slot, -_APART) < _APART:
            return
        task = asyncio.create_task(self._beat(slot, body))
        self._beating.add(task)
        task.add_done_callback(self._beating.discard)
        await asyncio.shield(task)

    async def still(self, slot: str) -> None:
        """Wait until no beat for a slot is on its way."""
        async with self._posting.lock(slot):
            return

    async def close(self) -> None:
        for task in self._beating:
            task.cancel()
        await asyncio.gather(*self._beating, return_exceptions=True)

    async def _beat(self, slot: str, body: Body) -> None:
        lock = self._posting.lock(slot)
        if lock.locked():
            return
        async with lock:
            try:
                await self._edit(slot, body)
            except Displaced:
                return  # whoever took the run over shows it
            except Exception:  # noqa: BLE001  the next beat tells more
                self._log.exception("a heartbeat stumbled", slot=slot)

    async def _edit(self, slot: str, body: Body) -> None:
        async with self._database.reading() as saved:
            card = await saved.outbox.get(slot)
        if card is None or not _may_be_refreshed(card, body) or self._calls.is_crowded:
            return
        if not self._calls.pace.spare("chat.update"):
            return
        self._remember(slot)
        drawn = render(replace(card, body=body.to_json()), edition=f"b{next(self._numbers)}")
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._calls.send(
                    "chat.update",
                    channel=card.channel,
                    ts=card.ts,
                    text=drawn.text,
                    blocks=drawn.blocks or None,
                    metadata=drawn.metadata,
                )
        except TimeoutError:
            await self._sleep(_SETTLE)  # Slack may still do it: nothing newer may be sent before
        except CallFailed as failed:
            if failed.trouble is Trouble.UNKNOWN:
                await self._sleep(_SETTLE)
        if self._others_deliver():
            await self._make_good(card)

    async def _make_good(self, card: Message) -> None:
        """Another process may have shown a newer form while ours was on its way: then that is shown once more.

        Of this process none was: it waits for the slot's lock.
        """
        async with self._database.reading() as saved:
            if not _is_newer(await saved.outbox.get(card.slot), card):
                return
        async with self._database.transaction() as saved:
            newest = await saved.outbox.get(card.slot)
            if newest is not None:
                await saved.outbox.revise(newest.slot, newest.body)

    def _remember(self, slot: str) -> None:
        if len(self._last) >= _MOST_REMEMBERED:
            self._last = {one: at for one, at in self._last.items() if self._tick() - at < _APART}
        self._last[slot] = self._tick()


def _may_be_refreshed(card: Message, body: Body) -> bool:
    """Only a card that is shown, owes nothing, and is of an open run: a beat of a run that is over is too late.

    What is remembered of a card says queued until the run is over, for what a beat shows is never remembered.
    """
    is_shown = card.ts is not None and card.shown == card.revision and card.given_up is None
    return is_shown and body.facts.get("state") == "running" and card.body.get("facts", {}).get("state") in _OPEN


def _is_newer(now: Message | None, then: Message) -> bool:
    return now is not None and now.revision > then.revision
