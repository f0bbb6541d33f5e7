"""How many calls of one model are under way at a time, where the limit may change while they are."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from handlers.ports import Assignment


class Gate:
    """Lets so many in at once and the rest in the order they came; a new limit holds from the next one on."""

    def __init__(self) -> None:
        self._limit = 1
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def within(self, limit: int) -> AsyncIterator[None]:
        """Be one of at most `limit`; whoever asked last has told the limit of all."""
        self._limit = limit
        await self._enter()
        try:
            yield
        finally:
            self._inside -= 1
            self._let_in()

    async def _enter(self) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._let_in()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._inside -= 1  # let in and called off in the same moment
            elif place in self._waiting:
                self._waiting.remove(place)
            self._let_in()
            raise

    def _let_in(self) -> None:
        while self._waiting and self._inside < self._limit:
            place = self._waiting.popleft()
            if not place.done():
                self._inside += 1
                place.set_result(None)


class LocalSeats:
    """The port Seats in a process alone: first come, first served, by model and by host."""

    def __init__(self) -> None:
        self._gates: defaultdict[str, Gate] = defaultdict(Gate)

    @asynccontextmanager
    async def within(self, assignment: Assignment) -> AsyncIterator[None]:
        async with AsyncExitStack() as places:
            for name, limit in assignment.limits:
                await places.enter_async_context(self._gates[name].within(limit))
            yield
