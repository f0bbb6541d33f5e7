"""What a run spends is set aside before each attempt, settled after, and never more than the limits allow."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from handlers.budget import DOLLAR, Tokens, cost, most_tokens
from handlers.errors import ModelFailed
from handlers.incoming import Verb
from handlers.ports import Assignment, Before, ModelAnswer, Prompt, Unanswered, Usage
from handlers.result import NotOurs
from handlers.run import run_stage
from handlers.status import somebody_wants_status
from storage.database import Database, Saved
from storage.records import Kind, Letter, Run, RunState, Spending
from tests.fakes import FakeModels, a_model, a_stack, an_answer, fake_cut, until
from tests.handlers.house import READY, House, words_of

BRIEF = "Announce the open cage"
PRICE = {"input": 10.0, "output": 100.0, "checked": "2026-11-01"}
CHEAP = {"input": 0.1, "output": 1.0, "checked": "2026-11-01"}
OUTPUT = 4_000  # tokens: $0.40 at most
TIMEOUT = ModelFailed("quick did not answer in 60 s.", code="timeout")


def stack(*, spare: Any = None, **budgets: Any) -> Any:
    models = {"quick": a_model(price=PRICE), "careful": a_model(id="careful-1", trust=5)}
    stages: dict[str, Any] = {"draft": {"model": "quick", "max_output_tokens": OUTPUT}}
    if spare is not None:
        models["spare"] = a_model(id="spare-1", price=spare)
        stages["draft"]["fallbacks"] = ["spare"]
    return a_stack(models=models, stages=stages, budgets=budgets)


async def begun(house: House, stage: str = "draft", words: str = BRIEF, **more: Any) -> Run:
    asked = await house.asks(stage, words, **more)
    async with house.storage.transaction() as saved:
        run = await saved.runs.begin(asked.id, at=house.now())
    assert run is not None
    return run


async def spendings(house: House, run: Run) -> list[Spending]:
    async with house.storage.reading() as saved:
        return await saved.spendings.of_run(run.id)


async def spent(house: House, run: Run) -> list[int | None]:
    return [one.spent for one in await spendings(house, run)]


def worst(house: House, run: Run) -> int:
    prompt = house.models.asked[-1][1]
    price = house.stack.models["quick"].price
    assert price is not None
    return cost(price, most_tokens(prompt.system, prompt.user, OUTPUT))


async def test_the_most_an_attempt_can_cost_is_set_aside_before_it_and_settled_with_the_answer(house: House) -> None:
    house.stack = stack()
    house.models.hold = asyncio.Event()
    run = await begun(house)
    task = asyncio.create_task(house.runs_one(run))
    await until(lambda: bool(house.models.asked))
    (one,) = await spendings(house, run)
    assert (one.reserved, one.spent) == (worst(house, run), None)
    assert (one.day, one.stage, one.model, one.epoch, one.attempt) == ("2026-11-03", "draft", "quick", 1, 1)
    house.models.hold.set()
    await task
    (one,) = await spendings(house, run)
    assert (one.spent, one.estimated) == (120 * 10_000 + 40 * 100_000, False)
    assert (await house.run(run)).cost_usd == pytest.approx(0.0052)


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (Usage(), None),
        (Usage(input_tokens=-5, output_tokens=40), None),
        (Usage(input_tokens=120, output_tokens=float("nan")), None),  # type: ignore[arg-type]  # whatever comes
        (Usage(input_tokens=120, output_tokens=True), None),
        (Usage(input_tokens=120, output_tokens=10**12), Tokens(read=120, written=OUTPUT)),
        (Usage(input_tokens=10**12, output_tokens=10**12), "worst"),
    ],
)
async def test_a_count_that_cannot_be_is_no_reason_to_pay_less_or_more(house: House, usage: Usage, tokens: Any) -> None:
    house.stack = stack()
    house.models.scripts["quick"] = [an_answer("It opens.", usage=usage)]
    run = await begun(house)
    await house.runs_one(run)
    (one,) = await spendings(house, run)
    price = house.stack.models["quick"].price
    assert one.spent is not None
    assert price is not None
    assert one.estimated
    assert (await house.run(run)).estimated
    assert (await house.run(run)).cost_usd == pytest.approx(one.spent / DOLLAR)
    match tokens:
        case None:
            assert 0 < one.spent < one.reserved / 4
        case "worst":
            assert one.spent == one.reserved == worst(house, run)
        case _:
            assert one.spent == cost(price, tokens)


async def test_a_model_without_a_price_takes_part_in_no_sum(house: House) -> None:
    house.stack = a_stack(budgets={"run_usd": 0.0})
    run = await begun(house)
    await house.runs_one(run)
    assert (await house.run(run)).state is RunState.ANSWERED
    assert await spendings(house, run) == []


async def test_an_attempt_that_gave_nothing_costs_all_it_may_have(house: House) -> None:
    house.stack = stack()
    house.models.scripts["quick"] = [TIMEOUT]
    run = await begun(house)
    await house.runs_one(run)
    assert await spent(house, run) == [worst(house, run)]


class ComingBy(FakeModels):
    """Each ask comes to these in turn, one attempt each."""

    def __init__(self, *comes: Unanswered | str) -> None:
        super().__init__()
        self.comes = list(comes)

    async def ask(self, assignment: Assignment, prompt: Prompt, *, before: Before) -> ModelAnswer:
        while self.comes:
            settle = await before()
            self.asked.append((assignment, prompt))
            match self.comes.pop(0):
                case Unanswered() as nothing:
                    await settle(nothing)
                case str(text):
                    await settle(answer := an_answer(text))
                    return answer
        raise ModelFailed(f"{assignment.key} failed.", code="http_429")


async def test_what_was_free_makes_room_again_and_the_rest_does_not(house: House) -> None:
    house.stack = stack(run_usd=1.0)
    house.models = ComingBy(Unanswered.FREE, Unanswered.FREE, Unanswered.FREE, "It opens.")
    run = await begun(house)
    await house.runs_one(run)
    assert (await house.run(run)).state is RunState.ANSWERED
    assert await spent(house, run) == [0, 0, 0, 5_200_000]

    house.models = ComingBy(Unanswered.MAYBE_BILLED, Unanswered.MAYBE_BILLED, "never")
    run = await begun(house)
    await house.runs_one(run)
    assert len(house.models.asked) == 2
    ended = await house.run(run)
    assert (ended.state, ended.error_code) == (RunState.FAILED, "budget")
    assert "quick was not asked again: that may cost up to about $0.4" in (ended.error or "")


async def test_what_was_free_is_settled_with_what_is_written_next_if_the_database_cannot_take_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.stack = stack()
    house.models = ComingBy(Unanswered.FREE, "It opens.")
    run = await begun(house)
    really, full = Database.transaction, sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL

    @asynccontextmanager
    async def transaction(self: Database, **how: Any) -> AsyncIterator[Saved]:
        async with really(self, **how) as saved:
            yield saved
            if how and house.models.asked:
                raise full

    monkeypatch.setattr(Database, "transaction", transaction)
    await house.runs_one(run)
    assert await spent(house, run) == [0, 5_200_000]


# limits


async def test_a_model_the_limit_leaves_no_room_for_is_passed_over(house: House) -> None:
    house.stack = stack(spare=CHEAP, run_usd=0.25)
    run = await begun(house)
    await house.runs_one(run)
    assert [assignment.key for assignment, _ in house.models.asked] == ["spare"]
    first, second, *_ = (await house.card_of(run)).split("\n")
    assert first.startswith("draft · answered · spare for quick in ")
    assert second.startswith("quick was not asked: that may cost up to about $0.4")
    assert second.endswith(", and the limit for a run is $0.25.")
    assert await house.said(run.work_id, Kind.NOTICE) == []


async def test_where_nobody_can_be_paid_the_run_ends_with_the_reason_and_a_way_out(house: House) -> None:
    house.stack = stack(spare=PRICE, run_usd=0.25)
    run = await begun(house)
    await house.runs_one(run)
    assert house.models.asked == []
    assert await spendings(house, run) == []
    ended = await house.run(run)
    assert (ended.state, ended.error_code) == (RunState.FAILED, "budget")
    told = await house.card_of(run)
    assert told.startswith("draft · failed · quick was not asked: that may cost up to ")
    assert " Then: spare was not asked: that may cost up to " in told
    assert told.endswith(
        "Somebody may raise the limit once, below; or ask for something shorter, or pick a cheaper model in the stack."
    )
    (notice,) = await house.said(run.work_id, Kind.NOTICE)
    assert words_of(notice) == (
        "A limit was hit. Raised once, a run of this thread may cost $0.50 instead of $0.25, and draft is asked for "
        "again.\nFor @U0RAE or @U0SAM, once in this thread: the button, or `@Countersign raise`."
    )
    (button,) = notice.body["buttons"]
    assert (button["action"], button["label"], button["value"]) == ("raise", "Raise once", run.id)


@pytest.mark.parametrize(
    ("budgets", "says"),
    [
        (
            {"run_usd": 0.15},
            " Raising the limit of $0.15 for a run once would not be enough: have the operator set a higher one under \
`[budgets]` or a cheaper model in the stack, or ask for something shorter.",
        ),
        (
            {"run_usd": 0.25, "may_raise": []},
            " Nothing was lost: ask for something shorter, or pick a cheaper model in the stack.",
        ),
    ],
)
async def test_where_a_raise_would_not_do_or_nobody_may_none_is_offered(house: House, budgets: Any, says: str) -> None:
    house.stack = stack(**budgets)
    run = await begun(house)
    await house.runs_one(run)
    assert await house.said(run.work_id, Kind.NOTICE) == []
    assert (await house.card_of(run)).endswith(says)


async def test_a_threads_limit_counts_its_runs_and_no_other_threads(house: House) -> None:
    house.stack = stack(thread_usd=0.9)
    house.models.scripts["quick"] = [TIMEOUT]
    first = await begun(house)
    await house.runs_one(first)
    await house.posts()
    work = await house.work(first.work_id)
    second = await begun(house, work=work)
    await house.runs_one(second)
    third = await begun(house, work=work)
    await house.runs_one(third)
    other = await begun(house, words="Something else")
    await house.runs_one(other)
    assert len(house.models.asked) == 3
    assert (await house.run(third)).error_code == "budget"
    assert "is left of the limit of $0.90 for this thread." in await house.card_of(third)
    assert (await house.run(other)).error_code == "timeout"


async def test_a_days_limit_counts_every_thread_until_midnight_in_utc(house: House) -> None:
    house.stack = stack(day_usd=0.9)
    house.models.scripts["quick"] = [TIMEOUT]
    for nth in range(3):
        run = await begun(house, words=f"Brief {nth}")
        await house.runs_one(run)
    assert (await house.run(run)).error_code == "budget"
    assert "is left of the limit of $0.90 for a day (UTC)." in await house.card_of(run)
    house.now.goes_on(hours=9, minutes=27)  # to one minute before midnight
    run = await begun(house, words="Another")
    await house.runs_one(run)
    assert (await house.run(run)).error_code == "budget"
    house.now.goes_on(minutes=2)
    run = await begun(house, words="Tomorrow")
    await house.runs_one(run)
    assert (await house.run(run)).error_code == "timeout"


# crashes and takeovers


def _were_asked(house: House, times: int) -> bool:
    return len(house.models.asked) == times


async def test_after_a_crash_what_was_set_aside_counts_and_the_run_sets_aside_anew(house: House) -> None:
    house.stack = stack(run_usd=1.0)
    house.models.hold = asyncio.Event()
    run = await begun(house)
    for nth in (1, 2):
        task = asyncio.create_task(house.runs_one(run))
        await until(partial(_were_asked, house, nth))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await spent(house, run))[-1] is None
        async with house.storage.transaction() as saved:
            await saved.runs.back_in_line()
            again = await saved.runs.begin(run.id, at=house.now())
        assert again is not None
        run = again
    house.models.hold = None
    await house.runs_one(run)
    assert len(house.models.asked) == 2, "a third attempt could cost more than the run may"
    assert (await house.run(run)).error_code == "budget"
    assert await spent(house, run) == [worst(house, run)] * 2


async def test_whoever_lost_the_run_sets_nothing_aside_and_asks_nobody(house: House) -> None:
    house.stack = stack()
    late = await begun(house)
    models = ComingBy(Unanswered.FREE, "late")
    asked_on: list[Any] = []

    class Lost(ComingBy):
        async def ask(self, assignment: Assignment, prompt: Prompt, *, before: Before) -> ModelAnswer:
            async with house.storage.transaction() as saved:
                await saved.runs.back_in_line()
                asked_on.append(await saved.runs.begin(late.id, at=house.now()))
            return await models.ask(assignment, prompt, before=before)

    house.models = Lost()
    with pytest.raises(NotOurs):
        await house.runs_one(late)
    assert models.asked == []
    assert await spendings(house, late) == []
    house.models = FakeModels()
    await house.runs_one(asked_on[0])
    assert await spent(house, late) == [5_200_000]


async def test_a_late_answer_makes_nothing_cheaper(house: House) -> None:
    house.stack = stack()
    run = await begun(house)
    house.models.hold = asyncio.Event()
    late = asyncio.create_task(house.runs_one(run))
    await until(lambda: bool(house.models.asked))
    async with house.storage.transaction() as saved:
        await saved.runs.back_in_line()
        newer = await saved.runs.begin(run.id, at=house.now())
    assert newer is not None
    await run_stage(
        newer,
        storage=house.storage,
        slack=house.slack,
        models=FakeModels(),
        sources=house.sources,
        heartbeats=house.heartbeats,
        stack=house.stack,
        cut=fake_cut,
        now=house.now,
        new_id=house.new_id,
    )
    house.models.hold.set()
    with pytest.raises(NotOurs):
        await late
    assert await spent(house, run) == [worst(house, run), 5_200_000]


# what people are told


async def test_the_card_tells_what_the_thread_and_the_day_have_cost(house: House) -> None:
    house.stack = stack()
    first = await begun(house)
    await house.runs_one(first)
    assert "thread" not in await house.card_of(first), "it cost what the card says"
    await house.posts()
    work = await house.work(first.work_id)
    second = await begun(house, work=work)
    await house.runs_one(second)
    assert (await house.card_of(second)).split("\n")[-2] == "thread about $0.01"
    other = await begun(house, words="Something else")
    await house.runs_one(other)
    assert (await house.card_of(other)).split("\n")[-2] == "today about $0.016"


async def test_what_is_under_way_elsewhere_is_not_told_as_spent(house: House) -> None:
    house.stack = stack()
    held = await begun(house)
    house.models.hold = asyncio.Event()
    task = asyncio.create_task(house.runs_one(held))
    await until(lambda: bool(house.models.asked))
    house.models = FakeModels()
    run = await begun(house, words="Something else")
    await house.runs_one(run)
    assert "today" not in await house.card_of(run)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_review_card_counts_attempts_that_gave_nothing_too(house: House) -> None:
    house.stack = a_stack(
        models={"careful": a_model(id="careful-1", trust=5, price=CHEAP, context_tokens=2_000_000)},
        stages={"final": {"model": "careful", "max_output_tokens": 1_000_000}},
    )
    house.models = ComingBy(Unanswered.MAYBE_BILLED, READY)
    run = await house.asks("final", BRIEF)
    await house.runs_all()
    (card,) = await house.said(run.work_id, Kind.REVIEW)
    assert "thread so far about $1.00" in words_of(card)


async def test_the_status_tells_what_the_limits_leave(house: House) -> None:
    house.stack = stack(thread_usd=5.0, day_usd=50.0)
    run = await begun(house)
    await house.runs_one(run)
    await house.posts()
    request = house.request(None, verb=Verb.STATUS, thread_ts=(await house.work(run.work_id)).thread_ts)
    body = request.to_json()
    await house.keeps(Letter(key=request.key, kind="request", line="l", body=body, received_at=house.now()))
    await somebody_wants_status(request, storage=house.storage, stack=house.stack, now=house.now)
    (notice,) = await house.said(run.work_id, Kind.NOTICE)
    assert words_of(notice).split("\n")[-1] == (
        "thread so far about $0.0052, about $4.99 left of $5.00 · today about $0.0052, about $49.99 left of $50.00"
    )
