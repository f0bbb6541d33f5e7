"""What must hold in every world once it has come to rest; what does not is written down, all of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from bot.slack.blocks import render
from handlers.case import Case, load_case
from handlers.judge import ReviewState, approvers, words_standing
from storage.database import Saved
from storage.ledger import first_fault
from storage.records import Kind, Message, Run, RunState, VerdictKind, Work
from tests.faults.world.models import SEEN, print_of
from tests.faults.world.people import CHECK, REVIEWERS
from tests.faults.world.slack import TEAM, Posted
from tests.stories.oracles import approvals_and_ledger_agree, every_prompt_is_what_its_manifest_says

if TYPE_CHECKING:
    from tests.faults.world.world import World

_OVER = {RunState.ANSWERED, RunState.FAILED, RunState.CANCELLED, RunState.REFUSED}


async def nothing_is_wrong(world: World) -> None:
    """Look at everything; each finding is a sentence in the world's list."""
    no_slot_is_said_twice(world)
    async with world.storage.reading() as saved:
        await every_request_has_one_outcome(world, saved)
        for work_id in await _column(saved, "SELECT id FROM works ORDER BY id"):
            work = await saved.works.get(work_id)
            assert work is not None
            await the_thread_is_as_remembered(world, work, saved)
            await runs_are_in_order(world, work, saved)
        await answers_are_of_what_is_remembered(world, saved)
        await the_gate_was_kept(world, saved)
        chain = [entry async for entry in saved.ledger.chain(TEAM)]
        if (fault := first_fault(chain)) is not None:
            world.wrong(f"the chain breaks at {fault}")
        try:
            await approvals_and_ledger_agree(_Said(world), chain, saved)  # type: ignore[arg-type]  # as much of it as it uses
            await every_prompt_is_what_its_manifest_says([], saved)
        except AssertionError as fault:
            world.wrong(f"approvals, ledger and contexts: {str(fault)[:300]}")
    _count(world)


class _Said:
    """The world's Slack, as the stories' oracles ask it."""

    def __init__(self, world: World) -> None:
        self._slack = world.slack

    def by_bot(self, kind: str) -> list[Posted]:
        return self._slack.ours(kind)


def no_slot_is_said_twice(world: World) -> None:
    said = Counter(one.slot for one in world.slack.ours())
    for slot, times in said.items():
        if times > 1:
            world.wrong(f"{slot} stands {times} times in Slack")


def _is_there(outcome: str, own: Run | None, runs: Collection[Run]) -> bool:
    """Whether a request came to its own run, or to the one that the same button was pressed for a moment before."""
    _, run_id, *already = outcome.split()
    return any(run.id == run_id for run in runs) if already else own is not None and own.id == run_id


async def every_request_has_one_outcome(world: World, saved: Saved) -> None:
    """Whatever was acknowledged is known, handled, and came to one thing that people can see."""
    rows = await saved.connection.exec_driver_sql("SELECT key, kind, body, handled_at, outcome FROM inbox")
    letters: dict[str, tuple[Any, ...]] = {row[0]: tuple(row) for row in rows.all()}
    for key, what in world.accepted.items():
        if key not in letters:
            world.wrong(f"{what} {key} was acknowledged and is lost")
    if len(letters) > world.asked:
        world.wrong(f"{world.asked} things were asked and {len(letters)} are known")
    runs = {run.request_key: run for run in await _runs(saved)}
    if len(runs) != len(await _runs(saved)):
        world.wrong("a request made more than one run")
    for key, kind, body, handled_at, outcome in letters.values():
        if handled_at is None:
            continue
        if outcome.startswith("run ") and not _is_there(outcome, runs.get(key), runs.values()):
            world.wrong(f"{key} says {outcome}, which is not there")
        if key in runs and outcome != f"run {runs[key].id}":
            world.wrong(f"{key} made {runs[key].id} and says {outcome}")
        if kind == "request" and outcome.startswith("refused: "):
            _was_told(world, key, json.loads(body), outcome.removeprefix("refused: "))


def _was_told(world: World, key: str, body: dict[str, Any], sentence: str) -> None:
    """A refusal stands in the thread, or was said to whoever asked, as well as Slack let us."""
    in_thread = any((one.slot or "").endswith(f"refused/{key}"[:90]) for one in world.slack.ours("notice"))
    alone = any(one.person == body["person"] for one in world.slack.whispers)
    if not in_thread and not alone and not world.trace.counts["slack: whispers failed"]:
        world.wrong(f"{key} was refused and nobody was told: {sentence}")


async def the_thread_is_as_remembered(world: World, work: Work, saved: Saved) -> None:
    """Slack shows each message once, in its newest form, in the order it was owed in, and nothing else of ours."""
    owed = [one for one in await saved.outbox.of_work(work.id) if not one.person]
    places = {(one.channel, one.ts): one for one in owed if one.ts}
    for one in world.slack.ours():
        if one.facts.get("work") == work.id and (one.channel, one.ts) not in places:
            world.wrong(f"nobody remembers {one.slot} at {one.ts}")
    last: Message | None = None
    for message in owed:
        if message.given_up or message.ts is None:
            continue
        there = world.slack.by_place.get((message.channel, message.ts))
        if there is None or there.slot != message.slot:
            world.wrong(f"{message.slot} does not stand at {message.ts}")
            continue
        _shows(world, there, message, work)
        if last is not None and last.ts is not None and float(last.ts) > float(message.ts):
            world.wrong(f"{message.slot} stands before {last.slot}")
        last = message


