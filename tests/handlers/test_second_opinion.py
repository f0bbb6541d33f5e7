"""A second opinion: another model, the very same material, and nothing of what came of it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from handlers.errors import Refusal
from handlers.incoming import Entrance, Verb
from handlers.material import newest_text
from storage.records import Answer, Kind, Run, RunState, Work
from tests.fakes import a_model, a_stack, seen
from tests.handlers.house import ANN, LAUNCH, RAE, READY, SAM, STAN, TAO, House

BRIEF = "Announce the open cage"
FOUND = "1. major · “cage” · nothing carries this · say where\n\nVerdict: revise"
FINE = "Verdict: nothing serious found"


async def made(house: House, stage: str, words: str = "", *, work: Work | None = None, **more: Any) -> Answer:
    run = await house.asks(stage, words, work=work, **more)
    await house.runs_all()
    return await house.answer_of(run)


async def second(house: House, work: Work, words: str = "", **more: Any) -> Run:
    """Somebody wants a second opinion; the run that came of it, at its end."""
    said = {"verb": Verb.SECOND_OPINION, "entrance": Entrance.MENTION, "thread_ts": work.thread_ts, **more}
    request = house.request(None, words, **said)
    await house.takes(request)
    await house.runs_all()
    return next(run for run in await house.runs(work.id) if run.request_key == request.key)


def prompts(house: House) -> list[str]:
    """What the models were handed, with every run's marker written alike."""
    return [re.sub(r"m\d{12}", "marker", f"{prompt.system}\n{prompt.user}") for _, prompt in house.models.asked]


async def test_another_model_is_handed_the_same_to_the_byte(house: House) -> None:
    first = await made(house, "draft", BRIEF)
    work = await house.work(first.work_id)
    await made(house, "scout", "notes that came after the draft", work=work)
    run = await second(house, work, target_id=first.id)
    before, _, after = prompts(house)
    assert before == after
    assert [assignment.key for assignment, _ in house.models.asked] == ["quick", "quick", "careful"]
    assert (run.stage, run.model, run.second_to, run.state) == ("draft", "careful", first.id, RunState.ANSWERED)
    opinion = await house.answer_of(run)
    assert (opinion.number, opinion.second_to, opinion.text) == (2, first.id, READY)


async def test_neither_sees_the_other_nor_what_was_said_between(house: House) -> None:
    house.models.scripts = {
        "quick": ["texttoread", "quickcanary\nVerdict: revise"],
        "careful": [f"carefulcanary {FOUND}"],
    }
    text = await made(house, "draft", BRIEF)
    work = await house.work(text.work_id)
    critique = await made(house, "critique", "firstnote", work=work)
    await made(house, "draft", "laternote", work=work)
    run = await second(house, work, "mynote", target_id=critique.id, person=STAN)
    prompt = house.models.asked[-1][1].user
    assert "texttoread" in prompt
    assert "firstnote\nmynote" in prompt
    assert "canary" not in prompt
    assert "laternote" not in prompt
    assert (run.note, run.note_by, run.target_id) == ("firstnote\nmynote", (ANN, STAN), text.id)


async def test_a_scouts_pages_are_those_of_the_first_and_are_not_fetched_again(house: House) -> None:
    house.sources.holds("https://zoo.example/cages", "The cage was open at noon.")
    notes = await made(house, "scout", "Tell of https://zoo.example/cages and https://zoo.example/gone")
    house.sources.holds("https://zoo.example/cages", "The cage was never open.")
    run = await second(house, await house.work(notes.work_id))
    first, other = prompts(house)
    assert first == other
    assert "open at noon" in other
    assert len(house.sources.asked) == 2
    assert run.state is RunState.ANSWERED


