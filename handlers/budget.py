"""What may be spent (pure): the most an attempt can cost, what it came to, and whether the limits leave room for it.

Money is counted in whole billionths of a US dollar, so that sums are exact; what an attempt costs is rounded up, a
limit down. Amounts beyond a million dollars count as a million.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from fractions import Fraction

from handlers.context import estimate_tokens
from handlers.errors import ModelFailed
from handlers.figures import exactly, money
from handlers.ports import ModelAnswer
from handlers.stack import Budgets, Price, Stack
from storage.records import Costs, Raised, Sums

DOLLAR = 10**9
RAISED = "raised"
"""What the ledger calls a raise."""
_MOST = 10**6 * DOLLAR
_FINE = DOLLAR // 10_000
"""Below this an amount is said exactly."""
_FRAME_TOKENS = 64
_LONGEST_TOKEN = 50


class Limit(StrEnum):
    """Which of the stack's limits; the ledger uses these words."""

    RUN = "run"
    THREAD = "thread"
    DAY = "day"


_FOR = {Limit.RUN: "for a run", Limit.THREAD: "for this thread", Limit.DAY: "for a day (UTC)"}


def billionths(usd: float) -> int:
    return min(math.floor(Fraction(str(usd)) * DOLLAR), _MOST)


def dollars(billionths_: int) -> float:
    return billionths_ / DOLLAR


# what an attempt costs


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """Tokens in and out; estimated where the endpoint's count is missing or cannot be believed."""

    read: int
    written: int
    estimated: bool = False


def most_tokens(system: str, user: str, max_output_tokens: int) -> Tokens:
    """An upper bound for a prompt and its output limit.

    A token stands for at least one byte of UTF-8, whichever tokenizer cuts the text, so that there are never more
    tokens than bytes; a few more frame the messages. The output is bounded by the limit that goes with the request.
    """
    return Tokens(read=len(system.encode()) + len(user.encode()) + _FRAME_TOKENS, written=max_output_tokens)


def cost(price: Price, tokens: Tokens) -> int:
    """Billionths of a dollar, rounded up; prices are per million tokens."""
    usd = tokens.read * Fraction(str(price.input)) + tokens.written * Fraction(str(price.output))
    return min(math.ceil(usd * DOLLAR / 1_000_000), _MOST)


