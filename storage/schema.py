"""Bringing a database to the newest schema, and refusing one that is newer than this program."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from storage.database import Database

_MIGRATIONS = Path(__file__).parent / "migrations"


class NewerSchema(Exception):  # noqa: N818  reads as a fact
    """The database was written by a newer Countersign than this one; start that one, or restore a backup."""


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


async def migrate(database: Database) -> tuple[str | None, str]:
    """Bring the schema to the newest revision; return the one it had (None: an empty database) and the one it has.

    Raises:
        NewerSchema: the database knows a revision that this program does not.
    """

    def upgrade(connection: Connection) -> str | None:
        before = MigrationContext.configure(connection).get_current_revision()
        known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
        if before is not None and before not in known:
            raise NewerSchema(NewerSchema.__doc__)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return before

    async with database.engine.begin() as connection:
        return await connection.run_sync(upgrade), newest()
