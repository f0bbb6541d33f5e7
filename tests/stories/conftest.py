"""Every story is told twice: with a SQLite file, and on PostgreSQL."""

from __future__ import annotations

import pytest

from tests.stories import workspace


@pytest.fixture(autouse=True, params=["sqlite", "postgresql"])
def _database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "postgresql":
        monkeypatch.setattr(workspace, "POSTGRESQL", request.getfixturevalue("postgres"))
