from __future__ import annotations

import json
from typing import Any

from handlers.stack_noted import note_stack
from tests.fakes import a_model, a_stack
from tests.handlers.house import TEAM, House


async def noted(house: House) -> list[dict[str, Any]]:
    return [json.loads(entry.body) for entry in await house.ledger() if entry.what == "stack"]


async def test_a_stack_is_noted_once_and_another_one_with_what_it_changes(house: House) -> None:
    first = a_stack()
    swift = a_stack(models={"quick": a_model(id="quick-2"), "careful": a_model(id="careful-1", trust=5)})
    for stack in (first, first, swift, swift, first):
        await note_stack(stack, TEAM, storage=house.storage, now=house.now)
    told = await noted(house)
    assert [one["stack"] for one in told] == [first.digest, swift.digest, first.digest]
    assert [one["before"] for one in told] == [None, first.digest, swift.digest]
    stages = ("scout", "draft", "implement")
    assert told[0]["changed"] == []
    assert told[1]["changed"] == [f"{stage}: quick (quick-1) to quick (quick-2)" for stage in stages]
    assert told[1]["models"]["final"] == "careful (careful-1)"


async def test_each_workspace_has_its_own_note(house: House) -> None:
    for team in (TEAM, "T0SPIROU"):
        await note_stack(a_stack(), team, storage=house.storage, now=house.now)
    async with house.storage.reading() as saved:
        assert await saved.ledger.last_stack("T0SPIROU") == await saved.ledger.last_stack(TEAM)
        assert await saved.ledger.last_stack("T0NOBODY") is None
