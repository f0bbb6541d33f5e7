"""An admin deleted a message of a review: the thread hears what that means, once, and nothing is approved by it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from handlers.attempts import next_attempt
from handlers.deletion import somebody_deleted
from handlers.incoming import Deletion
from handlers.ports import LookupFailed
from handlers.recheck import NotYet
from storage.records import Answer, Kind, Letter, Message
from tests.fakes import a_stack
from tests.handlers.house import LAUNCH, RAE, SAM, TEAM, House, open_house, words_of

WEBHOOK = {"webhook_url": "https://rome.example/approved", "webhook_secret_env": "ROME_SECRET"}
TWO_PARTS = "## Decision\nready\n\n## Final text\nThe cage\n---\nis open.\n\n## Owner's notes\nnone"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        opened.models.scripts["careful"] = [TWO_PARTS]
        yield opened


@pytest.fixture
async def text(house: House) -> Answer:
    text = await house.final()
    house.now.goes_on(minutes=1)
    return text


async def is_deleted(house: House, message: Message, *, is_told_only: bool = False) -> str:
    """Returns the letter's key."""
    ts = str(message.ts)
    if not is_told_only:
        del house.slack.posted[LAUNCH, ts]
    told = Deletion(key=f"deletion/{LAUNCH}/{ts}", team=TEAM, channel=LAUNCH, message_ts=ts, at=house.now())
    await house.keeps(
        Letter(key=told.key, kind="deletion", line=told.line, body=told.to_json(), received_at=house.now())
    )
    tools = {"storage": house.storage, "slack": house.slack, "stack": house.stack, "now": house.now}
    await somebody_deleted(Deletion.from_json(told.to_json()), **tools)  # type: ignore[arg-type]  # each is what it is
    return told.key


async def parts(house: House, text: Answer) -> list[Message]:
    return [one for one in await house.said(text.work_id, Kind.ANSWER) if one.answer_id == text.id]


async def notices(house: House, text: Answer) -> list[str]:
    return [words_of(one) for one in await house.said(text.work_id, Kind.NOTICE) if one.person is None]


async def test_while_a_text_waits_the_thread_hears_it_once_however_many_parts_go(house: House, text: Answer) -> None:
    first, second = await parts(house, text)
    await is_deleted(house, first)
    await is_deleted(house, second)
    assert await notices(house, text) == [
        (
            f"Somebody deleted a part of text {text.sha256[:8]} in this thread, so it cannot be approved as it is. "
            "A reviewer's ✅ on what is left has all of it posted again; `@Countersign final` makes a new version."
        )
    ]
    assert await house.state(text) == "awaiting"
    await house.reacts(RAE, text, to=Kind.REVIEW)
    again = (await house.answers(text.work_id))[-1]
    assert (again.sha256, await house.state(again), await house.state(text)) == (text.sha256, "awaiting", "superseded")


async def test_who_approved_it_before_does_so_no_more(house: House, text: Answer) -> None:
    house.rules(quorum=2)
    await house.reacts(RAE, text)
    await is_deleted(house, (await parts(house, text))[0])
    assert [(one.person, one.kind, one.via) for one in await house.verdicts(text)] == [
        (RAE, "approve", "reaction"),
        (RAE, "withdraw", "lapsed"),
    ]
    assert (await notices(house, text))[0].startswith(f"The approval by @{RAE} does not count any more. A part of text")


async def test_the_card_is_missed_as_long_as_somebody_could_decide(house: House, text: Answer) -> None:
    card = await house.message_of(text, Kind.REVIEW)
    await is_deleted(house, card)
    assert await notices(house, text) == [
        f"The review card of text {text.sha256[:8]} was deleted. On the text, ✅ approves it, ❌ sends it back."
    ]
    await house.reacts(RAE, text)
    assert await house.state(text) == "approved"


async def test_what_is_approved_stays_so_and_the_thread_hears_where_it_is(house: House, text: Answer) -> None:
    await house.reacts(RAE, text)
    await is_deleted(house, (await parts(house, text))[1])
    await is_deleted(house, await house.message_of(text, Kind.REVIEW))
    assert await house.state(text) == "approved"
    assert await notices(house, text) == [
        (
            f"Somebody deleted a part of text {text.sha256[:8]} in this thread. It stays approved: it is kept as it "
            "was, and Download brings it as a file."
        )
    ]


async def test_in_the_grace_the_approval_is_taken_away_and_nothing_is_handed_on(house: House, text: Answer) -> None:
    house.stack = a_stack(WEBHOOK)
    await house.reacts(RAE, text)
    await is_deleted(house, (await parts(house, text))[1])
    assert await house.state(text) == "withdrawn"
    state, words = (await house.verdicts_said(text.work_id))[-1]
    assert (state, words.startswith(f"The approval by @{RAE} does not count any more.")) == ("withdrawn", True)
    house.now.goes_on(days=1)
    tools = {"storage": house.storage, "slack": house.slack, "stack": house.stack, "now": house.now}
    assert await next_attempt(**tools) is None  # type: ignore[arg-type]  # each is what it is


async def test_after_it_was_handed_on_the_approval_stays(house: House, text: Answer) -> None:
    house.stack = a_stack(WEBHOOK)
    await house.reacts(RAE, text)
    house.now.goes_on(minutes=1)
    tools = {"storage": house.storage, "slack": house.slack, "stack": house.stack, "now": house.now}
    assert await next_attempt(**tools) is not None  # type: ignore[arg-type]  # each is what it is
    await is_deleted(house, (await parts(house, text))[1])
    assert await house.state(text) == "approved"


@pytest.mark.parametrize("state", ["changes_requested", "superseded", "expired"])
async def test_of_what_nobody_can_approve_nothing_is_said(house: House, text: Answer, state: str) -> None:
    if state == "changes_requested":
        await house.reacts(SAM, text, "x")
    elif state == "superseded":
        await house.another_final(text)
    else:
        house.now.goes_on(days=8)
    for message in [*await parts(house, text), await house.message_of(text, Kind.REVIEW)]:
        await is_deleted(house, message)
    assert (await notices(house, text), await house.state(text)) == ([], state)


async def test_what_still_stands_there_is_not_said_to_be_gone(house: House, text: Answer) -> None:
    key = await is_deleted(house, (await parts(house, text))[0], is_told_only=True)
    assert (await notices(house, text), await house.outcome(key)) == ([], "it is still there")


async def test_another_message_of_ours_is_nobodys_loss(house: House, text: Answer) -> None:
    for kind in (Kind.CARD, Kind.NOTES):
        (message,) = await house.said(text.work_id, kind)
        key = await is_deleted(house, message)
        assert (await notices(house, text), await house.outcome(key)) == ([], "not about a review")


async def test_while_slack_does_not_show_the_thread_the_deletion_waits(house: House, text: Answer) -> None:
    house.slack.silent_about = {"messages"}
    part = (await parts(house, text))[0]
    with pytest.raises(LookupFailed):
        await is_deleted(house, part)
    assert await notices(house, text) == []


async def test_a_message_that_slack_has_not_confirmed_is_asked_about_again(house: House, text: Answer) -> None:
    told = Deletion(key="deletion/1", team=TEAM, channel=LAUNCH, message_ts="1790000000.999999", at=house.now())
    with pytest.raises(NotYet):
        await somebody_deleted(told, storage=house.storage, slack=house.slack, stack=house.stack, now=house.now)
    assert await notices(house, text) == []
