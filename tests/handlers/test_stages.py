"""What each stage may see, what it is told, and in which form it must answer."""

from __future__ import annotations

import re

import pytest

from handlers.stack import StageName
from handlers.stages import REVISE, STAGES, Reads, Role, Stage, is_text

BRIEF, SOURCES, UNREAD, SCOUT_NOTES = Reads.BRIEF, Reads.SOURCES, Reads.UNREAD, Reads.SCOUT_NOTES
TARGET = Reads.TARGET
PLAN, CRITIQUES, FINDINGS, EVIDENCE, NOTE = (
    Reads.PLAN,
    Reads.CRITIQUES,
    Reads.FINDINGS,
    Reads.EVIDENCE,
    Reads.NOTE,
)


every_stage = pytest.mark.parametrize("stage", [*STAGES.values(), REVISE], ids=lambda stage: stage.working)


def test_every_stage_name_has_its_stage() -> None:
    assert list(STAGES) == list(StageName)
    assert all(stage.name is name for name, stage in STAGES.items())


@pytest.mark.parametrize(
    ("stage", "needs", "may_see"),
    [
        (STAGES[StageName.SCOUT], {BRIEF}, {BRIEF, SOURCES, UNREAD, NOTE}),
        (STAGES[StageName.DRAFT], {BRIEF}, {BRIEF, SCOUT_NOTES, NOTE}),
        (REVISE, {BRIEF, TARGET}, {BRIEF, TARGET, FINDINGS, NOTE}),
        (STAGES[StageName.CRITIQUE], {TARGET}, {BRIEF, TARGET, EVIDENCE, NOTE}),
        (STAGES[StageName.IMPLEMENT], {BRIEF}, {BRIEF, PLAN, NOTE}),
        (STAGES[StageName.POLISH], {TARGET}, {BRIEF, TARGET, CRITIQUES, NOTE}),
        (STAGES[StageName.FINAL], {BRIEF}, {BRIEF, TARGET, CRITIQUES, EVIDENCE, NOTE}),
    ],
    ids=lambda value: value.working if isinstance(value, Stage) else "",
)
def test_a_stage_sees_what_the_table_of_contexts_allows_and_no_more(
    stage: Stage, needs: set[Reads], may_see: set[Reads]
) -> None:
    assert stage.needs == needs
    assert set(stage.reads) == may_see
    assert len(stage.reads) == len(may_see)


@every_stage
def test_the_brief_comes_first_and_the_note_last(stage: Stage) -> None:
    assert stage.reads[0] is BRIEF
    assert stage.reads[-1] is NOTE
    assert stage.needs <= set(stage.reads)


def test_the_six_stages_are_five_roles() -> None:
    assert {name: stage.role for name, stage in STAGES.items()} == {
        StageName.SCOUT: Role.SCOUT,
        StageName.DRAFT: Role.DRAFTER,
        StageName.CRITIQUE: Role.CRITIC,
        StageName.IMPLEMENT: Role.IMPLEMENTER,
        StageName.POLISH: Role.FINAL_OWNER,
        StageName.FINAL: Role.FINAL_OWNER,
    }
    assert REVISE.name is StageName.DRAFT
    assert REVISE.role is Role.DRAFTER


def test_what_each_stage_makes_and_does_is_said_in_the_words_of_the_thread() -> None:
    assert [(stage.makes, stage.working) for stage in STAGES.values()] == [
        ("scout notes", "scouting"),
        ("draft", "drafting"),
        ("critique", "critiquing"),
        ("patch", "implementing"),
        ("polished text", "polishing"),
        ("final text", "deciding"),
    ]


def test_drafts_patches_polished_and_final_texts_are_texts() -> None:
    assert [name for name in StageName if is_text(name)] == ["draft", "implement", "polish", "final"]


@every_stage
def test_instructions_are_short_plain_english(stage: Stage) -> None:
    told = f"{stage.instructions}\n{stage.form}"
    assert 150 <= len(told.split()) <= 350
    assert "!" not in told
    assert not re.search(r"\b(AI|language model|assistant|chatbot|LLM)\b", told)
    assert re.search(r"\bnext\b", stage.instructions), "says who reads the answer next"


@pytest.mark.parametrize(
    ("name", "headings"),
    [
        (StageName.SCOUT, ["Findings", "Patterns", "Tensions", "Open questions", "Not found", "Sources"]),
        (StageName.IMPLEMENT, ["Plan", "Patch", "Tests", "How to verify", "Risks"]),
        (StageName.POLISH, ["Changed"]),
        (StageName.FINAL, ["Decision", "Final text", "Owner's notes"]),
    ],
)
def test_a_form_names_its_headings_in_their_order(name: StageName, headings: list[str]) -> None:
    assert re.findall(r"(?m)^## (.+)$", STAGES[name].form) == headings


def test_the_critic_is_given_both_verdict_lines_and_the_three_severities() -> None:
    form = STAGES[StageName.CRITIQUE].form
    assert "\nVerdict: nothing serious found\n" in form
    assert "\nVerdict: revise\n" in form
    assert "blocker, major or minor" in form
    assert "at most ten" in form


def test_the_implementer_is_told_never_to_claim_a_run() -> None:
    assert "You have run nothing." in STAGES[StageName.IMPLEMENT].instructions


def test_the_drafter_marks_holes_and_assumptions() -> None:
    for stage in (STAGES[StageName.DRAFT], REVISE):
        assert "[needs: …] and [assumed: …]" in stage.form