async def test_its_card_says_on_what_it_is_and_how_the_two_differ(house: House) -> None:
    house.models.scripts = {
        "quick": ["The cage is open.\nCome and see."],
        "careful": ["The cage is open.\nStay at home."],
    }
    text = await made(house, "draft", BRIEF)
    run = await second(house, await house.work(text.work_id))
    card = (await house.card_of(run)).splitlines()
    assert card[0].startswith("draft (second opinion) · answered · careful in ")
    assert card[1] == f"Beside draft 1 ({text.sha256[:8]}): 1 passage taken out, 1 passage put in."
    assert card[2] == "second opinion on draft 1 (quick): separate model, separate context · read: brief"
    [notes] = await house.said(run.work_id, Kind.NOTES)
    assert "- Come and see.\n+ Stay at home." in str(notes.body["answer"][0]["said"])


async def test_two_critiques_are_told_apart_by_their_findings_and_verdicts_and_both_count(house: House) -> None:
    house.models.scripts = {"quick": ["The cage is open.", FINE, "Revised."], "careful": [FOUND, READY]}
    text = await made(house, "draft", BRIEF)
    work = await house.work(text.work_id)
    await made(house, "critique", work=work)
    run = await second(house, work)
    card = await house.card_of(run)
    told = "Beside critique 1: 1 finding there, 0 here; verdict there: revise, here: nothing serious found."
    assert told in card.splitlines()
    assert card.endswith("it wrote the text itself · read: brief, draft 1 (" + text.sha256[:8] + ")")
    assert (await house.answer_of(run)).about_id == text.id
    await house.asks("final", work=work)
    await house.asks("draft", work=work, entrance=Entrance.BUTTON, target_id=text.id, revises=True)
    await house.asks("polish", work=work, entrance=Entrance.BUTTON, target_id=text.id)
    await house.runs_all()
    for _, prompt in house.models.asked[-3:]:
        assert "nothing carries this" in prompt.user
        assert FINE in prompt.user


async def test_who_did_not_write_the_text_criticises_it_before_who_did(house: House) -> None:
    three = {"quick": a_model(), "careful": a_model(id="careful-1", trust=5), "third": a_model(id="third-1", trust=1)}
    house.stack = a_stack(models=three, stages={"draft": {"model": "quick"}})  # which is more trusted than the third
    text = await made(house, "draft", BRIEF)
    writer = (await house.runs(text.work_id))[0].model
    work = await house.work(text.work_id)
    critique = await made(house, "critique", work=work)
    critic = house.models.asked[-1][0].key
    run = await second(house, work, target_id=critique.id)
    assert (writer, critic, run.model) == ("quick", "careful", "third")


async def test_the_thread_goes_on_from_the_first_unless_somebody_points_at_the_second(house: House) -> None:
    house.models.scripts = {"quick": ["firsttext"], "careful": ["secondtext", FINE, READY]}
    text = await made(house, "draft", BRIEF)
    work = await house.work(text.work_id)
    opinion = await house.answer_of(await second(house, work))
    await made(house, "critique", work=work)
    assert "firsttext" in house.models.asked[-1][1].user
    final = await made(house, "final", work=work, entrance=Entrance.BUTTON, target_id=opinion.id)
    assert "secondtext" in house.models.asked[-1][1].user
    assert final.about_id == opinion.id


async def test_a_second_opinion_on_a_final_leaves_its_review_alone_until_it_is_chosen(house: House) -> None:
    final = await house.final()
    work = await house.work(final.work_id)
    house.models.scripts["quick"] = [READY.replace("open", "ajar")]
    run = await second(house, work, person=STAN)
    opinion = await house.answer_of(run)
    assert len(await house.said(work.id, Kind.REVIEW)) == 1
    assert await house.verdicts_said(work.id) == []
    assert "No review opens for it; `Final` under it would choose it." in await house.card_of(run)
    assert await house.state(final) == "awaiting"
    await house.reacts(RAE, opinion)
    assert await house.state(final) == "awaiting"
    await house.reacts(RAE, final)
    assert await house.state(final) == "approved"
    chosen = await made(house, "final", work=work, entrance=Entrance.BUTTON, target_id=opinion.id, person=TAO)
    assert "The cage is ajar." in house.models.asked[-1][1].user
    assert [await house.state(one) for one in (final, chosen)] == ["superseded", "awaiting"]


