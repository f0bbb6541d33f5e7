"""One run: a fresh context, one question to the assigned model, and what came of it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from handlers import result
from handlers import run as running
from handlers.context import Manifest, recompose
from handlers.errors import ModelFailed
from handlers.ports import StopReason
from handlers.result import NotOurs
from handlers.run import run_broke
from handlers.stack import StageName
from storage.database import Database, Saved
from storage.records import Kind, Run, RunState
from tests.fakes import FakeModels, a_model, a_stack, an_answer, until
from tests.handlers.house import House, words_of

BRIEF = "Announce the open cage"
TIMEOUT = ModelFailed("quick did not answer in 60 s, tried 3 times.", code="timeout", retryable=True)


async def begun(house: House, stage: str = "draft", words: str = BRIEF, **more: Any) -> Run:
    asked = await house.asks(stage, words, **more)
    async with house.storage.transaction() as saved:
        run = await saved.runs.begin(asked.id, at=house.now())
    assert run is not None
    return run


def falling_back(**more: Any) -> Any:
    models = {"quick": a_model(), "spare": a_model(id="spare-1", trust=2), "careful": a_model(id="careful-1", trust=5)}
    return a_stack(models=models, stages={"draft": {"model": "quick", "fallbacks": ["spare"], **more}})


async def test_the_model_sees_the_stored_context_and_nothing_else(house: House) -> None:
    run = await begun(house)
    await house.runs_one(run)
    [(assignment, prompt)] = house.models.asked
    assert (assignment.key, assignment.timeout_seconds) == ("quick", 300)
    async with house.storage.reading() as saved:
        kept = await saved.runs.context(run.id)
    assert kept is not None
    assert (kept.system, kept.prompt) == (prompt.system, prompt.user)
    manifest = Manifest.from_json(json.dumps(kept.manifest))
    again = recompose(manifest, {manifest.items[0].sha256: BRIEF})
    assert (again.system, again.user) == (prompt.system, prompt.user)


async def test_the_context_is_remembered_before_the_model_is_asked(house: House) -> None:
    house.models.hold = asyncio.Event()
    run = await begun(house)
    task = asyncio.create_task(house.runs_one(run))
    await until(lambda: bool(house.models.asked))
    async with house.storage.reading() as saved:
        assert await saved.runs.context(run.id) is not None
        assert (kept := await saved.runs.get(run.id)) is not None
    assert kept.model == "quick"
    assert kept.route is not None
    assert kept.route["reason"]
    house.models.hold.set()
    await task


async def test_the_stages_limits_go_with_the_question(house: House) -> None:
    house.stack = a_stack(stages={"draft": {"max_output_tokens": 77, "timeout_seconds": 9, "temperature": 0.25}})
    await house.runs_one(await begun(house))
    [(assignment, prompt)] = house.models.asked
    assert (prompt.max_output_tokens, prompt.temperature, assignment.timeout_seconds) == (77, 0.25, 9)


async def test_the_operators_instructions_are_added(house: House) -> None:
    house.stack = a_stack(stages={"draft": {"instructions": "Never say houba."}})
    await house.runs_one(await begun(house))
    assert "Never say houba." in house.models.asked[0][1].system


async def test_an_answer_ends_the_run_with_its_facts(house: House) -> None:
    run = await begun(house)
    house.now.goes_on(seconds=6)
    await house.runs_one(run)
    kept = await house.run(run)
    assert (kept.state, kept.model, kept.served_id, kept.stop_reason) == (
        RunState.ANSWERED,
        "quick",
        "quick-1",
        "finished",
    )
    assert (kept.input_tokens, kept.output_tokens, kept.attempts, kept.estimated) == (120, 40, 1, False)
    assert (await house.answer_of(run)).text == "quick has spoken."


# failures and fallbacks


async def test_a_model_that_fails_is_said_with_a_way_out(house: House) -> None:
    house.models.scripts["quick"] = [TIMEOUT]
    run = await begun(house)
    await house.runs_one(run)
    kept = await house.run(run)
    assert (kept.state, kept.error_code) == (RunState.FAILED, "timeout")
    assert await house.card_of(run) == (
        "draft · failed · quick did not answer in 60 s, tried 3 times. "
        "Nothing was lost: `@Countersign again`, or pick another model in the stack."
    )
    assert await house.answers(run.work_id) == []


async def test_a_fallback_answers_in_its_place_and_is_named(house: House) -> None:
    house.stack = falling_back()
    house.models.scripts["quick"] = [TIMEOUT]
    run = await begun(house)
    await house.runs_one(run)
    assert [assignment.key for assignment, _ in house.models.asked] == ["quick", "spare"]
    assert (await house.run(run)).model == "spare"
    first, second, *_ = (await house.card_of(run)).split("\n")
    assert first.startswith("draft · answered · spare for quick in ")
    assert second == "quick did not answer in 60 s, tried 3 times."


async def test_each_model_that_failed_before_it_is_told(house: House) -> None:
    stack = falling_back()
    models = {**stack.models, "third": stack.models["spare"].model_copy(update={"id": "third-1"})}
    rules = stack.rules(StageName.DRAFT).model_copy(update={"fallbacks": ("spare", "third")})
    house.stack = stack.model_copy(update={"models": models, "stages": {StageName.DRAFT: rules}})
    house.models.scripts |= {"quick": [TIMEOUT], "spare": [ModelFailed("spare refused (401).", code="http_401")]}
    run = await begun(house)
    await house.runs_one(run)
    first, second, *_ = (await house.card_of(run)).split("\n")
    assert first.startswith("draft · answered · third for quick in ")
    assert second == "quick did not answer in 60 s, tried 3 times. spare refused (401)."


async def test_when_all_fail_each_is_told(house: House) -> None:
    house.stack = falling_back()
    house.models.scripts |= {"quick": [TIMEOUT], "spare": [ModelFailed("spare refused (401).", code="http_401")]}
    run = await begun(house)
    await house.runs_one(run)
    assert (await house.run(run)).error_code == "http_401"
    assert (
        "quick did not answer in 60 s, tried 3 times. Then: spare refused (401). Nothing was lost"
        in await house.card_of(run)
    )


async def test_a_prompt_that_does_not_fit_goes_to_a_fallback_that_is_large_enough(house: House) -> None:
    house.stack = falling_back(max_output_tokens=100)
    small = house.stack.models["quick"].model_copy(update={"context_tokens": 256})
    house.stack = house.stack.model_copy(update={"models": {**house.stack.models, "quick": small}})
    await house.runs_one(await begun(house))
    assert [assignment.key for assignment, _ in house.models.asked] == ["spare"]


async def test_a_prompt_that_fits_nowhere_asks_nobody(house: House) -> None:
    house.stack = a_stack(models={"quick": a_model(context_tokens=256)})
    run = await begun(house)
    await house.runs_one(run)
    assert house.models.asked == []
    kept = await house.run(run)
    assert (kept.state, kept.error_code) == (RunState.FAILED, "context_too_long")
    assert "it takes 256 in all" in (kept.error or "")


@pytest.mark.parametrize(
    ("stop", "code", "says"),
    [
        ("refusal", "refusal", "quick refused to do this. Nothing was posted as an answer"),
        ("content_filter", "content_filter", "content filter of quick stopped the answer"),
    ],
)
async def test_a_refusal_is_no_answer_and_goes_to_no_fallback(house: House, stop: str, code: str, says: str) -> None:
    house.stack = falling_back()
    house.models.scripts["quick"] = [an_answer("I must not.", stop=StopReason(stop))]
    run = await begun(house)
    await house.runs_one(run)
    assert [assignment.key for assignment, _ in house.models.asked] == ["quick"]
    assert (await house.run(run)).error_code == code
    assert says in await house.card_of(run)
    assert await house.answers(run.work_id) == []


@pytest.mark.parametrize("text", ["", " \n\t ", "\u200b\ufeff\u00a0\u202e"])
async def test_an_empty_answer_is_a_failure(house: House, text: str) -> None:
    house.models.scripts["quick"] = [an_answer(text)]
    run = await begun(house)
    await house.runs_one(run)
    assert (await house.run(run)).error_code == "empty"


async def test_a_flood_is_no_answer_and_says_what_to_do(house: House) -> None:
    house.stack = a_stack(stages={"draft": {"max_output_tokens": 6_000}})
    house.models.scripts["quick"] = ["houba " * 20_001]
    run = await begun(house)
    await house.runs_one(run)
    ended = await house.run(run)
    assert (ended.state, ended.error_code) == (RunState.FAILED, "too_large")
    told = "draft: quick answered with 120,006 characters, far beyond its output limit (at most 120,000 are read)."
    assert told in await house.card_of(run)
    assert "pick another model for draft in the stack" in await house.card_of(run)


async def test_answers_and_notes_are_read_off_the_event_loop(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    readers: dict[str, bool] = {}

    def watched(name: str) -> None:
        real = getattr(result, name)

        def reading(*given: Any) -> Any:
            readers[name] = threading.current_thread() is threading.main_thread()
            return real(*given)

        monkeypatch.setattr(result, name, reading)

    watched("read_answer")
    watched("taken_up")
    await house.final()
    assert readers == {"read_answer": False, "taken_up": False}


async def test_what_no_database_takes_is_made_visible_in_an_answer(house: House) -> None:
    house.models.scripts["quick"] = [an_answer("half \ud83d a\x00pair", served="quick\x00\ud800" + "!" * 400)]
    run = await begun(house)
    await house.runs_one(run)
    assert (await house.answer_of(run)).text == "half \ufffd a␀pair"
    assert len((await house.run(run)).served_id or "") == 200


# refusals at the start


async def test_a_stage_whose_model_was_forbidden_meanwhile_is_refused_and_asks_nobody(house: House) -> None:
    run = await begun(house)
    models = {"quick": a_model(jurisdiction="cn"), "careful": a_model(trust=5, jurisdiction="us")}
    house.stack = a_stack(models=models, channels={"default": {"jurisdictions": ["us"]}})
    await house.runs_one(run)
    assert house.models.asked == []
    assert (await house.run(run)).state is RunState.REFUSED
    assert (await house.card_of(run)).startswith("draft · not started · draft cannot run here")


async def test_a_text_that_never_came_refuses_the_run_that_waited_for_it(house: House) -> None:
    house.models.scripts["quick"] = [TIMEOUT]
    first = await house.asks("draft", BRIEF)
    await house.posts()
    second = await house.asks("critique", work=await house.work(first.work_id))
    await house.runs_all()
    kept = await house.run(second)
    assert kept.state is RunState.REFUSED
    assert "there is none in this thread yet" in (kept.error or "")


# whose run it is


async def test_an_answer_to_a_cancelled_run_is_dropped(house: House) -> None:
    house.models.hold = asyncio.Event()
    run = await begun(house)
    task = asyncio.create_task(house.runs_one(run))
    await until(lambda: bool(house.models.asked))
    async with house.storage.transaction() as saved:
        await saved.runs.cancel(run.id, by="U0ANN", at=house.now())
    house.models.hold.set()
    with pytest.raises(NotOurs):
        await task
    assert await house.answers(run.work_id) == []
    assert [one.kind for one in await house.said(run.work_id)] == [Kind.ROOT, Kind.CARD]


@pytest.mark.parametrize("script", ["an answer", TIMEOUT])
async def test_an_older_epoch_ends_nothing(house: House, script: Any) -> None:
    house.models.scripts["quick"] = [script]
    run = await begun(house)
    async with house.storage.transaction() as saved:
        await saved.runs.back_in_line()
        newer = await saved.runs.begin(run.id, at=house.now())
    assert newer is not None
    with pytest.raises(NotOurs):
        await house.runs_one(run)
    assert (await house.run(run)).state is RunState.RUNNING
    await house.runs_one(replace(newer))
    assert (await house.run(run)).state in {RunState.ANSWERED, RunState.FAILED}


async def test_an_older_epoch_asks_nobody_and_leaves_the_context_of_its_successor(house: House) -> None:
    run = await begun(house)
    async with house.storage.transaction() as saved:
        await saved.runs.back_in_line()
        newer = await saved.runs.begin(run.id, at=house.now())
    assert newer is not None
    await house.runs_one(newer)
    async with house.storage.reading() as saved:
        seen = await saved.runs.context(run.id)
    asked = len(house.models.asked)
    with pytest.raises(NotOurs):
        await house.runs_one(run)
    async with house.storage.reading() as saved:
        assert await saved.runs.context(run.id) == seen
    assert len(house.models.asked) == asked


async def test_a_run_begun_again_after_a_crash_ends_as_if_nothing_had_happened(house: House) -> None:
    house.models.hold = asyncio.Event()
    run = await begun(house)
    task = asyncio.create_task(house.runs_one(run))
    await until(lambda: bool(house.models.asked))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    house.models.hold.set()
    async with house.storage.transaction() as saved:
        await saved.runs.back_in_line()
    await house.runs_all()
    assert len(await house.answers(run.work_id)) == 1
    assert (await house.run(run)).state is RunState.ANSWERED
    assert [one.kind for one in await house.said(run.work_id)] == [Kind.ROOT, Kind.CARD, Kind.ANSWER]


async def test_a_run_that_ends_its_process_each_time_is_given_up_before_it_costs_without_an_end(house: House) -> None:
    run = await begun(house)
    for nth in range(running.MOST_BEGINNINGS):
        house.models.scripts["quick"] = [MemoryError()]
        with pytest.raises(MemoryError):
            await house.runs_one(run)
        assert len(house.models.asked) == nth + 1
        async with house.storage.transaction() as saved:
            await saved.runs.back_in_line()
            again = await saved.runs.begin(run.id, at=house.now())
        assert again is not None
        run = again
    await house.runs_one(run)
    assert len(house.models.asked) == running.MOST_BEGINNINGS
    kept = await house.run(run)
    assert (kept.state, kept.error_code) == (RunState.FAILED, "gave_up")
    assert await house.card_of(run) == (
        "draft · failed · This run was begun 30 times, and each time the bot ended before it did. Ask whoever runs the "
        "bot to look at its log; `@Countersign again` tries once more."
    )


def full_for(
    times: int, house: House, monkeypatch: pytest.MonkeyPatch, *, but_for: asyncio.Task[Any] | None = None
) -> list[sqlite3.Error]:
    """A disk that is full as soon as the model was asked, so many times; what was said of it."""
    told: list[sqlite3.Error] = []
    really = Database.transaction

    @asynccontextmanager
    async def transaction(self: Database, **how: Any) -> AsyncIterator[Saved]:
        async with really(self, **how) as saved:
            yield saved
            if house.models.asked and len(told) < times and asyncio.current_task() is not but_for:
                full = sqlite3.OperationalError("database or disk is full")
                full.sqlite_errorcode = sqlite3.SQLITE_FULL
                told.append(full)
                raise full

    monkeypatch.setattr(Database, "transaction", transaction)
    monkeypatch.setattr(running, "FIRST_PAUSE", 0.001)
    return told


async def test_an_answer_waits_until_it_can_be_written_and_is_not_asked_for_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await begun(house)
    told = full_for(5, house, monkeypatch)
    await house.runs_one(run)
    assert len(told) == 5
    assert len(house.models.asked) == 1
    assert (await house.run(run)).state is RunState.ANSWERED
    (answer,) = await house.answers(run.work_id)
    assert answer.number == 1


async def test_a_failure_waits_until_it_can_be_written_and_nobody_is_asked_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.models.scripts["quick"] = [TIMEOUT]
    run = await begun(house)
    told = full_for(5, house, monkeypatch)
    await house.runs_one(run)
    assert len(told) == 5
    assert len(house.models.asked) == 1
    assert (await house.run(run)).error_code == "timeout"


async def test_an_answer_that_waits_to_be_written_is_nobodys_once_the_run_is_somebody_elses(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await begun(house)
    told = full_for(1_000_000, house, monkeypatch, but_for=asyncio.current_task())
    task = asyncio.create_task(house.runs_one(run))
    await until(lambda: len(told) > 1)
    async with house.storage.transaction() as saved:
        await saved.runs.back_in_line()
        newer = await saved.runs.begin(run.id, at=house.now())
    monkeypatch.undo()
    with pytest.raises(NotOurs):
        await task
    assert newer is not None
    assert await house.answers(run.work_id) == []


async def test_our_own_bug_is_told_with_a_reference(house: House) -> None:
    run = await begun(house)
    await run_broke(run, "cafe1234", storage=house.storage, now=house.now)
    kept = await house.run(run)
    assert (kept.state, kept.error_code) == (RunState.FAILED, "broke")
    assert "(reference cafe1234)" in await house.card_of(run)


# heartbeats


async def test_people_see_that_somebody_works_until_the_answer_is_there(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "STATUS_AFTER", 0.001)
    monkeypatch.setattr(running, "FIRST_BEAT", 0.002)
    monkeypatch.setattr(running, "NEXT_BEATS", 0.001)
    house.models.hold = asyncio.Event()
    run = await begun(house)
    task = asyncio.create_task(house.runs_one(run))
    await until(lambda: len(house.heartbeats.beats) >= 3)
    house.models.hold.set()
    await task
    slot, body = house.heartbeats.beats[0]
    assert slot == f"{run.work_id}/{run.id}/card"
    assert words_of(body).startswith("draft · drafting · quick, 0 s so far\n")
    assert body.facts == {"stage": "draft", "state": "running"}
    assert house.heartbeats.statuses == ["is drafting"]
    beats = len(house.heartbeats.beats)
    await asyncio.sleep(0.01)
    assert len(house.heartbeats.beats) == beats


async def test_a_heartbeat_that_fails_harms_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(house.heartbeats, "show_status", fails)
    monkeypatch.setattr(running, "STATUS_AFTER", 0.0)
    run = await begun(house)
    await house.runs_one(run)
    assert (await house.run(run)).state is RunState.ANSWERED


async def test_who_ends_without_an_answer_leaves_no_word_that_somebody_works(house: House) -> None:
    house.models = FakeModels(quick=ModelFailed("quick sleeps.", code="http_401"))
    await house.asks("draft", "Announce the open cage")
    await house.runs_all()
    assert house.heartbeats.statuses[-1:] == [""]
    house.models = FakeModels()
    house.heartbeats.statuses.clear()
    await house.asks("draft", "Announce the closed cage")
    await house.runs_all()
    assert "" not in house.heartbeats.statuses


async def test_who_is_cancelled_leaves_no_word_that_somebody_works(house: House) -> None:
    house.models.hold = asyncio.Event()
    queued = await house.asks("draft", "Announce the open cage")
    async with house.storage.transaction() as saved:
        begun = await saved.runs.begin(queued.id, at=house.now())
    assert begun is not None
    running = asyncio.create_task(house.runs_one(begun))
    await until(lambda: bool(house.models.asked))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert house.heartbeats.statuses[-1:] == [""]
