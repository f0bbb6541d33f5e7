from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.database import Database
from tests.fakes import open_database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path, durable=False) as opened:
        yield opened


@pytest.fixture
async def durable(tmp_path: Path) -> AsyncIterator[Database]:
    """Opened as the bot opens it, to the last PRAGMA."""
    async with open_database(tmp_path, "durable.db") as opened:
        yield opened
