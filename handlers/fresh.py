"""Somebody starts fresh: a new thread with the brief and one text of the old one, and nothing else of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from handlers import messages, pipelines
from handlers.asking import read_mention
from handlers.errors import Refusal
from handlers.incoming import Entrance, Request, Verb
from handlers.material import counts_as_text, title
from handlers.opening import with_a_hand_in
from handlers.ports import Clock, NewId, Slack
from handlers.request import (
    TWICE,
    Opening,
    Surroundings,
    check_place,
    decide,
    forget_url,
    look_around,
    on_a_walk,
    owed,
    put_in_line,
    somebody_asked,
)
from handlers.result import Blocks, Cut
from handlers.sources import addresses_in
from handlers.stack import Stack, StageName
from storage.database import Database, Saved
from storage.records import Answer, Carried, Entry, Kind, Run, Work

LinkTo = Callable[[str, str], str | None]
"""The address of the message at a place (channel, ts), if the workspace's own address is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """A fresh start: the new work, the text that comes along, as it was and as it is now, and what is to be run."""

    work: Work
    old: Work
    old_text: Answer | None
    text: Answer | None
    opening: Opening | None


async def somebody_starts_fresh(
    request: Request,
    *,
    storage: Database,
    slack: Slack,
    stack: Stack,
    cut: Cut,
    link_to: LinkTo,
    now: Clock,
    new_id: NewId,
) -> None:
    """Open a new work with the brief and the chosen text, say so in both threads, and run a stage if one is named.

    Raises:
        Refusal: nothing was started, and the person reads why.
        LookupFailed: Slack does not say what must be known first; to be tried again.
    """
    check_place(await slack.place(request.channel), stack.policy(request.channel))
    async with storage.reading() as saved:
        around = await look_around(saved, request)
    if request.brief_alone and around.work is None:  # so its words are the brief
        asked = replace(request, verb=Verb.STAGE, brief_alone=False, thread_ts=None)
        await somebody_asked(asked, storage=storage, slack=slack, stack=stack, now=now, new_id=new_id)
        return
    start = decide_start(request, around, stack, now=now, new_id=new_id)
    parts: Sequence[Blocks] = []
    if start.text is not None:
        parts = await asyncio.to_thread(cut, start.text.text, addresses_in(start.work.brief))
    async with storage.transaction() as saved:
        twin = await _pressed_twice(request, start.old, saved)
        outcome = f"work {twin.id} already" if twin else f"work {start.work.id}"
        if await saved.inbox.handled(request.key, at=now(), outcome=outcome, body=forget_url(request)) and not twin:
            await _open(request, start, parts, link_to(start.old.channel, start.old.thread_ts or ""), saved, now=now)


def decide_start(request: Request, around: Surroundings, stack: Stack, *, now: Clock, new_id: NewId) -> Start:
    """What a fresh start comes to. Raises Refusal when there is nothing to start with, or the stage cannot run."""
    old = around.work
    if old is None:
        raise Refusal(f"There is no work of mine in this thread to go on from. Try `{messages.BOT} draft …`.")
    if request.target_ts and not around.points_at_ours:
        raise Refusal("A fresh start takes along an answer of this thread: point at one, or leave the link away.")
    request, plan = pipelines.meant(_with_stage(request), stack)
    chosen = None if request.brief_alone else around.target or _newest(around)
    if chosen is not None and not chosen.text.strip():
        raise Refusal(f"{title(chosen)} has no text that could come along. Point at another answer.")
    if chosen is None and not old.brief.strip():
        raise Refusal("This thread has neither a brief nor a text yet, so there is nothing to start fresh with.")
    work = _new_work(request, old, chosen, around, now=now, new_id=new_id)
    text = _taken_along(chosen, work, now=now, new_id=new_id) if chosen else None
    opening = _opening(request, plan, work, text, stack, now=now, new_id=new_id) if request.stage else None
    if opening is not None and opening.refusal:
        raise Refusal(opening.refusal)
    return Start(work=work, old=old, old_text=chosen, text=text, opening=opening)


def _newest(around: Surroundings) -> Answer | None:
    """The text a thread stands at, of either lane."""
    texts = (a for a in reversed(around.answers) if counts_as_text(a) and not a.second_to and a.text.strip())
    return next(texts, None)


