"""Reactions at the gate: which become verdicts, what is said, and that their order of delivery does not matter."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from handlers.incoming import Reaction, Wish
from handlers.judge import Judgement
from handlers.ports import LookupFailed
from handlers.recheck import LAPSED
from handlers.repair import OVERTAKEN, SEEN_BEFORE
from handlers.review import NotYet, meaning
from handlers.stack import ReviewRules
from handlers.waiting import look_at_what_waits
from storage.ledger import first_fault
from storage.records import Answer, Kind, VerdictKind
from tests.fakes import a_stack
from tests.handlers.house import ANN, LAUNCH, RAE, SAM, STAN, TAO, House, open_house, words_of

CHECK, CROSS = "white_check_mark", "x"


@pytest.fixture
async def text(house: House) -> Answer:
    return await house.final()


# what an emoji means


@pytest.mark.parametrize(
    ("emoji", "means"),
    [
        ("white_check_mark", VerdictKind.APPROVE),
        ("heavy_check_mark", VerdictKind.APPROVE),
        ("heavy_check_mark::skin-tone-2", VerdictKind.APPROVE),
        (":white_check_mark:", VerdictKind.APPROVE),
        ("x", VerdictKind.SEND_BACK),
        ("leftwards_arrow_with_hook", VerdictKind.SEND_BACK),
        ("x::skin-tone-6", VerdictKind.SEND_BACK),
        ("ballot_box_with_check", None),
        ("white_check_mark2", None),
        ("White_Check_Mark", None),
        ("white_check_mark ", None),
        ("xx", None),
        ("Xx", None),
        ("+1", None),
        ("", None),
        ("::", None),
        ("::skin-tone-2", None),
        ("✅", None),
    ],
)
def test_only_the_stacks_own_names_mean_something(emoji: str, means: VerdictKind | None) -> None:
    assert meaning(emoji, ReviewRules()) is means


def test_the_operator_chooses_the_names() -> None:
    rules = ReviewRules(approve=("+1",), send_back=("-1",))
    assert meaning("+1::skin-tone-5", rules) is VerdictKind.APPROVE
    assert meaning("-1", rules) is VerdictKind.SEND_BACK
    assert meaning("white_check_mark", rules) is None


# approving


@pytest.mark.parametrize("on", [Kind.ANSWER, Kind.REVIEW])
async def test_a_reviewers_reaction_on_the_text_or_its_card_approves(house: House, text: Answer, on: Kind) -> None:
    await house.reacts(RAE, text, to=on)
    assert await house.state(text) == "approved"
    [(state, words)] = await house.verdicts_said(text.work_id)
    assert state == "approved"
    assert words.startswith(f"Approved by @{RAE}: text {text.sha256[:8]}, 14:32 UTC. Ledger ")


async def test_what_was_seen_by_looking_and_is_told_later_changes_nothing(house: House, text: Answer) -> None:
    """We looked, and there stood the last of three: a tick, taken away, given again. Then Slack tells the last two."""
    message = await house.message_of(text, Kind.ANSWER)
    first = house.now()
    seen = replace(house.reaction(RAE, CHECK, message, at=first, key="reaction/seen/1"), seen=True)
    away = house.reaction(RAE, CHECK, message, added=False)
    anew = house.reaction(RAE, CHECK, message)
    for word in (seen, anew, away):
        await house.delivers(word)
    assert await house.state(text) == "approved"
    assert [verdict.kind for verdict in await house.verdicts(text)] == [VerdictKind.APPROVE]
    async with house.storage.reading() as saved:
        told, overtaken = await saved.inbox.get(anew.key), await saved.inbox.get(away.key)
        handled = {letter.key: letter for letter in await saved.inbox.handled_in_line(anew.line)}
    assert told is not None
    assert overtaken is not None
    assert (told.outcome, overtaken.outcome) == (SEEN_BEFORE, OVERTAKEN)
    assert {anew.key, away.key} <= handled.keys()
    assert len(await house.verdicts_said(text.work_id)) == 1


async def test_an_approval_and_its_ledger_entry_are_one(house: House, text: Answer) -> None:
    await house.reacts(RAE, text)
    [verdict] = await house.verdicts(text)
    entry = (await house.ledger())[-1]
    assert (entry.seq, entry.who, entry.what, entry.answer_id) == (verdict.ledger_seq, RAE, "approve", text.id)
    assert json.loads(entry.body)["sha256"] == text.sha256
    assert json.loads(entry.body)["solo"] is False
    [(_, words)] = await house.verdicts_said(text.work_id)
    assert entry.hash[:12] in words
    assert first_fault(await house.ledger()) is None


async def test_a_reaction_delivered_again_changes_nothing(house: House, text: Answer) -> None:
    reaction = house.reaction(RAE, CHECK, await house.message_of(text))
    for _ in range(3):
        await house.delivers(reaction)
    assert len(await house.verdicts(text)) == 1
    assert len(await house.verdicts_said(text.work_id)) == 1
    assert [entry.what for entry in await house.ledger()] == ["answered", "review_opened", "approve"]


@pytest.mark.parametrize(
    ("who", "says"),
    [
        (ANN, f"You asked for this text or had a hand in it, so somebody else approves it: @{RAE} or @{SAM}."),
        (STAN, f"Only a reviewer's reaction counts here. Ask @{RAE} or @{SAM}."),
    ],
)
async def test_who_may_not_approve_hears_why_once_and_alone(house: House, text: Answer, who: str, says: str) -> None:
    for emoji in (CHECK, CHECK, CROSS):
        await house.reacts(who, text, emoji)
    assert await house.told(who, text.work_id) == [says]
    assert await house.state(text) == "awaiting"
    assert await house.verdicts(text) == []
    assert await house.verdicts_said(text.work_id) == []


async def test_bots_and_the_deactivated_hear_nothing(house: House, text: Answer) -> None:
    house.slack.knows("B0BOT", is_bot=True)
    house.slack.knows(RAE, is_deactivated=True)
    for who in ("B0BOT", RAE):
        await house.reacts(who, text)
        assert await house.told(who, text.work_id) == []
    assert await house.state(text) == "awaiting"


async def test_guests_and_externals_count_only_by_name(house: House, text: Answer) -> None:
    house.rules(reviewers=("S0DESK", SAM))
    house.slack.groups["S0DESK"] = frozenset({RAE, TAO, STAN})
    house.slack.knows(RAE, is_guest=True)
    house.slack.knows(TAO, is_external=True)
    house.slack.knows(SAM, is_guest=True)
    for who in (RAE, TAO):
        await house.reacts(who, text)
        [told] = await house.told(who, text.work_id)
        assert told.startswith("Guests and people from other organisations")
    assert await house.state(text) == "awaiting"
    await house.reacts(SAM, text)
    assert await house.state(text) == "approved"


async def test_a_member_of_a_reviewing_group_counts(house: House, text: Answer) -> None:
    house.rules(reviewers=("S0DESK",))
    house.slack.groups["S0DESK"] = frozenset({STAN})
    await house.reacts(RAE, text)
    assert await house.told(RAE, text.work_id) == ["Only a reviewer's reaction counts here. Ask one of them."]
    await house.reacts(STAN, text)
    assert await house.state(text) == "approved"
    assert (await house.verdicts(text))[0].evidence["in_group"] is True


async def test_a_channels_own_reviewers_replace_the_stacks(house: House) -> None:
    house.stack = a_stack(channels={"C0DOCS": {"reviewers": [TAO]}})
    text = await house.final(channel="C0DOCS")
    await house.reacts(RAE, text)
    assert await house.state(text) == "awaiting"
    await house.reacts(TAO, text)
    assert await house.state(text) == "approved"


async def test_reviewers_are_those_of_the_moment_of_the_reaction(house: House, text: Answer) -> None:
    house.rules(reviewers=(TAO,))
    await house.reacts(RAE, text)
    assert await house.state(text) == "awaiting"
    await house.reacts(TAO, text)
    assert await house.state(text) == "approved"


# never by default


@pytest.mark.parametrize("silent", ["person", "messages"])
async def test_while_slack_does_not_say_a_reaction_waits_and_never_counts(
    house: House, text: Answer, silent: str
) -> None:
    house.slack.silent_about = {silent}
    reaction = house.reaction(RAE, CHECK, await house.message_of(text))
    with pytest.raises(LookupFailed):
        await house.delivers(reaction)
    assert await house.state(text) == "awaiting"
    assert await house.outcome(reaction.key) is None
    house.slack.silent_about = set()
    await house.delivers(reaction)
    assert await house.state(text) == "approved"


async def test_a_group_that_cannot_be_looked_up_is_not_yet(house: House, text: Answer) -> None:
    house.rules(reviewers=("S0DESK",))
    with pytest.raises(LookupFailed):
        await house.reacts(RAE, text)
    assert await house.state(text) == "awaiting"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"edited": True}, "does not stand in the thread as it was posted"),
        ({"digest": "f" * 64}, "does not stand in the thread as it was posted"),
        (None, "is no longer in the thread"),
    ],
)
async def test_a_text_that_does_not_stand_as_posted_is_not_approved(
    house: House, text: Answer, changes: dict[str, object] | None, says: str
) -> None:
    part = await house.message_of(text)
    assert part.ts is not None
    house.now.goes_on(minutes=1)
    if changes is None:
        del house.slack.posted[LAUNCH, part.ts]
    else:
        house.slack.tampers(LAUNCH, part.ts, **changes)
    await house.reacts(RAE, text, to=Kind.REVIEW)
    assert await house.state(text) == "superseded"
    [told] = await house.told(RAE, text.work_id)
    assert says in told
    assert "It is posted again as final 2" in told


async def test_sending_a_text_back_needs_no_comparison(house: House, text: Answer) -> None:
    house.slack.tampers(LAUNCH, str((await house.message_of(text)).ts), edited=True)
    await house.reacts(SAM, text, CROSS)
    assert await house.state(text) == "changes_requested"


async def test_a_text_posted_just_now_may_not_be_shown_yet(house: House, text: Answer) -> None:
    part = await house.message_of(text)
    assert part.ts is not None
    there = house.slack.posted.pop((LAUNCH, part.ts))
    reaction = house.reaction(RAE, CHECK, part)
    with pytest.raises(LookupFailed):
        await house.delivers(reaction)
    assert await house.told(RAE, text.work_id) == []
    house.slack.shows(there)
    await house.delivers(reaction)
    assert await house.state(text) == "approved"


async def test_every_part_is_compared(house: House) -> None:
    house.models.scripts["careful"] = [
        "## Decision\nready\n\n## Final text\none\n---\ntwo\n---\nthree\n\n## Owner's notes\nnone"
    ]
    text = await house.final()
    parts = [one for one in await house.said(text.work_id, Kind.ANSWER) if one.ts]
    assert len(parts) == 3
    assert parts[1].ts is not None
    house.slack.tampers(LAUNCH, parts[1].ts, edited=True)
    await house.delivers(house.reaction(RAE, CHECK, parts[0]))
    assert await house.state(text) == "superseded"
    assert await house.verdicts(text) == []


async def test_a_part_still_on_its_way_is_not_yet(house: House) -> None:
    run = await house.asks("final", "Announce the open cage")
    await house.runs_all()
    text = await house.answer_of(run)
    card = await house.message_of(text, Kind.REVIEW)
    part = await house.message_of(text)
    async with house.storage.transaction() as saved:
        await saved.outbox.sent(part.slot, shown=0, ts=None, digest=None, at=house.now())
    with pytest.raises(LookupFailed):
        await house.delivers(house.reaction(RAE, CHECK, card))
    assert await house.state(text) == "awaiting"


async def test_a_part_slack_refused_counts_only_through_the_pieces_that_replaced_it(house: House, text: Answer) -> None:
    part, card = await house.message_of(text), await house.message_of(text, Kind.REVIEW)
    async with house.storage.transaction() as saved:
        await saved.outbox.sent(part.slot, shown=0, ts=None, digest=None, at=house.now())
        await saved.outbox.give_up(part.slot, "invalid_blocks")
    await house.delivers(house.reaction(RAE, CHECK, card))
    assert await house.state(text) == "awaiting"
    assert "Slack did not take all of text" in (await house.told(RAE, text.work_id))[0]

    values = {name: getattr(part, name) for name in part.__slots__}
    piece = type(part)(**{**values, "slot": f"{part.slot}/plain-1", "ts": None, "shown": 0, "seq": 0})
    async with house.storage.transaction() as saved:
        assert await saved.outbox.plan(piece)
    await house.posts()
    await house.delivers(house.reaction(SAM, CHECK, card))
    assert await house.state(text) == "approved"


async def test_a_text_of_which_slack_refused_one_part_cannot_be_approved(house: House) -> None:
    said = "## Decision\nready\n\n## Final text\none\n---\ntwo\n\n## Owner's notes\nnone"
    house.models.scripts["careful"] = [said]
    text = await house.final()
    first, second = await house.said(text.work_id, Kind.ANSWER)
    async with house.storage.transaction() as saved:
        await saved.outbox.sent(second.slot, shown=0, ts=None, digest=None, at=house.now())
        await saved.outbox.give_up(second.slot, "invalid_blocks")
    await house.delivers(house.reaction(RAE, CHECK, first))
    assert await house.state(text) == "awaiting"
    assert "Slack did not take all of text" in (await house.told(RAE, text.work_id))[0]


async def test_a_reaction_on_an_unknown_message_is_asked_about_again_later(house: House, text: Answer) -> None:
    elsewhere = Reaction(
        key="reaction/EvElse",
        team="T0PLAY",
        channel=LAUNCH,
        message_ts="1790000000.999999",
        person=RAE,
        emoji=CHECK,
        added=True,
        at=house.now(),
    )
    with pytest.raises(NotYet):
        await house.delivers(elsewhere)
    assert await house.outcome(elsewhere.key) is None


@pytest.mark.parametrize("kind", [Kind.ROOT, Kind.CARD])
async def test_a_reaction_on_another_message_of_ours_is_settled(house: House, text: Answer, kind: Kind) -> None:
    [message] = await house.said(text.work_id, kind)
    reaction = house.reaction(RAE, CHECK, message)
    await house.delivers(reaction)
    assert await house.outcome(reaction.key) == "not about a review"
    assert await house.state(text) == "awaiting"


async def test_a_reaction_on_an_answer_without_a_gate_is_settled(house: House) -> None:
    run = await house.asks("draft", "Announce the open cage")
    await house.runs_all()
    draft = await house.answer_of(run)
    reaction = house.reaction(RAE, CHECK, await house.message_of(draft))
    await house.delivers(reaction)
    assert await house.outcome(reaction.key) == "not about a review"


# sending back


async def test_one_send_back_stops_it_and_asks_for_the_reason(house: House, text: Answer) -> None:
    await house.reacts(SAM, text, CROSS)
    await house.reacts(RAE, text)
    assert await house.state(text) == "changes_requested"
    [(state, words)] = await house.verdicts_said(text.work_id)
    assert state == "changes_requested"
    assert words.startswith(f"Sent back by @{SAM}: text {text.sha256[:8]}. Reply here with the reason")
    async with house.storage.reading() as saved:
        review = await saved.reviews.get(text.id)
    assert review is not None
    assert review.reason_wanted_from == SAM


async def test_a_send_back_taken_away_wants_no_reason_any_more(house: House, text: Answer) -> None:
    await house.reacts(SAM, text, CROSS)
    await house.unreacts(SAM, text, CROSS)
    assert await house.state(text) == "awaiting"
    assert (await house.verdicts_said(text.work_id))[-1] == (
        "awaiting",
        f"@{SAM} withdrew the send-back. Waiting for a reviewer again.",
    )
    async with house.storage.reading() as saved:
        review = await saved.reviews.get(text.id)
    assert review is not None
    assert review.reason_wanted_from is None


async def test_the_reason_is_then_wanted_from_whoever_else_sent_it_back(house: House, text: Answer) -> None:
    await house.reacts(SAM, text, CROSS)
    await house.reacts(RAE, text, CROSS)
    await house.unreacts(SAM, text, CROSS)
    assert await house.state(text) == "changes_requested"
    async with house.storage.reading() as saved:
        review = await saved.reviews.get(text.id)
    assert review is not None
    assert review.reason_wanted_from == RAE


async def test_a_send_back_taken_away_lets_a_standing_approval_count_and_says_so(house: House, text: Answer) -> None:
    await house.reacts(SAM, text, CROSS)
    await house.reacts(RAE, text)
    await house.unreacts(SAM, text, CROSS)
    assert await house.state(text) == "approved"
    state, words = (await house.verdicts_said(text.work_id))[-1]
    assert state == "approved"
    assert words.startswith(f"@{SAM} withdrew the send-back. Approved by @{RAE}: text {text.sha256[:8]}, ")


async def test_a_send_back_taken_away_approves_nothing_that_changed_meanwhile(house: House, text: Answer) -> None:
    await house.reacts(SAM, text, CROSS)
    await house.reacts(RAE, text)
    part = await house.message_of(text)
    assert part.ts is not None
    house.slack.tampers(LAUNCH, part.ts, edited=True)
    await house.unreacts(SAM, text, CROSS)
    assert await house.state(text) != "approved"
    notice = (await house.said(text.work_id, Kind.NOTICE))[-1]
    assert "does not count any more" in json.dumps(notice.body)
    lapse = (await house.verdicts(text))[-1]
    assert (lapse.person, lapse.kind, lapse.via) == (RAE, VerdictKind.WITHDRAW, LAPSED)
    why = lapse.evidence["why"]
    assert why
    assert why in words_of(notice)


# taking away


async def test_taking_the_reaction_away_withdraws_and_it_can_be_given_again(house: House, text: Answer) -> None:
    await house.reacts(RAE, text)
    await house.unreacts(RAE, text)
    assert await house.state(text) == "withdrawn"
    await house.reacts(RAE, text)
    assert await house.state(text) == "approved"
    said = await house.verdicts_said(text.work_id)
    assert [state for state, _ in said] == ["approved", "withdrawn", "approved"]
    assert said[1][1] == f"@{RAE} withdrew the approval. Waiting for a reviewer again."


async def test_nobody_elses_removal_takes_a_verdict_away(house: House, text: Answer) -> None:
    await house.reacts(RAE, text)
    await house.unreacts(SAM, text)
    await house.unreacts(RAE, text, "heavy_check_mark")
    await house.unreacts(RAE, text, to=Kind.REVIEW)
    assert await house.state(text) == "approved"
    assert len(await house.verdicts(text)) == 1


async def test_a_removal_counts_even_if_the_emoji_means_nothing_any_more(house: House, text: Answer) -> None:
    await house.reacts(RAE, text)
    house.rules(approve=("seal",))
    await house.unreacts(RAE, text)
    assert await house.state(text) == "withdrawn"


async def test_a_reaction_that_means_nothing_any_more_takes_nothing_away(house: House, text: Answer) -> None:
    await house.reacts(RAE, text)
    house.rules(approve=("seal",))
    await house.reacts(RAE, text)
    assert await house.state(text) == "approved"
    assert len(await house.verdicts(text)) == 1


async def test_a_removal_nobody_can_place_is_settled_when_its_emoji_means_nothing(house: House, text: Answer) -> None:
    message = await house.message_of(text)
    await house.delivers(house.reaction(STAN, "taco", message, added=False))
    assert await house.verdicts(text) == []


async def test_a_removal_delivered_before_its_reaction_leaves_no_approval(house: House, text: Answer) -> None:
    message = await house.message_of(text)
    added = house.reaction(RAE, CHECK, message)
    removed = house.reaction(RAE, CHECK, message, added=False)
    await house.delivers(removed)
    assert await house.verdicts_said(text.work_id) == []
    await house.delivers(added)
    assert await house.state(text) == "withdrawn"
    assert [state for state, _ in await house.verdicts_said(text.work_id)] == ["withdrawn"]
    assert [entry.what for entry in await house.ledger()][-2:] == ["approve", "withdraw"]


async def test_an_older_removal_does_not_take_a_newer_reaction_away(house: House, text: Answer) -> None:
    message = await house.message_of(text)
    removed = house.reaction(RAE, CHECK, message, added=False)
    again = house.reaction(RAE, CHECK, message)
    await house.delivers(removed)
    await house.delivers(again)
    assert await house.state(text) == "approved"
    assert [verdict.kind for verdict in await house.verdicts(text)] == [VerdictKind.APPROVE]


async def test_other_removals_that_came_early_are_not_this_reactions(house: House, text: Answer) -> None:
    message = await house.message_of(text)
    added = house.reaction(RAE, CHECK, message)
    for who, emoji in ((SAM, CHECK), (RAE, CROSS), (RAE, "heavy_check_mark")):
        await house.delivers(house.reaction(who, emoji, message, added=False))
    await house.delivers(added)
    assert await house.state(text) == "approved"
    assert [verdict.kind for verdict in await house.verdicts(text)] == [VerdictKind.APPROVE]


async def test_an_early_removal_is_counted_once_however_many_reactions_follow_it(house: House, text: Answer) -> None:
    message = await house.message_of(text)
    first, second = house.reaction(RAE, CHECK, message), house.reaction(RAE, CHECK, message)
    removed = house.reaction(RAE, CHECK, message, added=False)
    for reaction in (removed, first, second):
        await house.delivers(reaction)
    assert await house.state(text) == "withdrawn"
    assert [entry.what for entry in await house.ledger()][2:] == ["approve", "withdraw", "approve"]
    assert first_fault(await house.ledger()) is None


async def test_a_send_back_in_two_skin_tones_stands_until_both_are_gone(house: House, text: Answer) -> None:
    for tone in (2, 6):
        await house.reacts(SAM, text, f"x::skin-tone-{tone}")
    await house.unreacts(SAM, text, "x::skin-tone-2")
    await house.reacts(RAE, text)
    assert await house.state(text) == "changes_requested"
    await house.unreacts(SAM, text, "x::skin-tone-6")
    assert await house.state(text) == "approved"


RAE_TOGGLES = ((RAE, CHECK, True), (RAE, CHECK, False), (RAE, CHECK, True), (RAE, CHECK, False))
RAE_AND_SAM = ((RAE, CHECK, True), (SAM, CROSS, True), (SAM, CROSS, False), (RAE, CHECK, False))
ENDS_APPROVED = ((RAE, CHECK, True), (RAE, CHECK, False), (SAM, CHECK, True), (RAE, CHECK, True))
ENDS_SENT_BACK = ((RAE, CHECK, True), (RAE, CROSS, True), (SAM, CHECK, True), (SAM, CHECK, False))


@pytest.mark.parametrize(
    ("events", "quorum"),
    [(RAE_TOGGLES, 1), (RAE_AND_SAM, 1), (ENDS_APPROVED, 1), (ENDS_APPROVED, 2), (ENDS_SENT_BACK, 1)],
    ids=["toggles", "both", "approved", "approved by two", "sent back"],
)
async def test_any_order_of_deliveries_ends_in_the_same_state(
    house: House, events: tuple[tuple[str, str, bool], ...], quorum: int
) -> None:
    house.rules(quorum=quorum)
    ends, rows = set(), set()
    for order in itertools.permutations(range(len(events))):
        text = await house.final()
        message = await house.message_of(text)
        told = [house.reaction(who, emoji, message, added=added) for who, emoji, added in events]
        for place in order:
            await house.delivers(told[place])
        ends.add(await house.state(text))
        rows.add(frozenset((told_.person, told_.kind, told_.emoji) for told_ in await house.verdicts(text)))
    assert len(ends) == 1, ends
    assert len(rows) == 1


# quorum


async def test_a_quorum_of_two_takes_two_people(house: House, text: Answer) -> None:
    house.rules(quorum=2)
    await house.reacts(RAE, text)
    await house.reacts(RAE, text, "heavy_check_mark")
    await house.reacts(RAE, text, to=Kind.REVIEW)
    assert await house.state(text) == "awaiting"
    assert await house.verdicts_said(text.work_id) == []
    await house.reacts(SAM, text)
    [(_, words)] = await house.verdicts_said(text.work_id)
    assert words.startswith(f"Approved by @{RAE} and @{SAM}: ")


async def test_one_of_two_taking_back_withdraws(house: House, text: Answer) -> None:
    house.rules(quorum=2)
    await house.reacts(RAE, text)
    await house.reacts(SAM, text)
    await house.unreacts(RAE, text)
    assert await house.state(text) == "withdrawn"


async def test_a_quorum_raised_after_the_approval_leaves_it_approved(house: House, text: Answer) -> None:
    await house.reacts(RAE, text)
    house.rules(quorum=3)
    assert await house.state(text) == "approved"
    await house.reacts(SAM, text)
    assert await house.state(text) == "approved"
    assert len(await house.verdicts_said(text.work_id)) == 1


async def test_a_quorum_lowered_while_waiting_approves_nothing_by_itself(house: House, text: Answer) -> None:
    house.rules(quorum=2)
    await house.reacts(RAE, text)
    house.rules(quorum=1)
    assert await house.state(text) == "awaiting"
    await house.reacts(SAM, text)
    assert await house.state(text) == "approved"


# looked at again when it counts


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("deactivated", "The account is deactivated"),
        ("no reviewer any more", "No longer among the reviewers."),
    ],
)
async def test_who_may_not_approve_any_more_does_not_help_to_reach_the_quorum(
    house: House, text: Answer, what: str, says: str
) -> None:
    house.rules(quorum=2, reviewers=(RAE, SAM, TAO))
    await house.reacts(RAE, text)
    if what == "deactivated":
        house.slack.knows(RAE, is_deactivated=True)
    else:
        house.rules(reviewers=(SAM, TAO))
    await house.reacts(SAM, text)
    assert await house.state(text) == "awaiting"
    [notice] = [one for one in await house.said(text.work_id, Kind.NOTICE) if not one.person]
    assert says in json.dumps(notice.body)
    await house.reacts(TAO, text)
    assert await house.state(text) == "approved"
    [(_, words)] = await house.verdicts_said(text.work_id)
    assert words.startswith(f"Approved by @{SAM} and @{TAO}: ")


async def test_the_second_approval_waits_while_slack_does_not_say_who_the_first_was(house: House, text: Answer) -> None:
    house.rules(quorum=2)
    await house.reacts(RAE, text)
    house.slack.silent_about = {RAE}
    with pytest.raises(LookupFailed):
        await house.reacts(SAM, text)
    assert await house.state(text) == "awaiting"


async def test_a_verdict_given_meanwhile_makes_the_gate_look_again(
    house: House, text: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.rules(quorum=2)
    part = await house.message_of(text)
    card = await house.message_of(text, Kind.REVIEW)
    looks = house.slack.messages
    first = [True]

    async def slow(*given: object, **named: object) -> object:
        if first:
            first.clear()
            await house.delivers(house.reaction(SAM, CHECK, card))
        return await looks(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(house.slack, "messages", slow)
    house.slack.asked.clear()
    await house.delivers(house.reaction(RAE, CHECK, part))
    assert await house.state(text) == "approved"
    assert house.slack.asked.count(f"person {SAM}") == 2  # for Sam's own word, and again when Rae's made two


async def test_what_is_taken_away_looks_again_when_a_verdict_came_meanwhile(
    house: House, text: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.reacts(SAM, text, CROSS)
    await house.reacts(RAE, text)
    part, looks, first = await house.message_of(text), house.slack.messages, [True]

    async def slow(*given: object, **named: object) -> object:
        if first:
            first.clear()
            await house.delivers(house.reaction(RAE, CROSS, part))
        return await looks(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(house.slack, "messages", slow)
    await house.delivers(house.reaction(SAM, CROSS, part, added=False))
    said = [(verdict.person, verdict.kind) for verdict in await house.verdicts(text)]
    assert said[-2:] == [(RAE, VerdictKind.SEND_BACK), (SAM, VerdictKind.WITHDRAW)]
    assert await house.state(text) == "changes_requested"


# solo, newer finals, time


async def test_in_solo_mode_the_requester_who_is_a_reviewer_approves_and_it_is_said(tmp_path: Path) -> None:
    async with open_house(tmp_path, a_stack({"reviewers": [ANN], "solo": True})) as house:
        text = await house.final()
        await house.reacts(ANN, text)
        assert await house.state(text) == "approved"
        [(_, words)] = await house.verdicts_said(text.work_id)
        assert "Solo mode" in words
        assert json.loads((await house.ledger())[-1].body)["solo"] is True


async def test_a_newer_final_makes_the_older_one_unapprovable(house: House, text: Answer) -> None:
    await house.reacts(RAE, text)
    newer = await house.another_final(text)
    assert await house.state(text) == "superseded"
    await house.reacts(SAM, text)
    assert await house.told(SAM, text.work_id) == [
        "There is a newer final in this thread, so this one cannot be approved any more. Look at the newest."
    ]
    assert await house.state(newer) == "awaiting"
    await house.reacts(SAM, newer)
    assert await house.state(newer) == "approved"
    assert await house.state(text) == "superseded"


async def test_a_removal_on_a_superseded_text_is_kept_and_changes_nothing(house: House, text: Answer) -> None:
    await house.reacts(RAE, text)
    await house.another_final(text)
    said = await house.verdicts_said(text.work_id)
    await house.unreacts(RAE, text)
    assert await house.state(text) == "superseded"
    assert await house.verdicts_said(text.work_id) == said
    assert (await house.ledger())[-1].what == "withdraw"


async def test_an_expired_review_approves_nothing_and_says_what_to_do(house: House, text: Answer) -> None:
    house.now.goes_on(days=7)
    await house.reacts(RAE, text)
    assert await house.state(text) == "expired"
    assert await house.told(RAE, text.work_id) == ["This review has expired. `@Countersign final` opens a new one."]


async def test_an_approval_after_the_end_is_refused_though_a_send_back_stands(house: House, text: Answer) -> None:
    await house.reacts(SAM, text, CROSS)
    house.now.goes_on(days=8)
    await house.reacts(RAE, text)
    assert "expired" in (await house.told(RAE, text.work_id))[0]
    await house.unreacts(SAM, text, CROSS)
    assert await house.state(text) == "expired"


async def test_an_approval_taken_back_after_the_end_leaves_an_expired_review(house: House, text: Answer) -> None:
    await house.reacts(RAE, text)
    house.now.goes_on(days=8)
    assert await house.state(text) == "approved"
    await house.unreacts(RAE, text)
    assert (await house.verdicts_said(text.work_id))[-1] == ("expired", f"@{RAE} withdrew the approval.")


async def test_the_review_card_shows_each_state(house: House, text: Answer) -> None:
    async def head() -> str:
        card = await house.message_of(text, Kind.REVIEW)
        return str(card.body["facts"]["state"])

    states = [await head()]
    await house.reacts(RAE, text)
    states.append(await head())
    await house.unreacts(RAE, text)
    states.append(await head())
    await house.reacts(SAM, text, CROSS)
    states.append(await head())
    await house.another_final(text)
    states.append(await head())
    assert states == ["awaiting", "approved", "withdrawn", "changes_requested", "superseded"]


def test_every_judgement_is_told_or_meant_to_be_silent() -> None:
    silent = {Judgement.NOBODY, Judgement.COUNTS}
    assert len(set(Judgement) - silent) == 7


# the buttons


async def test_of_what_somebody_presses_the_last_word_stands_and_nobody_is_asked_why_any_more(house: House) -> None:
    house.rules(quorum=2)
    text = await house.final()
    await house.clicks(RAE, text, Wish.SEND_BACK)
    await house.clicks(RAE, text, Wish.APPROVE)
    assert [state for state, _ in await house.verdicts_said(text.work_id)] == ["changes_requested", "awaiting"]
    assert "withdrew the send-back" in (await house.verdicts_said(text.work_id))[-1][1]
    await house.says_why(RAE, text, "I like it now")
    assert len(await house.runs(text.work_id)) == 1
    await house.clicks(RAE, text, Wish.SEND_BACK)
    await house.clicks(RAE, text, Wish.TAKE_BACK)
    await house.clicks(SAM, text, Wish.APPROVE)
    assert await house.state(text) == "awaiting", "the send-back has taken the approval away"


async def test_a_reaction_that_sends_back_takes_the_persons_click_away_for_good(house: House) -> None:
    text = await house.final()
    await house.clicks(RAE, text, Wish.APPROVE)
    await house.reacts(RAE, text, CROSS)
    await house.unreacts(RAE, text, CROSS)
    assert await house.state(text) == "withdrawn"


async def test_a_click_that_shows_nowhere_is_answered(house: House) -> None:
    text = await house.final()
    await house.clicks(SAM, text, Wish.SEND_BACK)
    await house.clicks(RAE, text, Wish.APPROVE)
    await house.clicks(RAE, text, Wish.SEND_BACK)
    await house.clicks(RAE, text, Wish.WITHDRAW)
    await house.clicks(RAE, text, Wish.TAKE_BACK)
    named = text.sha256[:8]
    assert await house.told(RAE, text.work_id) == [
        f"Your approval of text {named} is kept. It does not count while a send-back stands.",
        f"Text {named} was sent back before. Your send-back stands beside that, until you take it back.",
        f"You have not approved text {named} with its button, so there is nothing of yours to take back.",
        f"Your send-back of text {named} by the button is taken back.",
    ]


async def test_an_approval_by_a_click_lapses_like_any_other(house: House) -> None:
    house.rules(quorum=2)
    text = await house.final()
    await house.clicks(RAE, text, Wish.APPROVE)
    house.slack.knows(RAE, is_deactivated=True)
    await house.clicks(SAM, text, Wish.APPROVE)
    assert await house.state(text) == "awaiting"
    assert [(one.person, one.kind, one.via) for one in await house.verdicts(text)] == [
        (RAE, "approve", "button"),
        (SAM, "approve", "button"),
        (RAE, "withdraw", "lapsed"),
    ]


# said in time, told late


@pytest.mark.parametrize(("emoji", "becomes"), [(CHECK, "approved"), (CROSS, "changes_requested")])
async def test_a_word_said_in_time_counts_however_late_it_is_told(
    house: House, text: Answer, emoji: str, becomes: str
) -> None:
    """Slack told us nothing of Rae for a week: what she did waits, and was promised that nothing is lost."""
    in_time = house.reaction(RAE, emoji, await house.message_of(text))
    house.slack.silent_about = {RAE}
    with pytest.raises(LookupFailed):
        await house.delivers(in_time)
    house.now.goes_on(days=8)
    await look_at_what_waits(storage=house.storage, stack=house.stack, now=house.now)
    assert await house.verdicts_said(text.work_id) == [], "while somebody's word waits, nobody is told that none came"
    house.slack.silent_about = set()
    await house.delivers(in_time)
    assert await house.state(text) == becomes
    house.now.goes_on(days=8)
    await look_at_what_waits(storage=house.storage, stack=house.stack, now=house.now)
    assert await house.state(text) == becomes


async def test_an_approval_keeps_by_which_group_and_rules_it_counted_and_who_made_the_text(
    house: House, text: Answer
) -> None:
    house.rules(reviewers=("S0DESK", "S0ZOO", SAM))
    house.slack.groups = {"S0DESK": frozenset({RAE}), "S0ZOO": frozenset({TAO})}
    await house.reacts(RAE, text)
    [verdict] = await house.verdicts(text)
    assert (verdict.evidence["groups"], verdict.evidence["rules"]) == (["S0DESK"], house.stack.digest)
    run = await house.run_of(text)
    assert verdict.evidence["made_by"] == {"model": run.model, "served": run.served_id, "stack": run.route["stack"]}  # type: ignore[index]
    assert verdict.evidence["made_by"]["stack"] != verdict.evidence["rules"], "the rules changed since"
