"""A process may die in the middle of a walk: no step is lost, and none is made twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bot.playground.scripted import Recorded, Reply, demo_answers
from tests.faults.process import PATIENCE, Host, host
from tests.postgres import Server
from tests.stories.workspace import stage_of

BRIEF = "Say that the Fantacoptère has landed"
PIPELINES = '\n[pipelines]\ncontent = ["draft", "critique", "final"]\n'
WALKED = [
    ("root", "draft", ""),
    ("card", "draft", "answered"),
    ("answer", "draft", ""),
    ("card", "critique", "answered"),
    ("answer", "critique", ""),
    ("card", "final", "answered"),
    ("answer", "final", ""),
    ("notes", "final", ""),
    ("review", "final", "awaiting"),
]
STEPS = "SELECT stage, state FROM runs ORDER BY seq"


async def walks(us: Host) -> None:
    with (us.folder / "stack.toml").open("a") as stack:
        stack.write(PIPELINES)


async def check(us: Host) -> None:
    await us.quiet()
    assert us.said_in(await us.root_of(BRIEF)) == WALKED
    steps = [(row["stage"], row["state"]) for row in await us.rows(STEPS)]
    assert steps == [("draft", "answered"), ("critique", "answered"), ("final", "answered")]
    assert [row["state"] for row in await us.rows("SELECT state FROM walks")] == ["done"]


@pytest.mark.parametrize("point", ["cp08:2", "cp10:1", "cp10:3", "cp18:1"])
async def test_killed_at_this_point_of_a_walk_nothing_is_lost_and_nothing_made_twice(
    point: str, tmp_path: Path
) -> None:
    async with host(tmp_path) as us:
        await walks(us)
        await us.start()
        us.doom(point)
        assert (await us.slack.as_person("ann").command("/draft", f"{BRIEF} run content")).ok
        await us.dies()
        us.doom()
        await us.start()
        await check(us)
        asked_twice = point.startswith(("cp08", "cp10"))
        assert len(us.models.requests) == 3 + asked_twice


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
async def test_told_to_stop_in_the_middle_of_a_walk_the_next_start_has_the_step_that_follows(
    where: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    server = request.getfixturevalue("postgres") if where == "postgresql" else None
    url = await asyncio.to_thread(server.fresh) if server else None
    other, asked = demo_answers(), list[str]()

    def answer(recorded: Recorded) -> Reply:
        said = other(recorded)
        assert isinstance(said, Reply)
        asked.append(stage_of(recorded.system))
        return replace(said, pace=1.0 if asked == ["draft", "critique"] else 0.0)

    async with host(tmp_path, answers=answer, database_url=url) as us:
        await walks(us)
        await us.start()
        assert (await us.slack.as_person("ann").command("/draft", f"{BRIEF} run content")).ok
        await us.slack.until(lambda: "critique" in asked, timeout=PATIENCE)
        await us.terminate()
        await us.start()
        await check(us)


async def test_of_two_workers_one_is_killed_in_the_middle_of_a_walk(tmp_path: Path, postgres: Server) -> None:
    url = await asyncio.to_thread(postgres.fresh)
    roles = {"web": "web", "worker1": "worker", "worker2": "worker"}
    more = {"PORT": "0", "TEST_HEARTBEAT": "0.4"}
    async with host(tmp_path, database_url=url, roles=roles, more=more) as us:
        await walks(us)
        await us.start()
        us.doom("cp10:1:one")
        assert (await us.slack.as_person("ann").command("/draft", f"{BRIEF} run content")).ok
        await us.dies()
        us.doom()
        await check(us)