def _with_stage(request: Request) -> Request:
    """As a request for a stage, if one is named; it may stand behind a link, where nobody looked for it yet."""
    if request.stage is not None or request.pipeline:
        return replace(request, verb=Verb.STAGE)
    if not request.words.strip():
        return request
    asked = read_mention(request.words)
    if asked.verb is not Verb.STAGE:
        raise Refusal(
            f"A note goes to a stage: `{messages.BOT} fresh critique …`, for example. "
            f"`{messages.BOT} fresh` alone takes the brief and the newest text along."
        )
    return replace(
        request,
        verb=Verb.STAGE,
        stage=asked.stage,
        revises=asked.revises,
        pipeline=asked.pipeline,
        start=asked.start,
        words=asked.words,
    )


def _new_work(
    request: Request, old: Work, chosen: Answer | None, around: Surroundings, *, now: Clock, new_id: NewId
) -> Work:
    return Work(
        id=new_id("w"),
        team=old.team,
        channel=old.channel,
        brief=old.brief,
        opened_by=request.person,
        opened_at=now(),
        fresh_from=old.id,
        carried=Carried(
            brief_by=old.carried.brief_by if old.carried else old.opened_by,
            people=with_a_hand_in(chosen, old, around.runs, around.answers),
            answer_id=chosen.id if chosen else None,
        ),
    )


def _taken_along(chosen: Answer, work: Work, *, now: Clock, new_id: NewId) -> Answer:
    """The same words under the same digest, in the same lane. How they came about stays behind."""
    return Answer(
        id=new_id("a"),
        work_id=work.id,
        run_id=None,
        stage=chosen.stage,
        lane=chosen.lane,
        number=1,
        text=chosen.text,
        sha256=chosen.sha256,
        verdict=chosen.verdict,
        author=chosen.author,
        made_at=now(),
    )


def _opening(
    request: Request,
    plan: pipelines.Plan | None,
    work: Work,
    text: Answer | None,
    stack: Stack,
    *,
    now: Clock,
    new_id: NewId,
) -> Opening:
    """The run in the new thread, on the text that came along; what begins anew from the brief works on none."""
    assert request.stage is not None
    from_brief = request.stage is StageName.SCOUT or (
        request.stage is StageName.DRAFT and not request.revises and text is not None and not counts_as_text(text)
    )
    around = Surroundings(work=work, answers=[text] if text else [], target=None if from_brief else text)
    if plan is not None:
        pipelines.check_begin(plan, (), stack, request.channel)
    asked = replace(request, target_ts=None, target_id=None)
    opening = decide(asked, around, None, stack, now=now, new_id=new_id)
    return on_a_walk(opening, plan, None, new_id=new_id)


async def _pressed_twice(request: Request, old: Work, saved: Saved) -> Work | None:
    if request.entrance is not Entrance.BUTTON:
        return None
    begun = reversed(await saved.works.begun_from(old.id))
    return next((w for w in begun if w.opened_by == request.person and w.opened_at >= request.at - TWICE), None)


async def _open(
    request: Request, start: Start, parts: Sequence[Blocks], link: str | None, saved: Saved, *, now: Clock
) -> None:
    """Remember the new work with what came along, and owe both threads the word of it."""
    work, text, run = start.work, start.text, start.opening.run if start.opening else None
    await saved.works.open(work)
    root = messages.fresh_root(work, run, start.old, start.old_text, link=link)
    await saved.outbox.plan(owed(work, run, Kind.ROOT, "root", root, now=now))
    if text is not None:
        await saved.answers.add(text)
        for place, blocks in enumerate(parts, 1):
            body = messages.taken_along(text, blocks, number=place, of=len(parts))
            slot = f"carried/answer/{place}"
            await saved.outbox.plan(owed(work, None, Kind.ANSWER, slot, body, now=now, answer=text))
    if start.opening:
        await put_in_line(start.opening, saved, ahead=0, now=now)
    told = messages.goes_on_elsewhere(request.person, start.old_text, run)
    slot = f"fresh/{request.key}"[:90]
    await saved.outbox.plan(owed(start.old, None, Kind.NOTICE, slot, told, now=now))
    await saved.ledger.append(_entry(request, start, run))


def _entry(request: Request, start: Start, run: Run | None) -> Entry:
    carried, text = start.work.carried, start.text
    assert carried is not None
    return Entry(
        team=start.work.team,
        at=start.work.opened_at,
        who=request.person,
        what="began_fresh",
        work_id=start.work.id,
        run_id=run.id if run else None,
        answer_id=text.id if text else None,
        body={
            "from": start.old.id,
            "people": list(carried.people),
            **({"sha256": text.sha256} if text else {}),
        },
    )
