"""A text that was edited, deleted or exchanged in its thread is not approved, and is posted once more to be read."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest

from handlers.incoming import Verb, Wish
from handlers.status import somebody_wants_context
from storage.ledger import first_fault
from storage.records import Answer, Kind
from tests.handlers.house import ANN, LAUNCH, RAE, SAM, House, words_of

THREE_PARTS = "## Decision\nready\n\n## Final text\nThe cage\n---\nis wide\n---\nopen.\n\n## Owner's notes\nnone"


@pytest.fixture
async def text(house: House) -> Answer:
    house.models.scripts["careful"] = [THREE_PARTS]
    text = await house.final()
    house.now.goes_on(minutes=1)
    return text


async def parts(house: House, text: Answer) -> list[str]:
    """Where the parts of a text stand, in their order."""
    said = await house.said(text.work_id, Kind.ANSWER)
    return [str(one.ts) for one in said if one.answer_id == text.id and one.given_up is None]


async def is_edited(house: House, text: Answer) -> None:
    house.slack.tampers(LAUNCH, (await parts(house, text))[1], edited=True)


async def is_another(house: House, text: Answer) -> None:
    house.slack.tampers(LAUNCH, (await parts(house, text))[2], digest="f" * 64)


async def is_deleted(house: House, text: Answer) -> None:
    del house.slack.posted[LAUNCH, (await parts(house, text))[0]]


HAPPENS: dict[Callable[[House, Answer], Awaitable[None]], str] = {
    is_edited: "Text {text} does not stand in the thread as it was posted",
    is_another: "Text {text} does not stand in the thread as it was posted",
    is_deleted: "A part of text {text} is no longer in the thread",
}


async def newest(house: House, text: Answer) -> Answer:
    return (await house.answers(text.work_id))[-1]


@pytest.mark.parametrize("happens", HAPPENS, ids=[one.__name__ for one in HAPPENS])
@pytest.mark.parametrize("way", ["reaction", "button"])
async def test_who_would_approve_it_gets_the_same_text_again(
    house: House, text: Answer, happens: Callable[[House, Answer], Awaitable[None]], way: str
) -> None:
    await happens(house, text)
    if way == "reaction":
        await house.reacts(RAE, text, to=Kind.REVIEW)
    else:
        await house.clicks(RAE, text, Wish.APPROVE)
    why = HAPPENS[happens].format(text=text.sha256[:8])
    again = await newest(house, text)
    assert (again.id != text.id, again.number, again.about_id) == (True, 2, text.id)
    assert (again.text, again.sha256, again.notes, again.decision) == (
        text.text,
        text.sha256,
        text.notes,
        text.decision,
    )
    assert (await house.state(text), await house.state(again)) == ("superseded", "awaiting")
    assert await house.told(RAE, text.work_id) == [
        f"{why}, so your approval does not count. It is posted again as final 2: read and approve that."
    ]
    assert await house.verdicts_said(text.work_id) == [
        ("superseded", f"{why}. The same text is posted again below as final 2: read it there and approve it there.")
    ]
    assert await house.verdicts(text) == []
    await house.posts()
    first, second = [
        [one.body["answer"] for one in await house.said(text.work_id, Kind.ANSWER) if one.answer_id == answer.id]
        for answer in (text, again)
    ]
    assert first == second
    assert len(second) == 3
    await house.reacts(RAE, again)
    assert await house.state(again) == "approved"


async def test_the_thread_is_told_first_then_come_the_parts_then_the_card(house: House, text: Answer) -> None:
    await is_edited(house, text)
    there = len(await house.said(text.work_id))
    await house.reacts(RAE, text)
    said = [one for one in (await house.said(text.work_id))[there:] if one.person is None]
    assert [one.kind for one in said] == [Kind.VERDICT, Kind.ANSWER, Kind.ANSWER, Kind.ANSWER, Kind.REVIEW]
    card = said[-1]
    assert words_of(card).startswith(f"Waiting for a reviewer · text {text.sha256[:8]}")
    assert [button["action"] for button in said[-2].body["buttons"]] == [
        "critique",
        "revise",
        "final",
        "to_code",
        "second_opinion",
        "context",
    ]
    assert {button["value"] for button in said[-2].body["buttons"]} == {(await newest(house, text)).id}


async def test_nobody_else_may_approve_the_new_one_than_the_old(house: House) -> None:
    drafted = await house.asks("draft", "Announce the open cage", person=ANN)
    await house.runs_all()
    work = await house.work(drafted.work_id)
    await house.asks("draft", "shorter", work=work, person=SAM)
    await house.runs_all()
    text = await house.another_final(await house.answer_of(drafted))
    house.now.goes_on(minutes=1)
    await is_edited_once(house, text)
    await house.reacts(RAE, text)
    again = await newest(house, text)
    await house.posts()
    for who in (ANN, SAM):
        await house.reacts(who, again)
        assert (await house.told(who, text.work_id))[0].startswith("You asked for this text or had a hand in it")
    assert await house.state(again) == "awaiting"
    async with house.storage.reading() as saved:
        old, new = await saved.reviews.get(text.id), await saved.reviews.get(again.id)
    assert old is not None
    assert new is not None
    assert (set(new.authors), new.asked_by) == (set(old.authors), old.asked_by) == ({ANN, SAM}, ANN)


async def is_edited_once(house: House, text: Answer) -> None:
    house.slack.tampers(LAUNCH, (await parts(house, text))[0], edited=True)


async def test_an_approval_that_was_given_before_does_not_count_for_the_new_one(house: House, text: Answer) -> None:
    house.rules(quorum=2)
    await house.reacts(RAE, text)
    await is_edited(house, text)
    await house.reacts(SAM, text)
    again = await newest(house, text)
    await house.posts()
    assert await house.verdicts(again) == []
    await house.reacts(SAM, again)
    assert await house.state(again) == "awaiting"
    await house.reacts(RAE, again)
    assert await house.state(again) == "approved"


async def test_it_is_posted_again_once_however_many_would_approve_it(house: House, text: Answer) -> None:
    await is_deleted(house, text)
    for who in (RAE, SAM, RAE):
        await house.reacts(who, text, to=Kind.REVIEW)
    assert len(await house.answers(text.work_id)) == 2
    assert (await house.told(SAM, text.work_id))[0].startswith("There is a newer final in this thread")


async def test_posted_again_it_may_be_posted_again(house: House, text: Answer) -> None:
    await is_deleted(house, text)
    await house.reacts(RAE, text, to=Kind.REVIEW)
    again = await newest(house, text)
    await house.posts()
    house.now.goes_on(minutes=1)
    await is_deleted(house, again)
    await house.reacts(RAE, again, to=Kind.REVIEW)
    third = await newest(house, text)
    assert (third.number, third.about_id, await house.state(again)) == (3, again.id, "superseded")
    await house.posts()
    await house.reacts(RAE, third)
    assert await house.state(third) == "approved"


@pytest.mark.parametrize("state", ["approved", "changes_requested"])
async def test_what_is_decided_is_not_posted_again(house: House, text: Answer, state: str) -> None:
    await house.reacts(SAM, text, "white_check_mark" if state == "approved" else "x")
    await is_deleted(house, text)
    await house.reacts(RAE, text, to=Kind.REVIEW)
    assert await house.state(text) == state
    assert len(await house.answers(text.work_id)) == 1
    (told,) = await house.told(RAE, text.work_id)
    assert told.endswith("so it cannot be approved. `@Countersign final` makes a new version to approve.")


async def test_what_was_changed_where_it_is_kept_is_neither_approved_nor_posted(house: House, text: Answer) -> None:
    async with house.storage.transaction() as saved:
        await saved.connection.exec_driver_sql("UPDATE answers SET text = 'The cage burns.'")
    await house.reacts(RAE, text)
    assert await house.state(text) == "awaiting"
    assert len(await house.answers(text.work_id)) == 1
    (told,) = await house.told(RAE, text.work_id)
    assert told.startswith(f"What is kept of text {text.sha256[:8]} is not what was made (`python -m bot verify`")


async def test_the_ledger_and_the_run_say_what_happened_and_that_no_model_was_asked(house: House, text: Answer) -> None:
    asked = len(house.models.asked)
    await is_deleted(house, text)
    await house.reacts(RAE, text, to=Kind.REVIEW)
    again, before = await newest(house, text), await house.run_of(text)
    run = await house.run_of(again)
    assert len(house.models.asked) == asked
    assert (run.state, run.entrance, run.target_id, run.asked_by) == ("answered", "posted_again", text.id, ANN)
    assert (run.model, run.served_id, run.route) == (before.model, before.served_id, before.route)
    assert (run.cost_usd, run.input_tokens, run.attempts) == (None, None, 0)
    entries = await house.ledger()
    assert first_fault(entries) is None
    assert [one.what for one in entries][-3:] == ["superseded", "review_opened", "posted_again"]
    told = json.loads(entries[-1].body)
    assert (told["sha256"], told["of"], told["by"]) == (text.sha256, text.id, RAE)
    assert told["because"] == f"A part of text {text.sha256[:8]} is no longer in the thread"
    request = house.request(None, thread_ts=(await house.work(text.work_id)).thread_ts, target_id=again.id)
    await somebody_wants_context(request, storage=house.storage, now=house.now)
    async with house.storage.reading() as saved:
        assert await saved.runs.context(run.id) is not None


async def test_critiques_of_the_text_are_critiques_of_what_is_posted_again(house: House, text: Answer) -> None:
    work = await house.work(text.work_id)
    await house.asks("critique", work=work, target_id=text.id)
    await house.runs_all()
    await is_deleted(house, text)
    await house.reacts(RAE, text, to=Kind.REVIEW)
    await house.posts()
    await house.another_final(await newest(house, text), note="shorter")
    _, prompt = house.models.asked[-1]
    assert "critique 1" in prompt.user


async def test_again_means_what_somebody_asked_for_and_not_that(house: House, text: Answer) -> None:
    await is_edited(house, text)
    await house.reacts(RAE, text)
    asked = await house.run_of(text)
    work = await house.work(text.work_id)
    await house.asks(None, work=work, verb=Verb.AGAIN, person=SAM)  # type: ignore[arg-type]
    again = (await house.runs(text.work_id))[-1]
    assert (again.stage, again.note, again.target_id) == (asked.stage, asked.note, asked.target_id)
