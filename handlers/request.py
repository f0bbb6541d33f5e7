"""Somebody asks for a stage, by whatever entrance: a run in line with its card, or one sentence why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from handlers import messages, pipelines
from handlers.context import MissingInput, digest, missing
from handlers.errors import Refusal
from handlers.incoming import Entrance, Request, Verb
from handlers.material import MESSAGE, counts_as_text, lane_for, newest_text
from handlers.ports import Clock, LookupFailed, NewId, Place, SeenMessage, Slack
from handlers.routing import NoRoute, route
from handlers.second_opinion import ask_another, first_among, route_beside
from handlers.stack import ChannelPolicy, Stack, StageName
from handlers.stages import REVISE, STAGES, Reads, is_text
from handlers.unheard import unheard_reason
from handlers.words import Body, storable
from storage.crashpoints import crashpoint
from storage.database import Database, Saved
from storage.records import Answer, Kind, Lane, Message, Run, RunState, Walk, Work

_LONGEST = 40_000
TWICE = timedelta(seconds=2)
"""What one person presses twice within this is pressed once."""
_CLOCKS_DIFFER = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What is already there where somebody asks.

    `points_at_ours`: they point at a message of the bot; one that shows no answer only says which thread is meant.
    """

    work: Work | None
    answers: Sequence[Answer] = ()
    runs: Sequence[Run] = ()
    target: Answer | None = None
    points_at_ours: bool = False
    walks: Sequence[Walk] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """What a request comes to: a run, in a work that may be new, about a text that may be new to us.

    `walk`: whose step the run is, and `held` the run it is at so far, where it is none that begins.
    """

    run: Run
    work: Work
    is_new_work: bool
    new_target: Answer | None
    refusal: str | None = None
    walk: Walk | None = None
    held: str = ""


async def somebody_asked(
    request: Request, *, storage: Database, slack: Slack, stack: Stack, now: Clock, new_id: NewId
) -> None:
    """Put a run in line, once, however often the request is delivered.

    Raises:
        Refusal: nothing was started, and the person reads why.
        LookupFailed: Slack does not say what must be known first; to be tried again.
    """
    check_place(await slack.place(request.channel), stack.policy(request.channel))
    request, plan = pipelines.meant(request, stack)
    async with storage.reading() as saved:
        around = await look_around(saved, request)
    if twin := _pressed_twice(request, around):
        async with storage.transaction() as saved:
            await saved.inbox.handled(request.key, at=now(), outcome=f"run {twin.id} already", body=forget_url(request))
        return
    stuck = None
    if request.verb is Verb.AGAIN:
        stuck = pipelines.stuck(around.walks, around.runs, at=request.run_id)
        request = again(request, around, stuck)
    elif request.verb is Verb.SECOND_OPINION:
        request = _second_opinion(request, around)
    if request.second_to is not None:  # it has its material, and whatever was pointed at never crosses
        request, around = replace(request, target_ts=None), replace(around, target=None)
    pointed, around = await _message_pointed_at(request, around, slack=slack, storage=storage)
    if plan is not None:
        pipelines.check_begin(plan, around.walks, stack, request.channel)
    opening = decide(request, around, pointed, stack, now=now, new_id=new_id)
    opening = on_a_walk(opening, plan, stuck, new_id=new_id)
    async with storage.transaction() as saved:
        if await saved.inbox.handled(request.key, at=now(), outcome=f"run {opening.run.id}", body=forget_url(request)):
            await put_in_line(opening, saved, ahead=len(await saved.runs.open_of_work(opening.work.id)), now=now)
            if request.entrance is Entrance.SEND_BACK and request.target_id and not opening.refusal:
                await saved.reviews.want_reason(request.target_id, None)
    crashpoint("cp04")


def forget_url(request: Request) -> dict[str, object]:
    """The request as it is kept once handled: the address of the private answer is nobody's business any more."""
    return replace(request, reply_url=None).to_json()


def check_place(place: Place, policy: ChannelPolicy) -> None:
    """Refuse where nothing could be posted, or where outsiders would read along."""
    if place.is_archived:
        raise Refusal("This channel is archived, so nothing can be posted here. Ask in another channel.")
    if place.is_external and not policy.external:
        raise Refusal(
            "This channel is shared with another organisation, and the stack does not allow work here. "
            "Ask in an internal channel, or have the operator set `external = true` for this one."
        )
    if place.is_strange:
        raise Refusal(
            "Slack calls this conversation neither a channel nor a direct message, so I do not know who reads along "
            "and nothing is sent to a model from here. Ask in a channel."
        )
    if not place.is_member:
        raise Refusal(f"I am not in this channel. Invite me with `/invite {messages.BOT}`, then ask again.")