def counted(answer: ModelAnswer, most: Tokens, *, read: Callable[[], int]) -> Tokens:
    """The endpoint's counts where they can be true; `read` estimates what went in.

    What is no count, or less than any text of that length has, is estimated; more than there can be is the most.
    """
    said, text = answer.usage, answer.text
    into, is_told = _believed(said.input_tokens, least=most.read // _LONGEST_TOKEN, most=most.read, or_else=read)
    out, is_told_too = _believed(
        said.output_tokens,
        least=len(text) // _LONGEST_TOKEN,
        most=most.written,
        or_else=lambda: estimate_tokens(text),
    )
    return Tokens(read=into, written=out, estimated=not (is_told and is_told_too))


def _believed(count: object, *, least: int, most: int, or_else: Callable[[], int]) -> tuple[int, bool]:
    if isinstance(count, bool) or not isinstance(count, int) or count < max(0, least):
        return min(or_else(), most), False
    return (count, True) if count <= most else (most, False)


def day_of(at: datetime) -> str:
    """The day a moment belongs to, wherever people are: UTC's."""
    return at.astimezone(UTC).date().isoformat()


# what there is room for


@dataclass(frozen=True, kw_only=True, slots=True)
class Fits:
    """There is room; `over_day`: not in the day's limit, but in what somebody raised."""

    over_day: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Exceeds:
    """There is no room: how much a limit allows and leaves. `amount`: what one raise would add, if that is enough."""

    which: Limit
    allowed: int
    left: int
    amount: int | None = None


def afford(worst: int, sums: Sums, budgets: Budgets, raised: Raised | None) -> Fits | Exceeds:
    """Whether an attempt that may cost so much keeps every limit, and if not, whether raising one would do."""
    tops, spent = limits(budgets, raised), {Limit.RUN: sums.run, Limit.THREAD: sums.work, Limit.DAY: sums.day}
    exceeded = [which for which, top in tops.items() if spent[which] + worst > top]
    if not exceeded:
        return Fits()
    over = raised.amount if raised is not None and raised.which == Limit.DAY else 0
    if exceeded == [Limit.DAY] and sums.over_day + worst <= over:
        return Fits(over_day=True)
    which = exceeded[0]
    left, amount = max(0, tops[which] - spent[which]), amount_of(which, budgets)
    room = amount if which is Limit.DAY else tops[which] - spent[which] + amount
    helps = raised is None and len(exceeded) == 1 and worst <= room
    return Exceeds(which=which, allowed=tops[which], left=left, amount=amount if helps else None)


def limits(budgets: Budgets, raised: Raised | None) -> Mapping[Limit, int]:
    """What each limit allows a work. A raise over the day's is counted by itself, so that no other thread uses it."""
    given = {Limit.RUN: budgets.run_usd, Limit.THREAD: budgets.thread_usd, Limit.DAY: budgets.day_usd}
    tops = {which: billionths(usd) for which, usd in given.items() if usd is not None}
    if raised is not None and raised.which in tops and raised.which != Limit.DAY:
        tops[Limit(raised.which)] += raised.amount
    return tops


def amount_of(which: Limit, budgets: Budgets) -> int:
    """What raising a limit adds: as much again; over the day's limit, what a thread may cost, or a run."""
    given = {
        Limit.RUN: (budgets.run_usd,),
        Limit.THREAD: (budgets.thread_usd,),
        Limit.DAY: (budgets.thread_usd, budgets.run_usd, budgets.day_usd),
    }[which]
    return next((billionths(usd) for usd in given if usd is not None), 0)


def who_may_raise(stack: Stack) -> tuple[str, ...]:
    return stack.review.reviewers if stack.budgets.may_raise is None else stack.budgets.may_raise


# in words


class OverBudget(ModelFailed):
    """A model is passed over: what it may cost does not fit within a limit."""

    def __init__(self, key: str, worst: int, exceeds: Exceeds, *, again: bool = False) -> None:
        super().__init__(
            f"{key} was not asked{' again' * again}: that may cost up to {_figure(worst)}, and "
            f"{_standing_of(exceeds)}.",
            code="budget",
        )
        self.exceeds = exceeds


def _standing_of(exceeds: Exceeds) -> str:
    """A limit, and what is left of it where that is not all."""
    limit = f"the limit of {exactly(dollars(exceeds.allowed))} {_FOR[exceeds.which]}"
    if 0 < exceeds.left == exceeds.allowed:
        return f"the limit {_FOR[exceeds.which]} is {exactly(dollars(exceeds.allowed))}"
    return f"{_figure(exceeds.left) if exceeds.left else 'nothing'} is left of {limit}"


def _figure(billionths_: int) -> str:
    """Rounded, unless that would hide that there is a difference."""
    return money(dollars(billionths_)) if billionths_ >= _FINE else exactly(dollars(billionths_))


def way_out(exceeds: Exceeds, *, raised: bool, may_be_raised: bool, bot: str) -> str:
    """What a person can do where a limit leaves no room."""
    cheaper = "ask for something shorter, or pick a cheaper model in the stack"
    if exceeds.amount is not None:
        return f"Somebody may raise the limit once, below; or {cheaper}."
    if may_be_raised and not raised:
        return too_low(exceeds.which, exceeds.allowed, bot=bot)
    once = "The limit was raised once already: " if raised else "Nothing was lost: "
    return f"{once}{_tomorrow(exceeds.which, bot)}{cheaper}."


def too_low(which: Limit, allowed: int, *, bot: str) -> str:
    """Why nobody is offered to raise a limit that might be raised, and what to do instead."""
    return (
        f"Raising the limit of {exactly(dollars(allowed))} {_FOR[which]} once would not be enough: "
        f"{_tomorrow(which, bot)}have the operator set a higher one under `[budgets]` or a cheaper model in the stack, "
        "or ask for something shorter."
    )


def _tomorrow(which: Limit, bot: str) -> str:
    return f"`{bot} again` after midnight (UTC), " if which is Limit.DAY else ""


def would_do(which: Limit, allowed: int, amount: int) -> str:
    """What raising a limit changes, as a sentence goes on after "once it is raised, "."""
    before, after, more = (exactly(dollars(usd)) for usd in (allowed, allowed + amount, amount))
    match which:
        case Limit.RUN:
            return f"a run of this thread may cost {after} instead of {before}"
        case Limit.THREAD:
            return f"this thread may cost {after} instead of {before}"
        case Limit.DAY:
            return f"this thread may spend {more} over the day's limit of {before}"


def standing(costs: Costs, sums: Sums, budgets: Budgets, raised: Raised | None) -> str:
    """What a thread and the day have cost, and what the limits leave; empty where there is nothing to say."""
    tops, told = limits(budgets, raised), []
    for what, which, seen, counts in (
        ("thread so far", Limit.THREAD, costs.work, sums.work),
        ("today", Limit.DAY, costs.day, sums.day),
    ):
        top = tops.get(which)
        if seen or top is not None:
            left = "" if top is None else f", {_left(top - counts)} left of {exactly(dollars(top))}"
            told.append(f"{what} {money(dollars(seen))}{left}")
    if costs.under_way:
        told.append(f"set aside for what is under way {money(dollars(costs.under_way))}")
    if (top := tops.get(Limit.RUN)) is not None:
        told.append(f"a run may cost {exactly(dollars(top))}")
    return " · ".join(told)


def _left(billionths_: int) -> str:
    return money(dollars(billionths_)) if billionths_ > 0 else "nothing"


def so_far(costs: Costs, usd: float | None) -> str:
    """What a thread, a stage of it and the day have cost, for a card that says already what the run did."""
    shown, told = {money(usd or 0)}, []
    for what, spent in (("thread", costs.work), ("this stage", costs.stage), ("today", costs.day)):
        figure = money(dollars(spent))
        if spent and figure not in shown:
            shown.add(figure)
            told.append(f"{what} {figure}")
    return " · ".join(told)
