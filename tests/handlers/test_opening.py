"""Who may not approve a final, and what a newer one does to the older."""

from __future__ import annotations

import json

import pytest

from handlers.incoming import Entrance
from handlers.opening import authors
from storage.records import Answer, Kind, Lane, Run, RunState, Work
from tests.fakes import FakeClock, a_stack, seen
from tests.handlers.house import ANN, LAUNCH, RAE, SAM, STAN, TAO, House

NOW = FakeClock()()
WORK = Work(id="w-1", team="T0", channel="C0", brief="b", opened_by=ANN, opened_at=NOW)


def a_run(number: int, by: str, *, note: str = "", entrance: str = "mention", target: int | None = None) -> Run:
    return Run(
        id=f"r-{number}",
        work_id="w-1",
        request_key=f"k-{number}",
        stage="final",
        lane=Lane.CONTENT,
        state=RunState.ANSWERED,
        asked_by=by,
        entrance=entrance,
        asked_at=NOW,
        note=note,
        note_by=(by,) if note and entrance != Entrance.SEND_BACK else (),
        target_id=f"a-{target}" if target else None,
    )


def an_answer(number: int, *, about: int | None = None, message_by: str | None = None) -> Answer:
    return Answer(
        id=f"a-{number}",
        work_id="w-1",
        run_id=None if message_by else f"r-{number}",
        stage="message" if message_by else "draft",
        lane=Lane.CONTENT,
        number=number,
        text="t",
        sha256="0" * 64,
        made_at=NOW,
        about_id=f"a-{about}" if about else None,
        author=message_by,
    )


def test_who_opened_the_work_and_who_asked_for_the_final_are_its_authors() -> None:
    final = a_run(2, TAO)
    assert authors(final, WORK, [a_run(1, STAN), final], [an_answer(1), an_answer(2, about=1)]) == (ANN, TAO)


def test_a_note_to_any_run_the_text_came_through_makes_an_author() -> None:
    runs = [a_run(1, STAN, note="start with the tail"), a_run(2, RAE), a_run(3, TAO)]
    answers = [an_answer(1), an_answer(2, about=1), an_answer(3, about=2)]
    assert authors(runs[2], WORK, runs, answers) == (ANN, TAO, STAN)


def test_a_note_to_a_run_beside_the_text_makes_none() -> None:
    runs = [a_run(1, STAN), a_run(2, RAE, note="be harsh"), a_run(3, TAO)]
    answers = [an_answer(1), an_answer(2, about=1), an_answer(3, about=1)]
    assert authors(runs[2], WORK, runs, answers) == (ANN, TAO)


def test_whose_message_the_text_began_as_is_an_author() -> None:
    final = a_run(2, TAO)
    answers = [an_answer(1, message_by=STAN), an_answer(2, about=1)]
    assert authors(final, WORK, [final], answers) == (ANN, TAO, STAN)


def test_the_reason_of_a_send_back_is_no_authorship_and_the_first_requester_stays_one() -> None:
    first = a_run(1, TAO)
    second = a_run(2, RAE, note="name the date", entrance="send_back", target=1)
    third = a_run(3, SAM, note="and the place", entrance="send_back", target=2)
    answers = [an_answer(1), an_answer(2, about=1), an_answer(3, about=2)]
    assert authors(third, WORK, [first, second, third], answers) == (ANN, TAO)


def test_a_reviewer_who_asks_for_the_next_final_themselves_is_its_author() -> None:
    runs = [a_run(1, TAO), a_run(2, RAE, note="shorter")]
    assert RAE in authors(runs[1], WORK, runs, [an_answer(1), an_answer(2, about=1)])


