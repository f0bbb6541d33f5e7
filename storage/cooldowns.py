"""Endpoints that failed lately, and until when nobody asks them: known to every process."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.records import Cooldown
from storage.rows import record, values
from storage.upsert import insert_or_ignore

_cooldowns = tables.cooldowns
_ALL = select(_cooldowns)


class Cooldowns:
    """One row an endpoint that failed since it last answered; there are never more than the stack has models."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def all(self) -> dict[str, Cooldown]:
        """By endpoint, also those whose time has passed."""
        rows = (await self._connection.execute(_ALL)).all()
        return {row.endpoint: record(Cooldown, row) for row in rows}

    async def current(self, now: datetime) -> dict[str, Cooldown]:
        """By endpoint, those nobody asks now."""
        return {name: one for name, one in (await self.all()).items() if one.until is not None and one.until > now}

    async def note(self, cooldown: Cooldown) -> None:
        """Remember an endpoint's newest failure in place of the one before."""
        row = values(cooldown, without=())
        if not await insert_or_ignore(self._connection, _cooldowns, **row):
            change = update(_cooldowns).where(_cooldowns.c.endpoint == cooldown.endpoint).values(**row)
            await self._connection.execute(change)

    async def forget(self, endpoint: str) -> None:
        """It answered."""
        await self._connection.execute(delete(_cooldowns).where(_cooldowns.c.endpoint == endpoint))
