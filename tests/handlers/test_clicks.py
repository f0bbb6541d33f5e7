"""Clicks that are about something else than the card they stand on, and words that wait for Slack."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handlers.errors import Refusal
from handlers.incoming import Wish
from handlers.review import UNKNOWN_TEXT, tell_who_waits
from storage.records import Answer, Kind
from tests.handlers.house import RAE, House

CHECK = "white_check_mark"


@pytest.fixture
async def text(house: House) -> Answer:
    return await house.final()


async def handled(house: House, key: str) -> tuple[str | None, bool]:
    """A letter's outcome, and whether it was handled at this very moment."""
    async with house.storage.reading() as saved:
        letter = await saved.inbox.get(key)
        row = await saved.connection.exec_driver_sql("SELECT handled_at FROM inbox WHERE key = ?", (key,))
        at = row.scalar()
    assert letter is not None
    return letter.outcome, str(at)[:19] == f"{house.now():%Y-%m-%d %H:%M:%S}"


async def test_a_button_of_another_text_changes_nothing_and_says_so_to_whoever_pressed(
    house: House, text: Answer
) -> None:
    click = await house.clicks(RAE, text, Wish.APPROVE, sha256="0" * 64)
    assert await handled(house, click.key) == ("another text", True)
    assert await house.state(text) == "awaiting"
    (told,) = await house.told(RAE, text.work_id)
    assert told == (
        f"This button was made for another text than {text.sha256[:8]}, so your click changed nothing. "
        "`@Countersign final` makes a new version to approve."
    )
    await house.delivers(click)
    assert len(await house.told(RAE, text.work_id)) == 1


async def test_a_button_that_names_another_answer_than_its_card_is_refused_in_words(house: House, text: Answer) -> None:
    with pytest.raises(Refusal) as refused:
        await house.clicks(RAE, text, Wish.APPROVE, answer_id="a-of-another-card", sha256="0" * 64)
    assert refused.value.sentence == UNKNOWN_TEXT
    assert await house.state(text) == "awaiting"


async def test_a_button_on_a_message_that_is_no_card_is_refused_in_words(house: House, text: Answer) -> None:
    root = next(one for one in await house.said(text.work_id) if one.kind is Kind.ROOT)
    with pytest.raises(Refusal) as refused:
        await house.delivers(house.click(RAE, Wish.APPROVE, text, root))
    assert refused.value.sentence == UNKNOWN_TEXT


async def test_a_word_that_counts_for_nothing_is_handled_at_that_moment(house: House, text: Answer) -> None:
    click = await house.clicks(RAE, text, Wish.WITHDRAW)
    assert await handled(house, click.key) == ("nothing to take away", True)


@pytest.mark.parametrize("by_click", [False, True])
async def test_who_waits_for_slack_is_told_once_that_nothing_is_lost(
    house: House, text: Answer, *, by_click: bool
) -> None:
    card = await house.message_of(text, Kind.REVIEW)
    word = house.click(RAE, Wish.APPROVE, text, card) if by_click else house.reaction(RAE, CHECK, card)
    for _ in range(2):
        await tell_who_waits(word, storage=house.storage, now=house.now)
    (told,) = await house.told(RAE, text.work_id)
    assert told == (
        f"Slack does not tell me at present who may decide about text {text.sha256[:8]}, or how it stands here, so "
        "what you did does not count yet. I go on asking: nothing is lost, and you need not do it again."
    )


async def test_who_waits_on_a_message_of_nobodys_is_told_nothing(house: House, text: Answer) -> None:
    card = await house.message_of(text, Kind.REVIEW)
    unknown = replace(house.click(RAE, Wish.APPROVE, text, card), message_ts="1.000001")
    await tell_who_waits(unknown, storage=house.storage, now=house.now)
    assert await house.told(RAE, text.work_id) == []
