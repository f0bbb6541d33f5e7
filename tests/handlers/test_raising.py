"""Who may raise a limit, once for a thread, and what follows: the ledger, the notice, the run asked for again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handlers.budget import billionths
from handlers.errors import ModelFailed, Refusal
from handlers.incoming import Entrance, Request, Verb
from handlers.ports import LookupFailed, Person
from handlers.raising import MayRaise, may_raise, somebody_raises
from handlers.request import somebody_asked
from storage.records import Kind, Letter, Message, Run, RunState, WalkState
from tests.fakes import a_model, a_stack
from tests.handlers.house import ANN, LAUNCH, RAE, SAM, STAN, TAO, House, words_of
from tests.handlers.test_purse import CHEAP, PRICE, begun, stack


@pytest.mark.parametrize(
    ("traits", "named", "in_group", "asked_for_it", "may"),
    [
        ({}, True, False, False, MayRaise.YES),
        ({}, False, True, False, MayRaise.YES),
        ({}, False, False, False, MayRaise.NOT_NAMED),
        ({}, True, False, True, MayRaise.YES),
        ({}, False, True, True, MayRaise.OWN_RUN),
        ({}, False, False, True, MayRaise.NOT_NAMED),
        ({"is_bot": True}, True, True, False, MayRaise.NOBODY),
        ({"is_deactivated": True}, True, True, False, MayRaise.NOBODY),
        ({"is_guest": True}, False, True, False, MayRaise.OUTSIDER),
        ({"is_external": True}, False, True, False, MayRaise.OUTSIDER),
        ({"is_guest": True}, True, False, False, MayRaise.YES),
        ({"is_external": True}, True, False, False, MayRaise.YES),
        ({"is_guest": True}, False, False, False, MayRaise.NOT_NAMED),
    ],
)
def test_who_may_raise(traits: Any, may: MayRaise, *, named: bool, in_group: bool, asked_for_it: bool) -> None:
    person = Person(id=RAE, **traits)
    assert may_raise(person, named=named, in_group=in_group, asked_for_it=asked_for_it) is may


async def refused(house: House, **budgets: Any) -> Run:
    """A draft that Ann asked for and that the limit left no room for."""
    house.stack = stack(**(budgets or {"run_usd": 0.25}))
    run = await begun(house)
    await house.runs_one(run)
    await house.posts()
    assert (await house.run(run)).error_code == "budget"
    return run


async def raises(house: House, run: Run, *, by: str = RAE, **more: Any) -> Request:
    """The button is pressed; by a mention if it says so."""
    work = await house.work(run.work_id)
    said: dict[str, Any] = {
        "entrance": Entrance.BUTTON,
        "verb": Verb.RAISE,
        "person": by,
        "thread_ts": work.thread_ts,
        "target_id": run.id,
        "channel": LAUNCH,
    }
    request = house.request(None, **(said | more))
    await delivers(house, request)
    return request


async def delivers(house: House, request: Request) -> None:
    body = request.to_json()
    await house.keeps(Letter(key=request.key, kind="request", line="line", body=body, received_at=house.now()))
    await somebody_raises(request, storage=house.storage, slack=house.slack, stack=house.stack, now=house.now)


async def notice(house: House, run: Run) -> Message:
    return next(one for one in await house.said(run.work_id, Kind.NOTICE) if one.slot.endswith("/raise"))


async def asked_again(house: House) -> Request | None:
    """What the raise left in the inbox."""
    async with house.storage.reading() as saved:
        letters = await saved.inbox.heads(house.now(), without=(), limit=10)
    found = [Request.from_json(letter.body) for letter in letters if letter.key.startswith("raised/")]
    return found[0] if found else None


async def goes_on(house: House) -> Run:
    """The inbox is read and the run performed."""
    request = await asked_again(house)
    assert request is not None
    await somebody_asked(
        request, storage=house.storage, slack=house.slack, stack=house.stack, now=house.now, new_id=house.new_id
    )
    await house.runs_all()
    return next(run for run in await house.runs() if run.request_key == request.key)


async def test_one_click_raises_the_limit_and_the_run_goes_on_in_the_askers_name(house: House) -> None:
    run = await refused(house)
    await raises(house, run)
    again = await goes_on(house)
    assert (again.asked_by, again.stage, again.note, again.state) == (ANN, "draft", "", RunState.ANSWERED)
    assert await house.told(RAE, run.work_id) == []


async def test_the_ledger_and_the_notice_say_who_raised_what(house: House) -> None:
    run = await refused(house)
    await raises(house, run)
    (entry,) = [one for one in await house.ledger() if one.what == "raised"]
    assert (entry.who, entry.work_id, entry.run_id) == (RAE, run.work_id, run.id)
    assert json.loads(entry.body) == {
        "limit": "run",
        "of_usd": 0.25,
        "usd": 0.25,
        "via": "button",
        "named": True,
        "asked_by": ANN,
    }
    told = await notice(house, run)
    assert words_of(told) == (
        "Raised once by @U0RAE, 14:32 UTC: a run of this thread may cost $0.50 instead of $0.25. "
        f"Ledger {entry.hash[:12]}. draft is asked for again, for @U0ANN."
    )
    assert told.body["buttons"] == []
    async with house.storage.reading() as saved:
        raised = await saved.spendings.raised(run.work_id)
    assert raised is not None
    assert (raised.which, raised.amount, raised.who, raised.ledger_seq) == ("run", billionths(0.25), RAE, entry.seq)


async def test_what_the_button_does_is_what_its_notice_says_whatever_the_stack_says_by_now(house: House) -> None:
    run = await refused(house)
    house.stack = stack(run_usd=9.0)
    await raises(house, run)
    async with house.storage.reading() as saved:
        raised = await saved.spendings.raised(run.work_id)
    assert raised is not None
    assert raised.amount == billionths(0.25)


@pytest.mark.parametrize("budgets", [{"run_usd": 0.1}, {"thread_usd": 0.25}, {}], ids=["lower", "another", "none"])
async def test_what_was_offered_under_higher_limits_is_not_to_be_had_any_more(house: House, budgets: Any) -> None:
    run = await refused(house)
    house.stack = stack(**budgets)
    with pytest.raises(Refusal, match="The limits have changed since this was offered"):
        await raises(house, run)
    async with house.storage.reading() as saved:
        assert await saved.spendings.raised(run.work_id) is None
    assert [one for one in await house.ledger() if one.what == "raised"] == []


async def test_a_click_delivered_twice_raises_once(house: House) -> None:
    run = await refused(house)
    request = await raises(house, run)
    with pytest.raises(Refusal):
        await delivers(house, request)
    assert [one.what for one in await house.ledger()].count("raised") == 1


async def test_a_second_raise_is_refused_in_words(house: House) -> None:
    run = await refused(house)
    await raises(house, run)
    for by in (RAE, SAM, STAN):
        with pytest.raises(Refusal, match=r"raised in this thread already.*once for each.*\[budgets\]"):
            await raises(house, run, by=by)
    assert [one.what for one in await house.ledger()].count("raised") == 1


async def test_after_a_raise_no_other_is_offered(house: House) -> None:
    run = await refused(house, run_usd=0.25, thread_usd=0.45)
    await raises(house, run)
    await goes_on(house)
    another = await begun(house, work=await house.work(run.work_id))
    house.stack = stack(run_usd=0.25, thread_usd=0.30)
    await house.runs_one(another)
    assert (await house.run(another)).error_code == "budget"
    assert "The limit was raised once already: ask for something shorter" in await house.card_of(another)
    assert len([one for one in await house.said(run.work_id) if one.slot.endswith("/raise")]) == 1


async def test_a_mention_raises_what_was_hit_last(house: House) -> None:
    run = await refused(house)
    await raises(house, run, entrance=Entrance.MENTION, target_id=None)
    assert (await goes_on(house)).state is RunState.ANSWERED


ASK = "Ask @U0RAE or @U0SAM."


@pytest.mark.parametrize(
    ("who", "says"),
    [
        (STAN, f"Only somebody else may raise this limit. {ASK}"),
        (ANN, f"Only somebody else may raise this limit. {ASK}"),
    ],
)
async def test_who_is_not_named_hears_one_sentence_alone_and_raises_nothing(house: House, who: str, says: str) -> None:
    run = await refused(house)
    await raises(house, run, by=who)
    assert await house.told(who, run.work_id) == [says]
    assert "raised" not in [one.what for one in await house.ledger()]
    assert words_of(await notice(house, run)).startswith("A limit was hit.")
    await raises(house, run, by=who)
    assert await house.told(who, run.work_id) == [says] * 2


async def test_members_of_a_named_group_may_but_not_for_what_they_asked_for(house: House) -> None:
    house.slack.groups["S0MONEY"] = frozenset({ANN, TAO})
    run = await refused(house, run_usd=0.25, may_raise=["S0MONEY"])
    assert "For a member of the user group S0MONEY, once" in words_of(await notice(house, run))
    await raises(house, run, by=RAE)
    assert await house.told(RAE, run.work_id) == [
        "Only somebody else may raise this limit. Ask a member of the user group S0MONEY."
    ]
    await raises(house, run, by=ANN)
    assert await house.told(ANN, run.work_id) == [
        "You asked for this run, so somebody else raises its limit. Ask a member of the user group S0MONEY."
    ]
    house.slack.knows(TAO, is_guest=True)
    await raises(house, run, by=TAO)
    (told,) = await house.told(TAO, run.work_id)
    assert told.startswith("Guests and people from other organisations raise a limit only when the stack names them.")
    house.slack.knows(TAO)
    await raises(house, run, by=TAO)
    assert (await notice(house, run)).body["facts"]["state"] == "raised"


async def test_who_asked_may_if_the_stack_names_them(house: House) -> None:
    run = await refused(house, run_usd=0.25, may_raise=[ANN])
    await raises(house, run, by=ANN)
    assert (await goes_on(house)).state is RunState.ANSWERED


@pytest.mark.parametrize("traits", [{"is_bot": True}, {"is_deactivated": True}])
async def test_bots_and_those_who_left_raise_nothing_though_they_are_named(house: House, traits: Any) -> None:
    run = await refused(house)
    house.slack.knows(RAE, **traits)
    await raises(house, run)
    assert "raised" not in [one.what for one in await house.ledger()]
    assert await house.told(RAE, run.work_id) == []


@pytest.mark.parametrize("silent", ["person", "group"])
async def test_as_long_as_slack_does_not_say_who_they_are_it_waits(house: House, silent: str) -> None:
    house.slack.groups["S0MONEY"] = frozenset({TAO})
    run = await refused(house, run_usd=0.25, may_raise=["S0MONEY"])
    house.slack.silent_about = {silent}
    with pytest.raises(LookupFailed):
        await raises(house, run, by=TAO)
    assert "raised" not in [one.what for one in await house.ledger()]


async def test_where_no_limit_was_hit_there_is_nothing_to_raise(house: House) -> None:
    run = await house.asks("draft", "Announce the open cage")
    await house.runs_all()
    with pytest.raises(Refusal, match="No limit was hit in this thread that could be raised"):
        await raises(house, run)
    with pytest.raises(Refusal, match="no work of mine in this thread"):
        await raises(house, run, thread_ts="1.1")


@pytest.mark.parametrize(
    ("budgets", "which"),
    [({"run_usd": 0.000001}, "of $0.000001 for a run"), ({"thread_usd": 0.15}, "of $0.15 for this thread")],
)
async def test_where_one_raise_would_not_be_enough_whoever_tries_hears_so(
    house: House, budgets: Any, which: str
) -> None:
    run = await refused(house, **budgets)
    with pytest.raises(Refusal) as told:
        await raises(house, run, entrance=Entrance.MENTION, target_id=None)
    assert told.value.sentence == (
        f"Raising the limit {which} once would not be enough: have the operator set a higher one under `[budgets]` "
        "or a cheaper model in the stack, or ask for something shorter."
    )
    assert told.value.sentence in await house.card_of(run)
    house.stack = stack(run_usd=9.0)
    await house.runs_one(await begun(house, words="", verb=Verb.AGAIN, work=await house.work(run.work_id)))
    with pytest.raises(Refusal, match="No limit was hit in this thread that could be raised"):
        await raises(house, run, entrance=Entrance.MENTION, target_id=None)


async def test_where_nobody_may_raise_no_limit_could_be(house: House) -> None:
    run = await refused(house, run_usd=0.25, may_raise=[])
    with pytest.raises(Refusal, match="No limit was hit in this thread that could be raised"):
        await raises(house, run, entrance=Entrance.MENTION, target_id=None)


async def test_a_run_of_another_thread_is_not_raised_here(house: House) -> None:
    first = await refused(house)
    other = await house.asks("draft", "Something else")
    await house.posts()
    with pytest.raises(Refusal, match="No limit was hit in this thread"):
        await raises(house, other, target_id=first.id)


async def test_a_run_that_was_asked_for_again_meanwhile_is_not_asked_for_twice(house: House) -> None:
    run = await refused(house)
    house.stack = stack(run_usd=9.0)
    later = await begun(house, words="", work=await house.work(run.work_id))
    await house.runs_one(later)
    assert (await house.run(later)).state is RunState.ANSWERED
    await raises(house, run)
    assert await asked_again(house) is None
    assert "asked for again" not in words_of(await notice(house, run))


async def test_a_run_that_the_limit_stopped_again_is_asked_for_whoever_else_failed_it(house: House) -> None:
    """The model it fell back to cannot be reached, which is what its run ends with."""
    house.stack = stack(spare=CHEAP, run_usd=0.25)
    house.models.scripts["spare"] = [ModelFailed("spare cannot be reached.", code="unreachable")] * 2
    run = await begun(house)
    await house.runs_one(run)
    await house.posts()
    work = await house.work(run.work_id)
    second = await begun(house, words="", verb=Verb.AGAIN, work=work)
    await house.runs_one(second)
    assert [one.error_code for one in await house.runs()] == ["unreachable"] * 2
    await raises(house, run)
    assert await asked_again(house) is not None


async def test_a_thread_may_go_over_the_day_by_what_was_raised_and_no_other_may(house: House) -> None:
    run = await refused(house, day_usd=0.25, thread_usd=0.5)
    assert "this thread may spend $0.50 over the day's limit of $0.25" in words_of(await notice(house, run))
    await raises(house, run)
    assert (await goes_on(house)).state is RunState.ANSWERED
    async with house.storage.reading() as saved:
        sums = await saved.spendings.sums("", run.work_id, team="T0PLAY", day="2026-11-03")
    assert (sums.day, sums.over_day) == (0, 5_200_000)
    other = await begun(house, words="Something else")
    await house.runs_one(other)
    assert (await house.run(other)).error_code == "budget"


async def test_the_note_and_the_target_of_the_run_come_with_it(house: House) -> None:
    house.stack = stack(run_usd=9.0)
    first = await begun(house)
    await house.runs_one(first)
    await house.posts()
    answer = await house.answer_of(first)
    house.stack = stack(run_usd=0.25)
    work = await house.work(first.work_id)
    run = await begun(house, words="make it short", work=work, target_id=answer.id, person=STAN)
    await house.runs_one(run)
    await raises(house, run)
    again = await goes_on(house)
    assert (again.asked_by, again.note, again.note_by, again.target_id, again.revises, again.lane) == (
        STAN,
        "make it short",
        (STAN,),
        answer.id,
        True,
        run.lane,
    )


async def a_walk_that_a_limit_stopped(house: House) -> tuple[Run, Run]:
    """The first run of a walk through draft and polish, and the second, which the run's limit kept from its model."""
    house.stack = a_stack(
        models={"quick": a_model(price=CHEAP), "careful": a_model(id="careful-1", trust=5, price=PRICE)},
        stages={"polish": {"max_output_tokens": 4_000}},
        pipelines={"pair": ["draft", "polish"], "alone": ["scout"]},
        budgets={"run_usd": 0.25},
    )
    first = await house.asks("draft", "Announce the open cage. run pair")
    await house.runs_all()
    return first, (await house.runs(first.work_id))[-1]


