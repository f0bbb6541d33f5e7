"""Approvals are handed on after a grace, at least once, and taken back aloud when that comes too late."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from handlers.attempts import LEASE, Attempt, next_attempt, settle
from handlers.handed_on import WAITS, Outcome, Reply, outcome_of
from handlers.incoming import Entrance, Reaction
from handlers.send_back import somebody_sends_back
from storage.records import Answer, Handing, Kind, Letter
from tests.fakes import a_stack
from tests.handlers.house import RAE, SAM, House, open_house, words_of

WEBHOOK = {"webhook_url": "https://rome.example/approved", "webhook_secret_env": "ROME_SECRET"}
OK, BUSY, GONE = Reply(status=204), Reply(status=503), Reply(status=410)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path, a_stack(WEBHOOK)) as opened:
        yield opened


@pytest.fixture
async def text(house: House) -> Answer:
    """A final text that Rae has approved."""
    text = await house.final()
    await house.reacts(RAE, text)
    return text


async def attempt(house: House) -> Attempt | None:
    return await next_attempt(storage=house.storage, slack=house.slack, stack=house.stack, now=house.now)


async def sends(house: House, reply: Reply = OK) -> dict[str, Any] | None:
    """One attempt, and what comes of it; returns what was sent."""
    made = await attempt(house)
    if made is None:
        return None
    await settle(made, reply, to="rome.example", storage=house.storage, now=house.now)
    sent: dict[str, Any] = json.loads(made.payload)
    return sent


async def handings(house: House, text: Answer) -> list[Handing]:
    async with house.storage.reading() as saved:
        return await saved.handings.of_answer(text.id)


async def notices(house: House, text: Answer) -> list[str]:
    return [words_of(one) for one in await house.said(text.work_id, Kind.NOTICE) if one.person is None]


def grace_is_over(house: House) -> None:
    house.now.goes_on(seconds=10)


# what is sent


async def test_an_approval_is_handed_on_once_after_the_grace(house: House, text: Answer) -> None:
    house.now.goes_on(seconds=9)
    assert await attempt(house) is None
    house.now.goes_on(seconds=1)
    sent = await sends(house)
    assert sent is not None
    entries = await house.ledger()
    approved = next(entry for entry in entries if entry.what == "approve")
    (verdict,) = await house.verdicts(text)
    work = await house.work(text.work_id)
    assert sent["type"] == "approval.granted"
    assert sent["data"] == {
        "work": text.work_id,
        "run": text.run_id,
        "answer": text.id,
        "team": work.team,
        "channel": work.channel,
        "thread_ts": work.thread_ts,
        "sha256": text.sha256,
        "ledger_head": approved.hash,
        "text": text.text,
        "verdicts": [
            {
                "who": RAE,
                "kind": "approve",
                "via": "reaction",
                "emoji": "white_check_mark",
                "at": verdict.at.isoformat(),
                "evidence": verdict.evidence,
            }
        ],
    }
    handed = json.loads(entries[-1].body)
    assert (entries[-1].what, entries[-1].who, entries[-1].answer_id) == ("handed_on", "countersign", text.id)
    assert handed["sha256"] == text.sha256
    assert handed["to"] == "rome.example"
    house.now.goes_on(days=9)
    assert await attempt(house) is None
    assert await notices(house, text) == []


async def test_a_stack_without_a_webhook_plans_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        text = await house.final()
        await house.reacts(RAE, text)
        assert await handings(house, text) == []


async def test_it_is_not_due_before_the_quorum(house: House) -> None:
    house.rules(quorum=2)
    text = await house.final()
    await house.reacts(RAE, text)
    house.now.goes_on(hours=1)
    assert await attempt(house) is None
    await house.reacts(SAM, text)
    grace_is_over(house)
    sent = await sends(house)
    assert sent is not None
    assert [verdict["who"] for verdict in sent["data"]["verdicts"]] == [RAE, SAM]


async def test_whatever_stands_in_a_text_it_goes_over_the_wire(house: House) -> None:
    house.models.scripts["careful"] = [
        "## Decision\nready\n\n## Final text\nŒuf \u2028 🥚 \"\\ ☃\n\n## Owner's notes\nnone"
    ]
    text = await house.final()
    await house.reacts(RAE, text)
    grace_is_over(house)
    made = await attempt(house)
    assert made is not None
    assert made.payload.isascii()
    assert json.loads(made.payload)["data"]["text"] == text.text


# taken back


async def test_taken_back_within_the_grace_it_is_never_handed_on_and_approved_again_it_is(
    house: House, text: Answer
) -> None:
    await house.unreacts(RAE, text)
    house.now.goes_on(hours=1)
    assert await attempt(house) is None
    assert await notices(house, text) == []
    await house.reacts(SAM, text)
    grace_is_over(house)
    sent = await sends(house)
    assert sent is not None
    assert [verdict["who"] for verdict in sent["data"]["verdicts"]] == [SAM]
    first, second = await handings(house, text)
    assert (first.attempts, second.attempts) == (0, 1)


async def test_sent_back_within_the_grace_it_is_never_handed_on(house: House, text: Answer) -> None:
    await house.reacts(SAM, text, "x")
    house.now.goes_on(hours=1)
    assert await attempt(house) is None


async def test_a_removal_that_came_in_but_was_not_judged_yet_holds_it_back(house: House, text: Answer) -> None:
    removal = house.reaction(RAE, "white_check_mark", await house.message_of(text), added=False)
    await house.keeps(
        Letter(key=removal.key, kind="reaction", line=removal.line, body=removal.to_json(), received_at=house.now())
    )
    grace_is_over(house)
    assert await attempt(house) is None
    await house.delivers(Reaction.from_json(removal.to_json()))
    house.now.goes_on(hours=1)
    assert await attempt(house) is None
    assert [one.attempts for one in await handings(house, text)] == [0]


async def test_a_send_back_in_words_that_was_not_judged_yet_holds_it_back_and_nothing_else_asked_there_does(
    house: House, text: Answer
) -> None:
    work = await house.work(text.work_id)
    said = house.words(SAM, "shorter, please", work)
    line = f"{said.team}/{said.channel}/{said.thread_ts}"
    await house.keeps(Letter(key=said.key, kind="request", line=line, body=said.to_json(), received_at=house.now()))
    grace_is_over(house)
    assert await attempt(house) is None
    assert [one.attempts for one in await handings(house, text)] == [0]
    await somebody_sends_back(said, storage=house.storage, slack=house.slack, stack=house.stack, now=house.now)
    house.now.goes_on(hours=1)
    assert await attempt(house) is None
    other = await house.final(brief="Announce the closed cage")
    await house.reacts(RAE, other)
    work = await house.work(other.work_id)
    asked = house.request("critique", thread_ts=work.thread_ts, entrance=Entrance.MENTION)
    line = f"{asked.team}/{asked.channel}/{asked.thread_ts}"
    await house.keeps(Letter(key=asked.key, kind="request", line=line, body=asked.to_json(), received_at=house.now()))
    grace_is_over(house)
    assert await attempt(house) is not None


@pytest.mark.parametrize("how", ["taken away", "sent back"])
async def test_taken_back_after_it_was_handed_on_the_thread_and_the_receiver_hear_it(
    house: House, text: Answer, how: str
) -> None:
    grace_is_over(house)
    await sends(house)
    handed = house.now()
    if how == "taken away":
        await house.unreacts(RAE, text)
    else:
        await house.reacts(SAM, text, "x")
    (told,) = await notices(house, text)
    assert told == (
        f"Text {text.sha256[:8]} had been handed on at {handed:%H:%M} UTC on 2026-11-03, before its approval was taken "
        "back. Its receiver is told; take it back there, too."
    )
    grant, withdrawal = await handings(house, text)
    sent = await sends(house)
    assert sent is not None
    assert sent["type"] == "approval.withdrawn"
    assert sent["data"]["approval"] == grant.id != withdrawal.id
    assert (sent["data"]["sha256"], sent["data"]["work"]) == (text.sha256, text.work_id)
    assert sent["data"]["state"] == ("withdrawn" if how == "taken away" else "changes_requested")
    (because,) = sent["data"]["verdicts"]
    assert (because["who"], because["kind"]) == ((RAE, "withdraw") if how == "taken away" else (SAM, "send_back"))
    assert "text" not in sent["data"]
    assert (await house.ledger())[-1].what == "withdrawal_handed_on"
    assert (await house.verdicts_said(text.work_id))[-1][0] == sent["data"]["state"]


async def test_taken_back_between_two_attempts_only_the_withdrawal_is_sent(house: House, text: Answer) -> None:
    grace_is_over(house)
    await sends(house, BUSY)
    await house.unreacts(RAE, text)
    (told,) = await notices(house, text)
    assert told.startswith(f"Handing on text {text.sha256[:8]} had begun at")
    house.now.goes_on(hours=1)
    sent = await sends(house)
    assert sent is not None
    assert sent["type"] == "approval.withdrawn"
    assert await sends(house) is None


async def test_taken_back_while_an_attempt_is_under_way_the_withdrawal_waits_for_its_end(
    house: House, text: Answer
) -> None:
    grace_is_over(house)
    under_way = await attempt(house)
    assert under_way is not None
    await house.unreacts(RAE, text)
    assert await attempt(house) is None
    await settle(under_way, OK, to="rome.example", storage=house.storage, now=house.now)
    sent = await sends(house)
    assert sent is not None
    assert sent["type"] == "approval.withdrawn"


async def test_approved_again_after_a_withdrawal_the_receiver_hears_all_three_in_order(
    house: House, text: Answer
) -> None:
    grace_is_over(house)
    heard = [await sends(house)]
    await house.unreacts(RAE, text)
    await house.reacts(SAM, text)
    house.now.goes_on(minutes=1)
    heard += [await sends(house), await sends(house), await sends(house)]
    assert [one["type"] if one else None for one in heard] == [
        "approval.granted",
        "approval.withdrawn",
        "approval.granted",
        None,
    ]
    assert len({one.id for one in await handings(house, text)}) == 3


async def test_an_approval_that_stops_counting_is_taken_back_at_the_receiver(house: House) -> None:
    house.rules(quorum=2)
    text = await house.final()
    await house.reacts(RAE, text)
    await house.reacts(SAM, text)
    grace_is_over(house)
    await sends(house)
    await house.unreacts(SAM, text)
    sent = await sends(house)
    assert sent is not None
    assert (sent["type"], sent["data"]["verdicts"][0]["who"]) == ("approval.withdrawn", SAM)


# a newer text


async def test_a_newer_final_within_the_grace_keeps_the_older_one_here(house: House, text: Answer) -> None:
    newer = await house.another_final(text)
    house.now.goes_on(hours=1)
    assert await attempt(house) is None
    await house.reacts(SAM, newer)
    grace_is_over(house)
    sent = await sends(house)
    assert sent is not None
    assert sent["data"]["answer"] == newer.id


async def test_a_newer_final_ends_the_attempts_for_the_older_one(house: House, text: Answer) -> None:
    grace_is_over(house)
    await sends(house, BUSY)
    await house.another_final(text)
    house.now.goes_on(hours=1)
    assert await attempt(house) is None
    assert await notices(house, text) == []


async def test_of_a_text_that_was_handed_on_the_approval_can_be_taken_back_though_there_is_a_newer_one(
    house: House, text: Answer
) -> None:
    grace_is_over(house)
    await sends(house)
    await house.another_final(text)
    await house.unreacts(RAE, text)
    sent = await sends(house)
    assert sent is not None
    assert (sent["type"], sent["data"]["state"]) == ("approval.withdrawn", "superseded")


# attempts


async def test_it_is_tried_again_with_the_same_bytes_and_less_and_less_often(house: House, text: Answer) -> None:
    grace_is_over(house)
    seen = []
    for wait in (*WAITS[:6], None):
        made = await attempt(house)
        assert made is not None
        seen.append((made.id, made.payload))
        await settle(made, OK if wait is None else BUSY, to="rome.example", storage=house.storage, now=house.now)
        if wait is not None:
            house.now.goes_on(seconds=wait.total_seconds() - 1)
            assert await attempt(house) is None
            await house.reacts(SAM, text)  # a second later, and of no consequence to what was fixed
    assert len(set(seen)) == 1
    assert (await handings(house, text))[0].handed_at == house.now()


async def test_a_receiver_that_is_gone_is_not_asked_again_and_the_thread_hears_it(house: House, text: Answer) -> None:
    grace_is_over(house)
    await sends(house, GONE)
    house.now.goes_on(days=1)
    assert await attempt(house) is None
    (told,) = await notices(house, text)
    assert told == (
        f"Text {text.sha256[:8]} was not handed on: its receiver says that it is gone for good (HTTP 410). It is not "
        "tried again; bring it there by hand."
    )


async def test_after_three_days_it_is_given_up_and_the_thread_hears_it_once(house: House, text: Answer) -> None:
    grace_is_over(house)
    began, tries = house.now(), 0
    while await sends(house, Reply(status=302)):
        tries += 1
        house.now.goes_on(hours=1)
    assert tries == len(WAITS) + 1
    (told,) = await notices(house, text)
    assert told.endswith(
        "its receiver did not accept it (the last time: HTTP 302, a redirect, which is not followed). It is not tried "
        "again; bring it there by hand."
    )
    (given_up,) = await handings(house, text)
    assert given_up.given_up_at is not None
    assert given_up.given_up_at - began > timedelta(days=3)


async def test_a_withdrawal_that_cannot_be_told_is_said_in_the_thread(house: House, text: Answer) -> None:
    grace_is_over(house)
    await sends(house)
    await house.unreacts(RAE, text)
    await sends(house, GONE)
    assert (await notices(house, text))[-1].startswith(
        f"That the approval of text {text.sha256[:8]} was taken back could not be told: its receiver says"
    )


async def test_an_attempt_that_nobody_ends_is_made_again_by_the_next(house: House, text: Answer) -> None:
    grace_is_over(house)
    lost = await attempt(house)
    assert lost is not None
    house.now.goes_on(seconds=LEASE.total_seconds() - 1)
    assert await attempt(house) is None
    house.now.goes_on(seconds=1)
    again = await attempt(house)
    assert again is not None
    assert (again.id, again.payload, again.number) == (lost.id, lost.payload, 2)
    await settle(lost, BUSY, to="rome.example", storage=house.storage, now=house.now)
    house.now.goes_on(seconds=40)
    assert await attempt(house) is None  # a late failure does not free what somebody else holds
    for _ in range(2):
        await settle(lost, OK, to="rome.example", storage=house.storage, now=house.now)
    await settle(again, GONE, to="rome.example", storage=house.storage, now=house.now)
    assert await notices(house, text) == []  # it has arrived, whoever says what
    house.now.goes_on(days=1)
    assert await attempt(house) is None
    assert [entry.what for entry in await house.ledger()].count("handed_on") == 1


@pytest.mark.parametrize(
    ("reply", "number", "outcome"),
    [
        (Reply(status=200), 1, Outcome.ACCEPTED),
        (Reply(status=299), 99, Outcome.ACCEPTED),
        (Reply(status=199), 1, Outcome.AGAIN),
        (Reply(status=301), 1, Outcome.AGAIN),
        (Reply(status=400), 1, Outcome.AGAIN),
        (Reply(status=410), 1, Outcome.GONE),
        (Reply(status=500), len(WAITS), Outcome.AGAIN),
        (Reply(status=500), len(WAITS) + 1, Outcome.GIVEN_UP),
        (Reply(problem="no answer within 20 s"), 1, Outcome.AGAIN),
    ],
)
def test_what_an_answer_means(reply: Reply, number: int, outcome: Outcome) -> None:
    assert outcome_of(reply, number) is outcome


# looked at once more


async def leaves(house: House, _: Answer) -> None:
    house.slack.knows(RAE, is_deactivated=True)


async def is_no_reviewer_any_more(house: House, _: Answer) -> None:
    house.rules(reviewers=(SAM,))


async def is_edited(house: House, text: Answer) -> None:
    part = await house.message_of(text)
    house.slack.tampers(part.channel, str(part.ts), edited=True)


async def is_deleted(house: House, text: Answer) -> None:
    part = await house.message_of(text)
    del house.slack.posted[part.channel, str(part.ts)]


async def is_changed_where_it_is_kept(house: House, text: Answer) -> None:
    async with house.storage.transaction() as saved:
        await saved.connection.exec_driver_sql("UPDATE answers SET text = 'The cage burns.' WHERE id = ?", (text.id,))


MEANWHILE = [
    (leaves, "The account is deactivated, or a bot's."),
    (is_no_reviewer_any_more, "No longer among the reviewers."),
    (is_edited, "Text {text} does not stand in the thread as it was posted, so it cannot be approved."),
    (is_deleted, "A part of text {text} is no longer in the thread, so it cannot be approved."),
    (is_changed_where_it_is_kept, "What is kept of text {text} is not what was made"),
]


@pytest.mark.parametrize(("happens", "why"), MEANWHILE, ids=[one.__name__ for one, _ in MEANWHILE])
async def test_what_happened_in_the_grace_takes_the_approval_away(
    house: House, text: Answer, happens: Any, why: str
) -> None:
    await happens(house, text)
    house.now.goes_on(seconds=60)
    assert await attempt(house) is None
    assert await house.state(text) == "withdrawn"
    state, words = (await house.verdicts_said(text.work_id))[-1]
    assert state == "withdrawn"
    assert words.startswith(f"The approval by @{RAE} does not count any more. " + why.format(text=text.sha256[:8]))
    assert words.endswith("Waiting for a reviewer again.")
    assert await notices(house, text) == [], "said once"
    entry = (await house.ledger())[-1]
    assert (entry.what, entry.who, json.loads(entry.body)["via"]) == ("withdraw", RAE, "lapsed")
    house.now.goes_on(days=1)
    assert await attempt(house) is None
    assert [(one.attempts, one.withdrawn_at is None) for one in await handings(house, text)] == [(0, False)]


async def test_an_approval_that_lapsed_beside_others_that_are_enough_goes_out_without_it(
    house: House, text: Answer
) -> None:
    await house.reacts(SAM, text)
    await leaves(house, text)
    grace_is_over(house)
    sent = await sends(house)
    assert sent is not None
    assert [verdict["who"] for verdict in sent["data"]["verdicts"]] == [SAM]
    (told,) = await notices(house, text)
    assert told == f"The approval by @{RAE} does not count any more. The account is deactivated, or a bot's."
    assert await house.state(text) == "approved"


@pytest.mark.parametrize("silent", [RAE, "messages"])
async def test_while_slack_does_not_say_it_is_not_yet_handed_on_and_the_thread_hears_why_once(
    house: House, text: Answer, silent: str
) -> None:
    house.slack.silent_about = {silent}
    grace_is_over(house)
    assert await attempt(house) is None
    assert await notices(house, text) == []
    for _ in range(6):
        house.now.goes_on(seconds=15)
        assert await attempt(house) is None
    (told,) = await notices(house, text)
    assert told == (
        f"Text {text.sha256[:8]} is not handed on yet: Slack does not tell me at present whether its approval still "
        "stands. I go on asking, and nothing is lost."
    )
    house.slack.silent_about = set()
    house.now.goes_on(seconds=15)
    assert await sends(house) is not None
    assert len(await notices(house, text)) == 1


async def test_an_approval_that_waits_for_slack_keeps_no_other_waiting(house: House, text: Answer) -> None:
    other = await house.final(brief="Announce the closed cage")
    await house.reacts(SAM, other)
    house.slack.silent_about = {RAE}
    grace_is_over(house)
    sent = await sends(house)
    assert sent is not None
    assert sent["data"]["answer"] == other.id
    assert [one.attempts for one in await handings(house, text)] == [0]


async def test_a_verdict_given_between_the_look_and_the_attempt_is_looked_at_too(
    house: House, text: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, slack = house.slack.messages, house.slack

    async def while_sam_sends_it_back(channel: str, thread_ts: str, wanted: Any) -> Any:
        monkeypatch.setattr(slack, "messages", asked)
        await house.reacts(SAM, text, "x")
        return await asked(channel, thread_ts, wanted)

    monkeypatch.setattr(slack, "messages", while_sam_sends_it_back)
    grace_is_over(house)
    assert await attempt(house) is None
    assert await house.state(text) == "changes_requested"
    assert [one.attempts for one in await handings(house, text)] == [0]


@pytest.mark.parametrize("what", ["payload = replace(payload, 'cage', 'bank')", "payload = '{\"data\": {}}'"])
async def test_a_payload_that_was_changed_between_two_attempts_is_not_sent(
    house: House, text: Answer, what: str
) -> None:
    grace_is_over(house)
    await sends(house, BUSY)
    async with house.storage.transaction() as saved:
        await saved.connection.exec_driver_sql(f"UPDATE handings SET {what}")
    house.now.goes_on(hours=1)
    assert await attempt(house) is None
    assert "what is kept of it is not what was approved" in (await notices(house, text))[-1]
    house.now.goes_on(days=1)
    assert await attempt(house) is None
