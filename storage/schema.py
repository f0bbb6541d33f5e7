"""Bringing a database to the newest schema, and refusing one that is newer than this program."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.crashpoints import crashpoint
from storage.database import ALONE, WRITERS, Database

_MIGRATIONS = Path(__file__).parent / "migrations"


class NewerSchema(Exception):  # noqa: N818  reads as a fact
    """The database was written by a newer Countersign than this one; start that one, or restore a backup."""


class NoSuchSchema(Exception):  # noqa: N818  reads as a fact
    """There is no such revision; the sentence names those there are."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def newest() -> str:
    """The revision this program knows as the newest."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


async def revision_of(connection: AsyncConnection) -> str | None:
    """The schema a database has; None if it has none of ours."""
    return await connection.run_sync(lambda inner: MigrationContext.configure(inner).get_current_revision())


async def others_at(connection: AsyncConnection) -> int:
    """How many other connections this database has; a SQLite file is locked instead."""
    if connection.dialect.name == "sqlite":
        return 0
    found = await connection.exec_driver_sql(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )
    return int(found.scalar_one())


def is_older(revision: str, than: str | None) -> bool:
    """Whether a known revision comes before another one."""
    known = _known()
    return than in known and known.index(revision) > known.index(than)


def _known() -> list[str]:
    """The revisions this program knows, the newest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


def must_be_known(revision: str) -> None:
    """Raises NoSuchSchema if there is no revision of that name."""
    if revision not in (known := _known()):
        raise NoSuchSchema(f"This Countersign knows no such revision; it knows {', '.join(reversed(known))}.")


async def migrate(database: Database, to: str | None = None) -> tuple[str | None, str]:
    """Bring the schema to the newest revision; return the one it had (None: an empty database) and the one it has.

    Args:
        database: which one.
        to: the revision to bring it to instead. An older one gives up what only the newer can remember.

    Raises:
        NewerSchema: the database knows a revision that this program does not.
        NoSuchSchema: there is no revision of that name.
    """
    known = _known()
    after = newest() if to is None else to
    must_be_known(after)

    def change(connection: Connection) -> str | None:
        if not database.is_sqlite:  # processes that start at once take turns, however long each takes
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.execute(ALONE, {"lock": WRITERS})
        before = MigrationContext.configure(connection).get_current_revision()
        if before is not None and before not in known:
            raise NewerSchema(NewerSchema.__doc__)
        config = _config()
        config.attributes["connection"] = connection
        goes_down = before is not None and known.index(after) > known.index(before)
        (command.downgrade if goes_down else command.upgrade)(config, after)
        crashpoint("cp28")
        return before

    async with database.engine.connect() as connection, _tables_may_be_rebuilt(connection), connection.begin():
        before = await connection.run_sync(change)
        if database.is_sqlite and (lost := (await connection.exec_driver_sql("PRAGMA foreign_key_check")).first()):
            raise RuntimeError(f"the migration would leave a row of {lost[0]} that refers to nothing")
    return before, after


@asynccontextmanager
async def _tables_may_be_rebuilt(connection: AsyncConnection) -> AsyncIterator[None]:
    """Alembic changes a table of SQLite's by copying and dropping it, which foreign keys would not let happen.

    The switch is deaf inside a transaction, so it is turned before and after. PostgreSQL alters tables in place.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = (await connection.get_raw_connection()).driver_connection
    await (await driver.execute("PRAGMA foreign_keys=OFF")).close()
    try:
        yield
    finally:
        await (await driver.execute("PRAGMA foreign_keys=ON")).close()
