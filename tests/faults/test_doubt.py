"""Whoever takes over from the dead looks before it speaks, whatever else was in line for the same thread."""

from __future__ import annotations

import asyncio

from storage.errands import Errand
from tests.bot.test_distributed import LANE, Attended, process, serving
from tests.postgres import Server


async def test_a_doubt_goes_before_what_was_in_line_already(postgres: Server) -> None:
    url = await asyncio.to_thread(postgres.fresh)
    async with process(url) as (storage, courier):
        async with storage.transaction() as saved:
            saved.errands[Errand(LANE, "marsupilami")] = None
        await courier._put([Errand(LANE, "marsupilami")], doubt=True)
        attended = Attended()
        attended.hold.set()
        async with serving(courier, attended):
            await attended.until(2)
    assert attended.came == [(LANE, "marsupilami", True), (LANE, "marsupilami", False)]