async def look_around(saved: Saved, request: Request) -> Surroundings:
    """Load the work a request belongs to, by the thread, the message or the button it came from.

    Raises:
        LookupFailed: it may belong to a work whose root Slack has not confirmed yet.
    """
    target: Answer | None = None
    work: Work | None = None
    said: Message | None = None
    if request.target_ts and (said := await saved.outbox.posted_as(request.channel, request.target_ts)):
        target = await saved.answers.get(said.answer_id) if said.answer_id else None
        work = await saved.works.get(said.work_id)
    elif request.target_id:
        target = await saved.answers.get(request.target_id)
        work = await saved.works.get(target.work_id) if target else None
    elif request.thread_ts:
        work = await saved.works.in_thread(request.team, request.channel, request.thread_ts)
    if work is None and await _may_be_ours(request, saved):
        raise LookupFailed("a thread of ours in this channel is not confirmed yet")
    if work is None:
        return Surroundings(work=None)
    if work.channel != request.channel or work.team != request.team:
        raise Refusal("That message belongs to another channel. Ask there: what is said there stays there.")
    return Surroundings(
        work=work,
        answers=await saved.answers.of_work(work.id),
        runs=await saved.runs.of_work(work.id),
        walks=await saved.walks.of_work(work.id),
        target=target,
        points_at_ours=said is not None,
    )


async def _may_be_ours(request: Request, saved: Saved) -> bool:
    """Whether the thread may begin with a root of ours whose place is not remembered yet: its reader may be faster."""
    if request.thread_ts is None:
        return False
    if request.begins_its_thread:
        return False
    began = datetime.fromtimestamp(float(request.thread_ts), tz=UTC)
    return await saved.outbox.owes_root(request.channel, before=began + _CLOCKS_DIFFER)


async def _message_pointed_at(
    request: Request, around: Surroundings, *, slack: Slack, storage: Database
) -> tuple[SeenMessage | None, Surroundings]:
    """Fetch somebody else's message that a person pointed at; its thread may turn out to be a work."""
    if request.target_ts is None or around.points_at_ours:
        return None, around
    seen = await slack.message(request.channel, request.target_ts, thread_ts=request.target_thread_ts)
    if seen is None:
        raise Refusal("I cannot see that message any more. Point at one that is still there.")
    if around.work is None:
        async with storage.reading() as saved:
            in_its_thread = replace(request, target_ts=None, target_id=None, thread_ts=seen.thread_ts or seen.ts)
            around = await look_around(saved, in_its_thread)
    return seen, around


def _pressed_twice(request: Request, around: Surroundings) -> Run | None:
    """The run that the same button was pressed for a moment ago by the same person, while nothing has come of it."""
    if request.entrance is not Entrance.BUTTON:
        return None
    about = request.target_id
    if request.verb is Verb.SECOND_OPINION:
        answer = _by_id(around.answers, about)
        wanted: dict[str, object] = {"second_to": (answer.second_to or answer.id) if answer else None}
    else:
        wanted = {"stage": request.stage, "revises": request.revises, "target_id": about, "second_to": None}
    return next(
        (
            run
            for run in reversed(around.runs)
            if run.state in {RunState.QUEUED, RunState.RUNNING}
            and (run.entrance, run.asked_by) == (Entrance.BUTTON, request.person)
            and run.asked_at >= request.at - TWICE
            and all(getattr(run, name) == value for name, value in wanted.items())
        ),
        None,
    )


def _second_opinion(request: Request, around: Surroundings) -> Request:
    if around.work is None or (request.target_ts and not around.points_at_ours):
        raise Refusal(
            "A second opinion is given on an answer of mine. On anybody's message, ask for a critique: its menu, "
            "Critique this."
        )
    return ask_another(request, around.answers, around.runs, around.target)


def on_a_walk(opening: Opening, plan: pipelines.Plan | None, stuck: Walk | None, *, new_id: NewId) -> Opening:
    """The run as the first step of a pipeline, or as the step at which a walk is stuck; else as it is."""
    if stuck is not None:
        if opening.refusal:
            raise Refusal(opening.refusal)  # and it is stuck as before
        walk, run = pipelines.go_on(stuck, opening.run)
        return replace(opening, run=run, walk=walk, held=stuck.run_id)
    if plan is None or opening.refusal:
        return opening
    walk, run = pipelines.begin(plan, opening.run, request_key=opening.run.request_key, new_id=new_id)
    return replace(opening, run=run, walk=walk)


