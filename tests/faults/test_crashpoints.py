"""Whatever moment a process dies at, once or twice, by a kill or a power loss: the thread is as if it had not."""

from __future__ import annotations

import asyncio
import os
import random
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from enum import Enum
from pathlib import Path

import pytest

from bot.playground.server import Message
from storage.crashpoints import POINTS
from tests.bot.sources.test_over_sockets import PLAIN, server
from tests.bot.sources.test_over_sockets import Server as Web
from tests.faults.doom import ANY
from tests.faults.nursery import ROOT
from tests.faults.power import Power
from tests.faults.process import PATIENCE, Host, host
from tests.postgres import NoPostgreSQL, Server
from tests.postgres import server as server_

CHECK = "white_check_mark"
FINAL = [
    ("root", "final", ""),
    ("card", "final", "answered"),
    ("answer", "final", ""),
    ("notes", "final", ""),
    ("review", "final", "withdrawn"),
    ("verdict", "final", "approved"),
    ("verdict", "final", "withdrawn"),
]
SCOUT = [("root", "scout", ""), ("card", "scout", "answered"), ("answer", "scout", "")]
PASSED_ONCE = {"cp04", "cp11", "cp18", "cp19", "cp24"}
"""What they follow is committed, so the recovery comes by other points only."""
OF_A_SCOUT = {"cp12", "cp13"}
CHECKPOINT = "cp29"
"""Lies inside SQLite's library, so that the process is ended by one of its system calls."""
AT = {"cp05": 2, "cp06": 2, "cp19": 3}
"""Which pass is the telling one, where the first is not."""
IMAGES = int(os.environ.get("IMAGES", "25"))


class Way(Enum):
    KILL = "killed"
    LOSS = "power lost"


