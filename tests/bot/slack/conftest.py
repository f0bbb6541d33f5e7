from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.database import Database
from tests.bot.slack.desk import Desk, open_desk
from tests.fakes import open_database


@pytest.fixture
async def desk(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    """A desk whose calls time out soon only where a test says so by its parameter `loss`."""
    parameters = getattr(request.node, "callspec", None)
    loss = parameters.params.get("loss", "") if parameters else ""
    async with open_desk(tmp_path / "outbox.db", seconds=0.4 if "time-out" in loss else 10) as opened:
        yield opened


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path, durable=False) as opened:
        yield opened