def again(request: Request, around: Surroundings, stuck: Walk | None = None) -> Request:
    """The newest request of a thread once more, on the same text, in the name of whoever says so now.

    Where a walk is stuck, its step once more; where the request names a run, what that was asked for by.
    """
    asked = [run for run in around.runs if run.entrance != Entrance.POSTED_AGAIN]  # nobody asked for that
    if not asked:
        raise Refusal(f"Nothing has been asked for in this thread yet. Try `{messages.BOT} draft …`.")
    wanted = stuck.run_id if stuck else request.run_id
    last = next((run for run in asked if run.id == wanted), asked[-1])
    note = "\n".join(words for words in (last.note, request.words) if words)
    added = (request.person,) if request.words else ()
    return replace(
        request,
        verb=Verb.STAGE,
        stage=StageName(last.stage),
        revises=last.revises,
        words=note,
        target_id=last.target_id or next((a.about_id for a in around.answers if a.run_id == last.id), None),
        note_by=tuple(dict.fromkeys([*last.note_by, *added])),
        second_to=last.second_to,
        lane=None if around.target else last.lane,
    )


def decide(
    request: Request,
    around: Surroundings,
    pointed: SeenMessage | None,
    stack: Stack,
    *,
    now: Clock,
    new_id: NewId,
) -> Opening:
    """What a request comes to. Raises Refusal when nothing can be started and there is no thread to say so in."""
    if request.stage is None:
        raise Refusal(f"Say which stage you want: `{messages.BOT} help` lists them.")
    words = request.words.strip()
    if len(words) > _LONGEST:
        raise Refusal(f"That is {len(words):,} characters; a brief or note may have {_LONGEST:,}. Shorten it.")
    work = around.work or _new_work(request, pointed, words, now=now, new_id=new_id)
    new_target = _pointed_text(pointed, work, around, now=now, new_id=new_id)
    target = around.target or new_target or _by_id(around.answers, request.target_id)
    if new_target and (known := _same_message(around.answers, new_target)):
        target, new_target = known, None
    note = words if around.work or request.brief else ""  # where the words are the brief, they are not a note too
    run = _run(request, work, target, around, note, now=now, new_id=new_id)
    if reason := unheard_reason(run, around.runs, around.answers):
        run = replace(run, note="\n".join(words for words in (reason, note) if words))
    opening = Opening(run=run, work=work, is_new_work=around.work is None, new_target=new_target)
    refusal = _why_not(run, work, target, around, stack)
    if refusal is None:
        return opening
    if around.work is None:
        raise Refusal(refusal)
    return replace(
        opening, run=replace(run, state=RunState.REFUSED, error=refusal, ended_at=run.asked_at), refusal=refusal
    )


def _new_work(request: Request, pointed: SeenMessage | None, words: str, *, now: Clock, new_id: NewId) -> Work:
    thread = (pointed.thread_ts or pointed.ts) if pointed else request.thread_ts
    return Work(
        id=new_id("w"),
        team=request.team,
        channel=request.channel,
        thread_ts=thread,
        brief=(request.brief or words).strip(),
        opened_by=request.person,
        opened_at=now(),
        in_human_thread=thread is not None,
    )


def _pointed_text(
    pointed: SeenMessage | None, work: Work, around: Surroundings, *, now: Clock, new_id: NewId
) -> Answer | None:
    if pointed is None:
        return None
    text = storable(pointed.text)
    if not text.strip():
        raise Refusal("That message has no text that could be worked on. Point at one that has.")
    return Answer(
        id=new_id("a"),
        work_id=work.id,
        run_id=None,
        stage=MESSAGE,
        lane=Lane.CONTENT,
        number=1 + sum(a.stage == MESSAGE for a in around.answers),
        text=text,
        sha256=digest(text),
        author=pointed.author,
        made_at=now(),
    )


def _by_id(answers: Sequence[Answer], answer_id: str | None) -> Answer | None:
    return next((a for a in answers if a.id == answer_id), None)


def _same_message(answers: Sequence[Answer], new: Answer) -> Answer | None:
    return next((a for a in answers if a.stage == MESSAGE and (a.sha256, a.author) == (new.sha256, new.author)), None)


