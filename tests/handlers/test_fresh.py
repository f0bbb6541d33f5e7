"""A fresh start: the brief and one text cross into a new thread, and whoever had a hand in them stays an author."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handlers.errors import Refusal
from handlers.incoming import Entrance, Request, Verb
from handlers.words import Body
from storage.records import Answer, Kind, Lane, Work
from tests.fakes import a_stack, seen
from tests.handlers.house import ANN, LAUNCH, RAE, READY, SAM, STAN, TAO, House, words_of
from tests.handlers.test_second_opinion import BRIEF, FOUND, made


def fresh(house: House, work: Work, words: str = "", **more: Any) -> Request:
    said = {"verb": Verb.FRESH, "entrance": Entrance.MENTION, "thread_ts": work.thread_ts, "stage": None, **more}
    return house.request(said.pop("stage"), words, **said)


async def starts_fresh(house: House, work: Work, words: str = "", **more: Any) -> Work:
    """Somebody starts fresh; the work that came of it, once all is done there."""
    await house.takes(fresh(house, work, words, **more))
    await house.runs_all()
    async with house.storage.reading() as saved:
        return (await saved.works.begun_from(work.id))[-1]


def labels(house_message: Any) -> list[str]:
    return [button.label for button in Body.from_json(house_message.body).buttons]


@pytest.fixture
async def walked(house: House) -> tuple[Work, Answer, Answer]:
    """A thread with two drafts, and a critique of the newer one."""
    house.models.scripts = {"quick": ["olderdraft", "newerdraft"], "careful": [f"critiquecanary {FOUND}", READY]}
    older = await made(house, "draft", BRIEF, person=ANN)
    work = await house.work(older.work_id)
    newer = await made(house, "draft", "notecanary", work=work, person=SAM, revises=True)
    await made(house, "critique", "harshcanary", work=work)
    return await house.work(work.id), older, newer


async def test_the_brief_and_the_newest_text_come_along_word_for_word(
    house: House, walked: tuple[Work, Answer, Answer]
) -> None:
    work, _, newer = walked
    new = await starts_fresh(house, work, person=STAN)
    assert (new.brief, new.opened_by, new.fresh_from, new.channel) == (BRIEF, STAN, work.id, work.channel)
    [text] = await house.answers(new.id)
    assert (text.text, text.sha256, text.stage, text.lane) == (newer.text, newer.sha256, "draft", Lane.CONTENT)
    assert (text.run_id, text.about_id, text.notes) == (None, None, "")
    assert new.carried is not None
    assert new.carried.answer_id == newer.id
    assert await house.runs(new.id) == []
    root, part = await house.said(new.id)
    assert [one.kind for one in (root, part)] == [Kind.ROOT, Kind.ANSWER]
    assert words_of(root) == (
        f"{BRIEF}\nfresh start for @{STAN} from [another thread](at {work.thread_ts}) · "
        f"came along: brief and draft 2 ({newer.sha256[:8]}), nothing else"
    )
    assert words_of(part) == f"draft 1 · came along word for word · text {newer.sha256[:8]}"
    assert part.body["facts"]["sha256"] == newer.sha256
    assert labels(part) == ["Critique", "Revise", "Final", "To code"]
    *_, notice = await house.said(work.id, Kind.NOTICE)
    assert words_of(notice) == (
        f"@{STAN} started fresh in a new thread of this channel with the brief and draft 2 ({newer.sha256[:8]}), "
        "nothing else."
    )
    [entry] = [entry for entry in await house.ledger() if entry.what == "began_fresh"]
    assert json.loads(entry.body) == {"from": work.id, "people": [ANN, SAM], "sha256": newer.sha256}


async def test_a_stage_runs_at_once_on_it_and_sees_nothing_else(
    house: House, walked: tuple[Work, Answer, Answer]
) -> None:
    work, older, _ = walked
    new = await starts_fresh(house, work, "be kind", stage="critique", target_id=older.id, person=STAN)
    [run] = await house.runs(new.id)
    assert (run.stage, run.note, run.note_by, run.asked_by) == ("critique", "be kind", (STAN,), STAN)
    prompt = house.models.asked[-1][1].user
    assert all(words in prompt for words in (BRIEF, "olderdraft", "be kind"))
    assert not any(words in prompt for words in ("newerdraft", "canary"))
    assert [one.kind for one in await house.said(new.id)] == [Kind.ROOT, Kind.ANSWER, Kind.CARD, Kind.ANSWER]
    final = await made(house, "final", work=new)
    prompt = house.models.asked[-1][1].user
    assert "olderdraft" in prompt
    assert not any(words in prompt for words in ("newerdraft", "notecanary", "harshcanary"))
    assert final.about_id == (await house.answers(new.id))[0].id


@pytest.mark.parametrize(
    ("stage", "more", "crosses"),
    [
        ("scout", {}, {"brief"}),
        ("draft", {}, {"brief", "text"}),
        ("polish", {}, {"brief", "text"}),
        ("implement", {}, {"brief", "plan"}),
    ],
)
async def test_each_stage_begins_there_with_what_it_reads(
    house: House, walked: tuple[Work, Answer, Answer], stage: str, more: dict[str, Any], crosses: set[str]
) -> None:
    new = await starts_fresh(house, walked[0], stage=stage, **more)
    [run] = await house.runs(new.id)
    async with house.storage.reading() as saved:
        context = await saved.runs.context(run.id)
    assert context is not None
    assert {item["reads"] for item in context.manifest["items"]} == crosses


async def test_notes_that_come_along_are_read_by_a_draft(house: House) -> None:
    notes = await made(house, "scout", BRIEF)
    new = await starts_fresh(house, await house.work(notes.work_id), stage="draft", target_id=notes.id)
    [run] = await house.runs(new.id)
    assert (run.revises, run.state.value) == (False, "answered")
    assert notes.text in house.models.asked[-1][1].user
    with pytest.raises(Refusal, match="`final` works on a text; a scout is not one"):
        await house.takes(fresh(house, await house.work(notes.work_id), stage="final", target_id=notes.id))


async def test_the_self_rule_is_not_washed_off(house: House, walked: tuple[Work, Answer, Answer]) -> None:
    everybody = (ANN, RAE, SAM, STAN, TAO)
    house.rules(reviewers=everybody)
    work, *_ = walked
    new = await starts_fresh(house, work, person=STAN)
    newest = await starts_fresh(house, await house.work(new.id), person=STAN)  # and not by doing it twice
    final = await made(house, "final", work=await house.work(newest.id), person=TAO)
    for who in (ANN, SAM, STAN, TAO):
        await house.reacts(who, final)
        assert await house.state(final) == "awaiting", who
    await house.reacts(RAE, final)
    assert await house.state(final) == "approved"
    async with house.storage.reading() as saved:
        assert (review := await saved.reviews.get(final.id)) is not None
    assert set(review.authors) == {ANN, SAM, STAN, TAO}


async def test_who_asked_for_the_text_and_whose_message_it_began_as_are_taken_along(house: House) -> None:
    house.slack.shows(seen(LAUNCH, "60.1", "Every jungle will benefit.", author=RAE))
    await house.takes(
        house.request("polish", brief="x", entrance=Entrance.SHORTCUT, target_ts="60.1", thread_ts="60.1")
    )
    await house.runs_all()
    work = await house.work((await house.runs())[0].work_id)
    await made(house, "polish", work=work, person=SAM)
    assert work.in_human_thread
    new = await starts_fresh(house, work, person=STAN)
    assert new.carried is not None
    assert set(new.carried.people) == {ANN, SAM, RAE}
    assert not new.in_human_thread


async def test_a_reviewers_reason_still_is_no_authorship_there(house: House) -> None:
    text = await house.final(by=STAN)
    await house.reacts(SAM, text, "x")
    await house.says_why(SAM, text, "Name the date.")
    await house.runs_all()
    new = await starts_fresh(house, await house.work(text.work_id), person=TAO)
    final = await made(house, "final", work=new, person=TAO)
    await house.reacts(SAM, final)
    assert await house.state(final) == "approved"


async def test_the_brief_crosses_under_its_first_writer(house: House, walked: tuple[Work, Answer, Answer]) -> None:
    new = await starts_fresh(house, walked[0], stage="draft", person=STAN)
    new = await starts_fresh(house, await house.work(new.id), stage="draft", person=TAO)
    [run] = await house.runs(new.id)
    async with house.storage.reading() as saved:
        context = await saved.runs.context(run.id)
    assert context is not None
    [brief] = [item for item in context.manifest["items"] if item["reads"] == "brief"]
    assert brief["author"] == ANN


async def test_a_work_without_an_answer_takes_its_brief_along(house: House) -> None:
    run = await house.asks("draft", BRIEF)
    await house.posts()
    new = await starts_fresh(house, await house.work(run.work_id))
    assert (new.brief, await house.answers(new.id)) == (BRIEF, [])
    assert words_of((await house.said(new.id))[0]).endswith("came along: brief, nothing else")
    assert "with the brief, nothing else" in words_of((await house.said(run.work_id, Kind.NOTICE))[-1])


async def test_a_second_opinion_comes_along_only_for_who_points_at_it(
    house: House, walked: tuple[Work, Answer, Answer]
) -> None:
    work, _, newer = walked
    await house.takes(
        house.request(
            None, verb=Verb.SECOND_OPINION, entrance=Entrance.BUTTON, target_id=newer.id, thread_ts=work.thread_ts
        )
    )
    await house.runs_all()
    *_, opinion = await house.answers(work.id)
    assert opinion.second_to == newer.id
    [text] = await house.answers((await starts_fresh(house, work)).id)
    assert text.sha256 == newer.sha256
    [text] = await house.answers((await starts_fresh(house, work, target_id=opinion.id)).id)
    assert (text.sha256, text.second_to) == (opinion.sha256, None)


@pytest.mark.parametrize(
    ("words", "more", "told"),
    [
        ("shorter, please", {}, "A note goes to a stage: `@Countersign fresh critique …`"),
        ("", {"target_ts": "60.1"}, "A fresh start takes along an answer of this thread"),
        ("", {"thread_ts": "61.1"}, "There is no work of mine in this thread to go on from"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_starts_nothing(
    house: House, walked: tuple[Work, Answer, Answer], words: str, more: dict[str, Any], told: str
) -> None:
    with pytest.raises(Refusal, match="^" + told.partition("`")[0]) as refused:
        await house.takes(fresh(house, walked[0], words, **more))
    assert refused.value.sentence.startswith(told)
    async with house.storage.reading() as saved:
        assert await saved.works.begun_from(walked[0].id) == []


async def test_a_stage_that_may_not_run_starts_nothing(house: House, walked: tuple[Work, Answer, Answer]) -> None:
    house.stack = a_stack(channels={"default": {"jurisdictions": ["ch"]}})
    with pytest.raises(Refusal, match="critique cannot run here"):
        await house.takes(fresh(house, walked[0], stage="critique"))
    assert len(await house.runs()) == 3


async def test_the_stage_may_stand_behind_the_link(house: House, walked: tuple[Work, Answer, Answer]) -> None:
    new = await starts_fresh(house, walked[0], "critique: be kind", target_id=walked[1].id)
    [run] = await house.runs(new.id)
    assert (run.stage, run.note) == ("critique", "be kind")


async def test_a_thread_with_nothing_in_it_has_nothing_to_start_with(house: House) -> None:
    house.slack.shows(seen(LAUNCH, "60.1", "Every jungle.", author=RAE))
    await house.takes(house.request("critique", entrance=Entrance.SHORTCUT, target_ts="60.1", thread_ts="60.1"))
    work = await house.work((await house.runs())[0].work_id)
    async with house.storage.transaction() as saved:
        await saved.connection.exec_driver_sql("UPDATE answers SET text = ' '")
    with pytest.raises(Refusal, match="neither a brief nor a text"):
        await house.takes(fresh(house, work))


async def test_a_start_pressed_twice_at_once_and_delivered_twice_is_one(
    house: House, walked: tuple[Work, Answer, Answer]
) -> None:
    work = walked[0]
    request = fresh(house, work, entrance=Entrance.BUTTON)
    for asked in (request, request, fresh(house, work, entrance=Entrance.BUTTON)):
        await house.takes(asked)
    async with house.storage.reading() as saved:
        assert len(await saved.works.begun_from(work.id)) == 1
    house.now.goes_on(seconds=3)
    await house.takes(fresh(house, work, entrance=Entrance.BUTTON))
    async with house.storage.reading() as saved:
        assert len(await saved.works.begun_from(work.id)) == 2
