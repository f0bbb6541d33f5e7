"""Another stack shows on the cards of reviews that are not over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from handlers.redraw import redraw_cards
from handlers.waiting import look_at_what_waits
from storage.records import Answer, Kind
from tests.handlers.house import RAE, SAM, House, words_of


async def redraws(house: House) -> int:
    return await redraw_cards(storage=house.storage, stack=house.stack, now=house.now)


def with_rules(house: House, **rules: Any) -> None:
    review = house.stack.review.model_copy(update=rules)
    house.stack = house.stack.model_copy(update={"review": review})


async def card(house: House, answer: Answer) -> str:
    return words_of(await house.message_of(answer, Kind.REVIEW))


async def test_who_may_decide_now_and_how_many_must_stands_on_the_card(house: House) -> None:
    answer = await house.final()
    assert "2 of them must agree" not in await card(house, answer)
    with_rules(house, reviewers=(SAM, "U0NEW"), quorum=2)
    assert await redraws(house) == 1
    shown = await card(house, answer)
    assert "@U0NEW" in shown
    assert f"@{RAE}" not in shown
    assert "2 of them must agree" in shown


async def test_the_same_stack_edits_nothing(house: House) -> None:
    answer = await house.final()
    before = await house.message_of(answer, Kind.REVIEW)
    assert await redraws(house) == 0
    with_rules(house, quorum=2)
    assert [await redraws(house), await redraws(house)] == [1, 0]
    assert (await house.message_of(answer, Kind.REVIEW)).revision == before.revision + 1


async def test_an_approval_stays_one_whatever_quorum_is_wanted_later(house: House) -> None:
    answer = await house.final()
    await house.reacts(RAE, answer)
    with_rules(house, quorum=2)
    await redraws(house)
    assert (await card(house, answer)).startswith("Approved by ")


async def test_what_is_over_stays_as_it_was(house: House) -> None:
    older = await house.final()
    await house.another_final(older)
    house.now.goes_on(days=1)
    await look_at_what_waits(storage=house.storage, stack=house.stack, now=house.now)
    before = await house.message_of(older, Kind.REVIEW)
    with_rules(house, quorum=2)
    assert await redraws(house) == 1
    assert replace(await house.message_of(older, Kind.REVIEW), shown=before.shown) == before
