from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.database import Database
from tests.fakes import open_database


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A migrated database of each kind."""
    if request.param == "sqlite":
        async with open_database(tmp_path, durable=False) as opened:
            yield opened
    else:
        url = await asyncio.to_thread(request.getfixturevalue("postgres").fresh)
        async with Database(url) as opened:
            yield opened


@pytest.fixture
async def durable(tmp_path: Path) -> AsyncIterator[Database]:
    """Opened as the bot opens it, to the last PRAGMA."""
    async with open_database(tmp_path, "durable.db") as opened:
        yield opened
