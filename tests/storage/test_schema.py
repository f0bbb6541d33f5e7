"""Migrations: from nothing to the newest, atomic, equal to what the code says, and never over a newer schema."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from storage import schema
from storage.database import Database
from storage.schema import NewerSchema, migrate, newest
from storage.tables import metadata
from tests.storage.records import answer, keep, message, review, run, work

NEXT = '''
"""Adds tails."""
import sqlalchemy as sa
from alembic import op

revision = "tails"
down_revision = "{newest}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("tails", sa.Column("id", sa.Integer, primary_key=True))
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("tail", sa.String(20)))
    op.execute("UPDATE works SET brief = 'half done'")
    {then}
    op.create_table("tufts", sa.Column("id", sa.Integer, primary_key=True))


def downgrade() -> None:
    op.drop_table("tufts")
    with op.batch_alter_table("runs") as runs:
        runs.drop_column("tail")
    op.drop_table("tails")
'''
NEWEST = newest()
DIES = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def url_of(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'champignac.db'}"


async def look(database: Database) -> tuple[str | None, set[str]]:
    """The revision and the tables there are."""

    def inside(connection: Connection) -> tuple[str | None, set[str]]:
        tables = set(inspect(connection).get_table_names())
        return MigrationContext.configure(connection).get_current_revision(), tables

    async with database.engine.begin() as connection:
        return await connection.run_sync(inside)


async def alembic(database: Database, do: str, *args: str) -> None:
    def inside(connection: Connection) -> None:
        config: Config = schema._config()
        config.attributes["connection"] = connection
        getattr(command, do)(config, *args)

    async with database.engine.begin() as connection:
        await connection.run_sync(inside)


def with_next(folder: Path, then: str = "pass") -> Path:
    """Our migrations and one more."""
    migrations = folder / "migrations"
    (migrations / "versions").mkdir(parents=True, exist_ok=True)
    for file in (schema._MIGRATIONS / "env.py", *(schema._MIGRATIONS / "versions").glob("*.py")):
        (migrations / file.relative_to(schema._MIGRATIONS)).write_text(file.read_text())
    (migrations / "versions" / "tails.py").write_text(NEXT.format(then=then, newest=NEWEST))
    return migrations


async def test_an_empty_database_gets_the_newest_schema_and_then_keeps_it(tmp_path: Path) -> None:
    async with Database(url_of(tmp_path)) as database:
        assert await migrate(database) == (None, newest())
        assert await migrate(database) == (newest(), newest())
        revision, tables = await look(database)
        assert revision == newest()
        assert tables == {*metadata.tables, "alembic_version"}


async def test_the_migrations_end_where_the_code_is(tmp_path: Path) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))

    async with Database(url_of(tmp_path)) as database:
        await migrate(database)
        async with database.engine.begin() as connection:
            assert await connection.run_sync(differences) == []


async def test_partial_indexes_are_really_partial(tmp_path: Path) -> None:
    async with Database(url_of(tmp_path)) as database:
        await migrate(database)
        async with database.reading() as saved:
            rows = await saved.connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'index'"))
            made = {row.name: row.sql or "" for row in rows}
    assert "handled_at IS NULL" in made["ix_inbox_open"]
    assert "state IN" in made["ix_runs_open"]
    assert "shown < revision AND given_up IS NULL" in made["ix_outbox_owed"]


async def test_down_to_nothing_and_up_again(tmp_path: Path) -> None:
    async with Database(url_of(tmp_path)) as database:
        await migrate(database)
        await alembic(database, "downgrade", "base")
        assert await look(database) == (None, {"alembic_version"})
        assert await migrate(database) == (None, newest())
        assert await keep(database, work(), run()) == [True, True]


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    async with Database(url_of(tmp_path)) as database:
        await migrate(database)
        async with database.engine.begin() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(NewerSchema, match="newer Countersign"):
            await migrate(database)
        assert (await look(database))[0] == "9999"


async def test_data_survives_a_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Database(url_of(tmp_path)) as database:
        await migrate(database)
        await keep(database, work(), run(), answer(), review(), message())
        monkeypatch.setattr(schema, "_MIGRATIONS", with_next(tmp_path))
        assert await migrate(database) == (NEWEST, "tails")
        async with database.reading() as saved:
            assert (await saved.runs.get("r-hop")) is not None
            assert len(await saved.answers.of_work("w-palombia")) == 1
        async with database.transaction() as saved:
            found = await saved.connection.execute(text("PRAGMA foreign_key_check"))
            assert found.all() == []
            assert (await saved.connection.execute(text("PRAGMA foreign_keys"))).scalar() == 1


async def test_a_migration_may_rebuild_a_table_that_others_refer_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild = "exec(\"with op.batch_alter_table('works', recreate='always') as w:\\n w.alter_column('brief')\")"
    async with Database(url_of(tmp_path)) as database:
        await migrate(database)
        await keep(database, work(), run(), answer(), review(), message())
        monkeypatch.setattr(schema, "_MIGRATIONS", with_next(tmp_path, rebuild))
        assert await migrate(database) == (NEWEST, "tails")
        async with database.reading() as saved:
            assert await saved.runs.get("r-hop") is not None
        with pytest.raises(Exception, match="FOREIGN KEY"):
            await keep(database, run("r-2", of="w-nowhere"))


async def test_a_migration_that_fails_leaves_the_old_schema_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Database(url_of(tmp_path)) as database:
        await migrate(database)
        await keep(database, work())
        before = await look(database)
        monkeypatch.setattr(schema, "_MIGRATIONS", with_next(tmp_path, "raise ZeroDivisionError"))
        with pytest.raises(ZeroDivisionError):
            await migrate(database)
        assert await look(database) == before
        assert await keep(database, run()) == [True]
        async with database.reading() as saved:
            assert await saved.works.get("w-palombia") == work()
        monkeypatch.setattr(schema, "_MIGRATIONS", with_next(tmp_path))
        assert await migrate(database) == (NEWEST, "tails")


async def test_a_process_killed_in_a_migration_leaves_the_old_schema_in_use(tmp_path: Path) -> None:
    async with Database(url_of(tmp_path)) as database:
        await migrate(database)
        await keep(database, work())
        before = await look(database)
    program = (
        "import asyncio\n"
        "from pathlib import Path\n"
        "from storage import schema\n"
        "from storage.database import Database\n"
        f"schema._MIGRATIONS = Path({str(with_next(tmp_path, DIES))!r})\n"
        f"asyncio.run(schema.migrate(Database({url_of(tmp_path)!r})))\n"
    )
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await killed.wait() == -9
    async with Database(url_of(tmp_path)) as database:
        assert await look(database) == before
        assert await keep(database, run()) == [True]
        async with database.reading() as saved:
            assert await saved.works.get("w-palombia") == work()
