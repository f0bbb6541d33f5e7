"""`/stack`: the table in use, for people: who does what in this channel, how each model is doing, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from handlers import messages
from handlers.cooling import in_words
from handlers.errors import Refusal
from handlers.figures import clock, count, day, money, short
from handlers.incoming import Request
from handlers.ports import Clock, LookupFailed, Slack
from handlers.request import check_place
from handlers.routing import NoRoute, barred_because, candidates, route
from handlers.stack import Budgets, Gate, Model, Pipeline, Posture, Price, Stack, StageName
from handlers.words import Body, Line, Span, bold, line
from storage.database import Database
from storage.records import Cooldown
from storage.usage import ModelUse

_LATELY = timedelta(days=30)


@dataclass(frozen=True, kw_only=True, slots=True)
class Happenings:
    """What the tables know of a stack's models.

    Attributes:
        cooling: the endpoints that nobody asks now, each with what it did.
        used: whose answers the last 30 days brought to this workspace, most first.
        loaded_at: when this process read the stack.
        closed: why nothing may be asked for in the channel, in a sentence; empty where it may.
        newer: what keeps a newer file from being used, in a sentence; empty where there is none.
    """

    cooling: Mapping[str, Cooldown]
    used: Sequence[ModelUse]
    loaded_at: datetime
    closed: str = ""
    newer: str = ""


async def somebody_wants_stack(
    request: Request,
    *,
    storage: Database,
    slack: Slack,
    stack: Stack,
    loaded_at: datetime,
    newer: str = "",
    now: Clock,
) -> Body:
    """The table as it stands in the channel where they asked."""
    at, closed = now(), await _closed(request.channel, stack, slack)
    async with storage.reading() as saved:
        cooling = await saved.cooldowns.current(at)
        used = await saved.usage.by_model(request.team, at - _LATELY)
    happened = Happenings(cooling=cooling, used=used, loaded_at=loaded_at, closed=closed, newer=newer)
    return in_use(stack, request.channel, happened, at)


async def _closed(channel: str, stack: Stack, slack: Slack) -> str:
    """Why nothing may be asked for in a channel; "" where it may, or Slack does not say."""
    try:
        check_place(await slack.place(channel), stack.policy(channel))
    except Refusal as refusal:
        return refusal.sentence
    except LookupFailed:
        pass
    return ""


def in_use(stack: Stack, channel: str, happened: Happenings, now: datetime) -> Body:
    """Who does what, then the models, then what holds for all."""
    lines = [line(bold("Who does what in this channel"))]
    if happened.closed:
        lines.append(line(f"Nothing, for now. {happened.closed} Elsewhere:"))
    for stage in StageName:
        lines += _stage(stack, stage, channel)
    lines += [Line(spans=()), line(bold("The models"))]
    lines += [_model(key, model, happened, now) for key, model in stack.models.items()]
    if gone := [one for one in happened.used if one.model not in stack.models]:
        before = ", ".join(f"{one.model} {_part(one, happened.used)}" for one in gone)
        lines.append(line(f"No longer in the stack: {before}"))
    lines += _foot(stack, happened, now)
    return messages.plain(*lines, fallback="The stack in use")


def _stage(stack: Stack, stage: StageName, channel: str) -> list[Line]:
    found = route(stack, stage, channel)
    barred = [why for key in candidates(stack, stage) if (why := barred_because(stack, key, stage, channel))]
    if isinstance(found, NoRoute):
        return [line(bold(stage), f" · not here: {'; '.join(barred) or 'the stack names no model'}")]
    trust, floor = stack.models[found.model].trust, stack.rules(stage).min_trust
    instead = f", else {', '.join(found.fallbacks)}" if found.fallbacks else ""
    posture = "final owner" if found.posture is Posture.FINAL_OWNER else "fast pass"
    gate = ", then a reviewer" if found.gate is Gate.REVIEW else ""
    needs = f" of at least {floor}" if floor > 1 else ""
    said = line(bold(stage), " · ", bold(found.model), f"{instead} · trust {trust}{needs} · {posture}{gate}")
    return [said, *(line(f"     not here: {why}") for why in barred)]


def _model(key: str, model: Model, happened: Happenings, now: datetime) -> Line:
    served = f" ({model.id})" if model.id != key else ""
    use = next((one for one in happened.used if one.model == key), None)
    part = _part(use, happened.used) if use else "no runs"
    return line(bold(key), f"{served} · ", *_health(model, happened, now), f" · {_price(model.price, now)} · {part}")


def _health(model: Model, happened: Happenings, now: datetime) -> list[str | Span]:
    found = happened.cooling.get(model.endpoint)
    if found is None or found.until is None or found.until <= now:
        return ["answers"]
    often = f", {found.failures} times in a row" if found.failures > 1 else ""
    return [bold(f"cooling down until {clock(found.until)}"), f": {in_words(found.code)}{often}"]


def _price(price: Price | None, now: datetime) -> str:
    if price is None:
        return "no price"
    told = f"{_usd(price.input)} / {_usd(price.output)}"
    if price.is_stale(now.date()):
        return f"{told}, stale: checked {day(price.checked)}"
    return f"{told}, checked {day(price.checked)}"


def _usd(amount: float) -> str:
    return f"${amount:,.2f}" if round(amount, 2) == amount else f"${amount:,g}"


def _part(one: ModelUse, used: Sequence[ModelUse]) -> str:
    """Its share of all runs that gave an answer, and their cost as far as prices tell."""
    share = round(100 * one.runs / sum(each.runs for each in used))
    told = f"{share or 'under 1'} % of runs"
    if not one.priced:
        return told
    rest = f" for {one.priced:,} of {one.runs:,}" if one.priced < one.runs else ""
    return f"{told}, {money(one.cost_usd)}{rest}"


def _foot(stack: Stack, happened: Happenings, now: datetime) -> list[Line]:
    since = happened.loaded_at
    when = clock(since) if since.date() == now.date() else f"{day(since)}, {clock(since)}"
    told = [
        "Prices: USD per million tokens, in / out. Runs: those of the last 30 days that gave an answer.",
        f"Stack {short(stack.digest)}, loaded {when}. `python -m bot check` looks for mistakes in it.",
    ]
    if happened.newer:
        told.append(f"The file has changed since and cannot be used, so this stack stays: {happened.newer}")
    if limits := _limits(stack.budgets):
        told.insert(1, f"Budgets: {limits}.")
    walked = [_pipeline(name, pipeline) for name, pipeline in stack.pipelines.items()]
    return [*walked, *(line(sentence, small=True) for sentence in told)]


def _pipeline(name: str, pipeline: Pipeline) -> Line:
    """A name that `run` takes, and what is walked then."""
    rounds = f", at most {count(pipeline.revise_rounds, 'revision')}" if pipeline.revise_rounds else ""
    return line(f"`run {name}`: {', '.join(pipeline.stages)}{rounds}", small=True)


def _limits(budgets: Budgets) -> str:
    limits = {"a run": budgets.run_usd, "a thread": budgets.thread_usd, "a day": budgets.day_usd}
    return ", ".join(f"{_usd(usd)} {of}" for of, usd in limits.items() if usd is not None)
