"""A pipeline is walked step by step: what follows from each end, and that no step is lost or made twice."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from handlers.cancel import somebody_cancels
from handlers.errors import ModelFailed, Refusal
from handlers.export import as_markdown, export_work
from handlers.incoming import Entrance, Verb
from handlers.ports import StopReason
from handlers.result import NotOurs
from handlers.status import somebody_wants_status
from handlers.walk import Done, Ended, Halt, Step, Why, key_of, next_step
from handlers.words import Body
from storage.records import Kind, Letter, Run, RunState, Walk, WalkState, Work
from tests.fakes import a_stack, an_answer
from tests.handlers.house import ANN, RAE, READY, House, words_of

CONTENT = ("scout", "draft", "critique", "final")
REVISE = "1. major · “the cage” · nobody says which · name it\n\nVerdict: revise"
FINE = "Verdict: nothing serious found"
BLOCKED = "## Decision\nblocked: it promises too much\n\n## Final text\nThe cage is open.\n\n## Owner's notes\nnone"
ANSWERED = RunState.ANSWERED


def a_walk(place: int, *, rounds: int = 0, of: int = 0, stages: tuple[str, ...] = CONTENT) -> Walk:
    return Walk(
        id="k1",
        work_id="w1",
        request_key="mention/1",
        name="content",
        stages=stages,
        revise_rounds=of,
        asked_by=ANN,
        begun_at=datetime(2026, 11, 3, tzinfo=UTC),
        run_id="r1",
        place=place,
        rounds=rounds,
    )


def ended(state: RunState = ANSWERED, **more: Any) -> Ended:
    return Ended(state=state, **more)


REVISED, SERIOUS, NOTHING = ended(revised=True), ended(verdict="revise"), ended(verdict="nothing serious found")


@pytest.mark.parametrize(
    ("walk", "how", "next_"),
    [
        (a_walk(0), ended(), Step(place=1)),
        (a_walk(1), ended(), Step(place=2)),
        (a_walk(2), SERIOUS, Step(place=3)),  # without rounds, final reads the critique
        (a_walk(2), NOTHING, Step(place=3)),
        (a_walk(3), ended(), Done()),
        (a_walk(2, of=2), SERIOUS, Step(place=2, rounds=1, revises=True)),
        (a_walk(2, of=2), ended(verdict=None), Step(place=2, rounds=1, revises=True)),
        (a_walk(2, of=2), NOTHING, Step(place=3)),
        (a_walk(2, of=2, rounds=1), REVISED, Step(place=2, rounds=1)),
        (a_walk(2, of=2, rounds=1), SERIOUS, Step(place=2, rounds=2, revises=True)),
        (a_walk(2, of=2, rounds=1), NOTHING, Step(place=3)),
        (a_walk(2, of=2, rounds=2), REVISED, Step(place=2, rounds=2)),
        (a_walk(2, of=2, rounds=2), NOTHING, Step(place=3)),
        (a_walk(2, of=2, rounds=2), SERIOUS, Halt(why=Why.UNDECIDED)),
        (a_walk(1, of=2), REVISED, Step(place=2)),  # a draft that is a revision because somebody pointed at a text
        (a_walk(0, of=1, stages=("critique",)), NOTHING, Done()),
        (a_walk(0, stages=("draft",)), ended(), Done()),
        (a_walk(1), ended(is_cut=True), Halt(why=Why.CUT)),
        (a_walk(2, of=1, rounds=1), ended(revised=True, is_cut=True), Halt(why=Why.CUT)),
        (a_walk(3), ended(is_cut=True), Halt(why=Why.CUT)),
        (a_walk(0), ended(is_cut=True), Step(place=1)),  # notes and findings are no text
        (a_walk(2), ended(is_cut=True, verdict="revise"), Step(place=3)),
        (a_walk(3), ended(is_blocked=True), Halt(why=Why.BLOCKED)),
        (a_walk(0, stages=("final", "polish")), ended(is_blocked=True), Halt(why=Why.BLOCKED)),
        *((a_walk(place), ended(RunState.FAILED), Halt(why=Why.FAILED)) for place in range(4)),
        *((a_walk(place), ended(RunState.REFUSED), Halt(why=Why.FAILED)) for place in range(4)),
        *((a_walk(place), ended(RunState.CANCELLED), Halt(why=Why.CANCELLED)) for place in range(4)),
    ],
)
def test_what_follows_from_the_end_of_a_step(walk: Walk, how: Ended, next_: Step | Done | Halt) -> None:
    assert next_step(walk, how) == next_


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING])
def test_nothing_follows_from_a_run_that_goes_on(state: RunState) -> None:
    with pytest.raises(ValueError, match="has not ended"):
        next_step(a_walk(0), ended(state))


def test_every_step_has_a_key_of_its_own() -> None:
    steps = [Step(place=p, rounds=r, revises=v) for p in range(12) for r in range(6) for v in (False, True)]
    assert len({key_of(a_walk(0), step) for step in steps}) == len(steps)


@pytest.fixture
def house(house: House) -> House:
    house.stack = a_stack(
        pipelines={"content": list(CONTENT), "careful": {"stages": list(CONTENT[1:]), "revise_rounds": 2}}
    )
    house.models.scripts["careful"] = [FINE, READY]
    return house


async def runs_content(house: House, words: str = "Announce the open cage", name: str = "content", **more: Any) -> Run:
    stage = house.stack.pipelines[name].stages[0]
    return await house.asks(stage, f"{words} run {name}", **more)


async def walks(house: House, work_id: str) -> list[Walk]:
    async with house.storage.reading() as saved:
        return await saved.walks.of_work(work_id)


async def the_walk(house: House, run: Run) -> Walk:
    (walk,) = await walks(house, run.work_id)
    return walk


async def steps(house: House, run: Run) -> list[str]:
    return [("revise" if one.revises else one.stage) + f" {one.state}" for one in await house.runs(run.work_id)]


async def notices(house: House, run: Run) -> list[str]:
    return [words_of(one) for one in await house.said(run.work_id, Kind.NOTICE)]


async def cancels(house: House, work: Work) -> None:
    request = house.request(None, verb=Verb.CANCEL, entrance=Entrance.MENTION, thread_ts=work.thread_ts)
    letter = Letter(key=request.key, kind="request", line="x", body=request.to_json(), received_at=house.now())
    await house.keeps(letter)
    await somebody_cancels(request, storage=house.storage, now=house.now)


async def test_each_step_is_a_run_of_its_own_in_the_name_of_who_asked(house: House) -> None:
    first = await runs_content(house)
    assert await house.card_of(first) == "scout · queued · starting\nstep 1 of 4 of content"
    assert words_of((await house.said(first.work_id, Kind.ROOT))[0]) == (
        "Announce the open cage\ncontent, from scout, for @U0ANN"
    )
    await house.runs_all()
    runs = await house.runs(first.work_id)
    assert [(run.stage, run.state, run.asked_by) for run in runs] == [(s, ANSWERED, ANN) for s in CONTENT]
    for number, run in enumerate(runs, 1):
        assert f"\nstep {number} of 4 of content · " in await house.card_of(run)
    answers = {answer.stage: answer for answer in await house.answers(first.work_id)}
    assert answers["critique"].about_id == answers["final"].about_id == answers["draft"].id
    assert (await the_walk(house, first)).state is WalkState.DONE
    assert [one.body["facts"]["state"] for one in await house.said(first.work_id, Kind.REVIEW)] == ["awaiting"]
    assert await notices(house, first) == []


async def test_the_note_goes_to_the_first_step_only(house: House) -> None:
    draft = await house.asks("draft", "Announce the open cage")
    await house.runs_all()
    work = await house.work(draft.work_id)
    await house.asks("draft", "be brief run content", work=work)
    await house.runs_all()
    assert [run.note for run in await house.runs(work.id)] == ["", "be brief", "", ""]


async def test_a_walk_from_the_critique_takes_the_newest_text(house: House) -> None:
    draft = await house.asks("draft", "Announce the open cage")
    await house.runs_all()
    work = await house.work(draft.work_id)
    run = await house.asks("critique", "run content", work=work)
    await house.runs_all()
    assert await steps(house, draft) == ["draft answered", "critique answered", "final answered"]
    assert "step 3 of 4 of content" in await house.card_of(run)
    final = (await house.answers(work.id))[-1]
    assert final.about_id == (await house.answer_of(draft)).id


async def test_a_step_works_on_what_the_walk_made_whatever_others_ask_for_meanwhile(house: House) -> None:
    first = await runs_content(house, name="careful")
    await house.posts()
    other = await house.asks("draft", "another one", work=await house.work(first.work_id), person=RAE)
    await house.runs_all()
    runs = await house.runs(first.work_id)
    assert [run.stage for run in runs] == ["draft", "draft", "critique", "final"]
    assert runs[1].id == other.id
    critique, final = (await house.answers(first.work_id))[2:]
    assert critique.about_id == final.about_id == (await house.answer_of(first)).id


async def test_a_text_is_revised_until_the_critic_finds_nothing_serious(house: House) -> None:
    house.models.scripts["careful"] = [REVISE, FINE, READY]
    first = await runs_content(house, name="careful")
    await house.runs_all()
    assert await steps(house, first) == [
        f"{what} answered" for what in ("draft", "critique", "revise", "critique", "final")
    ]
    _, _, revise, critique, _ = await house.runs(first.work_id)
    assert "step 2 of 3 of careful, round 1 of 2" in await house.card_of(revise)
    assert "step 2 of 3 of careful, round 1 of 2" in await house.card_of(critique)
    async with house.storage.reading() as saved:
        work = await house.work(first.work_id)
        exported = await export_work(work, saved, stack=house.stack, now=house.now())
    assert "(pipeline): step 2 of 3 of careful, round 1 of 2\n" in as_markdown(exported)
    draft, _, revised, second, final = await house.answers(first.work_id)
    assert (revised.about_id, second.about_id, final.about_id) == (draft.id, revised.id, revised.id)


async def test_after_the_last_round_both_texts_go_to_the_person(house: House) -> None:
    house.models.scripts["careful"] = [REVISE]
    first = await runs_content(house, name="careful")
    await house.runs_all()
    assert await steps(house, first) == [
        f"{what} answered" for what in ("draft", "critique", "revise", "critique", "revise", "critique")
    ]
    texts = [answer for answer in await house.answers(first.work_id) if answer.stage == "draft"]
    (notice,) = await house.said(first.work_id, Kind.NOTICE)
    assert words_of(notice) == (
        "careful stopped at critique (step 2 of 3): after 2 revisions the critic still says to revise. "
        "@U0ANN, which text goes on?\n"
        f"• draft 2 · text {texts[1].sha256[:8]}\n• draft 3 · text {texts[2].sha256[:8]}"
    )
    buttons = Body.from_json(notice.body).buttons
    assert [(one.action, one.label, one.value) for one in buttons] == [
        ("final:1", "Final on draft 2", texts[1].id),
        ("final:2", "Final on draft 3", texts[2].id),
    ]
    assert (await the_walk(house, first)).state is WalkState.STOPPED


async def test_a_failed_step_halts_the_walk_and_again_goes_on_from_there(house: House) -> None:
    house.models.scripts["careful"] = [ModelFailed("careful is away.", code="timeout"), FINE, READY]
    first = await runs_content(house)
    await house.runs_all()
    assert await steps(house, first) == ["scout answered", "draft answered", "critique failed"]
    assert await notices(house, first) == [
        "content stopped at critique (step 3 of 4): its card says why. `@Countersign again` goes on from there."
    ]
    house.now.goes_on(seconds=60)
    work = await house.work(first.work_id)
    again = await house.asks(None, "and be kind", work=work, verb=Verb.AGAIN, person=RAE)  # type: ignore[arg-type]
    await house.runs_all()
    assert (await steps(house, first))[3:] == ["critique answered", "final answered"]
    assert (again.asked_by, again.note) == (RAE, "and be kind")
    assert (await house.runs(work.id))[-1].asked_by == ANN
    assert (await the_walk(house, first)).state is WalkState.DONE


async def test_again_goes_on_though_others_asked_before_the_step_failed(house: House) -> None:
    house.models.scripts["quick"] = [ModelFailed("quick is away.", code="timeout"), "Said."]
    first = await runs_content(house, name="careful")
    await house.posts()
    work = await house.work(first.work_id)
    house.now.goes_on(seconds=1)
    await house.asks("scout", "meanwhile", work=work)
    await house.runs_all()
    await house.asks(None, work=work, verb=Verb.AGAIN)  # type: ignore[arg-type]
    await house.runs_all()
    assert await steps(house, first) == [
        "draft failed",
        "scout answered",
        "draft answered",
        "critique answered",
        "final answered",
    ]


async def test_again_means_the_newest_where_somebody_asked_since(house: House) -> None:
    house.models.scripts["careful"] = [ModelFailed("careful is away.", code="timeout"), FINE]
    first = await runs_content(house)
    await house.runs_all()
    work = await house.work(first.work_id)
    house.now.goes_on(seconds=60)
    await house.asks("draft", "shorter", work=work)
    await house.runs_all()
    await house.asks(None, work=work, verb=Verb.AGAIN)  # type: ignore[arg-type]
    await house.runs_all()
    assert (await steps(house, first))[3:] == ["draft answered", "draft answered"]
    assert (await the_walk(house, first)).state is WalkState.STUCK


async def test_what_cannot_be_begun_again_leaves_the_walk_stuck(house: House) -> None:
    house.models.scripts["careful"] = [ModelFailed("careful is away.", code="timeout"), FINE]
    first = await runs_content(house)
    await house.runs_all()
    work, stack = await house.work(first.work_id), house.stack
    house.stack = a_stack(stages={"critique": {"min_trust": 5, "model": "quick"}})
    house.now.goes_on(seconds=60)
    with pytest.raises(Refusal):
        await house.asks(None, work=work, verb=Verb.AGAIN)  # type: ignore[arg-type]
    house.stack = stack
    await house.asks(None, work=work, verb=Verb.AGAIN)  # type: ignore[arg-type]
    await house.runs_all()
    assert (await the_walk(house, first)).state is WalkState.DONE


@pytest.mark.parametrize(
    ("final", "why"),
    [
        (BLOCKED, "its owner blocked the text"),
        (
            an_answer(READY, stop=StopReason.LENGTH),
            "the text was cut at the output limit, `max_output_tokens` of final",
        ),
    ],
)
async def test_a_final_that_opens_no_review_halts_the_walk(house: House, final: Any, why: str) -> None:
    house.models.scripts["careful"] = [FINE, final]
    first = await runs_content(house)
    await house.runs_all()
    assert (await notices(house, first))[-1] == (
        f"content stopped at final (step 4 of 4): {why}. `@Countersign again` goes on from there."
    )
    assert (await the_walk(house, first)).state is WalkState.STUCK


async def test_cancel_stops_the_walk_and_its_open_run(house: House) -> None:
    first = await runs_content(house)
    await house.posts()
    work = await house.work(first.work_id)
    await cancels(house, work)
    await house.runs_all()
    assert await steps(house, first) == ["scout cancelled"]
    assert await notices(house, first) == ["content stopped at scout (step 1 of 4) by @U0ANN."]
    assert (await the_walk(house, first)).state is WalkState.STOPPED
    again = await runs_content(house, work=work)
    assert again.state is RunState.QUEUED


async def test_a_walk_whose_run_ended_some_other_way_can_be_stopped_too(house: House) -> None:
    first = await runs_content(house)
    await house.posts()
    async with house.storage.transaction() as saved:
        await saved.runs.cancel(first.id, by="slack", at=house.now())
    await cancels(house, await house.work(first.work_id))
    assert (await the_walk(house, first)).state is WalkState.STOPPED
    with pytest.raises(Refusal, match="Nothing is running"):
        await cancels(house, await house.work(first.work_id))


async def test_a_second_walk_is_refused_with_the_way_to_stop_the_first(house: House) -> None:
    first = await runs_content(house)
    await house.posts()
    work = await house.work(first.work_id)
    with pytest.raises(Refusal) as refused:
        await runs_content(house, name="careful", work=work)
    assert refused.value.sentence == (
        "content is under way in this thread, at scout (step 1 of 4). `@Countersign cancel` stops it; then ask again."
    )
    assert len(await house.runs(work.id)) == 1


async def test_a_pipeline_whose_later_stage_nobody_may_do_here_is_refused_before_anything_is_paid(house: House) -> None:
    house.stack = a_stack(pipelines={"content": list(CONTENT)}, stages={"final": {"model": "quick", "min_trust": 5}})
    with pytest.raises(Refusal, match="Pipeline content cannot be run here"):
        await runs_content(house)
    assert house.models.asked == []


async def test_a_walk_keeps_its_steps_when_the_stack_changes(house: House) -> None:
    first = await runs_content(house)
    house.stack = a_stack()
    house.models.scripts["careful"] = [FINE, READY]
    await house.runs_all()
    assert await steps(house, first) == [f"{stage} answered" for stage in CONTENT]


async def test_a_step_that_the_newest_stack_lets_nobody_do_halts_the_walk(house: House) -> None:
    first = await runs_content(house)
    house.stack = a_stack(stages={"critique": {"min_trust": 5, "model": "quick"}})
    await house.runs_all()
    assert await steps(house, first) == ["scout answered", "draft answered", "critique refused"]
    assert (await the_walk(house, first)).state is WalkState.STUCK
    assert "stopped at critique (step 3 of 4)" in (await notices(house, first))[0]


async def test_status_names_the_walk(house: House) -> None:
    house.models.scripts["careful"] = [ModelFailed("careful is away.", code="timeout")]
    first = await runs_content(house)
    for told in ("content · walking · scout (step 1 of 4)", "content · stuck · critique (step 3 of 4) · "):
        await house.posts()
        work = await house.work(first.work_id)
        request = house.request(None, verb=Verb.STATUS, entrance=Entrance.MENTION, thread_ts=work.thread_ts)
        letter = Letter(key=request.key, kind="request", line="x", body=request.to_json(), received_at=house.now())
        await house.keeps(letter)
        await somebody_wants_status(request, storage=house.storage, stack=house.stack, now=house.now)
        assert told in (await notices(house, first))[-1]
        await house.runs_all()


async def test_a_plan_for_the_implementer_is_the_walks_own_text(house: House) -> None:
    house.stack = a_stack(pipelines={"build": ["draft", "implement", "final"]})
    house.models.scripts["careful"] = [READY]
    first = await house.asks("draft", "Build a cage run build")
    await house.runs_all()
    draft, patch, final = await house.answers(first.work_id)
    assert (patch.about_id, final.about_id) == (draft.id, patch.id)
    assert [run.lane for run in await house.runs(first.work_id)] == ["content", "code", "code"]


class Fate:
    """Runs of a house come to their ends in every order that a bad day has to offer."""

    def __init__(self, house: House, seed: int) -> None:
        self.house, self.dice = house, random.Random(seed)
        self.left: list[Run] = []  # begun by who died since, and may still be at work

    async def begins(self) -> None:
        async with self.house.storage.transaction() as saved:
            ready = await saved.runs.next_in_line()
            begun = await saved.runs.begin(ready[0].id, at=self.house.now()) if ready else None
        if begun:
            self.left.append(begun)

    async def restarts(self) -> None:
        async with self.house.storage.transaction() as saved:
            await saved.runs.back_in_line()

    async def ends(self) -> None:
        """Somebody brings an answer, or none: who holds the run, who lost it, or who has ended it already."""
        if not self.left:
            return
        run, models = self.left[-1] if self.dice.random() < 0.7 else self.dice.choice(self.left), self.house.models
        verdict = self.dice.choice([REVISE, REVISE, FINE])
        said: Any = {"critique": verdict, "final": self.dice.choice([READY, READY, BLOCKED])}.get(run.stage, "A text.")
        if self.dice.random() < 0.15:
            said = ModelFailed("it is away.", code="timeout")
        models.scripts = {"quick": [said], "careful": [said]}
        with contextlib.suppress(NotOurs):
            await self.house.runs_one(run)
        await self.house.posts()

    async def cancels(self, work: Work) -> None:
        if self.dice.random() < 0.3:
            with contextlib.suppress(Refusal):
                await cancels(self.house, work)

    async def asks(self, work: Work) -> None:
        self.house.now.goes_on(seconds=1)
        kind = self.dice.choice(["again", "again", "careful", "other"])
        try:
            if kind == "again":
                await self.house.asks(None, work=work, verb=Verb.AGAIN)  # type: ignore[arg-type]
            elif kind == "careful":
                await runs_content(self.house, name="careful", work=work)
            elif self.dice.random() < 0.3:
                await self.house.asks("scout", "meanwhile", work=work)
        except Refusal:
            pass


def replayed(walk: Walk, runs: list[Run], verdicts: dict[str, str | None], blocked: set[str]) -> Walk:
    """The walk as the ends of its runs make it; fails where a run is not the one that was to come."""
    at, due = replace(walk, place=0, rounds=0, state=WalkState.WALKING), Step(place=0)
    mine = [run for run in runs if run.walk and run.walk["id"] == walk.id]
    for nth, run in enumerate(mine):
        assert at.state is not WalkState.DONE
        assert (run.revises, run.stage) == (due.revises, "draft" if due.revises else walk.stages[due.place])
        at = replace(at, place=due.place, rounds=due.rounds, run_id=run.id)
        if run.state in {RunState.QUEUED, RunState.RUNNING}:
            assert nth == len(mine) - 1, "a step was begun before the one before it had ended"
            return replace(at, state=WalkState.WALKING)
        how = Ended(state=run.state, revised=run.revises, verdict=verdicts.get(run.id), is_blocked=run.id in blocked)
        match next_step(at, how):
            case Step() as step:
                assert nth < len(mine) - 1, "a step is missing"
                due, at = step, replace(at, state=WalkState.WALKING)
            case Done():
                at = replace(at, state=WalkState.DONE)
            case Halt() as halt:
                at = replace(at, state=halt.state)
    return at


@pytest.mark.parametrize("seed", range(16))
async def test_whatever_happens_each_step_is_made_once_and_none_is_skipped(house: House, seed: int) -> None:
    fate = Fate(house, seed)
    first = await runs_content(house, name="careful")
    await house.posts()
    work = await house.work(first.work_id)
    for _ in range(40):
        deed = fate.dice.choices(["begins", "ends", "restarts", "cancels", "asks"], weights=[6, 8, 2, 1, 2])[0]
        if deed in {"cancels", "asks"}:
            await getattr(fate, deed)(work)
        else:
            await getattr(fate, deed)()
        house.now.goes_on(seconds=1)
        runs, answers = await house.runs(work.id), await house.answers(work.id)
        verdicts = {a.run_id: a.verdict for a in answers if a.run_id}
        blocked = {a.run_id for a in answers if a.run_id and a.decision == "blocked"}
        all_walks = await walks(house, work.id)
        for walk in all_walks:
            seen = replayed(walk, runs, verdicts, blocked)
            assert (seen.state, seen.place, seen.rounds, seen.run_id) == (
                walk.state,
                walk.place,
                walk.rounds,
                walk.run_id,
            )
        assert sum(walk.state is WalkState.WALKING for walk in all_walks) <= 1