async def test_a_walk_goes_on_at_the_step_that_the_limit_stopped(house: House) -> None:
    first, stopped = await a_walk_that_a_limit_stopped(house)
    assert (stopped.stage, stopped.error_code) == ("polish", "budget")
    await raises(house, stopped)
    again = await goes_on(house)
    assert (again.stage, again.state, again.asked_by, again.walk) == (
        "polish",
        RunState.ANSWERED,
        ANN,
        stopped.walk,
    )
    async with house.storage.reading() as saved:
        (walk,) = await saved.walks.of_work(first.work_id)
    assert walk.state is WalkState.DONE


async def test_a_walk_goes_on_at_its_step_though_somebody_asked_for_something_else_meanwhile(house: House) -> None:
    first, stopped = await a_walk_that_a_limit_stopped(house)
    await house.posts()
    house.now.goes_on(seconds=60)
    await house.asks("scout", "look elsewhere", work=await house.work(first.work_id), person=STAN)
    await house.runs_all()
    await raises(house, stopped)
    again = await goes_on(house)
    assert (again.stage, again.state, again.asked_by, again.note) == ("polish", RunState.ANSWERED, ANN, "")
    assert again.walk == stopped.walk
    async with house.storage.reading() as saved:
        (walk,) = await saved.walks.of_work(first.work_id)
    assert walk.state is WalkState.DONE


async def test_where_another_walk_began_meanwhile_the_stopped_step_is_asked_for_by_itself(house: House) -> None:
    first, stopped = await a_walk_that_a_limit_stopped(house)
    await house.posts()
    house.now.goes_on(seconds=60)
    await house.asks("scout", "once run alone", work=await house.work(first.work_id), person=STAN)
    await house.runs_all()
    await raises(house, stopped)
    again = await goes_on(house)
    assert (again.stage, again.state, again.asked_by, again.walk) == ("polish", RunState.ANSWERED, ANN, None)
    assert again.target_id == stopped.target_id


async def test_of_two_notices_about_one_step_the_first_goes_on_with_the_walk_too(house: House) -> None:
    first, stopped = await a_walk_that_a_limit_stopped(house)
    house.now.goes_on(seconds=60)
    again = await house.asks(None, work=await house.work(first.work_id), verb=Verb.AGAIN)  # type: ignore[arg-type]
    await house.runs_all()
    assert (await house.run(again)).error_code == "budget"
    await raises(house, stopped)
    assert (await goes_on(house)).walk == stopped.walk
    async with house.storage.reading() as saved:
        (walk,) = await saved.walks.of_work(first.work_id)
    assert walk.state is WalkState.DONE
