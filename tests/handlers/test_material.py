"""Which answers of a thread a run may read: the newest that fit, by lane and lineage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from handlers.context import digest
from handlers.material import critiques_of, lane_for, material, newest_text, target_of, title
from handlers.stack import StageName
from handlers.stages import Reads
from storage.records import Answer, Lane, Run, RunState, Work
from tests.fakes import FakeClock

NOW = FakeClock()()
WORK = Work(id="w-1", team="T0", channel="C0", brief="Free the marsupilami", opened_by="U0ANN", opened_at=NOW)
FINDING = "1. **Major** · “freedom” · nothing carries this\n\nVerdict: revise"


def thread(*made: str) -> list[Answer]:
    """Answers in order, as "stage", "stage:code" or "critique of draft 1"."""
    answers: list[Answer] = []
    for place, words in enumerate(made, 1):
        name, _, about = words.partition(" of ")
        stage, _, lane = name.partition(":")
        number = 1 + sum(a.stage == stage for a in answers)
        target = next((a for a in answers if title(a) == about), None)
        answers.append(
            Answer(
                id=f"a-{place}",
                work_id="w-1",
                run_id=None if stage == "message" else f"r-{place}",
                stage=stage,
                lane=Lane.CODE if lane == "code" or stage == "implement" else (target.lane if target else Lane.CONTENT),
                number=number,
                text=FINDING if stage == "critique" else f"the words of {stage} {number}",
                sha256=digest(words),
                about_id=target.id if target else None,
                author="U0STAN" if stage == "message" else None,
                made_at=NOW,
                seq=place,
            )
        )
    return answers


def run(stage: str, lane: Lane = Lane.CONTENT, **more: Any) -> Run:
    said: dict[str, Any] = {
        "id": "r-now",
        "work_id": "w-1",
        "request_key": "k",
        "stage": stage,
        "lane": lane,
        "state": RunState.RUNNING,
        "asked_by": "U0ANN",
        "entrance": "mention",
        "asked_at": NOW,
    }
    return Run(**(said | more))


def crossing(now: Run, answers: Sequence[Answer], work: Work = WORK) -> list[tuple[str, str]]:
    return [(item.reads.value, item.title) for item in material(now, work, answers)]


FULL = thread(
    "scout", "draft", "critique of draft 1", "draft", "critique of draft 2", "critique of draft 2", "implement"
)


@pytest.mark.parametrize(
    ("stage", "crosses"),
    [
        ("scout", [("brief", "brief"), ("note", "note")]),
        ("draft", [("brief", "brief"), ("scout notes", "scout notes 1"), ("note", "note")]),
        ("critique", [("brief", "brief"), ("text", "draft 2"), ("note", "note")]),
        ("polish", [("text", "draft 2"), ("brief", "brief"), ("critiques", "critique 3"), ("note", "note")]),
        (
            "final",
            [
                ("brief", "brief"),
                ("text", "draft 2"),
                ("critiques", "critique 2"),
                ("critiques", "critique 3"),
                ("note", "note"),
            ],
        ),
    ],
)
def test_each_stage_reads_what_the_design_says_and_nothing_else(stage: str, crosses: list[tuple[str, str]]) -> None:
    assert sorted(crossing(run(stage, note="be brief"), FULL)) == sorted(crosses)


def test_a_revision_reads_the_chosen_text_and_its_open_findings_only() -> None:
    crossed = crossing(run("draft", revises=True, target_id="a-2"), FULL)
    assert crossed == [("brief", "brief"), ("text", "draft 1"), ("open findings", "findings of critique 1")]
    [found] = [
        item for item in material(run("draft", revises=True, target_id="a-2"), WORK, FULL) if "findings" in item.title
    ]
    assert "C1.1" in found.text


def test_a_critique_without_findings_crosses_whole_to_a_revision() -> None:
    answers = thread("draft", "critique of draft 1")
    answers[1] = replace(answers[1], text="Verdict: nothing serious found")
    [found] = [i for i in material(run("draft", revises=True), WORK, answers) if i.reads is Reads.FINDINGS]
    assert found.text == "Verdict: nothing serious found"


def test_the_critique_of_a_superseded_text_is_stale() -> None:
    answers = thread("draft", "critique of draft 1", "draft")
    assert critiques_of(answers[0], answers) == [answers[1]]
    assert critiques_of(answers[2], answers) == []
    assert ("critiques", "critique 1") not in crossing(run("final"), answers)


def test_the_code_lane_reads_code_and_the_content_lane_content() -> None:
    answers = thread("draft", "implement", "critique of patch 1", "draft")
    assert [title(a) for lane in Lane if (a := newest_text(answers, lane))] == ["draft 2", "patch 1"]
    assert ("text", "patch 1") in crossing(run("final", Lane.CODE), answers)
    assert ("critiques", "critique 1") in crossing(run("final", Lane.CODE), answers)
    assert ("text", "draft 2") in crossing(run("final"), answers)
    assert ("critiques", "critique 1") not in crossing(run("final"), answers)


def test_implement_reads_the_chosen_plan_and_none_by_itself() -> None:
    answers = thread("draft")
    assert crossing(run("implement", Lane.CODE), answers) == [("brief", "brief")]
    assert ("plan", "draft 1") in crossing(run("implement", Lane.CODE, target_id="a-1"), answers)


def test_scout_notes_and_critiques_are_no_texts() -> None:
    answers = thread("scout", "draft", "critique of draft 1", "scout")
    newest = newest_text(answers, Lane.CONTENT)
    assert newest is answers[1]
    assert newest_text(thread("scout"), Lane.CONTENT) is None


def test_a_message_that_was_pointed_at_is_a_text_with_its_author() -> None:
    answers = thread("message")
    assert newest_text(answers, Lane.CONTENT) is answers[0]
    [text] = [item for item in material(run("critique"), WORK, answers) if item.reads is Reads.TARGET]
    assert (text.title, text.author) == ("message", "U0STAN")


def test_what_a_person_points_at_beats_the_newest() -> None:
    assert target_of(run("critique", target_id="a-2"), FULL) is FULL[1]
    assert target_of(run("critique", target_id="a-gone"), FULL) is None
    assert target_of(run("scout"), FULL) is None


def test_a_second_opinion_works_on_what_the_first_did_and_never_on_the_newest() -> None:
    assert target_of(run("final", second_to="a-9", target_id="a-2"), FULL) is FULL[1]
    assert target_of(run("final", second_to="a-9"), FULL) is None, "the first one had a brief alone"


def test_a_work_without_a_brief_hands_over_none() -> None:
    assert crossing(run("critique"), thread("message"), replace(WORK, brief="")) == [("text", "message")]


@pytest.mark.parametrize(
    ("stage", "points_at", "made", "in_thread", "lane"),
    [
        ("implement", None, [], False, Lane.CODE),
        ("implement", "draft 1", ["draft"], True, Lane.CODE),
        ("final", None, [], True, Lane.CONTENT),
        ("final", None, ["draft", "implement"], False, Lane.CONTENT),
        ("final", None, ["draft", "implement"], True, Lane.CODE),
        ("final", None, ["implement", "draft"], True, Lane.CONTENT),
        ("critique", "patch 1", ["implement", "draft"], True, Lane.CODE),
        ("critique", "draft 1", ["draft", "implement"], True, Lane.CONTENT),
        ("scout", None, ["implement"], True, Lane.CONTENT),
    ],
)
def test_the_lane_follows_what_was_pointed_at_or_the_newest_answer(
    stage: str, points_at: str | None, made: list[str], *, in_thread: bool, lane: Lane
) -> None:
    answers = thread(*made)
    target = next((a for a in answers if title(a) == points_at), None)
    assert lane_for(StageName(stage), target=target, answers=answers, in_thread=in_thread) is lane


@pytest.mark.parametrize(
    ("made", "called"),
    [("scout", "scout notes 1"), ("implement", "patch 1"), ("final", "final 1"), ("message", "message")],
)
def test_answers_are_called_what_people_call_them(made: str, called: str) -> None:
    assert title(thread(made)[0]) == called
