"""Three in ten deliveries come again, all of them late and in any order, to whichever process: one outcome each."""

from __future__ import annotations

import asyncio
import random
import secrets
from pathlib import Path
from typing import Any

from bot.playground.delivery import Ack, Kind, Retry, Transport
from bot.playground.server import Message
from tests.faults.process import PATIENCE
from tests.faults.soak import CHANNELS, in_order
from tests.faults.test_several_processes import FINAL, hosts
from tests.postgres import Server

WORKS = 15
AGAIN = 0.3
MOST_COPIES = 5
LATEST = 0.6
"""Seconds: each copy comes at its own moment, so that later ones overtake earlier ones."""
DRAFT = [("card", "draft", "answered"), ("answer", "draft", "")]
CHECK = "white_check_mark"


class Jumble:
    """A way to the app on which deliveries wait for a while each, and some go out several times."""

    def __init__(self, inner: Transport, dice: random.Random) -> None:
        self._inner, self._dice = inner, dice
        self.carried = self.repeated = self.overtaken = 0
        self._last = 0

    async def attempt(self, kind: Kind, payload: dict[str, Any], retry: Retry) -> Ack:
        self.carried += 1
        number = self.carried
        is_again = self._dice.random() < AGAIN
        self.repeated += is_again
        copies = 1 + (self._dice.randint(1, MOST_COPIES) if is_again else 0)
        acks = await asyncio.gather(*(self._goes(number, kind, payload, retry) for _ in range(copies)))
        return next((ack for ack in acks if not ack.ok), acks[0])

    async def _goes(self, number: int, kind: Kind, payload: dict[str, Any], retry: Retry) -> Ack:
        await asyncio.sleep(LATEST * self._dice.random() if kind is Kind.EVENT else 0.0)
        self.overtaken += number < self._last
        self._last = max(self._last, number)
        return await self._inner.attempt(kind, payload, retry)


async def test_each_request_has_one_outcome(tmp_path: Path, postgres: Server) -> None:
    seed = secrets.randbelow(10**6)
    print(f"seed {seed}")
    async with hosts(tmp_path, postgres, "web1", "web2", "worker1", "worker2", "worker3") as us:
        await us.start()
        await us.slack.until(lambda: us.slack.connections == 2, timeout=PATIENCE)
        us.slack._delivery.transport = jumble = Jumble(us.slack._delivery.transport, random.Random(seed))
        us.slack.invite_bot("quiet")
        ann, rae = us.slack.as_person("ann"), us.slack.as_person("rae")

        async def one(number: int) -> Message:
            brief = f"Say what the Zorglmobile does, {number} of {seed}"
            assert (await ann.command("/final", brief, channel=CHANNELS[number % len(CHANNELS)])).ok
            roots = await us.slack.until(
                lambda: [root for root in us.slack.by_bot("root") if brief in root.visible], timeout=PATIENCE
            )
            root: Message = roots[0]
            await ann.replies(root, "<@UBOT> draft")
            await us.slack.until(lambda: len(us.said_in(root)) == len(FINAL + DRAFT), timeout=PATIENCE)
            return root

        roots = await asyncio.gather(*(one(number) for number in range(WORKS)))
        for number, root in enumerate(roots):
            answer = next(m for m in us.slack.thread(root.channel, root.ts) if m.kind == "answer")
            await rae.reacts(CHECK, answer)
            if number % 2:
                await rae.unreacts(CHECK, answer)
        await us.quiet()

        for number, root in enumerate(roots):
            said = us.said_in(root)
            verdicts = [state for kind, _, state in said if kind == "verdict"]
            (review,) = [state for kind, _, state in said if kind == "review"]
            rest = [one for one in said if one[0] not in {"verdict", "review"}]
            assert sorted(rest) == sorted([*FINAL[:-1], *DRAFT]), said
            if number % 2:  # a removal that comes first leaves nothing to be withdrawn
                assert verdicts in ([], ["withdrawn"], ["approved", "withdrawn"]), said
                assert review == ("withdrawn" if verdicts else "awaiting"), said
            else:
                assert (review, verdicts) == ("approved", ["approved"]), said
        assert len(us.models.requests) == 2 * WORKS
        await in_order(us)
    assert jumble.repeated > 0.15 * jumble.carried
    assert jumble.overtaken > 10
