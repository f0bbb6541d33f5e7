"""Insert unless a unique key is taken: the same words for SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


async def insert_or_ignore(connection: AsyncConnection, table: Table, **row: Any) -> bool:
    """Insert a row; False when one of its unique keys is already there, which leaves all as it was."""
    insert: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    done = await connection.execute(insert(table).values(**row).on_conflict_do_nothing())
    return bool(done.rowcount == 1)
