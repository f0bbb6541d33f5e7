"""Questions about a thread: how it is doing, what a model saw, what can be asked for."""

from __future__ import annotations

import json
from datetime import datetime

from handlers import messages
from handlers.asking import means_approval, nearest
from handlers.budget import day_of, standing
from handlers.case import load_case
from handlers.context import Manifest, details
from handlers.errors import Refusal
from handlers.figures import short
from handlers.incoming import Request
from handlers.material import title
from handlers.pipelines import step_of, stuck
from handlers.ports import Clock
from handlers.request import Surroundings, forget_url, look_around, owed
from handlers.stack import Stack
from handlers.words import Body, Line, bold, line
from storage.database import Database, Saved
from storage.records import Answer, Kind, Run, Work

_NOT_HERE = f"There is no work of mine in this thread yet. Try `{messages.BOT} draft …`."


async def somebody_wants_status(request: Request, *, storage: Database, stack: Stack, now: Clock) -> None:
    """Post how each run of the thread is doing, and what waits for a reviewer."""
    async with storage.transaction() as saved:
        around = await look_around(saved, request)
        if around.work is None:
            raise Refusal(_NOT_HERE)
        waiting = await _reviews(saved, around.work.id, stack, now())
        runs = [(run, _seconds(run, now())) for run in around.runs]
        spent = await _money(saved, around.work, stack, now())
        if await saved.inbox.handled(request.key, at=now(), outcome="status", body=forget_url(request)):
            body = messages.status(runs, waiting, spent, walk=_walk(around))
            await saved.outbox.plan(owed(around.work, None, Kind.NOTICE, _slot("status", request), body, now=now))


async def _money(saved: Saved, work: Work, stack: Stack, now: datetime) -> str:
    of = {"team": work.team, "day": day_of(now)}
    costs, sums = await saved.spendings.costs(work.id, **of), await saved.spendings.sums("", work.id, **of)
    return standing(costs, sums, stack.budgets, await saved.spendings.raised(work.id))


def _walk(around: Surroundings) -> Line | None:
    """How the newest walk of the thread is doing."""
    if not around.walks:
        return None
    walk = around.walks[-1]
    goes_on = stuck(around.walks, around.runs) is not None
    return messages.walk_status(walk.stages[walk.place], step_of(walk), walk.state, goes_on=goes_on)


async def _reviews(saved: Saved, work_id: str, stack: Stack, now: datetime) -> list[str]:
    told = []
    for review in await saved.reviews.of_work(work_id):
        case = await load_case(review.answer_id, saved)
        if case is not None:
            state = case.state(stack.review, now).replace("_", " ")
            told.append(f"{title(case.answer)} · text {short(case.answer.sha256)} · {state}")
    return told


def _seconds(run: Run, now: datetime) -> float:
    since = run.started_at or run.asked_at
    return ((run.ended_at or now) - since).total_seconds()


def _slot(what: str, request: Request) -> str:
    return f"{what}/{request.key}"[:90]


async def somebody_wants_context(request: Request, *, storage: Database, now: Clock) -> None:
    """Post what crossed into the context of an answer: the button's, else the newest of the thread."""
    async with storage.transaction() as saved:
        around = await look_around(saved, request)
        if around.work is None:
            raise Refusal(_NOT_HERE)
        if around.target and around.target.run_id is None:
            raise Refusal(f"No model of this thread made that {around.target.stage}, so none has seen anything for it.")
        answer = around.target or next((a for a in reversed(around.answers) if a.run_id), None)
        if answer is None or answer.run_id is None:
            raise Refusal("No model has been asked in this thread yet, so none has seen anything.")
        run, context = await saved.runs.get(answer.run_id), await saved.runs.context(answer.run_id)
        if run is None or context is None:
            raise Refusal(f"Nothing is kept of what was handed over for {title(answer)}.")
        if await saved.inbox.handled(request.key, at=now(), outcome="context", body=forget_url(request)):
            body = _what_it_saw(answer, run, Manifest.from_json(json.dumps(context.manifest)))
            slot = _slot("context", request)
            await saved.outbox.plan(owed(around.work, run, Kind.NOTICE, slot, body, now=now, answer=answer))


def _what_it_saw(answer: Answer, run: Run, manifest: Manifest) -> Body:
    head = line(bold(f"What {run.model} saw for {title(answer)}"), ", and nothing else:")
    listed = [line(f"• {entry}") for entry in details(manifest)]
    return messages.plain(head, *listed, fallback=f"What the model saw for {title(answer)}")


def help_for(request: Request, stack: Stack) -> Body:
    """What can be asked for; for the person who asked, alone. Words approve nothing: they are told what does."""
    gate = stack.review
    if means_approval(request.words) and (gate.approve or gate.buttons):
        return messages.how_to_approve(gate.approve, buttons=gate.buttons)
    return messages.help_text(
        stack.commands.prefix,
        puzzled=bool(request.words),
        nearest=nearest(request.words),
        pipelines=list(stack.pipelines),
    )
