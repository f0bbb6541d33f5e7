"""A house in memory whose moments can be kept and gone back to: thousands of cases at the real gate in seconds."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from handlers.ports import Place
from handlers.stack import Stack
from tests.fakes import FakeClock, FakeModels, FakeSlack, a_stack
from tests.faults.world.jobs import Jobs
from tests.faults.world.memory import Disk, Memory, place
from tests.handlers.house import LAUNCH, READY, House

T = TypeVar("T")


async def _at_once(_: str) -> None:
    """Nobody else has a turn."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """All there was: the rows, what Slack shows, the time, the rules, and how many ids were given."""

    rows: bytes
    slack: FakeSlack
    time: datetime
    stack: Stack
    keys: int
    ids: int


@cache
def _runner() -> asyncio.Runner:
    return asyncio.Runner()


def wait_for(what: Coroutine[Any, Any, T]) -> T:
    """Without a loop of the test's own, which would be made anew for each."""
    return _runner().run(what)


def at_once(what: Coroutine[Any, Any, T]) -> T:
    """What waits for nobody needs no loop at all."""
    try:
        what.send(None)
    except StopIteration as done:
        returned: T = done.value
        return returned
    what.close()
    raise AssertionError("it waited for something")


def a_process(now: Callable[[], datetime]) -> Memory:
    """Opens the one database of this test process, empty."""
    return Memory(Disk(_at_once, Jobs(now)), shares_commits=False)


def a_hall(stack: Stack | None = None) -> House:
    clock = FakeClock()
    slack = FakeSlack()
    slack.places = {LAUNCH: Place(id=LAUNCH)}
    return House(
        storage=a_process(clock), stack=stack or a_stack(), slack=slack, models=FakeModels(careful=READY), now=clock
    )


def keep(house: House) -> Moment:
    return Moment(
        rows=place()._driver.serialize(),
        slack=deepcopy(house.slack),
        time=house.now.time,
        stack=house.stack,
        keys=house.keys,
        ids=house.new_id.given,
    )


def go_back(moment: Moment) -> House:
    house = a_hall(moment.stack)
    with closing(sqlite3.connect(":memory:")) as image:
        image.deserialize(moment.rows)
        image.backup(place()._driver)
    house.slack, house.now.time = deepcopy(moment.slack), moment.time
    house.keys, house.new_id.given = moment.keys, moment.ids
    return house


async def or_raised(what: Awaitable[None], *expected: type[Exception]) -> str | None:
    """The name of what was raised, of that which may be."""
    try:
        await what
    except expected as raised:
        return type(raised).__name__
    return None
