"""Told to stop at any moment, a process ends within 20 seconds and well; nothing is lost, nothing said twice."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
from pathlib import Path

import pytest

from tests.faults.process import PATIENCE, Host
from tests.faults.soak import Tally, soak
from tests.postgres import Server

WITHIN = 20.0
SLOW = 15.0
"""Seconds for an answer that no stop waits for: its run is given back."""
_ONE_SLOW_IN = 20
_SHARE_EARLY = 0.2
_LONGEST = 1.0  # seconds that a process works before it is told
STOPS = [20, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(1_800)])]


async def told_to_stop(us: Host, tally: Tally, dice: random.Random) -> None:
    """All processes, or one drawn by lot; at work, or while they still start."""
    names = dice.choice([tuple(us.roles), (dice.choice(sorted(us.roles)),)])
    us.models.pace = SLOW if tally.kills % _ONE_SLOW_IN == _ONE_SLOW_IN // 2 else dice.random() / 4
    us.begin_missing()
    if dice.random() > _SHARE_EARLY:
        await us.slack.until(lambda: us.slack.connections, timeout=PATIENCE)
    await asyncio.sleep(dice.random() * _LONGEST)
    took = await us.terminate(*names)
    assert took < WITHIN, took
    tally.slowest = max(tally.slowest, took)
    us.models.pace = 0.1


@pytest.mark.timeout(900)
@pytest.mark.parametrize("stops", STOPS)
async def test_told_to_stop_at_any_moment_on_sqlite_it_does_and_loses_nothing(stops: int, tmp_path: Path) -> None:
    await shown(tmp_path, stops, workers=0)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("stops", STOPS)
async def test_told_to_stop_at_any_moment_on_postgresql_they_do_and_lose_nothing(
    stops: int, tmp_path: Path, postgres: Server
) -> None:
    await shown(tmp_path, stops, workers=2, database_url=postgres.url(postgres.create()))


async def shown(folder: Path, stops: int, *, workers: int, database_url: str | None = None) -> None:
    tally = Tally(seed=int(os.environ.get("SEED") or secrets.randbelow(10**6)))
    print(f"SEED={tally.seed}")
    await soak(folder, tally, kills=stops, workers=workers, database_url=database_url, death=told_to_stop)
    print(f"{stops} stops, the longest {tally.slowest:.1f} s; {tally.accepted} requests in {tally.threads} threads")
    assert tally.accepted > 0
