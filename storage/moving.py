"""Moving house: everything one database remembers is brought to another, and compared, before any of it counts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Row, String, Table, exists, func, select, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Database, Saved
from storage.ledger import first_fault
from storage.records import Chained
from storage.schema import newest
from storage.tables import marks, metadata, paces

_BATCH = 1_000
_BEGINNING = "0" * 64
_WRAP = 2**256
_REPLACED = frozenset({marks.name, paces.name})
"""What a bot that was started on the new database for a moment may have left there; the old one's count."""


class CannotMove(Exception):  # noqa: N818  reads as a fact
    """The history cannot be copied; the new database is as it was."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """What was brought along: rows by table, and the last hash of each workspace's ledger."""

    counts: dict[str, int]
    heads: dict[str, str]


@dataclass(slots=True)
class _Sum:
    """How many rows, and a digest of them that does not depend on their order: databases sort words differently."""

    rows: int = 0
    digest: int = 0

    def add(self, rows: Sequence[Row[Any]]) -> None:
        for row in rows:
            spelled = json.dumps([_spelled(value) for value in row]).encode()
            self.digest = (self.digest + int.from_bytes(hashlib.sha256(spelled).digest(), "big")) % _WRAP
        self.rows += len(rows)


async def _nothing_more(_: Saved) -> None:
    pass


async def copy(
    source: Database, target: Database, *, arrived: Callable[[Saved], Awaitable[None]] = _nothing_more
) -> Moved:
    """Bring everything from `source`, which is only read, to `target`, which has the newest schema and no works.

    One transaction: broken off anywhere, it leaves nothing. `arrived` does its part at the end of it.

    Raises:
        CannotMove: the source has another schema or a ledger that was changed, or the target is in use.
    """
    await must_be_readable(source)
    async with source.reading() as old:
        heads = await _heads(old)
        async with target.transaction() as new:
            await _make_room(new)
            counts = {table.name: await _copy_table(table, old, new) for table in metadata.sorted_tables}
            if await _heads(new) != heads:
                raise CannotMove("A chain of the ledger arrived with another end. Nothing was kept; copy again.")
            await _set_sequences(new)
            await arrived(new)
    return Moved(counts=counts, heads=heads)


async def must_be_readable(source: Database) -> None:
    """Raises CannotMove unless it is a database of ours with the newest schema."""
    try:
        async with source.reading() as old:
            await _refuse_another_schema(old)
    except DatabaseError as problem:
        cause = str(problem.orig).strip()
        raise CannotMove(f"The database to copy from cannot be read ({cause}); look at its path again.") from None


async def _refuse_another_schema(old: Saved) -> None:
    def look(connection: Connection) -> str | None:
        return MigrationContext.configure(connection).get_current_revision()

    found = await old.connection.run_sync(look)
    if found is None:
        raise CannotMove("The database to copy from holds nothing of Countersign's; look at its path again.")
    if found > newest():
        raise CannotMove(
            f"The database to copy from has schema {found}, written by a newer Countersign than this one, which knows "
            f"{newest()}. Copy with that one."
        )
    if found < newest():
        raise CannotMove(
            f"The database to copy from has schema {found}, and this Countersign's is {newest()}. Keep a copy of the "
            "file, run `python -m bot migrate --database` with its address, and copy then."
        )


async def _heads(saved: Saved) -> dict[str, str]:
    """The last hash of each workspace's ledger, each chain walked from its beginning."""
    found = {}
    for team in sorted(await saved.ledger.teams()):
        previous = _BEGINNING
        async for entry in _unbroken(saved, team):
            previous = entry.hash
        found[team] = previous
    return found


async def _unbroken(saved: Saved, team: str) -> AsyncIterator[Chained]:
    previous = _BEGINNING
    async for entry in saved.ledger.chain(team):
        if first_fault([entry], previous) is not None:
            raise CannotMove(
                f"Entry {entry.seq} of the ledger (workspace {team}, {entry.what} at {entry.at:%Y-%m-%d %H:%M} UTC) is "
                "not as it was written, or one before it is gone. Nothing was copied; restore a backup, or find out "
                "who changed it."
            )
        previous = entry.hash
        yield entry


async def _make_room(new: Saved) -> None:
    """Keep everybody else from writing until the end, and see that nobody has written before."""
    if _is_postgresql(new.connection):
        for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
            await new.connection.execute(text(f"SET LOCAL {setting} = 0"))
        names = ", ".join(table.name for table in metadata.sorted_tables)
        await new.connection.execute(text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))
    for table in metadata.sorted_tables:
        if table.name in _REPLACED:
            await new.connection.execute(table.delete())
        elif (await new.connection.execute(select(exists(select(text("1")).select_from(table))))).scalar():
            raise CannotMove(
                f"The database to copy to is in use: its table {table.name} is not empty. Two histories cannot be "
                "joined; give an empty database."
            )


async def _copy_table(table: Table, old: Saved, new: Saved) -> int:
    """Copy the rows in batches, read them back, and compare; return how many there are."""
    sent, found = _Sum(), _Sum()
    async for batch in _batches(table, old):
        _refuse_too_long(table, batch)
        await new.connection.execute(table.insert(), [dict(row._mapping) for row in batch])  # noqa: SLF001  public
        sent.add(batch)
    async for batch in _batches(table, new):
        found.add(batch)
    if found != sent:
        raise CannotMove(
            f"The table {table.name} did not arrive as it was ({found.rows} of {sent.rows} rows). Nothing was kept; "
            "copy again."
        )
    return found.rows


async def _batches(table: Table, saved: Saved) -> AsyncIterator[Sequence[Row[Any]]]:
    in_order = select(table).order_by(*table.primary_key.columns)
    rows = await saved.connection.stream(in_order.execution_options(yield_per=_BATCH))
    async for batch in rows.partitions(_BATCH):
        yield batch


def _refuse_too_long(table: Table, batch: Sequence[Row[Any]]) -> None:
    """SQLite takes words of any length and with any character in them; the other one would name no row."""
    columns = [(column.name, getattr(column.type, "length", None)) for column in table.columns if _has_words(column)]
    key = next(iter(table.primary_key.columns)).name
    for row in batch:
        for name, limit in columns:
            value = row._mapping[name]  # noqa: SLF001  public
            if value is not None and ((limit and len(value) > limit) or "\x00" in value):
                raise CannotMove(
                    f"The table {table.name} holds a {name} that the new database does not take, in the row whose "
                    f"{key} is {row._mapping[key]!r}: "  # noqa: SLF001  public
                    + ("it has a NUL character." if "\x00" in value else f"it is longer than {limit} characters.")
                )


def _has_words(column: Any) -> bool:
    return isinstance(column.type, String)


async def _set_sequences(new: Saved) -> None:
    """New rows are numbered on from the old ones."""
    if not _is_postgresql(new.connection):
        return
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None or column.autoincrement is False:
            continue
        last = (await new.connection.execute(select(func.max(column)))).scalar()
        if last is not None:
            sequence = func.pg_get_serial_sequence(table.name, column.name)
            await new.connection.execute(select(func.setval(sequence, last)))


def _is_postgresql(connection: AsyncConnection) -> bool:
    return connection.dialect.name == "postgresql"


def _spelled(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
