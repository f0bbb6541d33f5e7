"""A reviewer's reason reaches the next version even where the run that carried it failed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from handlers.incoming import Entrance, Verb
from handlers.unheard import unheard_reason
from storage.records import Answer, Lane, Run, RunState
from tests.fakes import a_model, a_stack
from tests.handlers.house import SAM, STAN, House
from tests.handlers.test_material import run, thread

FAILED, ANSWERED, CANCELLED = RunState.FAILED, RunState.ANSWERED, RunState.CANCELLED
TEXT = thread("draft", "final")


def carried(state: RunState = FAILED, **more: Any) -> Run:
    said: dict[str, Any] = {
        "note": "name the date",
        "entrance": "send_back",
        "target_id": "a-2",
        "state": state,
        **more,
    }
    return run("final", **said)


@pytest.mark.parametrize(
    ("now", "before", "reason"),
    [
        (run("final"), [carried()], "name the date"),
        (run("polish"), [carried(RunState.REFUSED)], "name the date"),
        (run("draft", revises=True), [carried()], "name the date"),
        (run("final"), [carried(), run("final", state=FAILED), run("scout", state=ANSWERED)], "name the date"),
        (run("final", target_id="a-2"), [carried()], "name the date"),
        (run("final", target_id="a-1"), [carried()], ""),  # another text than was sent back
        (run("final", note="do name the date"), [carried()], ""),  # it is there already
        (run("final", note="another angle"), [carried(note="no")], "no"),  # which is only part of a word there
        (run("final"), [carried(ANSWERED)], ""),
        (run("final"), [carried(CANCELLED)], ""),  # somebody did not want it
        (run("final"), [carried(), run("polish", state=ANSWERED)], ""),
        (run("final"), [carried(), run("draft", state=ANSWERED, second_to="a-1")], "name the date"),
        (run("final", Lane.CODE), [carried()], ""),
        (run("critique"), [carried()], ""),
        (run("draft"), [carried()], ""),  # a first draft is no version of it
        (run("final", second_to="a-2", target_id="a-1"), [carried()], ""),
        (run("final"), [run("final", note="shorter", state=FAILED)], ""),  # nobody sent that back
        (run("final"), [], ""),
    ],
)
def test_the_reason_goes_to_the_next_version_of_the_text_that_was_sent_back(
    now: Run, before: list[Run], reason: str
) -> None:
    assert unheard_reason(now, before, TEXT) == reason


async def test_a_reason_survives_the_failure_of_the_run_that_carried_it(house: House) -> None:
    text: Answer = await house.final(by=STAN)
    work = await house.work(text.work_id)
    await house.reacts(SAM, text, "x")
    house.stack = a_stack(models={"quick": a_model(), "careful": a_model(id="c", trust=5, context_tokens=256)})
    await house.says_why(SAM, text, "Name the date.")
    await house.runs_all()
    assert [one.state for one in await house.runs(work.id)] == [ANSWERED, FAILED]
    house.stack = a_stack()
    await house.asks("final", "and be brief", work=work, person=STAN)
    await house.runs_all()
    *_, third = await house.runs(work.id)
    assert (third.note, third.note_by) == ("Name the date.\nand be brief", (STAN,))
    assert "Name the date." in house.models.asked[-1][1].user
    await house.asks("final", work=work, person=STAN)
    *_, fourth = await house.runs(work.id)
    assert (fourth.note, fourth.note_by) == ("", ()), "the reason has been heard by then"


async def test_the_reason_alone_makes_nobody_an_author(house: House) -> None:
    text = await house.final(by=STAN)
    work = await house.work(text.work_id)
    await house.reacts(SAM, text, "x")
    house.stack = a_stack(models={"quick": a_model(), "careful": a_model(id="c", trust=5, context_tokens=256)})
    await house.says_why(SAM, text, "Name the date.")
    await house.runs_all()
    house.stack = a_stack()
    asked = await house.asks("final", work=work, person=STAN)
    assert (asked.note, asked.note_by) == ("Name the date.", ())
    await house.runs_all()
    final = await house.answer_of(asked)
    await house.reacts(SAM, final)
    assert await house.state(final) == "approved"


async def test_again_carries_it_once(house: House) -> None:
    text = await house.final(by=STAN)
    work = await house.work(text.work_id)
    await house.reacts(SAM, text, "x")
    house.stack = a_stack(models={"quick": a_model(), "careful": a_model(id="c", trust=5, context_tokens=256)})
    await house.says_why(SAM, text, "Name the date.")
    await house.runs_all()
    house.stack = a_stack()
    await house.takes(house.request(None, verb=Verb.AGAIN, entrance=Entrance.MENTION, thread_ts=work.thread_ts))
    *_, last = await house.runs(work.id)
    assert last.note == "Name the date."
    assert replace(last, note="").target_id == text.id
