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
_SHUT_FOR = text("SELECT EXTRACT(EPOCH FROM free_at - clock_timestamp()) FROM paces WHERE name = :name")


class Paces:
    """Places in line by the name of what is limited. PostgreSQL only, by its clock; a process alone needs none."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def reserve(self, name: str, *, apart: float, burst: int) -> float:
        """Take the next turn; in how many seconds it comes (0: now). `apart` is in seconds, in the long run."""
        given = {"name": name, "apart": timedelta(seconds=apart), "saved": timedelta(seconds=apart * (burst - 1))}
        await self._connection.execute(text("SET LOCAL synchronous_commit = off"))  # a lost turn is no loss
        wait = (await self._connection.execute(_RESERVE, given)).scalar_one()
        return max(0.0, float(wait))

    async def close(self, name: str, *, seconds: float, apart: float, burst: int) -> None:
        """Nobody's turn comes for so many seconds, and then nothing is saved up; who has a turn asks `shut_for`."""
        closed = timedelta(seconds=seconds + apart * (burst - 1))
        await self._connection.execute(_CLOSE, {"name": name, "closed": closed})
        await self._connection.execute(_CLOSE, {"name": _shut(name), "closed": timedelta(seconds=seconds)})

    async def shut_for(self, name: str) -> float:
        """For how many seconds yet nobody's turn comes, whatever was given out before."""
        left = (await self._connection.execute(_SHUT_FOR, {"name": _shut(name)})).scalar()
        return max(0.0, float(left or 0))


def _shut(name: str) -> str:
    return f"shut {name}"