def _shows(world: World, there: Posted, message: Message, work: Work) -> None:
    drawn = render(message)
    if (there.shown.get("text"), there.facts) != (drawn.text, drawn.metadata["event_payload"]):
        world.wrong(
            f"{message.slot} shows an old form: {there.state} for {drawn.metadata['event_payload'].get('state')}"
        )
    in_thread = None if message.kind is Kind.ROOT else work.thread_ts
    if there.thread_ts != in_thread:
        world.wrong(f"{message.slot} stands in thread {there.thread_ts} instead of {in_thread}")


async def runs_are_in_order(world: World, work: Work, saved: Saved) -> None:
    """One after the other, in the order they were asked for; each over, its card says so, and answered at most once."""
    runs = await saved.runs.of_work(work.id)
    cards = {one.slot: one for one in world.slack.ours("card")}
    answers = Counter(answer.run_id for answer in await saved.answers.of_work(work.id) if answer.run_id)
    ended: Run | None = None
    for run in runs:
        if run.state not in _OVER:
            world.wrong(f"{run.id} is {run.state}")
        if answers[run.id] != (run.state is RunState.ANSWERED):
            world.wrong(f"{run.id} is {run.state} with {answers[run.id]} answers")
        card = cards.get(f"{work.id}/{run.id}/card")
        if card is None or card.state != run.state:
            world.wrong(f"the card of {run.id}, which is {run.state}, says {card.state if card else 'nothing'}")
        if run.started_at and run.ended_at:
            if ended and ended.ended_at and run.started_at < ended.ended_at and not world.clocks_differ:
                world.wrong(f"{run.id} began before {ended.id} had ended")
            ended = run


async def answers_are_of_what_is_remembered(world: World, saved: Saved) -> None:
    """An answer names the prompt it was given; it has to be the one that is kept as its run's context."""
    for run in await _runs(saved):
        context = await saved.runs.context(run.id)
        for answer in await saved.answers.of_work(run.work_id):
            if answer.run_id != run.id:
                continue
            seen = SEEN.search(answer.text)
            if context is None or seen is None or seen[1] != print_of(context.system, context.prompt):
                world.wrong(f"the answer of {run.id} was not made of the context that is kept")


async def the_gate_was_kept(world: World, saved: Saved) -> None:
    """Only reviewers who had no hand in a text gave verdicts, and what counts is what stands in Slack."""
    for answer_id in await _column(saved, "SELECT answer_id FROM reviews ORDER BY answer_id"):
        case = await load_case(answer_id, saved)
        assert case is not None
        for verdict in case.verdicts:
            if verdict.kind is VerdictKind.WITHDRAW:
                continue
            if verdict.person not in REVIEWERS or verdict.person in case.review.authors:
                world.wrong(f"{verdict.person} had no say about {answer_id}")
        stands = {(one.person, one.evidence.get("message"), one.emoji) for one in words_standing(case.said)}
        for person, ts, emoji in sorted(stands, key=str):
            there = world.slack.by_place.get((case.work.channel, str(ts)))
            if there is None or person not in there.reactions.get(str(emoji), []):
                world.wrong(f"the {emoji} of {person} on {answer_id} counts and was taken away")
        await _whatever_stands_counts(world, case, saved)


async def _whatever_stands_counts(world: World, case: Case, saved: Saved) -> None:
    """Where nobody sends the newest text back, whoever may approve it and does so is counted."""
    state = case.state(world.stack.review, world.now())
    if state not in {ReviewState.AWAITING, ReviewState.WITHDRAWN, ReviewState.APPROVED}:
        return
    places = {one.ts for one in await saved.outbox.of_answer(case.answer.id) if one.kind in {Kind.ANSWER, Kind.REVIEW}}
    said = {
        person
        for one in world.slack.posted
        if one.ts in places and one.channel == case.work.channel
        for person in one.reactions.get(CHECK, [])
    }
    should = {person for person in said if person in REVIEWERS and person not in case.review.authors}
    if set(approvers(case.said)) != should:
        world.wrong(f"{case.answer.id} is approved by {approvers(case.said)}; in Slack by {sorted(should)}")
    if (len(should) >= world.stack.review.quorum) is not (state is ReviewState.APPROVED):
        world.wrong(f"{case.answer.id} is {state} with {sorted(should)} for it")
    cards = [one for one in world.slack.ours("review") if one.ts in places]
    if [one.state for one in cards] != [state]:
        world.wrong(f"the review card of {case.answer.id}, which is {state}, says {[one.state for one in cards]}")


async def _runs(saved: Saved) -> list[Run]:
    found = [await saved.runs.get(run_id) for run_id in await _column(saved, "SELECT id FROM runs ORDER BY seq")]
    return [run for run in found if run is not None]


async def _column(saved: Saved, statement: str) -> Sequence[str]:
    return [row[0] for row in (await saved.connection.exec_driver_sql(statement)).all()]


def _count(world: World) -> None:
    for one in world.slack.ours():
        world.trace.count(f"said: {one.kind} {one.state or ''}".strip())
