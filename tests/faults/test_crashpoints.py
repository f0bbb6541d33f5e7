"""Whatever moment a process dies at, once or twice, by a kill or a power loss: the thread is as if it had not.

`make soak` has all of the matrix; the ordinary suite all of SQLite's, and the first kill at each point on PostgreSQL.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bot.playground.server import Message
from storage.crashpoints import POINTS
from tests.bot.sources.test_over_sockets import PLAIN, server
from tests.bot.sources.test_over_sockets import Server as Web
from tests.faults.doom import ANY
from tests.faults.nursery import ROOT
from tests.faults.power import Power
from tests.faults.process import PATIENCE, Host, host
from tests.postgres import Server, or_skipped
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
RESCUE = "cp30"
"""Passed only by who takes over from somebody who died before, so it has tests of its own."""
OF_HANDING_ON = ("cp23", "cp31")
"""Passed only where approvals are handed on: see test_handed_on.py."""
ALONE = tuple(point for point in POINTS if point not in {RESCUE, *OF_HANDING_ON})
OF_INTAKE = {"cp01", "cp02"}
ANYBODYS = "cp28"
"""Passed by whichever process comes first."""
PASSED_ONCE = {"cp04", "cp11", "cp18", "cp19", "cp24"}
"""What they follow is committed, so the recovery comes by other points only."""
OF_A_SCOUT = {"cp12", "cp13"}
CHECKPOINT = "cp29"
"""Lies inside SQLite's library, so that the process is ended by one of its system calls."""
AT = {"cp05": 2, "cp06": 2, "cp19": 3}
"""Which pass is the telling one, where the first is not."""
RETRIES = (0.1, 0.2, 0.3, 0.5, *(1.0,) * 60)
ACK_SECONDS = 1.5
"""Slack's patience, shortened: it is what most of a cell would wait for."""
HEARTBEAT = "0.4"
SEVERAL = {"web": "web", "worker1": "worker", "worker2": "worker"}
IN_LINE_ANEW = """
SELECT new.lock FROM procrastinate_jobs old JOIN procrastinate_jobs new ON new.lock = old.lock
WHERE old.status = 'doing' AND new.status = 'todo'
"""
IMAGES = int(os.environ.get("IMAGES", "25"))


class Way(Enum):
    KILL = "killed"
    LOSS = "power lost"


def cells(*points: str) -> list[Any]:
    """Each point x way x first or again, on PostgreSQL; what a change need not wait for is marked."""
    return [
        pytest.param(
            point,
            way,
            again,
            marks=[pytest.mark.soak] if again or way is Way.LOSS else [],
            id=f"{point}-{way.name.lower()}-{'again' if again else 'first'}",
        )
        for point, way, again in product(points, Way, (False, True))
    ]


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


def _on(
    folder: Path, web: Web, url: str | None = None, roles: Mapping[str, str] | None = None, **more: str
) -> AbstractAsyncContextManager[Host]:
    """A host with a web of its own."""
    told = {"TEST_WEB_PORT": str(web.port), **({"PORT": "0"} if roles else {}), **more}
    return host(folder, database_url=url, roles=roles, more=told, retries=RETRIES, ack_seconds=ACK_SECONDS)


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
    with or_skipped(), server_(fsync="on", full_page_writes="on", synchronous_commit="on") as running:
        yield running


@pytest.mark.parametrize(("point", "way", "again"), cells(*ALONE))
async def test_on_postgresql_a_process_may_die_at_this_point(
    point: str,
    way: Way,
    again: bool,  # noqa: FBT001
    durable: Server,
    tmp_path: Path,
) -> None:
    url = await _database(durable, point)
    async with server(PLAIN) as web, _on(tmp_path, web, url, TEST_HEARTBEAT=HEARTBEAT) as us:
        people = People(us, _stage(point))
        acting = asyncio.create_task(people.act())
        for number in range(1 + again):
            us.doom(f"{ANY}:1" if number and point in PASSED_ONCE else f"{point}:{1 if number else AT.get(point, 1)}")
            us.begin("run")
            await us.dies()
            if way is Way.LOSS:
                await _power_fails(us, durable)
        us.doom()
        await us.start()
        await acting
        await us.quiet()
        check(us, people)
        assert us.begun == (3 if again else 2)


