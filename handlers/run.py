"""One run: a fresh context, one question to the assigned model, and what came of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, Self

from handlers import messages
from handlers.call import Question, ask_in_order
from handlers.context import Context, Item, compose, sentence
from handlers.errors import ModelFailed, Refusal
from handlers.material import material, stage_of
from handlers.ports import Clock, Models, NewId, Slack, Sources
from handlers.purse import Purse
from handlers.request import card_slot
from handlers.result import Cut, Made, NotOurs, deliver, whole
from handlers.routing import NoRoute, Route, route
from handlers.second_opinion import First, first_of, known_then, route_beside, same_material
from handlers.sources import NOTHING_READ, Readings, hand_over, read_sources
from handlers.stack import Stack, StageName
from handlers.still_allowed import Channel
from handlers.walk import step_failed
from handlers.words import Body
from storage.crashpoints import crashpoint
from storage.database import Database
from storage.records import Answer, Run, RunState, StoredContext, Work
from storage.trouble import is_trouble

STATUS_AFTER, FIRST_BEAT, NEXT_BEATS = 0.5, 2.0, 5.0
"""Seconds: nobody needs to be told that a moment's work is under way, and what is owed goes first."""
FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0  # seconds until what could not be written is written again
_CLEARING_SECONDS = 2.0
MOST_BEGINNINGS = 30
"""One that ends its process each time is not paid for without an end; deployments break none off so often."""


class Heartbeats(Protocol):
    """What people see while a model works; all of it may be lost without harm."""

    async def heartbeat(self, slot: str, body: Body) -> None: ...
    async def still(self, slot: str) -> None: ...
    async def show_status(self, work: Work, text: str) -> None: ...


async def run_stage(
    run: Run,
    *,
    storage: Database,
    slack: Slack,
    models: Models,
    sources: Sources,
    heartbeats: Heartbeats,
    stack: Stack,
    cut: Cut,
    now: Clock,
    new_id: NewId,
) -> None:
    """Take one running run to its end. A crash anywhere leaves a run that can simply be begun again.

    Raises:
        NotOurs: it is somebody else's by now.
    """
    async with storage.reading() as saved:
        work = await saved.works.get(run.work_id)
        thread, runs = await saved.answers.of_work(run.work_id), await saved.runs.of_work(run.work_id)
        first = await first_of(run, thread, runs, saved)
    assert work is not None
    purse = Purse(run, work, stack, storage=storage, now=now)
    answers = known_then(first, thread) if first else thread
    try:
        _give_up_what_ends_the_process(run)
        decided = decide(run, work, stack, first)
        async with _beating(run, work, decided, heartbeats=heartbeats) as beat:
            channel = Channel(work, stack, slack=slack, now=now, waits=beat.waits)
            await channel.may_be_worked_in()
            if first is None:
                readings = await read_sources(run, work, sources=sources)
                context, seen = prepare(run, work, answers, decided, stack, readings=readings, marker=new_id("m"))
            else:
                context, seen = prepare_beside(run, first, stack, marker=new_id("m")), ()
            await _remember(run, decided, context, storage=storage, now=now)
            beat.seen = sentence(context.manifest)
            question = Question(run=run, channel=work.channel, decided=decided, context=context, stack=stack)
            got = await ask_in_order(
                question,
                models=models,
                purse=purse,
                storage=storage,
                now=now,
                may=channel.may_be_worked_in,
                waits=beat.waits,
            )
            stage = StageName(run.stage)
            allowed = stack.rules(stage).max_output_tokens
            deliverable = await asyncio.to_thread(whole, got, stage=stage, allowed=allowed)
    except Refusal as refusal:
        told = refusal.sentence
        await _once_it_can_be(lambda: _end(run, RunState.REFUSED, told, "refused", purse, storage=storage, now=now))
    except ModelFailed as failure:
        told, code = failure.sentence, failure.code
        await _once_it_can_be(lambda: _end(run, RunState.FAILED, told, code, purse, storage=storage, now=now))
    else:
        made = Made(
            run=run,
            work=work,
            answers=answers,
            route=decided,
            context=context,
            got=got,
            said=deliverable,
            purse=purse,
            allowed=allowed,
            of_sources=seen,
            first=first,
            thread=thread,
            runs=runs,
        )
        await _once_it_can_be(lambda: deliver(made, storage=storage, stack=stack, cut=cut, now=now, new_id=new_id))


def _give_up_what_ends_the_process(run: Run) -> None:
    """Raises ModelFailed when the run was begun so often that it seems to be what ends the process."""
    if run.epoch > MOST_BEGINNINGS:
        raise ModelFailed(
            f"This run was begun {MOST_BEGINNINGS} times, and each time the bot ended before it did. Ask whoever runs "
            f"the bot to look at its log; `{messages.BOT} again` tries once more.",
            code="gave_up",
        )