async def test_what_was_found_after_the_first_final_is_not_counted_against_the_second(house: House) -> None:
    house.models.scripts = {"quick": ["The cage is open.", READY], "careful": [READY, FOUND]}
    text = await made(house, "draft", BRIEF)
    work = await house.work(text.work_id)
    final = await made(house, "final", work=work)
    await made(house, "critique", work=work, target_id=text.id, entrance=Entrance.BUTTON)
    run = await second(house, work, target_id=final.id)
    assert "finding" not in await house.card_of(run)
    assert (await house.answer_of(run)).about_id == text.id


async def test_a_blocked_second_final_says_so_on_its_card_alone(house: House) -> None:
    final = await house.final()
    house.models.scripts["quick"] = ["## Decision\nblocked: there is no cage"]
    work = await house.work(final.work_id)
    run = await second(house, work)
    assert "· blocked · quick" in await house.card_of(run)
    assert await house.said(work.id, Kind.NOTICE) == []


async def test_whoever_had_a_hand_in_the_first_has_one_in_the_second(house: House) -> None:
    house.rules(reviewers=(SAM, RAE, STAN, TAO))
    text = await made(house, "draft", BRIEF)
    work = await house.work(text.work_id)
    other = await made(house, "draft", "name the date", work=work, person=SAM, revises=True)
    opinion = await house.answer_of(await second(house, work, "and the place", target_id=other.id, person=STAN))
    final = await made(house, "final", work=work, target_id=opinion.id, entrance=Entrance.BUTTON, person=TAO)
    for who in (SAM, STAN, TAO):
        await house.reacts(who, final)
    assert await house.state(final) == "awaiting"
    await house.reacts(RAE, final)
    assert await house.state(final) == "approved"


async def test_a_second_opinion_on_a_second_opinion_is_one_more_on_the_first(house: House) -> None:
    text = await made(house, "draft", BRIEF)
    work = await house.work(text.work_id)
    opinion = await house.answer_of(await second(house, work))
    third = await second(house, work)
    fourth = await second(house, work, target_id=opinion.id)
    assert [run.second_to for run in (third, fourth)] == [text.id, text.id]
    assert prompts(house)[-1] == prompts(house)[0]


async def test_again_asks_for_the_second_opinion_again(house: House) -> None:
    text = await made(house, "draft", BRIEF)
    work = await house.work(text.work_id)
    await second(house, work, "shorter", person=STAN)
    said: dict[str, Any] = {
        "verb": Verb.AGAIN,
        "entrance": Entrance.MENTION,
        "thread_ts": work.thread_ts,
        "person": TAO,
    }
    await house.takes(house.request(None, "and kinder", **said))
    await house.runs_all()
    *_, run = await house.runs(work.id)
    assert (run.second_to, run.note, run.note_by, run.model) == (text.id, "shorter\nand kinder", (STAN, TAO), "careful")
    assert newest_text(await house.answers(work.id), text.lane) == text


async def test_again_with_a_link_stays_a_second_opinion_on_the_first(house: House) -> None:
    text = await made(house, "draft", BRIEF)
    work = await house.work(text.work_id)
    other = await made(house, "draft", "othernote", work=work)
    await second(house, work, target_id=text.id)
    asked: dict[str, Any] = {"verb": Verb.AGAIN, "entrance": Entrance.MENTION, "thread_ts": work.thread_ts}
    await house.takes(house.request(None, target_ts=(await house.message_of(other)).ts, **asked))
    await house.runs_all()
    *_, run = await house.runs(work.id)
    assert (run.second_to, run.target_id) == (text.id, None)
    assert prompts(house)[-1] == prompts(house)[0]


async def test_where_no_other_model_may_it_is_refused_with_the_rule(house: House) -> None:
    final = await house.final()
    house.stack = a_stack(stages={"final": {"min_trust": 4}})
    run = await second(house, await house.work(final.work_id))
    assert run.state is RunState.REFUSED
    assert run.error == (
        "Nobody can give a second opinion on this final: quick has trust 2, below the stage's floor of 4. "
        "It takes another model in the stack."
    )


