"""What came of a run: answer, messages, card, ledger and review, all at once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from handlers.context import digest
from handlers.ports import StopReason, Usage
from storage.records import Answer, Kind, Run, RunState
from tests.fakes import a_model, a_stack, an_answer
from tests.handlers.house import READY, House, words_of

BRIEF = "Announce the open cage, see https://example.com/cage."
BLOCKED = "## Decision\nblocked: the date is missing\n\n## Final text\n(none)\n\n## Owner's notes\nAsk Fantasio."


async def ran(house: House, stage: str, *said: Any, model: str = "quick", **more: Any) -> tuple[Run, Answer]:
    house.models.scripts[model] = list(said)
    run = await house.asks(stage, BRIEF, **more)
    await house.runs_all()
    return await house.run(run), await house.answer_of(run)


async def test_a_draft_is_its_card_and_its_parts(house: House) -> None:
    run, answer = await ran(house, "draft", "first\n---\nsecond")
    assert answer.sha256 == digest("first\n---\nsecond")
    assert (answer.stage, answer.number, answer.about_id, answer.run_id) == ("draft", 1, None, run.id)
    said = await house.said(run.work_id)
    assert [one.kind for one in said] == [Kind.ROOT, Kind.CARD, Kind.ANSWER, Kind.ANSWER]
    assert [one.body["facts"] for one in said[2:]] == [
        {"stage": "draft", "sha256": answer.sha256, "part": part, "parts": 2} for part in (1, 2)
    ]
    assert [len(one.body["buttons"]) for one in said[2:]] == [0, 6]
    assert [words_of(one) for one in said[2:]] == ["draft 1, part 1 of 2", "draft 1, part 2 of 2"]
    assert said[1].body["facts"] == {"stage": "draft", "state": "answered"}


async def test_only_urls_of_the_brief_may_become_links(house: House) -> None:
    run, _ = await ran(house, "draft", "see https://evil.example")
    [part] = await house.said(run.work_id, Kind.ANSWER)
    assert part.body["answer"][0]["linkable"] == ["https://example.com/cage"]


async def test_the_card_tells_model_time_tokens_cost_reason_and_reading(house: House) -> None:
    house.stack = a_stack(models={"quick": a_model(price={"input": 5.0, "output": 20.0, "checked": "2026-11-01"})})
    run, _ = await ran(house, "draft", "It opens.")
    told = await house.card_of(run)
    assert told.startswith("draft · answered · quick in 6 s · 160 tokens, about $0.0014\n")
    assert told.endswith(" · read: brief")
    assert run.cost_usd == pytest.approx(0.0014)


@pytest.mark.parametrize(
    ("checked", "says"),
    [
        ("2026-09-04", "about $0.0014\n"),
        ("2026-09-03", "about $0.0014 (price of 3 Sep 2026)\n"),
        ("2025-01-31", "about $0.0014 (price of 31 Jan 2025)\n"),
    ],
)
async def test_a_price_nobody_looked_up_for_sixty_days_is_told_with_its_day(
    house: House, checked: str, says: str
) -> None:
    house.stack = a_stack(models={"quick": a_model(price={"input": 5.0, "output": 20.0, "checked": checked})})
    run, _ = await ran(house, "draft", "It opens.")
    assert f", {says}" in await house.card_of(run)


async def test_a_model_without_a_price_has_no_cost(house: House) -> None:
    run, _ = await ran(house, "draft", "It opens.")
    assert run.cost_usd is None
    assert "$" not in await house.card_of(run)


async def test_a_model_that_was_served_by_another_id_says_so(house: House) -> None:
    run, _ = await ran(house, "draft", an_answer("It opens.", served="quick-1-0301"))
    assert "quick (served by quick-1-0301) in" in await house.card_of(run)


async def test_an_endpoint_cannot_speak_on_the_card_by_its_id(house: House) -> None:
    run, _ = await ran(house, "draft", an_answer("It opens.", served="✅ Approved by @Rae"))
    assert (await house.card_of(run)).startswith("draft · answered · quick (served by another id) in 6 s")
    assert run.served_id == "✅ Approved by @Rae"


@pytest.mark.parametrize("usage", [Usage(), Usage(input_tokens=10), Usage(output_tokens=10)])
async def test_what_the_endpoint_did_not_count_is_estimated_and_said_to_be(house: House, usage: Usage) -> None:
    run, _ = await ran(house, "draft", an_answer("It opens.", usage=usage))
    assert run.estimated
    assert run.input_tokens
    assert run.output_tokens
    assert " · about " in await house.card_of(run)


async def test_an_answer_cut_at_the_limit_is_said_to_be(house: House) -> None:
    run, _ = await ran(house, "draft", an_answer("It op", stop=StopReason.LENGTH))
    assert "The answer was cut at the output limit; it is not whole." in await house.card_of(run)


async def test_every_answer_is_in_the_ledger(house: House) -> None:
    run, answer = await ran(house, "draft", "It opens.")
    [entry] = await house.ledger()
    assert (entry.what, entry.who, entry.run_id, entry.answer_id) == ("answered", "U0ANN", run.id, answer.id)
    body = json.loads(entry.body)
    assert (body["sha256"], body["model"], body["stack"]) == (answer.sha256, "quick", house.stack.digest)


async def test_a_critique_says_its_verdict_and_its_findings(house: House) -> None:
    first, draft = await ran(house, "draft", "It opens.")
    critique = "1. **Major** · “opens” · when?\n\n2. **Minor** · “It” · what?\n\nVerdict: revise"
    house.models.scripts["careful"] = [critique]
    run = await house.asks("critique", work=await house.work(first.work_id))
    await house.runs_all()
    assert "\n2 findings · verdict: revise\n" in await house.card_of(run)
    answer = await house.answer_of(run)
    assert (answer.about_id, answer.verdict) == (draft.id, "revise")
    parts = await house.said(first.work_id, Kind.ANSWER)
    assert [button["label"] for button in parts[-1].body["buttons"]] == ["Second opinion", "What did it see?"]


async def test_a_verdict_that_was_not_given_is_taken_for_revise_and_said_to_be(house: House) -> None:
    first, _ = await ran(house, "draft", "It opens.")
    house.models.scripts["careful"] = ["Looks fine to me."]
    run = await house.asks("critique", work=await house.work(first.work_id))
    await house.runs_all()
    assert "\nverdict: revise, for the critic gave no verdict\n" in await house.card_of(run)


async def test_polishing_keeps_what_changed_beside_the_text(house: House) -> None:
    first, _ = await ran(house, "draft", "It opens.")
    house.models.scripts["careful"] = ["It opens today.\n\n## Changed\n- said when"]
    run = await house.asks("polish", work=await house.work(first.work_id))
    await house.runs_all()
    answer = await house.answer_of(run)
    assert (answer.text, answer.notes) == ("It opens today.", "- said when")
    [notes] = await house.said(first.work_id, Kind.NOTES)
    assert words_of(notes) == "what changed · not part of the text"
    assert notes.body["facts"]["sha256"] == answer.sha256


# the gate


async def test_a_ready_final_opens_a_review_of_exactly_its_text(house: House) -> None:
    run, answer = await ran(house, "final", READY, model="careful")
    assert (answer.text, answer.decision) == ("The cage is open.", "ready")
    assert (await house.card_of(run)).startswith("final · ready · careful in ")
    [card] = await house.said(run.work_id, Kind.REVIEW)
    assert card.body["facts"] == {"stage": "final", "state": "awaiting", "sha256": answer.sha256}
    assert [entry.what for entry in await house.ledger()] == ["answered", "review_opened"]


async def test_a_final_its_owner_blocks_opens_no_review_and_says_what_to_do(house: House) -> None:
    run, answer = await ran(house, "final", BLOCKED, model="careful")
    assert answer.decision == "blocked"
    assert await house.said(run.work_id, Kind.REVIEW) == []
    assert await house.said(run.work_id, Kind.ANSWER) == []
    [notes] = await house.said(run.work_id, Kind.NOTES)
    assert "**Blocked:** the date is missing" in notes.body["answer"][0]["said"]
    [notice] = await house.said(run.work_id, Kind.NOTICE)
    assert words_of(notice).startswith("The owner blocked this text, so no review opens. ")
    assert (await house.card_of(run)).startswith("final · blocked · careful")


async def test_a_final_cut_at_the_limit_opens_no_review(house: House) -> None:
    run, _ = await ran(house, "final", an_answer(READY, stop=StopReason.LENGTH), model="careful")
    assert await house.said(run.work_id, Kind.REVIEW) == []
    [notice] = await house.said(run.work_id, Kind.NOTICE)
    assert "Raise `max_output_tokens` of final" in words_of(notice)


async def test_a_final_without_a_decision_can_be_reviewed_and_the_card_says_to_look_twice(house: House) -> None:
    run, answer = await ran(house, "final", "The cage is open.", model="careful")
    assert answer.decision == "none"
    [card] = await house.said(run.work_id, Kind.REVIEW)
    assert "The owner gave no decision on this text: look twice." in words_of(card)


async def test_without_a_gate_a_final_opens_no_review(house: House) -> None:
    house.stack = a_stack(stages={"final": {"gate": "none"}})
    run, _ = await ran(house, "final", READY, model="careful")
    assert await house.said(run.work_id, Kind.REVIEW) == []


async def test_any_stage_may_have_a_gate(house: House) -> None:
    house.stack = a_stack(stages={"draft": {"gate": "review"}})
    run, answer = await ran(house, "draft", "It opens.")
    assert await house.state(answer) == "awaiting"
    assert [one.kind for one in await house.said(run.work_id)][-1] is Kind.REVIEW


async def test_the_owners_word_on_the_findings_stands_on_the_card(house: House) -> None:
    first, _ = await ran(house, "draft", "It opens.")
    work = await house.work(first.work_id)
    house.models.scripts["careful"] = ["1. **Major** · “opens” · when?\n\nVerdict: revise"]
    await house.asks("critique", work=work)
    await house.runs_all()
    house.models.scripts["careful"] = [READY.replace("none", "C1.1 taken up")]
    run = await house.asks("final", work=work)
    await house.runs_all()
    assert "1 finding: 1 taken up" in await house.card_of(run)


async def test_an_answer_is_remembered_with_everything_or_not_at_all(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await house.asks("final", BRIEF)
    async with house.storage.transaction() as saved:
        begun = await saved.runs.begin(run.id, at=house.now())
    assert begun is not None

    def breaks(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("handlers.opening.card_of", breaks)
    with pytest.raises(ZeroDivisionError):
        await house.runs_one(begun)
    assert (await house.run(run)).state is RunState.RUNNING
    assert await house.answers(run.work_id) == []
    assert await house.ledger() == []
    assert [one.kind for one in await house.said(run.work_id)] == [Kind.ROOT, Kind.CARD]
    monkeypatch.undo()
    await house.runs_one(replace(begun))
    assert (await house.run(run)).state is RunState.ANSWERED
