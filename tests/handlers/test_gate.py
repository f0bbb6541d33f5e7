"""What the gate remembers of a word and shows of it, to the last detail, and what changes while Slack is asked."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from handlers.incoming import Wish, Word
from handlers.judge import Judgement
from handlers.ports import LookupFailed
from handlers.recheck import LAPSED
from handlers.repair import OVERTAKEN, SEEN_BEFORE
from storage.records import Answer, Kind, VerdictKind
from tests.handlers.house import LAUNCH, RAE, SAM, STAN, House, words_of

CHECK, CROSS = "white_check_mark", "x"


@pytest.fixture
async def text(house: House) -> Answer:
    return await house.final()


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The crash points that were passed."""
    points: list[str] = []
    monkeypatch.setattr("storage.crashpoints._meet", points.append)
    return points


def while_slack_is_asked(
    house: House, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Awaitable[object]]
) -> None:
    """Something happens once, while the text is read back."""
    looks, first = house.slack.messages, [True]

    async def slow(*given: object, **named: object) -> object:
        if first:
            first.clear()
            await happens()
        return await looks(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(house.slack, "messages", slow)


async def settled(house: House, key: str) -> tuple[str | None, bool]:
    """A letter's outcome, and whether it was handled at this very moment."""
    async with house.storage.reading() as saved:
        rows = await saved.connection.exec_driver_sql("SELECT outcome, handled_at FROM inbox WHERE key = ?", (key,))
        outcome, at = list(rows.one())
    return outcome, str(at)[:19] == f"{house.now():%Y-%m-%d %H:%M:%S}"


# each letter's end


async def test_whatever_becomes_of_a_reaction_is_kept_with_its_moment(house: House, text: Answer) -> None:
    message = await house.message_of(text)
    told = [
        (house.reaction(RAE, "tada", message), "not about a review"),
        (house.reaction(STAN, CHECK, message), "not_a_reviewer"),
        (house.reaction(RAE, CHECK, message, added=False), "nothing to take away"),
        (house.reaction(SAM, CHECK, message), "counts"),
        (house.reaction(SAM, CHECK, message, added=False), "withdraw"),
    ]
    for reaction, outcome in told:
        await house.delivers(reaction)
        assert await settled(house, reaction.key) == (outcome, True)


async def test_old_news_are_kept_with_the_moment_they_came(house: House, text: Answer) -> None:
    message = await house.message_of(text)
    seen = replace(house.reaction(RAE, CHECK, message, at=house.now(), key="reaction/seen/1"), seen=True)
    away, anew = house.reaction(RAE, CHECK, message, added=False), house.reaction(RAE, CHECK, message)
    await house.delivers(seen)
    for word, outcome in ((anew, SEEN_BEFORE), (away, OVERTAKEN)):
        house.now.goes_on(seconds=5)
        house.slack.asked.clear()
        await house.delivers(word)
        assert await settled(house, word.key) == (outcome, True)
        assert house.slack.asked == []


async def test_what_is_wrong_with_a_text_is_the_outcome_of_its_approval(house: House, text: Answer) -> None:
    part = await house.message_of(text)
    house.slack.tampers(LAUNCH, str(part.ts), edited=True)
    reaction = house.reaction(RAE, CHECK, part)
    await house.delivers(reaction)
    fault = (
        f"Text {text.sha256[:8]} does not stand in the thread as it was posted, so it cannot be approved. "
        "`@Countersign final` makes a new version to approve."
    )
    assert await settled(house, reaction.key) == (fault, True)


async def test_a_reaction_on_what_the_bot_says_about_a_text_is_none_on_the_text(house: House, text: Answer) -> None:
    await house.reacts(RAE, text)
    await house.posts()
    [said] = await house.said(text.work_id, Kind.VERDICT)
    assert said.answer_id == text.id
    reaction = house.reaction(SAM, CROSS, said)
    await house.delivers(reaction)
    assert await settled(house, reaction.key) == ("not about a review", True)
    assert await house.state(text) == "approved"


# what Slack is asked


async def test_slack_is_asked_once_for_each_thing_that_must_be_known(house: House, text: Answer) -> None:
    thread = (await house.work(text.work_id)).thread_ts
    house.rules(reviewers=(RAE, SAM, "S0DESK", "S0BOARD"), quorum=2)
    house.slack.groups |= {"S0DESK": frozenset({STAN}), "S0BOARD": frozenset({STAN})}
    asked = house.slack.asked
    for word, wanted in (
        (house.reaction(RAE, CHECK, await house.message_of(text)), [f"messages {thread}", f"person {RAE}"]),
        (
            house.reaction(STAN, CHECK, await house.message_of(text)),
            ["group S0BOARD", "group S0DESK", f"messages {thread}", f"person {RAE}", f"person {STAN}"],
        ),
        (house.reaction(SAM, CHECK, await house.message_of(text), added=False), []),
        (house.reaction(SAM, CROSS, await house.message_of(text)), [f"person {SAM}"]),
        (house.reaction(RAE, CHECK, await house.message_of(text), added=False), []),
    ):
        asked.clear()
        await house.delivers(word)
        assert sorted(asked) == wanted, word


async def test_whose_word_counts_for_nothing_anyway_hears_nothing_of_the_texts_faults(
    house: House, text: Answer
) -> None:
    part = await house.message_of(text)
    house.slack.tampers(LAUNCH, str(part.ts), edited=True)
    reaction = house.reaction(STAN, CHECK, part)
    house.slack.asked.clear()
    await house.delivers(reaction)
    assert house.slack.asked == [f"person {STAN}"]
    assert await settled(house, reaction.key) == (Judgement.NOT_A_REVIEWER, True)
    assert await house.told(STAN, text.work_id) == [f"Only a reviewer's reaction counts here. Ask @{RAE} or @{SAM}."]


async def test_of_a_text_that_is_over_slack_is_asked_only_who_it_is(house: House, text: Answer) -> None:
    await house.another_final(text)
    house.slack.asked.clear()
    await house.reacts(RAE, text)
    assert house.slack.asked == [f"person {RAE}"]


# the moments at which a process may die


async def test_each_step_of_a_word_has_its_crash_point(house: House, text: Answer, passed: list[str]) -> None:
    await house.reacts(RAE, text)
    assert passed == ["cp21", "cp22", "cp24"]
    passed.clear()
    await house.unreacts(RAE, text)
    assert passed == ["cp21", "cp26"]
    passed.clear()
    await house.clicks(SAM, text, Wish.APPROVE)
    assert passed == ["cp21", "cp22", "cp24"]


# while Slack is asked


async def test_what_was_said_in_time_counts_though_the_time_runs_out_while_slack_is_asked(
    house: House, text: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def a_week_goes_by() -> None:
        house.now.goes_on(days=8)

    while_slack_is_asked(house, monkeypatch, a_week_goes_by)
    reaction = house.reaction(RAE, CHECK, await house.message_of(text))
    await house.delivers(reaction)
    assert await settled(house, reaction.key) == (Judgement.COUNTS, True)
    assert await house.state(text) == "approved"


async def test_who_takes_something_away_looks_again_when_a_verdict_came_meanwhile(
    house: House, text: Answer, monkeypatch: pytest.MonkeyPatch, passed: list[str]
) -> None:
    await house.reacts(SAM, text, CROSS)
    await house.reacts(RAE, text)
    passed.clear()

    async def somebody_else_sends_it_back() -> None:
        await house.reacts(RAE, text, CROSS)

    while_slack_is_asked(house, monkeypatch, somebody_else_sends_it_back)
    await house.unreacts(SAM, text, CROSS)
    assert passed == ["cp21", "cp26", "cp21", "cp22", "cp24", "cp26"]


async def test_an_approval_is_refused_whose_text_is_superseded_while_slack_is_asked(
    house: House, text: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def a_newer_final_comes() -> None:
        await house.another_final(text)

    while_slack_is_asked(house, monkeypatch, a_newer_final_comes)
    reaction = house.reaction(RAE, CHECK, await house.message_of(text))
    await house.delivers(reaction)
    assert await settled(house, reaction.key) == (Judgement.SUPERSEDED, True)
    assert await house.verdicts(text) == []


async def test_a_word_delivered_twice_at_once_counts_once(
    house: House, text: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both deliveries look, and one of them has taken it into account when the other comes to it."""
    message = await house.message_of(text)
    given = house.reaction(STAN, CHECK, message)
    asks = house.slack.person

    async def slow(person: str) -> object:
        monkeypatch.setattr(house.slack, "person", asks)
        await house.delivers(given)
        return await asks(person)

    monkeypatch.setattr(house.slack, "person", slow)
    await house.delivers(given)
    assert await house.told(STAN, text.work_id) == [f"Only a reviewer's reaction counts here. Ask @{RAE} or @{SAM}."]
    assert await house.outcome(given.key) == Judgement.NOT_A_REVIEWER


@pytest.mark.parametrize(("seconds", "waits"), [(9.999, True), (10.0, False)])
async def test_a_part_that_is_not_shown_may_come_for_ten_seconds(
    house: House, text: Answer, seconds: float, *, waits: bool
) -> None:
    part = await house.message_of(text)
    assert part.sent_at is not None
    del house.slack.posted[LAUNCH, str(part.ts)]
    reaction = house.reaction(RAE, CHECK, part)
    house.now.time = part.sent_at + timedelta(seconds=seconds)
    if waits:
        with pytest.raises(LookupFailed):
            await house.delivers(reaction)
    else:
        await house.delivers(reaction)
        assert "is no longer in the thread" in (await house.told(RAE, text.work_id))[0]


async def test_a_part_that_slack_has_not_confirmed_is_waited_for_however_long(house: House, text: Answer) -> None:
    part, card = await house.message_of(text), await house.message_of(text, Kind.REVIEW)
    async with house.storage.transaction() as saved:
        await saved.outbox.sent(part.slot, shown=0, ts=None, digest=None, at=house.now())
    house.now.goes_on(minutes=5)
    with pytest.raises(LookupFailed):
        await house.delivers(house.reaction(RAE, CHECK, card))
    assert await house.told(RAE, text.work_id) == []


# taken away before it was given


@pytest.mark.parametrize("by_click", [False, True])
async def test_what_is_given_and_taken_at_one_moment_is_taken_whichever_comes_first(
    house: House, text: Answer, *, by_click: bool
) -> None:
    at = house.now.goes_on(seconds=1)
    given: Word
    taken: Word
    if by_click:
        card = await house.message_of(text, Kind.REVIEW)
        given, taken = (house.click(RAE, wish, text, card, at=at) for wish in (Wish.APPROVE, Wish.WITHDRAW))
    else:
        message = await house.message_of(text)
        given, taken = (house.reaction(RAE, CHECK, message, added=added, at=at) for added in (True, False))
    await house.delivers(taken)
    await house.delivers(given)
    assert await house.state(text) == "withdrawn"
    assert [(one.kind, one.at) for one in await house.verdicts(text)] == [("approve", at), ("withdraw", at)]
    assert await house.outcome(taken.key) == "nothing to take away"


async def test_a_removal_that_came_early_is_found_behind_whatever_else_was_handled(house: House, text: Answer) -> None:
    message = await house.message_of(text)
    given = house.reaction(RAE, CHECK, message)
    removed = house.reaction(RAE, CHECK, message, added=False)
    for word in (house.reaction(SAM, CHECK, message), removed, given):
        await house.delivers(word)
    said = [(one.person, one.kind) for one in await house.verdicts(text)]
    assert said == [(SAM, "approve"), (RAE, "approve"), (RAE, "withdraw")]
    assert await house.state(text) == "approved"


async def test_an_early_removal_of_one_reaction_takes_no_other_one_away(house: House, text: Answer) -> None:
    message = await house.message_of(text)
    first = house.reaction(RAE, CHECK, message)
    removed = house.reaction(RAE, "heavy_check_mark", message, added=False)
    for word in (removed, house.reaction(RAE, "heavy_check_mark", message), first):
        await house.delivers(word)
    assert [(one.kind, one.emoji) for one in await house.verdicts(text)] == [
        ("approve", "heavy_check_mark"),
        ("approve", CHECK),
    ]


@pytest.mark.parametrize(
    ("early", "kinds"),
    [((Wish.WITHDRAW, Wish.WITHDRAW), ["approve", "withdraw"]), ((Wish.TAKE_BACK,), ["approve"])],
    ids=["twice", "something else"],
)
async def test_of_clicks_that_came_early_only_what_takes_something_is_kept(
    house: House, text: Answer, early: tuple[Wish, ...], kinds: list[str]
) -> None:
    card = await house.message_of(text, Kind.REVIEW)
    given = house.click(RAE, Wish.APPROVE, text, card)
    for word in (*(house.click(RAE, wish, text, card) for wish in early), given):
        await house.delivers(word)
    assert [one.kind for one in await house.verdicts(text)] == kinds


# what lapses


async def test_a_lapse_says_what_it_takes_away_and_why(house: House, text: Answer) -> None:
    house.rules(quorum=2)
    await house.reacts(RAE, text)
    house.slack.knows(RAE, is_deactivated=True)
    await house.reacts(SAM, text)
    given, cause, lapse = await house.verdicts(text)
    assert (lapse.person, lapse.kind, lapse.via, lapse.emoji) == (RAE, VerdictKind.WITHDRAW, LAPSED, CHECK)
    assert lapse.evidence == {"message": given.evidence["message"], "why": "nobody"}
    assert lapse.request_key == f"lapsed/{given.seq}/{cause.request_key}"
    assert lapse.at == given.at, "the quorum was not reached for a moment"
    entry = (await house.ledger())[-1]
    assert (entry.what, entry.who, entry.seq) == ("withdraw", RAE, lapse.ledger_seq)


async def test_the_longest_keys_are_cut_to_what_the_tables_hold(house: House, text: Answer) -> None:
    house.rules(quorum=2)
    await house.reacts(RAE, text)
    house.slack.knows(RAE, is_deactivated=True)
    message = await house.message_of(text)
    await house.delivers(house.reaction(SAM, CHECK, message, key="reaction/" + "k" * 191))
    lapse = (await house.verdicts(text))[-1]
    assert lapse.request_key == f"lapsed/1/reaction/{'k' * 182}"
    [notice] = [one for one in await house.said(text.work_id, Kind.NOTICE) if "/lapsed/" in one.slot]
    assert notice.slot == f"{text.work_id}/" + f"{text.run_id}/lapsed/reaction/{'k' * 100}"[:100]


# what is remembered and said aloud


async def test_a_verdict_and_all_that_follows_from_it_is_written_at_its_moment(house: House, text: Answer) -> None:
    reaction = house.reaction(RAE, CHECK, await house.message_of(text))
    now = house.now.goes_on(seconds=30)
    await house.delivers(reaction)
    [verdict] = await house.verdicts(text)
    entry = (await house.ledger())[-1]
    assert (entry.team, entry.at, entry.who, entry.what) == ("T0PLAY", now, RAE, "approve")
    assert (entry.work_id, entry.run_id, entry.answer_id) == (text.work_id, text.run_id, text.id)
    assert json.loads(entry.body) == {
        **verdict.evidence,
        "emoji": CHECK,
        "via": "reaction",
        "sha256": text.sha256,
        "reacted_at": reaction.at.isoformat(),
    }
    [said] = await house.said(text.work_id, Kind.VERDICT)
    assert said.slot == f"{text.work_id}/{text.run_id}/verdict/{reaction.key}"
    assert (said.run_id, said.answer_id, said.person, said.planned_at) == (text.run_id, text.id, None, now)
    assert words_of(said) == f"Approved by @{RAE}: text {text.sha256[:8]}, 14:32 UTC. Ledger {entry.hash[:12]}."


async def test_who_frees_an_approval_stands_before_it(house: House, text: Answer) -> None:
    await house.reacts(SAM, text, CROSS)
    await house.reacts(RAE, text)
    await house.unreacts(SAM, text, CROSS)
    last = (await house.ledger())[-1]
    assert (await house.verdicts_said(text.work_id))[-1][1] == (
        f"@{SAM} withdrew the send-back. Approved by @{RAE}: text {text.sha256[:8]}, 14:32 UTC. "
        f"Ledger {last.hash[:12]}."
    )


async def test_whose_send_back_stands_beside_another_is_asked_for_the_reason_next(house: House, text: Answer) -> None:
    async def asked() -> str | None:
        async with house.storage.reading() as saved:
            review = await saved.reviews.get(text.id)
        assert review is not None
        return review.reason_wanted_from

    await house.reacts(SAM, text, CROSS)
    await house.reacts(RAE, text, CROSS)
    await house.reacts(SAM, text, "leftwards_arrow_with_hook")
    await house.unreacts(SAM, text, CROSS)
    assert await asked() == SAM, "another one of theirs stands"
    await house.unreacts(RAE, text, CROSS)
    assert await asked() == SAM, "who took back was not the one who is asked"
    await house.reacts(RAE, text, CROSS)
    await house.unreacts(SAM, text, "leftwards_arrow_with_hook")
    assert await asked() == RAE
    await house.unreacts(RAE, text, CROSS)
    assert await asked() is None


async def test_who_has_said_why_is_not_asked_again_when_somebody_else_approves(house: House, text: Answer) -> None:
    await house.reacts(SAM, text, CROSS)
    async with house.storage.transaction() as saved:
        await saved.reviews.want_reason(text.id, None)
    await house.reacts(RAE, text)
    async with house.storage.reading() as saved:
        review = await saved.reviews.get(text.id)
    assert review is not None
    assert review.reason_wanted_from is None


async def test_the_buttons_word_is_kept_with_what_it_takes_back(house: House, text: Answer) -> None:
    await house.clicks(RAE, text, Wish.APPROVE)
    click = await house.clicks(RAE, text, Wish.WITHDRAW)
    given, taken = await house.verdicts(text)
    assert (given.via, given.emoji, given.evidence["solo"], given.evidence["named"]) == ("button", None, False, True)
    assert (taken.kind, taken.evidence) == (
        VerdictKind.WITHDRAW,
        {"message": click.message_ts, "event": click.key, "action": click.action_ts, "takes": "approve"},
    )
    assert [state for state, _ in await house.verdicts_said(text.work_id)] == ["approved", "withdrawn"]
    assert await house.told(RAE, text.work_id) == []


async def test_a_click_that_says_what_stands_already_changes_nothing_and_is_told_so(house: House, text: Answer) -> None:
    house.rules(quorum=2)
    await house.reacts(SAM, text)
    first, again = [await house.clicks(RAE, text, Wish.APPROVE) for _ in range(2)]
    assert await settled(house, again.key) == ("approved_already", True)
    assert await house.outcome(first.key) == "counts"
    assert await house.told(RAE, text.work_id) == [
        f"You have approved text {text.sha256[:8]} already, so this click changed nothing."
    ]
    assert len(await house.verdicts(text)) == 2
    for _ in range(2):
        await house.clicks(RAE, text, Wish.SEND_BACK)
    assert [one.kind for one in await house.verdicts(text)][2:] == [VerdictKind.SEND_BACK] * 2
    await house.reacts(SAM, text)
    assert [one.person for one in await house.verdicts(text)] == [SAM, RAE, RAE, RAE, SAM], "a reaction is no click"


async def test_where_the_buttons_are_switched_off_only_a_reaction_counts(house: House, text: Answer) -> None:
    house.rules(buttons=False)
    click = await house.clicks(RAE, text, Wish.APPROVE)
    assert await settled(house, click.key) == ("no_buttons", True)
    assert await house.told(RAE, text.work_id) == [
        (
            "The buttons are switched off here, so your click changed nothing. "
            "On the text, ✅ approves it, ❌ sends it back."
        )
    ]
    await house.reacts(RAE, text)
    assert await house.state(text) == "approved"


async def test_a_removal_delivered_again_changes_nothing(house: House, text: Answer) -> None:
    message = await house.message_of(text)
    await house.reacts(RAE, text)
    removal = house.reaction(RAE, CHECK, message, added=False)
    for _ in range(2):
        await house.delivers(removal)
    assert [one.kind for one in await house.verdicts(text)] == ["approve", "withdraw"]
    assert await house.outcome(removal.key) == "withdraw"


async def test_in_solo_mode_who_had_no_hand_in_a_text_approves_it_as_anybody_would(house: House, text: Answer) -> None:
    house.rules(solo=True)
    await house.reacts(RAE, text)
    [verdict] = await house.verdicts(text)
    assert verdict.evidence["solo"] is False
    [(_, words)] = await house.verdicts_said(text.work_id)
    assert "Solo mode" not in words
