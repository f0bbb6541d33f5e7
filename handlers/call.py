"""Asking the models of a route in their order: whom this context fits, who rests, who answered, and what was tried."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from handlers import messages
from handlers.context import Context
from handlers.cooling import after, rests
from handlers.errors import ModelFailed
from handlers.ports import Assignment, Clock, ModelAnswer, Models, Prompt, Settle, Sleep
from handlers.purse import Purse
from handlers.result import Answered
from handlers.routing import Route, too_long
from handlers.stack import Stack
from handlers.still_allowed import PLACE_UNKNOWN
from handlers.words import storable
from storage.database import Database
from storage.records import Cooldown, Run
from storage.trouble import is_trouble

PATIENCE = timedelta(seconds=60)
"""So long a run waits for a model that rests, if nobody else may answer."""
_SERVED_LIMIT = 200  # the column's

May = Callable[[], Awaitable[None]]
"""Returns where the run's words may still be sent; raises where not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a run has to ask, in which channel, by which route and under which stack."""

    run: Run
    channel: str
    decided: Route
    context: Context
    stack: Stack

    @property
    def prompt(self) -> Prompt:
        rules = self.stack.rules(self.decided.stage)
        return Prompt(
            system=self.context.system,
            user=self.context.user,
            max_output_tokens=rules.max_output_tokens,
            temperature=rules.temperature,
        )

    def to(self, key: str) -> Assignment:
        """One model of the route, with the policy that must hold when it is asked."""
        rules, model = self.stack.rules(self.decided.stage), self.stack.models[key]
        host = self.stack.hosts.get(model.host)
        return Assignment(
            key=key,
            model=model,
            timeout_seconds=rules.timeout_seconds,
            stage=self.decided.stage,
            run_id=self.run.id,
            epoch=self.run.epoch,
            host_concurrency=None if host is None else host.concurrency,
            channel=self.channel,
            jurisdictions=self.stack.policy(self.channel).jurisdictions,
            min_trust=rules.min_trust,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tools:
    """What asking takes."""

    models: Models
    purse: Purse
    storage: Database
    now: Clock
    may: May


async def ask_in_order(
    question: Question,
    *,
    models: Models,
    purse: Purse,
    storage: Database,
    now: Clock,
    may: May,
    waits: Callable[[str], None] = lambda _: None,
    sleep: Sleep = asyncio.sleep,
) -> Answered:
    """Ask the assigned model, then its fallbacks; those that rest come last, if it is worth waiting for them.

    `may` is awaited before each attempt; `waits` is told why nobody is asked just now, and "" once somebody is.

    Raises:
        ModelFailed: nobody answered; its sentence says who was asked, who was not, and why.
    """
    tools = _Tools(models=models, purse=purse, storage=storage, now=now, may=may)
    decided, stack = question.decided, question.stack
    tried: dict[str, ModelFailed] = {}
    resting: list[tuple[Cooldown, str]] = []
    for key in (decided.model, *decided.fallbacks):
        if sentence := too_long(stack, decided.stage, key, question.context.tokens):
            tried[key] = ModelFailed(sentence, code="context_too_long")
            continue
        cooling = await _cooling(storage, now)
        if sentence := rests(key, stack.models[key], cooling, now()):
            tried[key] = ModelFailed(sentence, code="resting")
            resting.append((cooling[stack.models[key].endpoint], key))
            continue
        answer = await _ask(question, key, tried, tools)
        if answer is not None:
            return _answered(answer, key, question, tried)
    for cooldown, key in sorted(resting, key=lambda one: (one[0].until, one[1])):
        wait = (cooldown.until or now()) - now()
        if wait > PATIENCE:
            continue
        waits(tried[key].sentence)
        await sleep(max(0.0, wait.total_seconds()))
        waits("")
        answer = await _ask(question, key, tried, tools)
        if answer is not None:
            return _answered(answer, key, question, tried)
    told = " ".join([" Then: ".join(failure.sentence for failure in tried.values()), *_not_asked(decided)])
    way = purse.way_out() or f"Nothing was lost: `{messages.BOT} again`, or pick another model in the stack."
    raise ModelFailed(f"{told} {way}", code=list(tried.values())[-1].code)


async def _cooling(storage: Database, now: Clock) -> dict[str, Cooldown]:
    async with storage.reading() as saved:
        return await saved.cooldowns.current(now())


async def _ask(question: Question, key: str, tried: dict[str, ModelFailed], tools: _Tools) -> ModelAnswer | None:
    """One model's answer; None if it gave none, which then stands in `tried` and, for all processes, in the tables."""
    assignment, prompt, began = question.to(key), question.prompt, tools.now()
    reserve = tools.purse.before(key, assignment.model, prompt)

    async def before() -> Settle:
        await tools.may()
        return await reserve()

    try:
        answer = await tools.models.ask(assignment, prompt, before=before)
    except ModelFailed as failure:
        if failure.code == PLACE_UNKNOWN:
            raise  # which is nothing of this model's
        tried[key] = failure
        await _remember(assignment, failure, began, storage=tools.storage, now=tools.now)
        return None
    tried.pop(key, None)
    await _remember(assignment, None, began, storage=tools.storage, now=tools.now)
    return answer


async def _remember(
    assignment: Assignment, failure: ModelFailed | None, began: datetime, *, storage: Database, now: Clock
) -> None:
    """Let every process know how the endpoint is. Trouble with the database costs this knowledge, never an answer."""
    model = assignment.model
    try:
        async with storage.reading() as saved:
            before = (await saved.cooldowns.all()).get(model.endpoint)
        if failure is None and before is None:
            return
        async with storage.transaction() as saved:
            if failure is None:
                await saved.cooldowns.forget(model.endpoint)
                return
            before = (await saved.cooldowns.all()).get(model.endpoint)
            if noted := after(failure, model, before, began=began, now=now()):
                await saved.cooldowns.note(noted)
    except Exception as problem:
        if not is_trouble(problem):
            raise


def _answered(answer: ModelAnswer, key: str, question: Question, tried: dict[str, ModelFailed]) -> Answered:
    """The answer with who gave it; if it was not the assigned model, with everybody who was passed over."""
    decided, model = question.decided, question.stack.models[key]
    served = answer.served_id and storable(answer.served_id)[:_SERVED_LIMIT]
    kept = replace(answer, text=storable(answer.text), served_id=served)
    if key == decided.model:
        return Answered(answer=kept, key=key, model=model)
    because = " ".join([*(failure.sentence for failure in tried.values()), *_not_asked(decided)])
    return Answered(answer=kept, key=key, model=model, instead_of=decided.model, because=because)


def _not_asked(decided: Route) -> Sequence[str]:
    """Who could have been a fallback and may not be one here."""
    return [f"Not asked: {'; '.join(decided.passed_over)}."] if decided.passed_over else []
