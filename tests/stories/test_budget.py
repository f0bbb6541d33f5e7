"""A limit on spending: it is hit, said in one sentence, raised once by a named person, and never passed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from bot.playground.scripted import Recorded, Reply
from handlers.audit import disagreements
from handlers.budget import DOLLAR
from tests.stories.test_buttons import labels
from tests.stories.workspace import Team, team

BRIEF = "Announce that the Marsupilami has laid an egg"
# quick: $1.50 for a million tokens written, so $0.03; the prompt adds a tenth of that
LIMIT = """
[stages.draft]
model = "quick"
max_output_tokens = 20_000

[budgets]
run_usd = 0.025
"""


async def spent(us: Team) -> float:
    (row,) = await us.rows("SELECT coalesce(sum(coalesce(spent, reserved)), 0) AS sum FROM spendings")
    return float(row["sum"]) / DOLLAR


async def raises(us: Team) -> list[tuple[str, dict[str, object]]]:
    rows = await us.rows("SELECT who, body FROM ledger WHERE what = 'raised' ORDER BY seq")
    return [(str(row["who"]), json.loads(row["body"])) for row in rows]


async def nothing_was_tampered_with(us: Team) -> None:
    async with us.bot.storage.reading() as saved:
        assert [sentence async for sentence in disagreements(saved)] == []


async def test_a_limit_is_hit_a_stranger_is_refused_a_named_person_raises_it_and_the_run_goes_on(
    tmp_path: Path,
) -> None:
    async with team(tmp_path, more=LIMIT) as us:
        root = await us.starts("draft", BRIEF)
        assert us.models.requests == []
        assert us.states(root) == [("draft", "failed")]
        told = us.card(root)
        assert told.startswith("draft · failed · quick was not asked: that may cost up to about $0.03")
        assert "and the limit for a run is $0.025." in told
        assert "Somebody may raise the limit once, below" in told
        notice = us.last(root, "notice")
        assert labels(notice) == ["Raise once"]
        assert notice.says("a run of this thread may cost $0.05 instead of $0.025")

        await us.clicks("raise", notice, person="stan")
        assert await us.told("stan", "Only somebody else may raise this limit. Ask <@U0RAE> or <@U0SAM>.")
        assert (us.models.requests, await raises(us)) == ([], [])

        await us.clicks("raise", notice, person="rae")
        assert us.states(root) == [("draft", "failed"), ("draft", "answered")]
        (by, body) = (await raises(us))[0]
        assert (by, body["limit"], body["usd"], body["asked_by"]) == ("U0RAE", "run", 0.025, "U0ANN")
        notice = us.last(root, "notice")
        assert labels(notice) == []
        assert notice.says("Raised once by <@U0RAE>")
        assert us.last(root, "answer")
        (row,) = await us.rows("SELECT asked_by FROM runs WHERE state = 'answered'")
        assert row["asked_by"] == "U0ANN"

        await us.asks(root, "raise", person="sam")
        assert us.last(root, "notice").says("A limit was raised in this thread already, and that is done once for each")
        assert len(await raises(us)) == 1
        assert 0 < await spent(us) < 0.05
        await nothing_was_tampered_with(us)


async def test_a_raise_that_nobody_made_is_found_out(tmp_path: Path) -> None:
    async with team(tmp_path, more=LIMIT) as us:
        root = await us.starts("draft", BRIEF)
        await us.clicks("raise", us.last(root, "notice"), person="rae")
        async with us.bot.storage.engine.begin() as connection:
            await connection.exec_driver_sql("UPDATE raises SET amount = amount * 10")
        async with us.bot.storage.reading() as saved:
            (sentence,) = [told async for told in disagreements(saved)]
        assert sentence.startswith("What was raised in work w")
        async with us.bot.storage.engine.begin() as connection:
            await connection.exec_driver_sql("UPDATE raises SET amount = amount / 10")


async def test_of_many_threads_at_once_no_more_are_paid_than_the_day_allows(tmp_path: Path) -> None:
    def lies(_: Recorded) -> Reply:
        return Reply(text="Half an answer", status=500)

    limit = LIMIT.replace("run_usd = 0.025", "day_usd = 0.10")  # three attempts at $0.03
    async with team(tmp_path, more=limit, answers=lies) as us:
        await asyncio.gather(*(us.commands("draft", f"{BRIEF} {nth}") for nth in range(6)))
        await us.quiet()
        assert len(us.models.requests) == 3
        assert 0.09 <= await spent(us) <= 0.10
        cards = [card.visible for card in us.said("card")]
        assert all("for a day (UTC)" in card for card in cards)
