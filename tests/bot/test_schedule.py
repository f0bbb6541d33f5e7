"""The ticks: everybody is woken, and only what was handled long ago is forgotten."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot import schedule
from bot.metrics import Metrics
from bot.schedule import Ticks
from storage.database import Database
from storage.records import Letter
from storage.schema import migrate
from tests.fakes import until

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def test_only_letters_handled_long_ago_are_forgotten(tmp_path: Path) -> None:
    async with Database(f"sqlite+aiosqlite:///{tmp_path / 'inbox.db'}") as storage:
        await migrate(storage)
        async with storage.transaction() as saved:
            for key in ("ancient", "recent", "open"):
                await saved.inbox.put(Letter(key=key, kind="request", line=key, body={}, received_at=NOW))
            await saved.inbox.handled("ancient", at=NOW - timedelta(days=31), outcome="done")
            await saved.inbox.handled("recent", at=NOW - timedelta(days=29), outcome="done")
        await Ticks(storage, lambda: NOW).tidy()
        async with storage.reading() as saved:
            left = [key for key in ("ancient", "recent", "open") if await saved.inbox.get(key)]
    assert left == ["recent", "open"]


async def test_a_tick_wakes_everybody(tmp_path: Path) -> None:
    woken: list[str] = []
    async with Database(f"sqlite+aiosqlite:///{tmp_path / 'inbox.db'}") as storage:
        await Ticks(storage, lambda: NOW, lambda: woken.append("intake"), lambda: woken.append("queue")).wake()
    assert woken == ["intake", "queue"]


async def test_trouble_with_the_database_is_left_to_the_next_hour(tmp_path: Path) -> None:
    async with Database(f"sqlite+aiosqlite:///{tmp_path / 'nothing.db'}") as storage:
        await Ticks(storage, lambda: NOW).tidy()


async def test_each_tidying_is_counted_with_how_it_went(tmp_path: Path) -> None:
    metrics = Metrics()
    async with Database(f"sqlite+aiosqlite:///{tmp_path / 'inbox.db'}") as storage:
        ticks = Ticks(storage, lambda: NOW, metrics=metrics)
        await ticks.tidy()
        await migrate(storage)
        await ticks.tidy()

    def counted(outcome: str) -> float | None:
        labels = {"name": "tidy", "outcome": outcome}
        return metrics.registry.get_sample_value("countersign_sweeps_total", labels)

    assert (counted("failed"), counted("ok")) == (1, 1)


async def test_a_look_at_what_waits_is_counted_and_its_trouble_is_left_to_the_next_minute(tmp_path: Path) -> None:
    metrics, found = Metrics(), [3, None, 0]

    async def look() -> int:
        told = found.pop(0)
        if told is None:
            raise ConnectionError
        return told

    async with Database(f"sqlite+aiosqlite:///{tmp_path / 'inbox.db'}") as storage:
        ticks = Ticks(storage, lambda: NOW, look=look, metrics=metrics)
        for _ in range(3):
            await ticks.look()

    def counted(outcome: str) -> float | None:
        labels = {"name": "reviews", "outcome": outcome}
        return metrics.registry.get_sample_value("countersign_sweeps_total", labels)

    assert (counted("failed"), counted("ok")) == (1, 2)


async def test_ticks_go_on_when_the_clock_is_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "_GLANCE_SECONDS", 0.02)
    back = timedelta()
    woken: list[str] = []
    async with Database(f"sqlite+aiosqlite:///{tmp_path / 'inbox.db'}") as storage:
        await migrate(storage)
        ticks = Ticks(storage, lambda: NOW, lambda: woken.append("intake"), wall=lambda: datetime.now(UTC) - back)
        with ticks:
            for job in ticks._scheduler.get_jobs():
                job.modify(next_run_time=job.next_run_time + timedelta(hours=1))
            await asyncio.sleep(0.2)
            assert woken == []
            back = timedelta(hours=1)
            await until(lambda: ticks._scheduler.get_jobs()[0].next_run_time < datetime.now(UTC) + timedelta(minutes=1))
            back += timedelta(seconds=schedule._WAKE_SECONDS)
            await until(lambda: bool(woken))
    assert ticks._keeping_time.cancelling()