async def test_a_rule_that_came_between_the_request_and_the_run_holds(house: House) -> None:
    text = await made(house, "draft", BRIEF)
    work = await house.work(text.work_id)
    await house.takes(
        house.request(None, verb=Verb.SECOND_OPINION, entrance=Entrance.MENTION, thread_ts=work.thread_ts)
    )
    house.stack = a_stack(models={"quick": a_model()})
    await house.runs_all()
    *_, run = await house.runs(work.id)
    assert (run.state, len(house.models.asked)) == (RunState.REFUSED, 1)
    assert "no other model than quick" in (run.error or "")


@pytest.mark.parametrize("how", ["changed", "gone"])
async def test_material_that_is_not_kept_as_it_was_is_not_asked_about(house: House, how: str) -> None:
    text = await made(house, "draft", BRIEF)
    async with house.storage.transaction() as saved:
        change = (
            "DELETE FROM contexts" if how == "gone" else "UPDATE contexts SET prompt = replace(prompt, 'cage', 'gate')"
        )
        await saved.connection.exec_driver_sql(change)
    run = await second(house, await house.work(text.work_id))
    assert (run.state, len(house.models.asked)) == (RunState.REFUSED, 1)
    told = {
        "changed": "What is kept of brief is not what crossed then, so nobody is asked again about it.",
        "gone": "Nothing is kept of what draft 1 was made from. Ask for `draft` instead.",
    }
    assert run.error == told[how]


async def test_a_message_and_an_empty_thread_have_no_second_opinion(house: House) -> None:
    house.slack.shows(seen(LAUNCH, "60.1", "Every jungle will benefit.", author=RAE))
    house.models.scripts["careful"] = [FOUND]
    await house.takes(house.request("critique", entrance=Entrance.SHORTCUT, target_ts="60.1", thread_ts="60.1"))
    work_id = (await house.runs())[0].work_id
    work = await house.work(work_id)
    with pytest.raises(Refusal, match=r"No model has answered in this thread yet|No model of this thread wrote that"):
        await second(house, work)
    with pytest.raises(Refusal, match="A second opinion is given on an answer of mine"):
        await second(house, work, target_ts="60.1")
    await house.runs_all()
    [message, _] = await house.answers(work_id)
    with pytest.raises(Refusal, match="No model of this thread wrote that"):
        await second(house, work, target_id=message.id)
    with pytest.raises(Refusal, match="A second opinion is given on an answer of mine"):
        await second(house, work, thread_ts="61.1")


@pytest.mark.parametrize(
    ("verb", "stage"), [(Verb.SECOND_OPINION, None), (Verb.STAGE, "critique"), (Verb.STAGE, "final")]
)
async def test_a_button_pressed_twice_at_once_is_pressed_once(house: House, verb: Verb, stage: str | None) -> None:
    text = await made(house, "draft", BRIEF)
    pressed: dict[str, Any] = {"verb": verb, "entrance": Entrance.BUTTON, "target_id": text.id}
    await house.takes(house.request(stage, **pressed))
    house.now.goes_on(seconds=1.5)
    await house.takes(house.request(stage, **pressed))
    assert len(await house.runs()) == 2
    assert (await house.outcome(f"command/{house.keys}") or "").endswith(" already")
    await house.takes(house.request(stage, person=STAN, **pressed))
    assert len(await house.runs()) == 3, "somebody else's press is their own"
    house.now.goes_on(seconds=1)
    await house.takes(house.request(stage, **pressed))
    assert len(await house.runs()) == 4, "a press after a while is meant"
    await house.takes(house.request("draft", revises=True, entrance=Entrance.BUTTON, target_id=text.id))
    assert len(await house.runs()) == 5, "another button is another wish"
    await house.runs_all()
    await house.takes(house.request(stage, **pressed))
    assert len(await house.runs()) == 6, "what came to its end may be asked for again"
