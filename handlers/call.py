"""Asking the models of a route in their order: whom this context fits, who rests, who answered, and what was tried."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from handlers import messages
from handlers.context import Context
from handlers.cooling import after, rests
from handlers.errors import ModelFailed
from handlers.ports import Assignment, Clock, ModelAnswer, Models, Prompt, Sleep
from handlers.result import Answered
from handlers.routing import Route, too_long
from handlers.stack import Stack
from handlers.words import storable
from storage.database import Database
from storage.records import Cooldown, Run
from storage.trouble import is_trouble

PATIENCE = timedelta(seconds=60)
"""So long a run waits for a model that rests, if nobody else may answer."""
_SERVED_LIMIT = 200  # the column's


async def ask_in_order(
    run: Run,
    decided: Route,
    context: Context,
    stack: Stack,
    *,
    models: Models,
    storage: Database,
    now: Clock,
    waits: Callable[[str], None] = lambda _: None,
    sleep: Sleep = asyncio.sleep,
) -> Answered:
    """Ask the assigned model, then its fallbacks; those that rest come last, if it is worth waiting for them.

    `waits` is told why nobody is asked just now, and "" once somebody is.

    Raises:
        ModelFailed: nobody answered; its sentence says who was asked, who was not, and why.
    """
    prompt = _prompt(decided, context, stack)
    tried: dict[str, ModelFailed] = {}
    resting: list[tuple[Cooldown, str]] = []
    for key in (decided.model, *decided.fallbacks):
        if sentence := too_long(stack, decided.stage, key, context.tokens):
            tried[key] = ModelFailed(sentence, code="context_too_long")
            continue
        cooling = await _cooling(storage, now)
        if sentence := rests(key, stack.models[key], cooling, now()):
            tried[key] = ModelFailed(sentence, code="resting")
            resting.append((cooling[stack.models[key].endpoint], key))
            continue
        answer = await _ask(run, decided, key, prompt, stack, tried, models=models, storage=storage, now=now)
        if answer is not None:
            return _answered(answer, key, decided, stack, tried)
    for cooldown, key in sorted(resting, key=lambda one: (one[0].until, one[1])):
        wait = (cooldown.until or now()) - now()
        if wait > PATIENCE:
            continue
        waits(tried[key].sentence)
        await sleep(max(0.0, wait.total_seconds()))
        waits("")
        answer = await _ask(run, decided, key, prompt, stack, tried, models=models, storage=storage, now=now)
        if answer is not None:
            return _answered(answer, key, decided, stack, tried)
    told = " ".join([" Then: ".join(failure.sentence for failure in tried.values()), *_not_asked(decided)])
    way = f"Nothing was lost: `{messages.BOT} again`, or pick another model in the stack."
    raise ModelFailed(f"{told} {way}", code=list(tried.values())[-1].code)


def _prompt(decided: Route, context: Context, stack: Stack) -> Prompt:
    rules = stack.rules(decided.stage)
    return Prompt(
        system=context.system,
        user=context.user,
        max_output_tokens=rules.max_output_tokens,
        temperature=rules.temperature,
    )


async def _cooling(storage: Database, now: Clock) -> dict[str, Cooldown]:
    async with storage.reading() as saved:
        return await saved.cooldowns.current(now())


async def _ask(
    run: Run,
    decided: Route,
    key: str,
    prompt: Prompt,
    stack: Stack,
    tried: dict[str, ModelFailed],
    *,
    models: Models,
    storage: Database,
    now: Clock,
) -> ModelAnswer | None:
    """One model's answer; None if it gave none, which then stands in `tried` and, for all processes, in the tables."""
    model = stack.models[key]
    host = stack.hosts.get(model.host)
    assignment = Assignment(
        key=key,
        model=model,
        timeout_seconds=stack.rules(decided.stage).timeout_seconds,
        stage=decided.stage,
        run_id=run.id,
        epoch=run.epoch,
        host_concurrency=None if host is None else host.concurrency,
    )
    began = now()
    try:
        answer = await models.ask(assignment, prompt)
    except ModelFailed as failure:
        tried[key] = failure
        await _remember(assignment, failure, began, storage=storage, now=now)
        return None
    tried.pop(key, None)
    await _remember(assignment, None, began, storage=storage, now=now)
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


def _answered(answer: ModelAnswer, key: str, decided: Route, stack: Stack, tried: dict[str, ModelFailed]) -> Answered:
    """The answer with who gave it; if it was not the assigned model, with everybody who was passed over."""
    served = answer.served_id and storable(answer.served_id)[:_SERVED_LIMIT]
    storable_answer = replace(answer, text=storable(answer.text), served_id=served)
    if key == decided.model:
        return Answered(answer=storable_answer, key=key, model=stack.models[key])
    because = " ".join([*(failure.sentence for failure in tried.values()), *_not_asked(decided)])
    return Answered(answer=storable_answer, key=key, model=stack.models[key], instead_of=decided.model, because=because)


def _not_asked(decided: Route) -> Sequence[str]:
    """Who could have been a fallback and may not be one here."""
    return [f"Not asked: {'; '.join(decided.passed_over)}."] if decided.passed_over else []
