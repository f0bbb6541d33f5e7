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
    insert: Any = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return insert(table).on_conflict_do_nothing()
