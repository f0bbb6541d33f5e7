"""Questions about a thread, and stopping what runs in it."""

from __future__ import annotations

from typing import Any

import pytest

from handlers.cancel import somebody_cancels
from handlers.errors import Refusal
from handlers.incoming import Entrance, Request, Verb
from handlers.status import help_for, somebody_wants_context, somebody_wants_status
from storage.records import Answer, Kind, Letter, RunState
from tests.fakes import a_stack
from tests.handlers.house import ANN, RAE, House, words_of


async def kept(house: House, verb: Verb, thread_ts: str | None, **more: Any) -> Request:
    request = house.request(None, entrance=Entrance.MENTION, verb=verb, thread_ts=thread_ts, **more)
    await house.keeps(
        Letter(key=request.key, kind="request", line="l", body=request.to_json(), received_at=house.now())
    )
    return request


async def thread_of(house: House, text: Answer) -> str | None:
    return (await house.work(text.work_id)).thread_ts


async def test_status_tells_of_each_run_and_each_review_once(house: House) -> None:
    text = await house.final()
    request = await kept(house, Verb.STATUS, await thread_of(house, text))
    for _ in range(2):
        await somebody_wants_status(request, storage=house.storage, stack=house.stack, now=house.now)
    [notice] = await house.said(text.work_id, Kind.NOTICE)
    assert words_of(notice) == (f"final · answered · careful · 6 s\nfinal 1 · text {text.sha256[:8]} · awaiting")


async def test_context_shows_what_the_model_saw_with_digests(house: House) -> None:
    text = await house.final(brief="Announce the open cage")
    request = await kept(house, Verb.CONTEXT, await thread_of(house, text))
    await somebody_wants_context(request, storage=house.storage, now=house.now)
    [notice] = await house.said(text.work_id, Kind.NOTICE)
    head, brief, instructions = words_of(notice).split("\n")
    assert head == "What careful saw for final 1, and nothing else:"
    assert brief.startswith("• brief · ")
    assert brief.endswith(" · 22 characters")
    assert instructions.startswith("• instructions of final · ")


async def test_the_button_asks_about_its_own_answer(house: House) -> None:
    first = await house.final()
    await house.another_final(first)
    request = await kept(house, Verb.CONTEXT, await thread_of(house, first), target_id=first.id)
    await somebody_wants_context(request, storage=house.storage, now=house.now)
    assert "final 1" in words_of((await house.said(first.work_id, Kind.NOTICE))[-1])


@pytest.mark.parametrize("ask", [somebody_wants_context, somebody_cancels])
async def test_where_there_is_no_work_there_is_a_way_out(house: House, ask: Any) -> None:
    request = await kept(house, Verb.CONTEXT, "1.1")
    with pytest.raises(Refusal, match=r"no work of mine in this thread.*Try `@Countersign"):
        await ask(request, storage=house.storage, now=house.now)


async def test_there_is_no_status_where_there_is_no_work(house: House) -> None:
    request = await kept(house, Verb.STATUS, "1.1")
    with pytest.raises(Refusal, match=r"no work of mine in this thread yet\. Try `@Countersign draft"):
        await somebody_wants_status(request, storage=house.storage, stack=house.stack, now=house.now)


async def test_help_says_first_when_it_did_not_understand(house: House) -> None:
    assert words_of(help_for(house.request(None), house.stack)).startswith("Start work in a channel")
    assert words_of(help_for(house.request(None, "nonsense"), house.stack)).startswith("That names no stage")
    told = words_of(help_for(house.request(None, "critqiue it"), house.stack))
    assert "Did you mean `critique`? Here is what I do:" in told.partition("\n")[0]


@pytest.mark.parametrize(
    ("review", "says"),
    [
        ({}, "A text is approved by ✅ on it, or Approve on its review card."),
        ({"approve": ["ship_it"]}, "A text is approved by :ship_it: on it, or Approve on its review card."),
        ({"buttons": False}, "A text is approved by ✅ on it."),
        ({"approve": []}, "A text is approved by Approve on its review card."),
    ],
)
async def test_who_approves_in_words_hears_what_approves(house: House, review: dict[str, Any], says: str) -> None:
    stack = a_stack(review=review)
    for words in ("approve", "approved", "LGTM!"):
        assert words_of(help_for(house.request(None, words), stack)) == says


async def test_cancel_stops_what_runs_and_what_waits_and_says_who_did_it(house: House) -> None:
    first = await house.asks("draft", "Announce")
    await house.posts()
    work = await house.work(first.work_id)
    second = await house.asks("critique", work=work)
    async with house.storage.transaction() as saved:
        await saved.runs.begin(first.id, at=house.now())
    request = await kept(house, Verb.CANCEL, work.thread_ts, person=RAE)
    assert {run.id for run in await somebody_cancels(request, storage=house.storage, now=house.now)} == {
        first.id,
        second.id,
    }
    for run in (first, second):
        assert (await house.run(run)).state is RunState.CANCELLED
        assert await house.card_of(run) == f"{run.stage} · cancelled by @{RAE}"
    assert [(entry.who, entry.what) for entry in await house.ledger()] == [(RAE, "cancelled")] * 2
    await house.runs_all()
    assert house.models.asked == []


async def test_cancel_where_nothing_runs_is_refused(house: House) -> None:
    text = await house.final()
    request = await kept(house, Verb.CANCEL, await thread_of(house, text), person=ANN)
    with pytest.raises(Refusal, match="Nothing is running or waiting in this thread"):
        await somebody_cancels(request, storage=house.storage, now=house.now)
