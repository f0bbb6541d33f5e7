"""Reviews that wait: reminders, backup reviewers, and the end of their time."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from handlers.stack import ChannelPolicy
from handlers.waiting import look_at_what_waits
from storage.records import Answer, Kind
from tests.handlers.house import ANN, LAUNCH, RAE, SAM, STAN, TAO, House, words_of


async def looks(house: House) -> int:
    """A tick of one process, and of another one at the same time."""
    told = await look_at_what_waits(storage=house.storage, stack=house.stack, now=house.now)
    assert await look_at_what_waits(storage=house.storage, stack=house.stack, now=house.now) == 0
    await house.posts()
    return told


async def reminders(house: House, text: Answer) -> list[str]:
    notices = await house.said(text.work_id, Kind.NOTICE)
    return [words_of(one) for one in notices if "/reminder/" in one.slot]


async def hours_go_by(house: House, hours: float, *, step: float = 1.0) -> list[float]:
    """Hour after hour somebody looks. Returns after how many hours something was told."""
    told = []
    for number in range(1, round(hours / step) + 1):
        house.now.goes_on(hours=step)
        if await looks(house):
            told.append(number * step)
    return told


async def test_who_can_decide_is_reminded_once(house: House) -> None:
    text = await house.final()
    house.now.goes_on(hours=3, minutes=59)
    assert await looks(house) == 0
    house.now.goes_on(minutes=2)
    assert await looks(house) == 1
    (told,) = await reminders(house, text)
    assert told.splitlines() == [
        f"Text {text.sha256[:8]} has waited 4 h for a reviewer: @{RAE}, @{SAM}.",
        "On the text, ✅ approves it, ❌ sends it back.",
    ]


async def test_reminders_come_less_and_less_often_until_the_time_is_over(house: House) -> None:
    text = await house.final()
    told = await hours_go_by(house, 24 * 10)
    assert [later - earlier for earlier, later in pairwise(told)][:4] == [8, 16, 24, 24]
    assert (told[0], len(told)) == (4, 9)
    assert told[-1] == 24 * 7
    assert await house.state(text) == "expired"


async def test_an_end_without_a_decision_is_told_once_and_is_no_approval(house: House) -> None:
    text = await house.final()
    house.now.goes_on(days=8)
    assert await looks(house) == 1
    house.now.goes_on(days=8)
    assert await looks(house) == 0
    told = (
        f"Text {text.sha256[:8]} waited 7 days and nobody decided, so it has expired: it is not approved. "
        "`@Countersign final` makes a new version to approve."
    )
    assert await house.verdicts_said(text.work_id) == [("expired", told)]
    assert words_of(await house.message_of(text, Kind.REVIEW)).startswith("Expired without a decision")
    assert [entry.what for entry in await house.ledger()][-1] == "expired"
    await house.reacts(RAE, text)
    assert await house.state(text) == "expired"
    assert (await house.told(RAE, text.work_id))[-1].startswith("This review has expired.")


async def test_after_days_in_which_nobody_looked_one_reminder_is_enough(house: House) -> None:
    text = await house.final()
    house.now.goes_on(days=3)
    assert await looks(house) == 1
    assert len(await reminders(house, text)) == 1
    assert "has waited 3 days" in (await reminders(house, text))[0]


@pytest.mark.parametrize("emoji", ["white_check_mark", "x"])
async def test_nobody_is_reminded_of_what_is_decided(house: House, emoji: str) -> None:
    text = await house.final()
    await house.reacts(RAE, text, emoji)
    assert await hours_go_by(house, 24 * 9, step=6) == []
    assert await house.state(text) == ("approved" if emoji == "white_check_mark" else "changes_requested")


async def test_what_was_decided_and_is_open_again_is_reminded_of(house: House) -> None:
    text = await house.final()
    await house.reacts(RAE, text)
    assert await hours_go_by(house, 6) == []
    await house.unreacts(RAE, text)
    assert len(await hours_go_by(house, 6)) == 1
    assert len(await reminders(house, text)) == 1


async def test_only_the_newest_final_is_reminded_of(house: House) -> None:
    text = await house.final()
    house.now.goes_on(hours=1)
    newer = await house.another_final(text, note="shorter")
    await hours_go_by(house, 24 * 8, step=2)
    said = [one.slot for one in await house.said(text.work_id) if "/reminder/" in one.slot]
    assert said
    assert {slot.partition("/reminder/")[0] for slot in said} == {f"{text.work_id}/{newer.run_id}"}
    expired = [one.slot for one in await house.said(text.work_id, Kind.VERDICT) if one.slot.endswith("/expired")]
    assert expired == [f"{text.work_id}/{newer.run_id}/expired"]


async def test_who_has_approved_or_may_not_is_not_reminded(house: House) -> None:
    house.rules(quorum=2, reviewers=(RAE, SAM, TAO))
    text = await house.final(by=TAO)
    await house.reacts(RAE, text)
    house.now.goes_on(hours=5)
    assert await looks(house) == 1
    (told,) = await reminders(house, text)
    assert f"for a reviewer: @{SAM}." in told


async def test_backup_reviewers_may_decide_from_the_second_reminder_on(house: House) -> None:
    house.rules(backup_reviewers=(STAN,))
    text = await house.final()
    house.now.goes_on(hours=4)
    assert await looks(house) == 1
    await house.reacts(STAN, text)
    assert await house.state(text) == "awaiting"
    assert "Only a reviewer's reaction counts" in (await house.told(STAN, text.work_id))[0]
    await house.unreacts(STAN, text)
    house.now.goes_on(hours=8)
    assert await looks(house) == 1
    second = (await reminders(house, text))[1]
    assert f"@{RAE}, @{SAM}, @{STAN}." in second
    assert f"Nobody has decided yet, so from now on @{STAN} may decide, too." in second
    assert f"@{STAN}" in words_of(await house.message_of(text, Kind.REVIEW))
    entry = (await house.ledger())[-1]
    assert (entry.what, entry.answer_id) == ("escalated", text.id)
    assert STAN in entry.body
    await house.reacts(STAN, text)
    assert await house.state(text) == "approved"


async def test_an_author_among_the_backup_reviewers_still_may_not(house: House) -> None:
    house.rules(backup_reviewers=(ANN, STAN))
    text = await house.final(by=ANN)
    for hours in (4, 8):
        house.now.goes_on(hours=hours)
        await looks(house)
    await house.reacts(ANN, text)
    assert await house.state(text) == "awaiting"


async def test_a_channel_with_reviewers_of_its_own_has_no_backup(house: House) -> None:
    house.rules(backup_reviewers=(STAN,))
    channels = {LAUNCH: ChannelPolicy(reviewers=(SAM,))}
    house.stack = house.stack.model_copy(update={"channels": channels})
    text = await house.final()
    for hours in (4, 8):
        house.now.goes_on(hours=hours)
        assert await looks(house) == 1
    assert not any(f"@{STAN}" in said for said in await reminders(house, text))
    await house.reacts(STAN, text)
    assert await house.state(text) == "awaiting"


async def test_people_are_reminded_at_work_only(house: House) -> None:
    """A Tuesday, 14:32 UTC, which is 15:32 in Rome: four hours later everybody has gone home."""
    house.rules(business_hours="Mon-Fri 09:00-17:00", time_zone="Europe/Rome")
    text = await house.final()
    told = await hours_go_by(house, 24 * 6, step=0.5)
    when = [text.made_at + timedelta(hours=one) for one in told]
    assert [f"{one:%a %H}" for one in when] == ["Wed 08", "Thu 08", "Fri 08", "Mon 08"]
    assert await house.state(text) == "awaiting"


async def test_the_end_of_the_time_does_not_wait_for_business_hours(house: House) -> None:
    house.rules(business_hours="Mon-Fri 09:00-17:00", expire_after=timedelta(hours=12))
    text = await house.final()
    house.now.goes_on(hours=12, minutes=1)
    assert await looks(house) == 1
    assert [state for state, _ in await house.verdicts_said(text.work_id)] == ["expired"]
    assert await reminders(house, text) == []


async def test_without_a_time_to_remind_nobody_is_reminded_and_the_end_is_still_told(house: House) -> None:
    house.rules(remind_after=timedelta())
    text = await house.final()
    assert await hours_go_by(house, 24 * 8, step=3) == [24 * 7]
    assert await reminders(house, text) == []
    assert await house.state(text) == "expired"


async def test_an_end_that_comes_before_the_first_reminder_is_told_in_time(house: House) -> None:
    house.rules(expire_after=timedelta(hours=2))
    await house.final()
    assert await hours_go_by(house, 6, step=0.5) == [2.0]


async def test_rules_that_change_meanwhile_are_kept(house: House) -> None:
    """Reminders are turned off while one is due."""
    text = await house.final()
    house.rules(remind_after=timedelta())
    assert await hours_go_by(house, 24, step=1) == []
    house.rules(remind_after=timedelta(hours=1))
    assert await hours_go_by(house, 48, step=1) != []
    assert await house.state(text) == "awaiting"


async def test_many_reviews_are_due_at_once(house: House) -> None:
    texts = [await house.final(brief=f"Announce cage {number}") for number in range(5)]
    house.now.goes_on(hours=5)
    assert await looks(house) == 5
    assert [len(await reminders(house, text)) for text in texts] == [1] * 5
