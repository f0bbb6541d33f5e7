"""A look at what is open in the database: one at a time, and nobody waits for it for long."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from storage.database import Database
from storage.gauges import Gauges, read_gauges

_PATIENCE = 2.0  # seconds; a scrape or a balancer's question waits ten at most


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What a look found; without gauges a sentence says why."""

    gauges: Gauges | None
    problem: str = ""


class Glance:
    """Reads the gauges. While a read hangs, whoever looks waits for that one, and no further one is begun."""

    def __init__(self, storage: Database, *, patience: float = _PATIENCE) -> None:
        self._storage, self._patience = storage, patience
        self._reading: asyncio.Task[Gauges] | None = None

    async def look(self) -> Seen:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(_heard)
        reading = self._reading
        await asyncio.wait([reading], timeout=self._patience)  # not cancelled: a driver may hang in that, too
        if not reading.done() or reading.cancelled():
            return Seen(gauges=None, problem=f"The database did not answer within {self._patience:g} s.")
        if (problem := reading.exception()) is not None:
            return Seen(gauges=None, problem=f"The database does not answer ({type(problem).__name__}).")
        return Seen(gauges=reading.result())

    async def aclose(self) -> None:
        """Call off a read that hangs; a second later it is left to itself."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading], timeout=1.0)

    async def _read(self) -> Gauges:
        async with self._storage.reading() as saved:
            return await read_gauges(saved.connection)


def _heard(reading: asyncio.Task[Gauges]) -> None:
    """A failure that nobody waited for any more is no news."""
    if not reading.cancelled():
        reading.exception()