async def _once_it_can_be(write: Callable[[], Awaitable[None]]) -> None:
    """Write what a model was paid for, which is nowhere else yet: trouble with the database passes."""
    pause = FIRST_PAUSE
    while True:
        try:
            await write()
        except Exception as problem:
            if not is_trouble(problem):
                raise
        else:
            return
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def decide(run: Run, work: Work, stack: Stack, first: First | None = None) -> Route:
    """The route. Raises Refusal when nobody may do the stage here, or be second to the first answer."""
    decided = route_beside(first, work, stack) if first else route(stack, stage_of(run).name, work.channel)
    if isinstance(decided, NoRoute):
        raise Refusal(decided.sentence)
    return decided


def prepare(
    run: Run,
    work: Work,
    answers: Sequence[Answer],
    decided: Route,
    stack: Stack,
    *,
    marker: str,
    readings: Readings = NOTHING_READ,
) -> tuple[Context, tuple[str, ...]]:
    """Compose the context, and say of sources what did not cross. Raises Refusal when the stage lacks what it needs."""
    stage = stage_of(run)
    rules = stack.rules(stage.name)

    def composed(sources: Sequence[Item] = ()) -> Context:
        return compose(
            stage,
            material(run, work, answers, sources=sources),
            marker=marker,
            extra_instructions=rules.instructions or "",
            prefix=stack.commands.prefix,
        )

    context = composed()
    if readings == NOTHING_READ:
        return context, ()
    room = stack.models[decided.model].context_tokens - rules.max_output_tokens - context.tokens
    handed = hand_over(readings, room=room)
    return composed(handed.items), handed.remarks


def prepare_beside(run: Run, first: First, stack: Stack, *, marker: str) -> Context:
    """The context of a second opinion: what the first one had. Raises Refusal when that is not kept."""
    extra = stack.rules(StageName(run.stage)).instructions or ""
    items = same_material(run, first)
    return compose(stage_of(run), items, marker=marker, extra_instructions=extra, prefix=stack.commands.prefix)


async def _remember(run: Run, decided: Route, context: Context, *, storage: Database, now: Clock) -> None:
    """Remember what is about to be asked. Raises NotOurs: who lost the run overwrites nothing and asks nobody."""
    async with storage.transaction(alone=False) as saved:
        if not await saved.runs.note_facts(run, route=decided.to_json(), model=decided.model):
            raise NotOurs
        await saved.runs.keep_context(
            StoredContext(
                run_id=run.id,
                system=context.system,
                prompt=context.user,
                manifest=json.loads(context.manifest.to_json()),
                made_at=now(),
            )
        )
        crashpoint("cp13")
    crashpoint("cp07")


class _beating:  # noqa: N801  reads as a phrase where it is used
    """While inside, the card and the thread show that somebody works; leaving ends it at once."""

    def __init__(self, run: Run, work: Work, decided: Route, *, heartbeats: Heartbeats) -> None:
        self._run, self._work, self._decided = run, work, decided
        self.seen = ""  # what crossed, in words, once it is known
        self._waits = ""  # why nothing can be done just now
        self._heartbeats = heartbeats
        self._task: asyncio.Task[None] | None = None

    def waits(self, why: str) -> None:
        """The next beats say why nothing is done just now; "" once something is."""
        self._waits = why

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, problem: type[BaseException] | None, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._heartbeats.still(card_slot(self._run))
        if problem is not None:  # an answer's messages would take the status away
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLEARING_SECONDS):
                    await self._heartbeats.show_status(self._work, "")

    async def _beat(self) -> None:
        word, started = stage_of(self._run).working, asyncio.get_running_loop().time()
        await asyncio.sleep(STATUS_AFTER)
        await self._heartbeats.show_status(self._work, f"is {word}")
        pause = FIRST_BEAT - STATUS_AFTER
        while True:
            await asyncio.sleep(pause)
            seconds = asyncio.get_running_loop().time() - started
            body = messages.working(
                self._run,
                word=word,
                model=self._decided.model,
                seconds=seconds,
                why=self._decided.reason,
                read=self.seen,
                waits=self._waits,
            )
            await self._heartbeats.heartbeat(card_slot(self._run), body)
            pause = NEXT_BEATS


async def _end(
    run: Run, state: RunState, told: str, code: str, purse: Purse | None = None, *, storage: Database, now: Clock
) -> None:
    """The run ends without an answer: its card says why and what to do."""
    ended = now()
    card = messages.refused(run, told) if state is RunState.REFUSED else messages.failed(run, told)
    if purse is not None:
        card = replace(card, facts=card.facts | purse.too_low())
    async with storage.transaction() as saved:
        if not await saved.runs.leave(run, state, at=ended, error=told, error_code=code):
            raise NotOurs
        await saved.outbox.revise(card_slot(run), card.to_json())
        await step_failed(run, state, saved=saved, now=now)
        if purse is not None:
            await purse.close(saved)
            if (offer := purse.offer()) is not None:
                await saved.outbox.plan(offer)


async def run_broke(run: Run, reference: str, *, storage: Database, now: Clock) -> None:
    """Our own bug: the thread hears that something broke and under which reference."""
    await _end(run, RunState.FAILED, messages.broke(reference), "broke", storage=storage, now=now)
