"""Kills at random moments under load: `python -m tests.faults.soak --kills 1000 --database sqlite --seed 7`.

People ask in several threads of several channels without a pause while processes are killed and begun again. At the
end nothing that was accepted is lost, nothing was said twice, and each thread had its runs one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

from bot.playground.server import Message
from tests.faults.doom import ANY
from tests.faults.process import PATIENCE, Host, host
from tests.postgres import server

CHANNELS = ("launch", "docs", "quiet")
STAGES = ("draft", "final", "draft")
"""None that needs another one's text: Slack may deliver the second mention before the first."""
THREADS = 6
RETRIES = (0.1, 0.2, 0.3, 0.5, *(1.0,) * 60)
"""Slack's patience: a busy restart must not use it up, for what it gives up is another test's business."""
_LONGEST = 1.0  # seconds that a process lives; each death draws its own
_SHARE_AT_WORK = 0.8  # of the processes live so long after they were connected, the others after they were begun
_SHARE_AT_POINTS = 0.5
_PASSES = 15  # of named points, after one of which it dies


@dataclass(kw_only=True)
class Tally:
    """What happened, for whoever reads the end of it."""

    seed: int
    kills: int = 0
    at_points: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    refused: int = 0
    threads: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    """Seconds of the longest stop, where they were told to."""

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.kills} kills ({sum(self.at_points.values())} of them at "
            f"{len(self.at_points)} named points) in {self.seconds:.0f} s; {self.accepted} requests accepted in "
            f"{self.threads} threads ({self.refused} were told that nobody answered); "
            "0 lost, 0 said twice, 0 out of order"
        )


class Thread:
    """Somebody who asks for one thing after the other in a thread, and opens another one after that."""

    def __init__(self, us: Host, tally: Tally, dice: random.Random, number: int) -> None:
        self._us, self._tally, self._dice, self._number = us, tally, dice, number
        self.asked: dict[str, list[str]] = {}

    async def go_on(self, ended: asyncio.Event) -> None:
        while not ended.is_set():
            root = await self._opens(ended)
            for stage in STAGES if root else ():
                if ended.is_set():
                    return
                assert root is not None
                await self._us.slack.as_person("ann").replies(root, f"<@UBOT> {stage}")
                self.asked[root.ts].append(stage)
                self._tally.accepted += 1
                if self._dice.random() < 1 / 2:
                    await self._outcomes(root, len(self.asked[root.ts]))
            if root:
                await self._outcomes(root, len(self.asked[root.ts]))

    async def _opens(self, ended: asyncio.Event) -> Message | None:
        """A slash command; said again while Slack tells that nobody answers."""
        while not ended.is_set():
            brief = f"Fantacoptère {self._number} of {self._tally.seed}, {secrets.token_hex(4)}"
            channel = self._dice.choice(CHANNELS)
            if (await self._us.slack.as_person("ann").command("/scout", brief, channel=channel)).ok:
                self._tally.accepted += 1
                self._tally.threads += 1
                (root,) = await self._us.slack.until(partial(self._roots, brief), timeout=4 * PATIENCE)
                self.asked[root.ts] = ["scout"]
                return root
            self._tally.refused += 1
            await asyncio.sleep(0.1)
        return None

    def _roots(self, brief: str) -> list[Message]:
        return [root for root in self._us.slack.by_bot("root") if brief in root.visible]

    async def _outcomes(self, root: Message, number: int) -> None:
        def are_there() -> bool:
            return sum(state == "answered" for _, _, state in self._us.said_in(root)) >= number

        await self._us.slack.until(are_there, timeout=4 * PATIENCE)


Death = Callable[[Host, Tally, random.Random], Awaitable[None]]
"""The end of one or more lives. All of them begin again before the next."""


async def killed(us: Host, tally: Tally, dice: random.Random) -> None:
    """A process drawn by lot: at a named point if it comes by in time, else at whatever moment it is."""
    name = dice.choice(sorted(us.roles))
    at_a_point = dice.random() < _SHARE_AT_POINTS
    us.doom(f"{ANY}:{dice.randint(1, _PASSES)}" if at_a_point else "")
    us.begin_missing()
    if dice.random() < _SHARE_AT_WORK:
        await us.slack.until(lambda: us.slack.connections or us.dead, timeout=PATIENCE)
    try:
        async with asyncio.timeout(_LONGEST if at_a_point else dice.random() * _LONGEST):
            tally.at_points[await us.dies()] += 1
    except TimeoutError:
        us.doom()
        with suppress(KeyError):
            await us.kill(name)


async def soak(
    folder: Path, tally: Tally, *, kills: int, workers: int, database_url: str | None = None, death: Death = killed
) -> None:
    """So many deaths under load; raises AssertionError where a promise was broken."""
    dice, began = random.Random(tally.seed), time.monotonic()
    roles = {"web": "web", **{f"worker{n}": "worker" for n in range(1, workers + 1)}} if workers else None
    more = {"TEST_HEARTBEAT": "1.0"}  # seconds: who takes over must be quicker than the next death
    async with host(folder, pace=0.1, database_url=database_url, roles=roles, retries=RETRIES, more=more) as us:
        us.slack.invite_bot("quiet")
        await us.start()
        ended = asyncio.Event()
        threads = [Thread(us, tally, dice, number) for number in range(THREADS)]
        async with asyncio.TaskGroup() as at_work:
            for thread in threads:
                at_work.create_task(thread.go_on(ended))
            for _ in range(kills):
                await death(us, tally, dice)
                tally.kills += 1
            us.doom()
            await us.start()
            ended.set()
        await us.quiet()
        tally.seconds = time.monotonic() - began
        for thread in threads:
            for ts, stages in thread.asked.items():
                whole(us, ts, stages)
        await in_order(us)


def whole(us: Host, ts: str, stages: list[str]) -> None:
    """Each stage that was asked for in a thread has one card and one answer, and nothing else has."""
    (root,) = [message for message in us.slack.by_bot("root") if message.ts == ts]
    said = us.said_in(root)
    cards = sorted(stage for kind, stage, state in said if (kind, state) == ("card", "answered"))
    answers = sorted(stage for kind, stage, _ in said if kind == "answer")
    reviews = len([kind for kind, _, _ in said if kind == "review"])
    assert (cards, answers, reviews) == (sorted(stages), sorted(stages), stages.count("final")), said


async def in_order(us: Host) -> None:
    """No run of a thread began before the one before it had ended."""
    found = await us.rows("SELECT work_id, started_at, ended_at FROM runs ORDER BY work_id, seq")
    for one, next_ in pairwise(found):
        if one["work_id"] == next_["work_id"]:
            assert one["ended_at"] <= next_["started_at"], (one, next_)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--workers", type=int, default=3, help="beside a web; PostgreSQL only")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    given = parser.parse_args()
    tally = Tally(seed=given.seed)
    print(f"seed {given.seed}", flush=True)
    with ExitStack() as scene:
        folder = Path(scene.enter_context(tempfile.TemporaryDirectory(prefix="countersign-soak-")))
        url = None
        if given.database == "postgresql":
            one = scene.enter_context(server(fsync="on", full_page_writes="on", synchronous_commit="on"))
            url = one.url(one.create())
        os.environ.setdefault("CI", "true")  # nothing is skipped
        asyncio.run(soak(folder, tally, kills=given.kills, workers=given.workers if url else 0, database_url=url))
    print(tally)
    return 0


if __name__ == "__main__":
    sys.exit(main())
