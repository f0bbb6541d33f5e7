"""Bugs planted on purpose: a simulator that does not find these finds nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import select, update

from bot.held import Held
from bot.slack import listeners
from bot.slack.posting import Posting
from handlers.gate import Gate
from storage import outbox
from storage.records import Letter, Message, Run, RunState
from storage.runs import Runs, _run, _runs

Patch = tuple[Any, str, Callable[..., Any]]


def _nothing_is_doubted(self: Posting, messages: Any) -> None: ...


async def _any_epoch_may_leave(self: Runs, run: Run, state: RunState, *, at: Any, **facts: Any) -> bool:
    change = update(_runs).where(_runs.c.id == run.id, _runs.c.state == RunState.RUNNING)
    return (await self._connection.execute(change.values(state=state, ended_at=at, **facts))).rowcount == 1


async def _nobody_looks(self: Held) -> None:
    """Else whoever was displaced is stopped long before it could end anything."""


async def _newest_first(self: outbox.Outbox, work_id: str) -> list[Message]:
    owed = select(outbox._outbox).where(outbox._outbox.c.work_id == work_id, *outbox._IS_OWED)
    rows = await self._connection.execute(owed.order_by(outbox._outbox.c.seq.desc()))
    return [outbox._message(row) for row in rows]


async def _whoever_is_queued(self: Runs, *, without: Any = (), limit: int = 100) -> list[Run]:
    queued = select(_runs).where(_runs.c.state == RunState.QUEUED).order_by(_runs.c.seq).limit(limit)
    return [run for run in map(_run, await self._connection.execute(queued)) if run.id not in without]


_keep_then = listeners.keep_then


async def _ack_first(next_: Any, *said: Any, **tools: Any) -> Any:
    await next_()
    return await _keep_then(next_, *said, **tools)


async def _removals_are_forgotten(self: Any, *_: Any) -> list[Any]:
    return []


_keep, _seen = listeners._keep, Counter[str]()


async def _known_is_new(letter: Letter, *tools: Any) -> None:
    _seen[letter.key] += 1
    if (times := _seen[letter.key]) > 1:
        key = f"{letter.key}/{times}"
        letter = replace(letter, key=key, body={**letter.body, "key": key})
    await _keep(letter, *tools)


PLANTS: Mapping[str, Sequence[Patch]] = {
    "nobody doubts whether a message was sent": [(Posting, "doubt", _nothing_is_doubted)],
    "an ack comes before the commit": [(listeners, "keep_then", _ack_first)],
    "a delivery that is known is taken for new": [(listeners, "_keep", _known_is_new)],
    "a worker that was displaced may end a run": [
        (Runs, "leave", _any_epoch_may_leave),
        (Held, "_look", _nobody_looks),
    ],
    "a lane says the newest first": [(outbox.Outbox, "owed_to", _newest_first)],
    "runs of a thread do not wait for each other": [(Runs, "next_in_line", _whoever_is_queued)],
    "a removal that came before its reaction is forgotten": [(Gate, "_already_taken_away", _removals_are_forgotten)],
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Inside, the program has this bug."""
    before = [(where, what, getattr(where, what)) for where, what, _ in PLANTS[name]]
    for where, what, instead in PLANTS[name]:
        setattr(where, what, instead)
    try:
        yield
    finally:
        for where, what, as_it_was in before:
            setattr(where, what, as_it_was)
