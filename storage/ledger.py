"""The append-only, hash-chained record of who did what."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC
from typing import Any

from sqlalchemy import Row, bindparam, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.canonical import canonical
from storage.records import Chained, Entry
from storage.rows import record, values

_ledger = tables.ledger
BEGINNING = "0" * 64


def hash_of(entry: Chained) -> str:
    """sha256 over the canonical JSON of every column but the hash itself."""
    columns = values(entry, without=("hash",))
    columns["at"] = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(canonical(columns).encode("utf-8", "surrogatepass")).hexdigest()


def first_fault(chain: list[Chained], previous: str = BEGINNING) -> Chained | None:
    """The first entry of one workspace's chain that does not follow from the one before, or was changed."""
    for entry in chain:
        if entry.previous != previous or entry.hash != hash_of(entry):
            return entry
        previous = entry.hash
    return None


def _chained(row: Row[Any]) -> Chained:
    return record(Chained, row)


# Written once: putting a statement together takes longer than SQLite needs to do it.
_HEAD = select(_ledger.c.hash).where(_ledger.c.team == bindparam("team")).order_by(_ledger.c.seq.desc()).limit(1)
_LAST = select(select(func.max(_ledger.c.seq)).scalar_subquery(), _HEAD.scalar_subquery())
_LAST_STACK = (
    select(_ledger.c.body)
    .where(_ledger.c.team == bindparam("team"), _ledger.c.what == literal_column("'stack'"))
    .order_by(_ledger.c.seq.desc())
    .limit(1)
)
_INSERT = _ledger.insert()


class Ledger:
    """One chain a workspace, in one table."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def append(self, entry: Entry) -> Chained:
        """Chain an entry behind the last one of its workspace, in the transaction of what it records."""
        last, head = (await self._connection.execute(_LAST, {"team": entry.team})).one()
        bare = Chained(
            **{**values(entry, without=()), "body": canonical(entry.body)},
            seq=int(last or 0) + 1,
            previous=head or BEGINNING,
            hash="",
        )
        chained = Chained(**{**values(bare, without=()), "hash": hash_of(bare)})
        await self._connection.execute(_INSERT, values(chained, without=()))
        return chained

    async def head(self, team: str) -> str:
        """The hash of the workspace's last entry."""
        found: str | None = (await self._connection.execute(_HEAD, {"team": team})).scalar()
        return found or BEGINNING

    async def last_stack(self, team: str) -> str | None:
        """What was last written of the workspace's stack, as canonical JSON."""
        found: str | None = (await self._connection.execute(_LAST_STACK, {"team": team})).scalar()
        return found

    async def chain(self, team: str) -> AsyncIterator[Chained]:
        """A workspace's entries, oldest first."""
        rows = await self._connection.stream(select(_ledger).where(_ledger.c.team == team).order_by(_ledger.c.seq))
        async for row in rows:
            yield _chained(row)

    async def of_work(self, work_id: str) -> AsyncIterator[Chained]:
        """What was recorded about one work, oldest first."""
        rows = await self._connection.stream(
            select(_ledger).where(_ledger.c.work_id == work_id).order_by(_ledger.c.seq)
        )
        async for row in rows:
            yield _chained(row)

    async def teams(self) -> list[str]:
        return list((await self._connection.execute(select(_ledger.c.team).distinct())).scalars())