def _run(
    request: Request, work: Work, target: Answer | None, around: Surroundings, note: str, *, now: Clock, new_id: NewId
) -> Run:
    assert request.stage is not None
    in_thread = request.entrance is not Entrance.COMMAND
    return Run(
        id=new_id("r"),
        work_id=work.id,
        request_key=request.key,
        stage=request.stage,
        lane=request.lane
        or lane_for(request.stage, target=target, answers=around.answers, in_thread=in_thread, revises=request.revises),
        state=RunState.QUEUED,
        asked_by=request.person,
        entrance=request.entrance,
        asked_at=now(),
        note=note,
        note_by=_whose(request) if note else (),
        target_id=target.id if target else None,
        # Whoever points at a text and asks for a draft wants the next version of that text.
        revises=request.revises or (request.stage is StageName.DRAFT and target is not None),
        second_to=request.second_to,
    )


def _whose(request: Request) -> tuple[str, ...]:
    """Whose words a note is. A reviewer's reason for sending a text back is not authorship."""
    if request.note_by is not None:
        return request.note_by
    return () if request.entrance is Entrance.SEND_BACK else (request.person,)


def _why_not(run: Run, work: Work, target: Answer | None, around: Surroundings, stack: Stack) -> str | None:
    if run.second_to is not None:
        beside = route_beside(first_among(run, around.answers, around.runs), work, stack)
        return beside.sentence if isinstance(beside, NoRoute) else None
    stage = REVISE if run.revises else STAGES[StageName(run.stage)]
    decided = route(stack, stage.name, work.channel)
    if isinstance(decided, NoRoute):
        return decided.sentence
    takes_texts_only = stage.name in {StageName.POLISH, StageName.FINAL}
    if target is not None and takes_texts_only and not counts_as_text(target):
        return f"`{stage.name}` works on a text; a {target.stage} is not one. Use the button under a draft."
    there = {Reads.BRIEF} if work.brief else set()
    text_coming = any(
        one.state in {RunState.QUEUED, RunState.RUNNING} and one.lane is run.lane and is_text(StageName(one.stage))
        for one in around.runs
    )
    if target or newest_text(around.answers, run.lane) or text_coming:
        there.add(Reads.TARGET)
    lacks = missing(stage, there)
    in_thread = work.thread_ts is not None or bool(around.runs)
    return MissingInput(stage, lacks, prefix=stack.commands.prefix, in_thread=in_thread).sentence if lacks else None


async def put_in_line(opening: Opening, saved: Saved, *, ahead: int, now: Clock) -> None:
    """Remember the run, and owe its thread a root (if the thread is ours to open) and a card."""
    work, run = opening.work, opening.run
    if opening.is_new_work and not await saved.works.open(work):
        raise Refusal("Somebody opened work in this thread a moment ago. Ask again.")
    if opening.new_target:
        await saved.answers.add(opening.new_target)
    await _put_on_its_walk(opening, saved)
    await saved.runs.add(run)
    if opening.is_new_work and not work.in_human_thread:
        await saved.outbox.plan(owed(work, run, Kind.ROOT, "root", messages.root(work, run), now=now))
    card = messages.refused(run, opening.refusal) if opening.refusal else messages.queued(run, ahead=ahead)
    await saved.outbox.plan(owed(work, run, Kind.CARD, f"{run.id}/card", card, now=now))


async def _put_on_its_walk(opening: Opening, saved: Saved) -> None:
    """Raises Refusal when somebody else was faster."""
    walk, held = opening.walk, opening.held
    if walk and not await (saved.walks.move(walk, held=held) if held else saved.walks.begin(walk)):
        raise Refusal(f"Somebody began a pipeline in this thread a moment ago. `{messages.BOT} status` shows which.")


def owed(
    work: Work,
    run: Run | None,
    kind: Kind,
    slot: str,
    body: Body,
    *,
    now: Clock,
    answer: Answer | None = None,
    person: str | None = None,
) -> Message:
    """A message that is owed to a work's thread; its slot is unique within the work."""
    return Message(
        slot=f"{work.id}/{slot}",
        work_id=work.id,
        run_id=run.id if run else None,
        answer_id=answer.id if answer else None,
        kind=kind,
        team=work.team,
        channel=work.channel,
        person=person,
        body=body.to_json(),
        planned_at=now(),
    )


def card_slot(run: Run) -> str:
    return f"{run.work_id}/{run.id}/card"
