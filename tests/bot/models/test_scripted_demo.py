"""The scripted demo's answers keep to each stage's form and speak about what they were really handed."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.playground.scripted import Recorded, Reply, demo_answers
from handlers.answers import CriticVerdict, Decision, read_answer
from handlers.context import Item, compose
from handlers.stack import StageName
from handlers.stages import REVISE, STAGES, Reads, Stage

DEMO = "Announce that our bot now asks a reviewer before anything is published."
SHORT = "Announce in three sentences that our bot now asks a reviewer before anything is published."
OTHER = "Tell the choir that rehearsals move to Thursdays, from the first week of May. Bring your own scores."


def asked(stage: Stage, *items: Item, model: str = "m") -> str:
    context = compose(stage, items, marker="houba-houba-4711")
    recorded = Recorded(
        wire="openai",
        path="/",
        model=model,
        system=context.system,
        user=context.user,
        headers={},
        body={},
        at=datetime(2026, 11, 22, tzinfo=UTC),
    )
    reply = demo_answers()(recorded)
    assert isinstance(reply, Reply)
    return reply.text


def brief(text: str = DEMO) -> Item:
    return Item(reads=Reads.BRIEF, title="brief", text=text)


def target(title: str, text: str) -> Item:
    return Item(reads=Reads.TARGET, title=title, text=text)


def critique(number: int, text: str) -> Item:
    return Item(reads=Reads.CRITIQUES, title=f"critique {number}", text=text)


def headings(text: str) -> list[str]:
    return re.findall(r"^## (.+)$", text, re.MULTILINE)


def test_a_brief_that_asks_for_sentences_gets_no_headings_and_no_paragraphs() -> None:
    assert len(asked(STAGES[StageName.DRAFT], brief(SHORT)).strip().splitlines()) == 1


@pytest.mark.parametrize("words", [DEMO, SHORT, OTHER])
def test_scout_notes_have_their_sections(words: str) -> None:
    notes = asked(STAGES[StageName.SCOUT], brief(words))

    assert headings(notes) == ["Findings", "Patterns", "Tensions", "Open questions", "Not found", "Sources"]


@pytest.mark.parametrize("words", [DEMO, SHORT, OTHER])
def test_every_quotation_of_a_critique_stands_in_the_text(words: str) -> None:
    draft = asked(STAGES[StageName.DRAFT], brief(words))
    findings = asked(STAGES[StageName.CRITIQUE], brief(words), target("draft 1", draft)).splitlines()

    read = read_answer(StageName.CRITIQUE, "\n".join(findings))
    assert read.verdict is CriticVerdict.REVISE
    assert len(read.findings) == len(findings) - 2
    *numbered, blank, verdict = findings
    assert (blank, verdict) == ("", "Verdict: revise")
    assert len(numbered) >= 2
    for nth, line in enumerate(numbered, start=1):
        found = re.fullmatch(rf"{nth}\. (blocker|major|minor) · “(.+)” · .+ · .+", line)
        assert found is not None, line
        assert found.group(2) in draft


def test_somebody_elses_message_is_quoted_too() -> None:
    message = "Sales doubled last month because of the new logo, everybody says so. We should do it again."

    found = asked(STAGES[StageName.CRITIQUE], target("message", message))

    assert "“Sales doubled last month because of the new logo,”" in found


@pytest.mark.parametrize("words", [DEMO, SHORT, OTHER])
def test_the_improved_text_has_nothing_serious_left(words: str) -> None:
    draft = asked(STAGES[StageName.DRAFT], brief(words))
    found = asked(STAGES[StageName.CRITIQUE], brief(words), target("draft 1", draft))
    revised = asked(REVISE, brief(words), target("draft 1", draft), Item(reads=Reads.FINDINGS, title="f", text=found))

    assert revised != draft
    second = asked(STAGES[StageName.CRITIQUE], brief(words), target("draft 2", revised))
    assert second == "Verdict: nothing serious found"


@pytest.mark.parametrize("words", [DEMO, SHORT, OTHER])
def test_a_final_answers_every_finding_by_its_number(words: str) -> None:
    draft = asked(STAGES[StageName.DRAFT], brief(words))
    found = asked(STAGES[StageName.CRITIQUE], brief(words), target("draft 1", draft))

    final = asked(STAGES[StageName.FINAL], brief(words), target("draft 1", draft), critique(2, found))

    assert headings(final) == ["Decision", "Final text", "Owner's notes"]
    read = read_answer(StageName.FINAL, final)
    assert (read.decision, read.remarks) == (Decision.READY, "")
    assert read.text.startswith("Our bot" if words is SHORT else "# ")
    count = len(re.findall(r"^\d+\. ", found, re.MULTILINE))
    assert re.findall(r"^(C2\.\d+) accepted · ", final, re.MULTILINE) == [f"C2.{nth + 1}" for nth in range(count)]
    assert "[needs:" not in final


def test_a_final_that_was_sent_back_takes_the_reason_up() -> None:
    first = read_answer(StageName.FINAL, asked(STAGES[StageName.FINAL], brief())).text
    reason = Item(reads=Reads.NOTE, title="note", text="Say who the reviewers are.")

    second = read_answer(
        StageName.FINAL, asked(STAGES[StageName.FINAL], brief(), target("final 1", first), reason)
    ).text

    assert second.startswith(first)
    assert second.endswith("Say who the reviewers are.")


def test_a_final_on_a_bare_brief_says_that_no_critic_looked() -> None:
    final = asked(STAGES[StageName.FINAL], brief(OTHER))

    assert "rehearsals move to Thursdays" in final
    assert "No critique was part of this request" in final


@pytest.mark.parametrize("words", [DEMO, SHORT, OTHER])
def test_a_polished_text_says_what_changed_after_it(words: str) -> None:
    draft = asked(STAGES[StageName.DRAFT], brief(words))

    polished = asked(STAGES[StageName.POLISH], brief(words), target("draft 1", draft))

    read = read_answer(StageName.POLISH, polished)
    assert headings(polished) == ["Changed"]
    assert read.notes
    assert "## Changed" not in read.text
    assert polished.startswith("Our bot" if words is SHORT else "# ")


@pytest.mark.parametrize("words", [DEMO, SHORT, OTHER])
def test_a_patch_applies(words: str, tmp_path: Path) -> None:
    patch = asked(STAGES[StageName.IMPLEMENT], brief(words))
    polished = asked(STAGES[StageName.POLISH], brief(words), target("patch 1", patch))

    assert headings(patch) == ["Plan", "Patch", "Tests", "How to verify", "Risks"]
    for text in (patch, polished):
        diff = re.search(r"```diff\n(.*?)```", text, re.DOTALL)
        assert diff is not None
        command = ["git", "apply", "--check", "-"]
        applied = subprocess.run(
            command, cwd=tmp_path, input=diff.group(1), text=True, capture_output=True, check=False
        )
        assert applied.returncode == 0, applied.stderr


@pytest.mark.parametrize("words", [DEMO, SHORT, OTHER])
@pytest.mark.parametrize("name", list(StageName))
def test_a_second_opinion_has_another_voice_and_keeps_the_form(name: StageName, words: str, tmp_path: Path) -> None:
    """As the demo asks for one: of the model that does not own the stage there."""
    draft = asked(STAGES[StageName.DRAFT], brief(words))
    needs_text = {StageName.CRITIQUE, StageName.POLISH, StageName.FINAL}
    items = [brief(words), *([target("draft 1", draft)] if name in needs_text else [])]
    owner, other = ("careful", "quick") if name in needs_text else ("quick", "careful")
    first, second = (asked(STAGES[name], *items, model=f"scripted-{key}") for key in (owner, other))
    assert first == asked(STAGES[name], *items)
    assert read_answer(name, second).text != read_answer(name, first).text
    match name:
        case StageName.SCOUT | StageName.IMPLEMENT | StageName.FINAL | StageName.POLISH:
            assert headings(second)[-4:] == headings(first)[-4:] or headings(second) == ["Changed"]
        case StageName.CRITIQUE:
            found = read_answer(name, second).findings
            assert found
            assert all(finding.quote in draft for finding in found)
        case StageName.DRAFT:
            assert "This is about" not in second
    if name is StageName.IMPLEMENT:
        _applies(second, tmp_path)


def _applies(patch: str, folder: Path) -> None:
    diff = re.search(r"```diff\n(.*?)```", patch, re.DOTALL)
    assert diff is not None
    command = ["git", "apply", "--check", "-"]
    applied = subprocess.run(command, cwd=folder, input=diff.group(1), text=True, capture_output=True, check=False)
    assert applied.returncode == 0, applied.stderr


def test_a_request_of_another_program_is_answered_plainly() -> None:
    recorded = Recorded(
        wire="openai",
        path="/",
        model="m",
        system="",
        user="Are you there?",
        headers={},
        body={},
        at=datetime(2026, 11, 22, tzinfo=UTC),
    )

    reply = demo_answers()(recorded)

    assert isinstance(reply, Reply)
    assert reply.text == "A scripted answer to: Are you there?"
