"""Whoever dies while an approval is handed on: it arrives, under one id, and never by two at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.faults.process import PATIENCE, Host, host
from tests.faults.test_crashpoints import OF_HANDING_ON
from tests.postgres import Server
from tests.receiver import NAME, SECRET, Receiver, receiver
from tests.stories.workspace import REVIEWERS

CHECK = "white_check_mark"
BRIEF = "Say that the Fantacoptère has landed"
SEVERAL = {"web": "web", "worker1": "worker", "worker2": "worker"}


@asynccontextmanager
async def scene(
    folder: Path, url: str | None = None, roles: Mapping[str, str] | None = None, *, lease: float
) -> AsyncIterator[tuple[Host, Receiver]]:
    more = {NAME: SECRET, "TEST_GRACE": "0.5", "TEST_LEASE": str(lease), **({"PORT": "0"} if roles else {})}
    async with receiver() as rome, host(folder, database_url=url, roles=roles, more=more) as us:
        stack = folder / "stack.toml"
        stack.write_text(stack.read_text().replace(REVIEWERS, f"{REVIEWERS}\n{rome.review}"))
        yield us, rome


async def approve(us: Host, brief: str = BRIEF) -> None:
    assert (await us.slack.as_person("ann").command("/final", brief)).ok
    await us.quiet()
    root = await us.root_of(brief)
    text = next(one for one in us.slack.thread(root.channel, root.root_ts) if one.kind == "answer")
    await us.slack.as_person("rae").reacts(CHECK, text)


async def handed(us: Host, count: int = 1) -> None:
    async def is_so() -> bool:
        return len(await us.rows("SELECT id FROM handings WHERE handed_at IS NOT NULL")) == count

    await us.slack.until(is_so, timeout=PATIENCE)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize("point", OF_HANDING_ON)
async def test_killed_around_an_attempt_the_next_has_the_same_id_and_bytes(
    point: str, database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = None
    if database == "postgresql":
        url = await asyncio.to_thread(request.getfixturevalue("postgres").fresh)
    async with scene(tmp_path, url, lease=2) as (us, rome):
        await us.start()
        us.doom(f"{point}:1")
        await approve(us)
        assert await us.dies() == point
        came = 0 if point == "cp23" else 1
        assert len(rome.got) == came
        us.doom()
        await us.start()
        await handed(us)
        assert len(rome.got) == came + 1
        assert len(set(rome.got)) == 1
        ((row,),) = [await us.rows("SELECT attempts, begun_at FROM handings")]
        assert row["attempts"] == 2
        assert len(await us.rows("SELECT seq FROM ledger WHERE what = 'handed_on'")) == 1


async def test_of_two_workers_neither_attempts_what_the_other_holds(tmp_path: Path, postgres: Server) -> None:
    url = await asyncio.to_thread(postgres.fresh)
    async with scene(tmp_path, url, SEVERAL, lease=300) as (us, rome):
        rome.holds = asyncio.Event()
        await us.start()
        await approve(us)
        await us.slack.until(lambda: rome.got, timeout=PATIENCE)
        await approve(us, f"{BRIEF} twice")
        await us.slack.until(lambda: len(rome.got) > 1, timeout=PATIENCE)  # by the other, past what one holds
        assert len({one.data["work"] for one in rome.got}) == rome.most == 2
        assert [row["attempts"] for row in await us.rows("SELECT attempts FROM handings")] == [1, 1]
        rome.holds.set()
        await handed(us, 2)
        assert len(rome.got) == 2
