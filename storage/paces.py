"""Turns that processes take from each other: who may call Slack next, kept where all of them see it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# The generic cell rate algorithm: free_at is when all that was taken so far will have been earned.
_RESERVE = text("""
    INSERT INTO paces AS pace (name, free_at) VALUES (:name, clock_timestamp() + :apart)
    ON CONFLICT (name) DO UPDATE SET free_at = GREATEST(pace.free_at, clock_timestamp()) + :apart
    RETURNING EXTRACT(EPOCH FROM free_at - :apart - :saved - clock_timestamp()) AS wait
""")
_CLOSE = text("""
    INSERT INTO paces AS pace (name, free_at) VALUES (:name, clock_timestamp() + :closed)
    ON CONFLICT (name) DO UPDATE SET free_at = GREATEST(pace.free_at, clock_timestamp() + :closed)
""")
# A clock that is behind what was seen of it was set back; then so is what was said by it.
_SET_BACK = text("""
    WITH seen AS (SELECT free_at AS at FROM paces WHERE name = :seen FOR UPDATE)
    UPDATE paces AS pace SET free_at = pace.free_at - (seen.at - clock_timestamp()) FROM seen
    WHERE seen.at > clock_timestamp() AND pace.name IN (:name, :shut)
""")
_SEEN = text("""
    INSERT INTO paces (name, free_at) VALUES (:seen, clock_timestamp())
    ON CONFLICT (name) DO UPDATE SET free_at = clock_timestamp()
""")
_SHUT_FOR = text("SELECT EXTRACT(EPOCH FROM free_at - clock_timestamp()) FROM paces WHERE name = :name")


class Paces:
    """Places in line by the name of what is limited. PostgreSQL only, by its clock; a process alone needs none.

    That clock may be set at any time. If it is set back, what is left of each wait is what was left when anybody last
    asked for that name, for nobody knows how long ago that was: no turn is further off than all that were given out
    by then and since, and no closing lasts longer than it did then. If it is set ahead, no more than a burst is free.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def reserve(self, name: str, *, apart: float, burst: int) -> float:
        """Take the next turn; in how many seconds it comes (0: now). `apart` is in seconds, in the long run."""
        given = {"name": name, "apart": timedelta(seconds=apart), "saved": timedelta(seconds=apart * (burst - 1))}
        await self._look_at_the_clock(name)
        wait = (await self._connection.execute(_RESERVE, given)).scalar_one()
        return max(0.0, float(wait))

    async def close(self, name: str, *, seconds: float, apart: float, burst: int) -> None:
        """Nobody's turn comes for so many seconds, and then nothing is saved up; who has a turn asks `shut_for`."""
        await self._look_at_the_clock(name)
        closed = timedelta(seconds=seconds + apart * (burst - 1))
        await self._connection.execute(_CLOSE, {"name": name, "closed": closed})
        await self._connection.execute(_CLOSE, {"name": _shut(name), "closed": timedelta(seconds=seconds)})

    async def shut_for(self, name: str) -> float:
        """For how many seconds yet nobody's turn comes, whatever was given out before."""
        await self._look_at_the_clock(name)
        left = (await self._connection.execute(_SHUT_FOR, {"name": _shut(name)})).scalar()
        return max(0.0, float(left or 0))

    async def _look_at_the_clock(self, name: str) -> None:
        """Whoever comes next for this name waits until we commit."""
        names = {"name": name, "shut": _shut(name), "seen": f"seen {name}"}
        await self._connection.execute(text("SET LOCAL synchronous_commit = off"))  # a lost turn is no loss
        await self._connection.execute(_SET_BACK, names)
        await self._connection.execute(_SEEN, {"seen": names["seen"]})


def _shut(name: str) -> str:
    return f"shut {name}"