async def test_everyone_with_a_hand_in_it_is_refused_and_kept_in_the_ledger(house: House) -> None:
    house.rules(reviewers=(ANN, RAE, SAM, TAO))
    first = await house.asks("draft", "Announce the open cage")
    await house.runs_all()
    draft = await house.answer_of(first)
    work = await house.work(first.work_id)
    await house.asks("draft", "name the date", work=work, person=SAM, entrance=Entrance.BUTTON, target_id=draft.id)
    run = await house.asks("final", work=work, person=TAO)
    await house.runs_all()
    final = await house.answer_of(run)
    for who in (ANN, SAM, TAO):
        await house.reacts(who, final)
        assert (await house.told(who, work.id))[0].startswith("You asked for this text or had a hand in it")
    assert await house.state(final) == "awaiting"
    await house.reacts(RAE, final)
    assert await house.state(final) == "approved"
    [opened] = [entry for entry in await house.ledger() if entry.what == "review_opened"]
    async with house.storage.reading() as saved:
        review = await saved.reviews.get(final.id)
    assert review is not None
    assert review.expires_at is not None
    assert json.loads(opened.body) == {
        "sha256": final.sha256,
        "authors": [ANN, TAO, SAM],
        "asked_by": TAO,
        "opened_at": review.opened_at.isoformat(),
        "expires_at": review.expires_at.isoformat(),
        "reviewers": [ANN, RAE, SAM, TAO],
        "quorum": 1,
        "solo": False,
        "rules": house.stack.digest,
    }


async def test_the_author_of_a_message_made_final_cannot_approve_it(house: House) -> None:
    house.slack.shows(seen(LAUNCH, "60.1", "Every jungle will benefit.", author=RAE))
    await house.takes(house.request("final", brief="x", entrance=Entrance.SHORTCUT, target_ts="60.1", thread_ts="60.1"))
    await house.runs_all()
    [run] = await house.runs()
    final = await house.answer_of(run)
    await house.reacts(RAE, final)
    assert await house.state(final) == "awaiting"
    await house.reacts(SAM, final)
    assert await house.state(final) == "approved"


async def test_a_newer_final_supersedes_the_older_ones_once_each(house: House) -> None:
    first = await house.final()
    second = await house.another_final(first)
    await house.another_final(second)
    said = await house.verdicts_said(first.work_id)
    assert [state for state, _ in said] == ["superseded", "superseded"]
    assert said[0][1] == f"Text {first.sha256[:8]} is superseded by final 2 ({second.sha256[:8]})."
    assert [entry.what for entry in await house.ledger()].count("superseded") == 2
    assert [await house.state(text) for text in (first, second)] == ["superseded", "superseded"]


async def test_a_send_back_of_a_superseded_text_wants_no_reason_any_more(house: House) -> None:
    first = await house.final()
    await house.reacts(SAM, first, "x")
    await house.another_final(first)
    async with house.storage.reading() as saved:
        assert (review := await saved.reviews.get(first.id)) is not None
    assert review.reason_wanted_from is None


async def test_another_lane_or_stage_supersedes_nothing(house: House) -> None:
    house.stack = a_stack(stages={"polish": {"gate": "review"}})
    final = await house.final()
    work = await house.work(final.work_id)
    house.models.scripts["careful"] = ["polished"]
    polish = await house.asks("polish", work=work)
    await house.runs_all()
    assert await house.state(final) == "awaiting"
    assert await house.state(await house.answer_of(polish)) == "awaiting"
    assert await house.verdicts_said(work.id) == []


async def test_a_newer_final_supersedes_even_where_the_gate_is_off_by_now(house: House) -> None:
    first = await house.final()
    house.stack = a_stack(stages={"final": {"gate": "none"}})
    await house.another_final(first)
    assert await house.state(first) == "superseded"
    assert [state for state, _ in await house.verdicts_said(first.work_id)] == ["superseded"]


async def test_a_review_knows_when_to_remind_and_when_to_end(house: House) -> None:
    text = await house.final()
    async with house.storage.reading() as saved:
        assert (review := await saved.reviews.get(text.id)) is not None
    assert review.expires_at == review.opened_at + house.stack.review.expire_after
    assert review.remind_at == review.opened_at + house.stack.review.remind_after


@pytest.mark.parametrize("lane", ["content", "code"])
async def test_a_patch_can_be_made_final_in_its_own_lane(house: House, lane: str) -> None:
    text = await house.final()
    work = await house.work(text.work_id)
    if lane == "code":
        await house.asks("implement", work=work)
    await house.runs_all()
    run = await house.asks("final", work=work)
    await house.runs_all()
    assert run.lane.value == lane
    assert await house.state(text) == ("awaiting" if lane == "code" else "superseded")
    assert len(await house.said(work.id, Kind.REVIEW)) == 2
