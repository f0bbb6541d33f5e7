"""Kills at random moments under load: a hundred of one process, and of four; `make soak` has a thousand of each."""

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
    await shown(tmp_path, KILLS, workers=0)


@pytest.mark.timeout(900)
async def test_killed_again_and_again_on_postgresql_nothing_is_lost_and_nothing_said_twice(
    tmp_path: Path, postgres: Server
) -> None:
    await shown(tmp_path, KILLS, workers=3, database_url=postgres.url(postgres.create()))


async def shown(folder: Path, kills: int, *, workers: int, database_url: str | None = None) -> None:
    tally = Tally(seed=int(os.environ.get("SEED") or secrets.randbelow(10**6)))
    print(f"SEED={tally.seed}")
    await soak(folder, tally, kills=kills, workers=workers, database_url=database_url)
    assert tally.kills == kills
    print(tally)
