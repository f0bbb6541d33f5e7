"""The most an attempt can cost, what it came to, and whether the limits leave room: decisions in tables."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.budget import (
    DOLLAR,
    Exceeds,
    Fits,
    Limit,
    OverBudget,
    Tokens,
    afford,
    amount_of,
    billionths,
    cost,
    counted,
    day_of,
    most_tokens,
    so_far,
    standing,
    way_out,
    who_may_raise,
    would_do,
)
from handlers.ports import Usage
from handlers.stack import Budgets, Price
from storage.records import Costs, Raised, Sums
from tests.fakes import a_stack, an_answer

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
CENT = DOLLAR // 100
PRICE = Price.model_validate({"input": 0.15, "output": 0.6, "checked": "2026-11-01"})
ALL = Budgets(run_usd=1.0, thread_usd=5.0, day_usd=50.0)
MOST = Tokens(read=2_000, written=300)


def raised(which: Limit, usd: float) -> Raised:
    return Raised(work_id="w", run_id="r", which=which, amount=billionths(usd), who="U0RAE", at=NOON)


def cents(**spent: int) -> Sums:
    return Sums(**{name: CENT * number for name, number in spent.items()})


def exceeds(which: Limit, allowed: float, left: float, amount: float | None = None) -> Exceeds:
    amount_ = None if amount is None else billionths(amount)
    return Exceeds(which=which, allowed=billionths(allowed), left=billionths(left), amount=amount_)


# what an attempt costs


@pytest.mark.parametrize("text", ["Houba", "Häuba", "胡巴", "🐒🐒", ""])
def test_the_most_that_goes_in_is_a_token_for_each_byte_and_some_for_the_frame(text: str) -> None:
    assert most_tokens(text, text, 300) == Tokens(read=2 * len(text.encode()) + 64, written=300)


@pytest.mark.parametrize(
    ("read", "written", "billionths_"),
    [(1_000_000, 0, 150_000_000), (0, 1_000_000, 600_000_000), (1, 0, 150), (0, 0, 0), (10**15, 0, 10**15)],
)
def test_a_cost_is_exact_and_never_more_than_can_be_kept(read: int, written: int, billionths_: int) -> None:
    assert cost(PRICE, Tokens(read=read, written=written)) == billionths_


def test_what_is_less_than_can_be_counted_is_rounded_against_whoever_spends() -> None:
    tiny = Price.model_validate({"input": 1e-9, "output": 0.0, "checked": "2026-11-01"})
    assert cost(tiny, Tokens(read=1, written=0)) == 1
    assert billionths(0.0000000019) == 1
    assert billionths(0.1) + billionths(0.2) == billionths(0.3)


ODD = [None, -1, -(10**9), True, False, 1.5, 120.0, math.nan, math.inf, "many", [3]]


@pytest.mark.parametrize("count", ODD)
def test_what_is_no_count_is_estimated(count: Any) -> None:
    answer = an_answer("It opens.", usage=Usage(input_tokens=count, output_tokens=count))
    assert counted(answer, MOST, read=lambda: 480) == Tokens(read=480, written=3, estimated=True)


@pytest.mark.parametrize(
    ("into", "out", "tokens"),
    [
        (120, 40, Tokens(read=120, written=40)),
        (2_000, 300, Tokens(read=2_000, written=300)),
        (2_001, 301, Tokens(read=2_000, written=300, estimated=True)),
        (10**15, 40, Tokens(read=2_000, written=40, estimated=True)),
        (40, 0, Tokens(read=40, written=0)),
        (39, 0, Tokens(read=480, written=0, estimated=True)),
        (0, 40, Tokens(read=480, written=40, estimated=True)),
    ],
)
def test_a_count_is_believed_where_it_can_be_true(into: int, out: int, tokens: Tokens) -> None:
    answer = an_answer("It opens.", usage=Usage(input_tokens=into, output_tokens=out))
    assert counted(answer, MOST, read=lambda: 480) == tokens


def test_nothing_written_is_no_count_of_a_long_answer() -> None:
    answer = an_answer("houba " * 40, usage=Usage(input_tokens=120, output_tokens=0))
    assert counted(answer, MOST, read=lambda: 480).written > 4
    assert counted(an_answer("houba " * 4_000, usage=Usage()), MOST, read=lambda: 9_999) == Tokens(
        read=2_000, written=300, estimated=True
    )


@given(st.integers() | st.floats() | st.booleans() | st.none(), st.integers() | st.floats(), st.text(max_size=300))
def test_no_usage_makes_a_cost_negative_or_more_than_was_set_aside(into: Any, out: Any, text: str) -> None:
    answer = an_answer(text, usage=Usage(input_tokens=into, output_tokens=out))
    assert 0 <= cost(PRICE, counted(answer, MOST, read=lambda: 10**9)) <= cost(PRICE, MOST)


@pytest.mark.parametrize(("hours", "day"), [(0, "2026-11-03"), (-13, "2026-11-04"), (13, "2026-11-02")])
def test_a_day_is_utcs_wherever_people_are(hours: int, day: str) -> None:
    assert day_of(NOON.replace(tzinfo=timezone(timedelta(hours=hours)))) == day


# what there is room for


@pytest.mark.parametrize(
    ("worst", "sums", "budgets", "by", "room"),
    [
        (500, cents(run=900, work=900, day=900), Budgets(), None, Fits()),
        (100, cents(), ALL, None, Fits()),
        (101, cents(), ALL, None, exceeds(Limit.RUN, 1.0, 1.0, 1.0)),
        (201, cents(), ALL, None, exceeds(Limit.RUN, 1.0, 1.0)),
        (60, cents(run=60, work=60, day=60), ALL, None, exceeds(Limit.RUN, 1.0, 0.4, 1.0)),
        (200, cents(), ALL, raised(Limit.RUN, 1.0), Fits()),
        (201, cents(), ALL, raised(Limit.RUN, 1.0), exceeds(Limit.RUN, 2.0, 2.0)),
        (50, cents(work=450, day=450), ALL, None, Fits()),
        (51, cents(work=450, day=450), ALL, None, exceeds(Limit.THREAD, 5.0, 0.5, 5.0)),
        (51, cents(work=450, day=450), ALL, raised(Limit.THREAD, 5.0), Fits()),
        (51, cents(work=950, day=950), ALL, raised(Limit.THREAD, 5.0), exceeds(Limit.THREAD, 10.0, 0.5)),
        (51, cents(work=450, day=450), ALL, raised(Limit.RUN, 1.0), exceeds(Limit.THREAD, 5.0, 0.5)),
        (60, cents(run=60, work=480, day=480), ALL, None, exceeds(Limit.RUN, 1.0, 0.4)),
        (50, cents(day=4_950), ALL, None, Fits()),
        (51, cents(day=4_950), ALL, None, exceeds(Limit.DAY, 50.0, 0.5, 5.0)),
        (51, cents(day=4_950), ALL, raised(Limit.DAY, 5.0), Fits(over_day=True)),
        (51, cents(day=4_950, over_day=449), ALL, raised(Limit.DAY, 5.0), Fits(over_day=True)),
        (51, cents(day=4_950, over_day=450), ALL, raised(Limit.DAY, 5.0), exceeds(Limit.DAY, 50.0, 0.5)),
        (50, cents(day=4_950, over_day=500), ALL, raised(Limit.DAY, 5.0), Fits()),
        (51, cents(work=450, day=4_950), ALL, raised(Limit.DAY, 5.0), exceeds(Limit.THREAD, 5.0, 0.5)),
        (51, cents(day=6_000), ALL, None, exceeds(Limit.DAY, 50.0, 0.0, 5.0)),
        (99, cents(day=50), Budgets(day_usd=1.0), None, exceeds(Limit.DAY, 1.0, 0.5, 1.0)),
        (101, cents(day=50), Budgets(day_usd=1.0), None, exceeds(Limit.DAY, 1.0, 0.5)),
        (1, cents(), Budgets(run_usd=0.0), None, exceeds(Limit.RUN, 0.0, 0.0)),
        (0, cents(), Budgets(run_usd=0.0), None, Fits()),
        (1, cents(), ALL, raised(Limit.RUN, 0.0), Fits()),
    ],
)
def test_whether_there_is_room(worst: int, sums: Sums, budgets: Budgets, by: Raised | None, room: Any) -> None:
    assert afford(worst * CENT, sums, budgets, by) == room


MONEY = st.integers(0, 400).map(lambda cents_: cents_ * CENT)
USD = st.none() | st.integers(0, 300).map(lambda cents_: cents_ / 100)


@given(
    MONEY,
    st.builds(Sums, run=MONEY, work=MONEY, day=MONEY, over_day=MONEY),
    st.builds(Budgets, run_usd=USD, thread_usd=USD, day_usd=USD),
)
def test_what_one_raise_is_offered_for_fits_after_it(worst: int, sums: Sums, budgets: Budgets) -> None:
    room = afford(worst, sums, budgets, None)
    if isinstance(room, Exceeds) and room.amount is not None:
        by = raised(room.which, room.amount / DOLLAR)
        assert isinstance(afford(worst, Sums(run=sums.run, work=sums.work, day=sums.day), budgets, by), Fits)


@pytest.mark.parametrize(
    ("budgets", "usd"),
    [(ALL, 5.0), (Budgets(run_usd=1.0, day_usd=50.0), 1.0), (Budgets(day_usd=50.0), 50.0), (Budgets(), 0.0)],
)
def test_over_the_day_a_raise_is_what_a_thread_may_cost_or_a_run(budgets: Budgets, usd: float) -> None:
    assert amount_of(Limit.DAY, budgets) == billionths(usd)


def test_reviewers_may_raise_unless_others_are_named() -> None:
    assert who_may_raise(a_stack()) == ("U0RAE", "U0SAM")
    assert who_may_raise(a_stack(budgets={"may_raise": ["U0TAO"]})) == ("U0TAO",)
    assert who_may_raise(a_stack(budgets={"may_raise": []})) == ()


# in words


@pytest.mark.parametrize(
    ("room", "says"),
    [
        (exceeds(Limit.RUN, 1.0, 0.4), "about $0.40 is left of the limit of $1.00 for a run."),
        (exceeds(Limit.THREAD, 0.125, 0.0), "nothing is left of the limit of $0.125 for this thread."),
        (exceeds(Limit.DAY, 1_250.5, 0.5), "about $0.50 is left of the limit of $1,250.50 for a day (UTC)."),
        (exceeds(Limit.RUN, 0.000001, 0.000001), "the limit for a run is $0.000001."),
        (exceeds(Limit.RUN, 0.000001, 0.0000005), "$0.0000005 is left of the limit of $0.000001 for a run."),
        (exceeds(Limit.RUN, 0.0, 0.0), "nothing is left of the limit of $0.00 for a run."),
    ],
)
def test_a_model_that_is_passed_over_says_the_limit_the_worst_case_and_what_is_left(room: Exceeds, says: str) -> None:
    failed = OverBudget("careful", 41 * CENT, room)
    assert (failed.sentence, failed.code) == (
        f"careful was not asked: that may cost up to about $0.41, and {says}",
        "budget",
    )
    assert f"that may cost up to $0.000000001, and {says}" in OverBudget("careful", 1, room).sentence
    assert OverBudget("careful", 1, room, again=True).sentence.startswith("careful was not asked again: that may")


CHEAPER = "ask for something shorter, or pick a cheaper model in the stack."


MIDNIGHT = "`@bot again` after midnight (UTC)"
HIGHER = "have the operator set a higher one under `[budgets]` or a cheaper model in the stack, or ask for something"


@pytest.mark.parametrize(
    ("room", "was_raised", "may", "says"),
    [
        (exceeds(Limit.RUN, 1.0, 0.4, 1.0), False, True, f"Somebody may raise the limit once, below; or {CHEAPER}"),
        (
            exceeds(Limit.RUN, 0.000001, 0.000001),
            False,
            True,
            f"Raising the limit of $0.000001 for a run once would not be enough: {HIGHER} shorter.",
        ),
        (
            exceeds(Limit.THREAD, 1.0, 0.4),
            False,
            True,
            f"Raising the limit of $1.00 for this thread once would not be enough: {HIGHER} shorter.",
        ),
        (
            exceeds(Limit.DAY, 1.0, 0.4),
            False,
            True,
            f"Raising the limit of $1.00 for a day (UTC) once would not be enough: {MIDNIGHT}, {HIGHER} shorter.",
        ),
        (exceeds(Limit.RUN, 1.0, 0.4), False, False, f"Nothing was lost: {CHEAPER}"),
        (exceeds(Limit.RUN, 1.0, 0.4), True, True, f"The limit was raised once already: {CHEAPER}"),
        (exceeds(Limit.DAY, 1.0, 0.4), False, False, f"Nothing was lost: `@bot again` after midnight (UTC), {CHEAPER}"),
    ],
)
def test_there_is_a_way_out_of_each(room: Exceeds, says: str, *, was_raised: bool, may: bool) -> None:
    assert way_out(room, raised=was_raised, may_be_raised=may, bot="@bot") == says


@pytest.mark.parametrize(
    ("which", "says"),
    [
        (Limit.RUN, "a run of this thread may cost $2.00 instead of $1.00"),
        (Limit.THREAD, "this thread may cost $2.00 instead of $1.00"),
        (Limit.DAY, "this thread may spend $1.00 over the day's limit of $1.00"),
    ],
)
def test_a_raise_says_what_it_does(which: Limit, says: str) -> None:
    assert would_do(which, DOLLAR, DOLLAR) == says


@pytest.mark.parametrize(
    ("costs", "usd", "says"),
    [
        ((5, 3, 120), 0.02, "thread about $0.05 · this stage about $0.03 · today about $1.20"),
        ((5, 5, 120), 0.02, "thread about $0.05 · today about $1.20"),
        ((5, 5, 5), 0.02, "thread about $0.05"),
        ((5, 5, 5), 0.05, ""),
        ((5, 5, 7), 0.05, "today about $0.07"),
        ((0, 0, 7), None, "today about $0.07"),
        ((0, 0, 0), None, ""),
    ],
)
def test_a_card_tells_what_it_has_not_told(costs: tuple[int, int, int], usd: float | None, says: str) -> None:
    work, stage, day = (CENT * number for number in costs)
    assert so_far(Costs(work=work, stage=stage, day=day), usd) == says


def test_the_status_tells_what_is_left_where_there_are_limits() -> None:
    costs, sums = Costs(work=5 * CENT, day=120 * CENT, under_way=40 * CENT), cents(work=5, day=160)
    assert standing(Costs(), Sums(), Budgets(), None) == ""
    assert standing(costs, sums, Budgets(), None) == (
        "thread so far about $0.05 · today about $1.20 · set aside for what is under way about $0.40"
    )
    assert standing(costs, sums, ALL, raised(Limit.THREAD, 5.0)) == (
        "thread so far about $0.05, about $9.95 left of $10.00 · today about $1.20, about $48.40 left of $50.00 · "
        "set aside for what is under way about $0.40 · a run may cost $1.00"
    )
    assert standing(Costs(), cents(day=6_000), Budgets(day_usd=50.0), None) == "today $0, nothing left of $50.00"