def test_every_point_is_placed_once_and_listed() -> None:
    placed: Counter[str] = Counter()
    for package in ("bot", "handlers", "storage"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for call in re.findall(r"crashpoint\(([^)]*)\)", path.read_text()):
                placed.update(re.findall(r'"(cp\d\d)"', call))
    assert placed == Counter(list(POINTS))


class People:
    """Who asks for a final and approves it, and takes that back; patient with a bot that is not there."""

    def __init__(self, us: Host, stage: str) -> None:
        self._us, self._stage = us, stage
        self.accepted = ""
        self.refused: list[str] = []

    async def act(self) -> None:
        await self._ask()
        if self._stage == "scout":
            await self._until("card", "answered")
            return
        await self._until("review", "awaiting")
        (answer,) = [message for message in self.thread if message.kind == "answer"]
        await self._us.slack.as_person("rae").reacts(CHECK, answer)
        await self._until("verdict", "approved")
        await self._us.slack.as_person("rae").unreacts(CHECK, answer)
        await self._until("verdict", "withdrawn")

    async def _ask(self) -> None:
        """Once more, in other words, if Slack said that the app did not answer."""
        while True:
            await self._us.connected()
            brief = f"Say that the Fantacoptère has landed {len(self.refused)} times http://a.example/"
            answered = await self._us.slack.as_person("ann").command(f"/{self._stage}", brief)
            if answered.ok:
                self.accepted = brief
                return
            self.refused.append(brief)

    async def _until(self, kind: str, state: str) -> None:
        def is_there() -> bool:
            return any((m.kind, m.state) == (kind, state) for m in self.thread)

        await self._us.slack.until(is_there, timeout=PATIENCE)

    def roots(self, brief: str) -> list[Message]:
        words = brief.partition(" http")[0]
        return [root for root in self._us.slack.by_bot("root") if words in root.visible]

    @property
    def thread(self) -> list[Message]:
        roots = self.roots(self.accepted) if self.accepted else []
        return self._us.slack.thread(roots[0].channel, roots[0].ts) if roots else []


def check(us: Host, people: People) -> None:
    """What was accepted has one thread, and it is what an undisturbed one is; what was not has one at most."""
    (root,) = people.roots(people.accepted)
    assert us.said_in(root) == (SCOUT if people._stage == "scout" else FINAL)
    for brief in people.refused:
        assert len(people.roots(brief)) <= 1


def _on(folder: Path, web: Web, url: str | None = None, **more: str) -> AbstractAsyncContextManager[Host]:
    """A host with a web of its own."""
    return host(folder, database_url=url, more={"TEST_WEB_PORT": str(web.port), **more})


@pytest.mark.parametrize("stage", ["final", "scout"])
async def test_undisturbed_a_thread_is_what_it_is_compared_with(stage: str, tmp_path: Path) -> None:
    async with server(PLAIN) as web, _on(tmp_path, web) as us:
        await us.start()
        people = People(us, stage)
        await people.act()
        await us.quiet()
        check(us, people)
        assert us.begun == 1


@pytest.fixture(scope="module")
def durable() -> Iterator[Server]:
    """A PostgreSQL that waits for its disk, and may be stopped as if there were no more power."""
    try:
        with server_(fsync="on", full_page_writes="on", synchronous_commit="on") as running:
            yield running
    except NoPostgreSQL as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL can be started here: {problem}")


@pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
@pytest.mark.parametrize("way", Way, ids=lambda way: way.name.lower())
@pytest.mark.parametrize("point", POINTS)
async def test_on_postgresql_a_process_may_die_at_this_point(
    point: str,
    way: Way,
    again: bool,  # noqa: FBT001
    durable: Server,
    tmp_path: Path,
) -> None:
    url = durable.url(await asyncio.to_thread(durable.create))
    async with server(PLAIN) as web, _on(tmp_path, web, url, TEST_HEARTBEAT="0.4") as us:
        people = People(us, "scout" if point in OF_A_SCOUT else "final")
        acting = asyncio.create_task(people.act())
        for number in range(1 + again):
            us.doom(f"{ANY}:1" if number and point in PASSED_ONCE else f"{point}:{1 if number else AT.get(point, 1)}")
            us.begin("run")
            await us.dies()
            if way is Way.LOSS:
                await us.storage.close()
                await asyncio.to_thread(durable.stop, "immediate")
                await asyncio.to_thread(durable.start)
        us.doom()
        await us.start()
        await acting
        await us.quiet()
        check(us, people)
        assert us.begun == (3 if again else 2)


@pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
@pytest.mark.parametrize("way", Way, ids=lambda way: way.name.lower())
@pytest.mark.parametrize("point", [*POINTS, CHECKPOINT])
async def test_a_process_may_die_at_this_point(point: str, way: Way, again: bool, tmp_path: Path) -> None:  # noqa: FBT001
    seed = int(os.environ.get("SEED") or secrets.randbelow(10**6))
    print(f"SEED={seed}")
    more = {"TEST_CHECKPOINT_PAGES": "40"} if point == CHECKPOINT else {}
    async with server(PLAIN) as web, _on(tmp_path, web, **more) as us:
        people = People(us, "scout" if point in OF_A_SCOUT else "final")
        dice = random.Random(seed)
        power = Power(us, dice)
        acting = asyncio.create_task(people.act())
        us.doom(f"{point}:{AT.get(point, 1)}" if point in POINTS else "")
        await one_death(us, way, power, at=dice.randint(2, 20) if point == CHECKPOINT else None)
        if again:
            us.doom(f"any:{dice.randint(1, 3)}" if point in PASSED_ONCE else point if point in POINTS else "")
            await one_death(us, way, power, at=dice.randint(1, 10) if point == CHECKPOINT else None)
        us.doom()
        await us.start()
        await acting
        await us.quiet()
        check(us, people)
        assert us.begun == (3 if again else 2)


async def one_death(us: Host, way: Way, power: Power, *, at: int | None) -> None:
    """`at`: with that write of a checkpoint, instead of where the doom says."""
    if at is not None:
        await power.start_to_die_in_a_checkpoint(at)
    elif way is Way.LOSS:
        await power.start()
    else:
        us.begin("run")
    await us.dies()
    if way is Way.LOSS:
        await power.fails(images=IMAGES)
    elif at is not None:
        power.holds()
