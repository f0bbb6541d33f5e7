"""One run's money: each attempt at a model is set aside within the limits before it begins, and settled after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from handlers import messages
from handlers.budget import (
    Exceeds,
    OverBudget,
    afford,
    cost,
    counted,
    day_of,
    dollars,
    most_tokens,
    way_out,
    who_may_raise,
)
from handlers.context import estimate_tokens
from handlers.ports import Before, Clock, ModelAnswer, Prompt, Settle, Unanswered
from handlers.raising import offer
from handlers.result import NotOurs
from handlers.stack import Model, Price, Stack
from storage.database import Database, Saved
from storage.records import Costs, Message, Raised, Run, RunState, Spending, Work
from storage.trouble import is_trouble


class Purse:
    """What one run may still spend. A crash leaves what was set aside, so that it counts as spent."""

    def __init__(self, run: Run, work: Work, stack: Stack, *, storage: Database, now: Clock) -> None:
        self._run, self._work, self._stack = run, work, stack
        self._storage, self._now = storage, now
        self._attempts = 0
        self._came_to: dict[int, tuple[int, bool]] = {}  # by attempt; written with whatever is written next
        self._refused: Exceeds | None = None
        self._raised: Raised | None = None
        self._is_answered = False

    def before(self, key: str, model: Model, prompt: Prompt) -> Before:
        """What to await before each attempt at a model; where its price is not known it takes part in no sum.

        Raises, when awaited:
            OverBudget: a limit leaves no room for what the attempt may cost.
            NotOurs: the run is cancelled, or somebody else's by now.
        """
        asked = 0

        async def reserve() -> Settle:
            nonlocal asked
            if model.price is None:
                return self._settle_nothing
            settle = await self._reserve(key, model.price, prompt, again=asked > 0)
            asked += 1
            return settle

        return reserve

    async def _settle_nothing(self, came: ModelAnswer | Unanswered) -> None:
        self._is_answered = isinstance(came, ModelAnswer)

    async def _reserve(self, key: str, price: Price, prompt: Prompt, *, again: bool) -> Settle:
        most = most_tokens(prompt.system, prompt.user, prompt.max_output_tokens)
        worst = cost(price, most)
        attempt = self._attempts = self._attempts + 1
        run, work, at = self._run, self._work, self._now()
        async with self._storage.transaction() as saved:
            await self._hand_in(saved)
            kept = await saved.runs.get(run.id)
            if kept is None or (kept.epoch, kept.state) != (run.epoch, RunState.RUNNING):
                raise NotOurs
            await saved.spendings.write_off(run.id, before=run.epoch)
            self._raised = await saved.spendings.raised(work.id)
            sums = await saved.spendings.sums(run.id, work.id, team=work.team, day=day_of(at))
            room = afford(worst, sums, self._stack.budgets, self._raised)
            if isinstance(room, Exceeds) and not who_may_raise(self._stack):
                room = replace(room, amount=None)
            if not isinstance(room, Exceeds):
                spending = Spending(
                    team=work.team,
                    day=day_of(at),
                    work_id=work.id,
                    run_id=run.id,
                    epoch=run.epoch,
                    attempt=attempt,
                    stage=run.stage,
                    model=key,
                    reserved=worst,
                    over_day=room.over_day,
                    at=at,
                )
                await saved.spendings.reserve(spending)
        if isinstance(room, Exceeds):
            self._refused = self._refused if self._refused and self._refused.amount is not None else room
            raise OverBudget(key, worst, room, again=again)

        async def settle(came: ModelAnswer | Unanswered) -> None:
            await self._settle(attempt, came, price, prompt)

        return settle

    async def _settle(self, attempt: int, came: ModelAnswer | Unanswered, price: Price, prompt: Prompt) -> None:
        """An answer is settled where it is remembered, at the latest; what was free makes room again at once."""
        most = most_tokens(prompt.system, prompt.user, prompt.max_output_tokens)
        match came:
            case Unanswered.FREE:
                self._came_to[attempt] = (0, False)
                await self._hand_in_now()
            case Unanswered.MAYBE_BILLED:
                self._came_to[attempt] = (cost(price, most), True)
            case ModelAnswer():
                self._is_answered = True
                tokens = counted(came, most, read=lambda: estimate_tokens(prompt.system) + estimate_tokens(prompt.user))
                self._came_to[attempt] = (cost(price, tokens), tokens.estimated)

    async def _hand_in_now(self) -> None:
        try:
            async with self._storage.transaction(alone=False) as saved:
                await self._hand_in(saved)
        except Exception as problem:
            if not is_trouble(problem):
                raise  # else it is handed in with what is written next

    async def _hand_in(self, saved: Saved) -> None:
        for attempt, (spent, estimated) in self._came_to.items():
            await saved.spendings.settle(self._run.id, self._run.epoch, attempt, spent=spent, estimated=estimated)

    async def close(self, saved: Saved) -> Costs:
        """Settle what the run came to, in the transaction that ends it; return what was spent so far."""
        await self._hand_in(saved)
        day = day_of(self._now())
        return await saved.spendings.costs(self._work.id, team=self._work.team, day=day, stage=self._run.stage)

    def way_out(self) -> str | None:
        """What people can do where a limit kept a model from being asked; None where none did."""
        if self._refused is None:
            return None
        may_be = bool(who_may_raise(self._stack))
        return way_out(self._refused, raised=self._raised is not None, may_be_raised=may_be, bot=messages.BOT)

    def too_low(self) -> dict[str, Any]:
        """The limit that kept the run from its answer though it was never raised, as facts; empty if one raise does."""
        seen = self._refused
        if seen is None or seen.amount is not None or self._raised is not None or self._is_answered:
            return {}
        return {"limit": seen.which.value, "of_usd": dollars(seen.allowed)} if who_may_raise(self._stack) else {}

    def offer(self) -> Message | None:
        """The notice by which somebody may raise the limit that kept the run from its answer, if that would do."""
        if self._refused is None or self._is_answered:
            return None
        return offer(self._run, self._work, self._refused, self._stack, now=self._now)
