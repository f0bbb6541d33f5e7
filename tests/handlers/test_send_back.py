"""Whoever sent a text back says why: the reason becomes the note of the next final."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handlers.errors import Refusal
from handlers.incoming import Reason, Wish
from handlers.ports import LookupFailed
from handlers.send_back import somebody_said_why
from storage.records import Answer, Kind
from tests.fakes import a_model, a_stack
from tests.handlers.house import ANN, RAE, SAM, STAN, House


@pytest.fixture
async def sent_back(house: House) -> Answer:
    text = await house.final(by=STAN)
    await house.reacts(SAM, text, "x")
    return text


async def test_the_reason_is_handed_to_the_next_final(house: House, sent_back: Answer) -> None:
    await house.says_why(SAM, sent_back, "Name the date.")
    await house.runs_all()
    *_, run = await house.runs()
    assert (run.stage, run.note, run.entrance, run.target_id) == ("final", "Name the date.", "send_back", sent_back.id)
    prompt = house.models.asked[-1][1].user
    assert "Name the date." in prompt
    assert "The cage is open." in prompt
    assert await house.state(sent_back) == "superseded"


@pytest.mark.parametrize(
    ("words", "stage", "note"),
    [
        ("polish: Shorter.\nAnd kinder.", "polish", "Shorter.\nAnd kinder."),
        (" Revise : Begin with the date", "draft", "Begin with the date"),
        ("`critique:` what would a keeper say?", "critique", "what would a keeper say?"),
        ("Final: name the date", "final", "name the date"),
        ("Polish it: shorter", "final", "Polish it: shorter"),
        ("Note: the date is wrong", "final", "Note: the date is wrong"),
    ],
)
async def test_the_reason_goes_to_the_stage_it_names(
    house: House, sent_back: Answer, words: str, stage: str, note: str
) -> None:
    await house.says_why(SAM, sent_back, words)
    *_, run = await house.runs()
    assert (run.stage, run.note, run.entrance, run.target_id) == (stage, note, "send_back", sent_back.id)
    assert run.revises == (stage == "draft")
    await house.runs_all()
    assert "The cage is open." in house.models.asked[-1][1].user
    *_, run = await house.runs()
    assert run.state == "answered"


async def test_who_sent_it_to_polish_may_approve_the_final_made_of_it(house: House, sent_back: Answer) -> None:
    await house.says_why(SAM, sent_back, "polish: shorter")
    await house.runs_all()
    *_, polish = await house.runs()
    text = await house.answer_of(polish)
    run = await house.asks("final", work=await house.work(text.work_id), person=STAN, target_id=text.id)
    await house.runs_all()
    newer = await house.answer_of(run)
    await house.reacts(SAM, newer)
    assert await house.state(newer) == "approved"


async def test_a_stage_that_cannot_be_had_leaves_the_wish_for_a_reason(house: House, sent_back: Answer) -> None:
    models = {"quick": a_model(jurisdiction="us"), "careful": a_model(id="careful-1", trust=5, jurisdiction="eu")}
    house.stack = a_stack(
        models=models, stages={"polish": {"model": "quick"}}, channels={"default": {"jurisdictions": ["eu"]}}
    )
    await house.says_why(SAM, sent_back, "polish: shorter")
    *_, run = await house.runs()
    assert (run.stage, run.state) == ("polish", "refused")
    await house.says_why(SAM, sent_back, "shorter")
    *_, run = await house.runs()
    assert (run.stage, run.state, run.note) == ("final", "queued", "shorter")


async def test_who_sent_it_back_may_approve_the_next_version_and_who_asked_first_may_not(
    house: House, sent_back: Answer
) -> None:
    house.rules(reviewers=(RAE, SAM, STAN))
    await house.says_why(SAM, sent_back, "Name the date.")
    await house.runs_all()
    *_, run = await house.runs()
    newer = await house.answer_of(run)
    await house.reacts(STAN, newer)
    assert await house.state(newer) == "awaiting"
    await house.reacts(SAM, newer)
    assert await house.state(newer) == "approved"


@pytest.mark.parametrize("who", [ANN, STAN, RAE])
async def test_nobody_elses_reply_is_a_reason(house: House, sent_back: Answer, who: str) -> None:
    await house.says_why(who, sent_back, "I like it")
    assert len(await house.runs()) == 1
    assert await house.outcome(f"reply/{house.keys}") == "no reason wanted"


async def test_one_reason_makes_one_final_however_often_it_is_delivered_or_followed(
    house: House, sent_back: Answer
) -> None:
    await house.says_why(SAM, sent_back, "Name the date.")
    house.keys -= 1
    await house.says_why(SAM, sent_back, "Name the date.")
    await house.says_why(SAM, sent_back, "And thank you.")
    assert len(await house.runs()) == 2


async def test_a_reply_without_words_is_asked_for_again(house: House, sent_back: Answer) -> None:
    with pytest.raises(Refusal, match="Say in words what should change"):
        await house.says_why(SAM, sent_back, " \n")
    await house.says_why(SAM, sent_back, "Name the date.")
    assert len(await house.runs()) == 2


async def test_the_wish_for_a_reason_ends_in_the_transaction_that_uses_it(
    house: House, sent_back: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("handlers.request.owed", breaks)
    with pytest.raises(ZeroDivisionError):
        await house.says_why(SAM, sent_back, "Name the date.")
    monkeypatch.undo()
    async with house.storage.reading() as saved:
        assert (review := await saved.reviews.get(sent_back.id)) is not None
    assert review.reason_wanted_from == SAM
    await house.says_why(SAM, sent_back, "Name the date.")
    assert len(await house.runs()) == 2


async def test_a_chain_of_send_backs_keeps_the_first_requester_an_author(house: House, sent_back: Answer) -> None:
    house.rules(reviewers=(RAE, SAM, STAN))
    text = sent_back
    for who in (SAM, RAE):
        if who is RAE:
            await house.reacts(RAE, text, "x")
        await house.says_why(who, text, "Once more.")
        await house.runs_all()
        *_, run = await house.runs()
        text = await house.answer_of(run)
    async with house.storage.reading() as saved:
        assert (review := await saved.reviews.get(text.id)) is not None
    assert review.authors == (STAN,)
    assert review.asked_by == STAN


# in words, at once


@pytest.fixture
async def text(house: House) -> Answer:
    return await house.final(by=STAN)


async def hears_and_goes_on(house: House, person: str, words: str, text: Answer) -> None:
    """A mention that sends back, and whatever it leaves in the inbox."""
    await house.hears(house.words(person, words, await house.work(text.work_id)))
    async with house.storage.reading() as saved:
        letters = [one for one in await saved.inbox.heads(house.now()) if one.kind == "reason"]
    for letter in letters:
        reason = Reason.from_json(letter.body)
        tools = {"storage": house.storage, "slack": house.slack, "stack": house.stack}
        await somebody_said_why(reason, **tools, now=house.now, new_id=house.new_id)  # type: ignore[arg-type]
    await house.runs_all()


async def test_a_reviewer_sends_back_and_says_why_in_one_go(house: House, text: Answer) -> None:
    await hears_and_goes_on(house, SAM, "Name the date.", text)
    (verdict,) = await house.verdicts(text)
    assert (verdict.person, verdict.kind, verdict.via, verdict.emoji) == (SAM, "send_back", "reply", None)
    first, *_ = await house.verdicts_said(text.work_id)
    told = f"Sent back by @{SAM}: text {text.sha256[:8]}. What they said becomes the note of the next run."
    assert first == ("changes_requested", told)
    *_, run = await house.runs()
    assert (run.stage, run.note, run.note_by, run.entrance, run.target_id) == (
        "final",
        "Name the date.",
        (),
        "send_back",
        text.id,
    )
    newer = await house.answer_of(run)
    await house.reacts(SAM, newer)
    assert await house.state(newer) == "approved", "a reviewer's reason is not authorship"


async def test_in_words_too_the_reason_may_go_to_another_stage(house: House, text: Answer) -> None:
    await hears_and_goes_on(house, SAM, "polish: shorter", text)
    *_, run = await house.runs()
    assert (run.stage, run.note) == ("polish", "shorter")


async def test_without_a_reason_it_is_asked_for(house: House, text: Answer) -> None:
    await hears_and_goes_on(house, SAM, "", text)
    ((state, told),) = await house.verdicts_said(text.work_id)
    assert state == "changes_requested"
    assert "Reply here with the reason" in told
    await house.says_why(SAM, text, "Name the date.")
    await house.runs_all()
    assert (await house.runs())[-1].note == "Name the date."


async def test_who_says_why_when_somebody_else_was_asked_is_heard(house: House, sent_back: Answer) -> None:
    await hears_and_goes_on(house, RAE, "Name the place.", sent_back)
    assert (await house.runs())[-1].note == "Name the place."


async def test_whose_word_does_not_count_hears_why_and_nothing_starts(house: House, text: Answer) -> None:
    for who in (ANN, STAN):
        await hears_and_goes_on(house, who, "No!", text)
    assert await house.state(text) == "awaiting"
    assert len(await house.runs()) == 1
    assert (await house.told(ANN, text.work_id))[0].startswith("Only a reviewer's word counts here.")
    assert (await house.told(STAN, text.work_id))[0].startswith("You asked for this text or had a hand in it")


async def test_what_was_sent_back_in_words_is_taken_back_by_the_button(house: House, text: Answer) -> None:
    await hears_and_goes_on(house, SAM, "", text)
    card = await house.message_of(text, Kind.REVIEW)
    assert [button["label"] for button in card.body["buttons"]] == ["Take back"]
    await house.clicks(SAM, text, Wish.TAKE_BACK)
    assert await house.state(text) == "awaiting"


async def test_it_is_about_the_newest_text_unless_another_is_pointed_at(house: House, text: Answer) -> None:
    newer = await house.another_final(text, by=STAN)
    work = await house.work(text.work_id)
    await house.hears(house.words(SAM, "", work))
    assert (await house.state(newer), await house.verdicts(text)) == ("changes_requested", [])
    card = await house.message_of(text, Kind.REVIEW)
    await house.hears(replace(house.words(RAE, "", work), target_ts=card.ts))
    assert (await house.told(RAE, text.work_id))[0].startswith("There is a newer final in this thread")


async def test_where_nothing_waits_there_is_nothing_to_send_back(house: House) -> None:
    drafted = await house.asks("draft", "Announce the open cage")
    await house.runs_all()
    work = await house.work(drafted.work_id)
    for request in (house.words(SAM, "No!", work), house.words(SAM, "No!", replace(work, thread_ts="17.999"))):
        with pytest.raises(Refusal, match="No text here waits for a reviewer"):
            await house.hears(request)


async def test_while_slack_does_not_say_who_they_are_their_words_wait(house: House, text: Answer) -> None:
    house.slack.silent_about = {SAM}
    with pytest.raises(LookupFailed):
        await house.hears(house.words(SAM, "Name the date.", await house.work(text.work_id)))
    assert await house.state(text) == "awaiting"
