"""Insert unless a unique key is taken: the same words for SQLite and PostgreSQL."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


async def insert_or_ignore(connection: AsyncConnection, table: Table, **row: Any) -> bool:
    """Insert a row; False when one of its unique keys is already there, which leaves all as it was."""
    done = await connection.execute(_statement(table, connection.dialect.name), row)
    return bool(done.rowcount == 1)


@cache
def _statement(table: Table, dialect: str) -> Any:
    """Written once: putting a statement together takes longer than SQLite needs to do it."""
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    made = postgresql.insert(table).on_conflict_do_nothing()
    return made.inline().execution_options(preserve_rowcount=True)  # else it would ask for the new key, not the count
