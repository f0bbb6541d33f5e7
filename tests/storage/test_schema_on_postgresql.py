"""The same migrations on PostgreSQL, and the courier's tables among them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib import import_module, resources
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from bot.settings import async_database_url
from storage.database import Database
from storage.schema import NewerSchema, migrate, newest
from storage.tables import metadata
from tests.postgres import Server
from tests.storage.records import keep, run, work
from tests.storage.test_schema import alembic

_COURIERS = "SELECT (SELECT count(*) FROM pg_proc WHERE proname LIKE 'procrastinate%')"
_COURIERS += " + (SELECT count(*) FROM pg_type WHERE typname LIKE '%procrastinate%')"


@pytest.fixture
async def empty(postgres: Server) -> AsyncIterator[Database]:
    name = await asyncio.to_thread(postgres.create)
    async with Database(async_database_url(postgres.url(name))) as opened:
        yield opened


async def test_processes_that_start_at_once_migrate_once(empty: Database) -> None:
    others = [Database(empty.url.render_as_string(hide_password=False)) for _ in range(3)]
    try:
        done = await asyncio.gather(*(migrate(one) for one in (empty, *others)))
    finally:
        await asyncio.gather(*(one.close() for one in others))
    assert sorted(str(before) for before, _ in done) == sorted(["None", *[newest()] * 3])


async def test_the_migrations_end_where_the_code_is(empty: Database) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        found = list(compare_metadata(context, metadata))
        return [one for one in found if "procrastinate" not in repr(one)]

    await migrate(empty)
    async with empty.engine.begin() as connection:
        assert await connection.run_sync(differences) == []


async def test_down_to_nothing_and_up_again(empty: Database) -> None:
    await migrate(empty)
    await keep(empty, work(), run())
    await alembic(empty, "downgrade", "base")
    async with empty.engine.begin() as connection:
        assert (await connection.execute(text(_COURIERS))).scalar() == 0
    assert await migrate(empty) == (None, newest())
    assert await keep(empty, work(), run()) == [True, True]


async def test_a_newer_schema_is_refused_and_left_alone(empty: Database) -> None:
    await migrate(empty)
    async with empty.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NewerSchema, match="newer Countersign"):
        await migrate(empty)


def test_the_courier_brings_no_migration_that_is_not_in_our_history() -> None:
    """When this fails, procrastinate was upgraded: add a revision that applies what is new, and name it here."""
    recorded = import_module("storage.migrations.versions.0003_the_couriers_tables").STEPS
    shipped = sorted(file.name for file in (resources.files("procrastinate.sql") / "migrations").iterdir())
    assert [name.removesuffix(".sql") for name in shipped if name.endswith(".sql")] == list(recorded)


async def test_what_is_committed_is_kept_however_the_server_is_set_up(empty: Database) -> None:
    async with empty.engine.begin() as connection:
        assert (await connection.execute(text("SHOW synchronous_commit"))).scalar() == "on"
