"""A hundred kills at random moments under load; `make soak` has a thousand on each database."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from tests.faults.soak import Tally, soak
from tests.postgres import Server

KILLS = int(os.environ.get("KILLS", "100"))


@pytest.mark.timeout(900)
async def test_killed_again_and_again_on_sqlite_nothing_is_lost_and_nothing_said_twice(tmp_path: Path) -> None:
    await shown(tmp_path, workers=0)


@pytest.mark.timeout(900)
async def test_killed_again_and_again_on_postgresql_nothing_is_lost_and_nothing_said_twice(
    tmp_path: Path, postgres: Server
) -> None:
    await shown(tmp_path, workers=3, database_url=postgres.url(postgres.create()))


async def shown(folder: Path, *, workers: int, database_url: str | None = None) -> None:
    tally = Tally(seed=int(os.environ.get("SEED") or secrets.randbelow(10**6)))
    print(f"SEED={tally.seed}")
    await soak(folder, tally, kills=KILLS, workers=workers, database_url=database_url)
    assert tally.kills == KILLS
    print(tally)