@pytest.mark.parametrize(("point", "way", "again"), cells(*ALONE))
async def test_of_several_processes_one_may_die_at_this_point(
    point: str,
    way: Way,
    again: bool,  # noqa: FBT001
    durable: Server,
    tmp_path: Path,
) -> None:
    """The other worker takes over. A web comes again, and a second worker that died as its successor."""
    url = await _database(durable, point)
    async with server(PLAIN) as web, _on(tmp_path, web, url, SEVERAL, TEST_HEARTBEAT=HEARTBEAT) as us:
        people = People(us, _stage(point))
        acting = asyncio.create_task(people.act())
        us.doom(f"{point}:1:one")
        us.begin_missing()
        died = [await _one_dies(us)]
        if way is Way.LOSS:
            await _power_fails(us, durable)
            if point == ANYBODYS:  # the others have only just begun, and without a database nobody does
                await us.lose_power()
        if again:
            us.doom(f"{ANY}:1:one")
            _begin_again(us, died)
            died.append(await _one_dies(us))
            us.begin_missing()
        us.doom()
        _begin_again(us, died)
        await acting
        await us.quiet()
        check(us, people)
        whose = SEVERAL.values() if point == ANYBODYS else ["web" if point in OF_INTAKE else "worker"]
        assert us.roles[died[0]] in whose


async def _one_dies(us: Host) -> str:
    """Who did."""
    before = set(us.lives)
    await us.dies()
    (name,) = before - set(us.lives)
    return name


def _begin_again(us: Host, died: Sequence[str]) -> None:
    """A web that died; and everybody, if nobody lives."""
    if not us.lives:
        us.begin_missing()
    elif "web" in died and "web" not in us.lives:
        us.begin("web")


@pytest.mark.parametrize("way", [Way.KILL, pytest.param(Way.LOSS, marks=pytest.mark.soak)], ids=["kill", "loss"])
@pytest.mark.parametrize("deaths", [1, 2])
async def test_who_takes_over_may_die_of_it(deaths: int, way: Way, durable: Server, tmp_path: Path) -> None:
    """With the new job in line and the old one not ended: whoever comes next finds both, and asks the model once."""
    url = await _database(durable, RESCUE)
    roles = {"web": "web", **{f"worker{number}": "worker" for number in range(1, deaths + 3)}}
    async with server(PLAIN) as web, _on(tmp_path, web, url, roles, TEST_HEARTBEAT=HEARTBEAT) as us:
        people = People(us, "final")
        acting = asyncio.create_task(people.act())
        us.doom("cp08:1:one")
        us.begin("web")
        us.begin("worker1")
        assert await us.dies() == "cp08"
        for number in range(deaths):
            us.doom(f"{RESCUE}:1:one")
            us.begin(f"worker{number + 2}")
            assert await us.dies() == RESCUE
            if way is Way.LOSS:
                await _power_fails(us, durable)
            assert await us.rows(IN_LINE_ANEW)
        us.doom()
        us.begin(f"worker{deaths + 2}")
        await acting
        await us.quiet()
        check(us, people)
        assert len(us.models.requests) == 2
        async with asyncio.timeout(PATIENCE):
            while await us.rows("SELECT id FROM procrastinate_jobs"):  # noqa: ASYNC110  another process ends them
                await asyncio.sleep(0.05)


async def _database(durable: Server, point: str) -> str:
    """A database of its own, with the schema already unless that is what this is about."""
    if point == ANYBODYS:
        return durable.url(await asyncio.to_thread(durable.create))
    return (await asyncio.to_thread(durable.fresh)).replace("+psycopg", "")


async def _power_fails(us: Host, durable: Server) -> None:
    await us.storage.close()
    await asyncio.to_thread(durable.stop, "immediate")
    await asyncio.to_thread(durable.start)


def _stage(point: str) -> str:
    return "scout" if point in OF_A_SCOUT else "final"


@pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
@pytest.mark.parametrize("way", Way, ids=lambda way: way.name.lower())
@pytest.mark.parametrize("point", [*ALONE, CHECKPOINT])
async def test_a_process_may_die_at_this_point(point: str, way: Way, again: bool, tmp_path: Path) -> None:  # noqa: FBT001
    seed = int(os.environ.get("SEED") or secrets.randbelow(10**6))
    print(f"SEED={seed}")
    more = {"TEST_CHECKPOINT_PAGES": "40"} if point == CHECKPOINT else {}
    async with server(PLAIN) as web, _on(tmp_path, web, None, None, **more) as us:
        people = People(us, _stage(point))
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
