"""The README tells the truth: its stages, variables, commands and files are the program's."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from bot.cli import parser
from bot.manifest import COMMANDS, OTHER_COMMANDS
from bot.settings import VARIABLES
from handlers.judge import Judgement, ReviewState, judge
from handlers.stack import StageName
from handlers.stages import STAGES
from tests.handlers.test_judge import Model, rows_of, situation, state, walks

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    return README.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_every_stage_stands_in_the_table_with_its_role() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\w ]+) \|", section("The stages"), flags=re.MULTILINE))
    assert rows == {name.value: STAGES[name].role.value for name in StageName}


def test_every_variable_is_told() -> None:
    told = set(re.findall(r"`([A-Z_]+)`", section("Environment")))
    assert told == set(VARIABLES)


def test_every_command_is_told_and_no_other() -> None:
    told = {
        name
        for row in re.findall(r"^\| (`.*?) \|", section("Commands"), re.MULTILINE)
        for name in row.split("`")
        if name.strip(", ")
    }
    (commands,) = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    assert told == set(commands.choices)


def test_every_slash_command_is_told() -> None:
    told = set(re.findall(r"`/(\w+)`", section("What you can ask for")))
    assert told == {*COMMANDS, *OTHER_COMMANDS}


ARROW = re.compile(r"^ +(\w+) --> (\w+): ([\w -]+)$", re.MULTILINE)
DEEDS = {
    "approve": "approval",
    "unapprove": "approval taken back",
    "refuse": "send-back",
    "unrefuse": "send-back taken back",
    "expire": "time runs out",
    "supersede": "newer final",
}


def test_a_review_goes_the_ways_that_are_drawn_and_no_others() -> None:
    """Whatever two reviewers do in up to four steps, told to the code that judges and to the code that derives."""
    gone = set()
    for quorum in (1, 2):
        for actions, _ in walks(Model(quorum), 4):
            if not actions:
                continue
            before, after = (_state_after(done, quorum) for done in (actions[:-1], actions))
            deed = actions[-1].partition(" ")[0]
            late = "expire" in actions[:-1]
            counts = judge(situation(before, named=True, late=late)) is Judgement.COUNTS
            if before is not after and (counts or deed not in {"approve", "refuse"}):
                gone.add((before.value, after.value, DEEDS[deed]))
    drawing = section("The gate").split("```")[1]
    assert gone == set(ARROW.findall(drawing))
    assert {one for arrow in gone for one in arrow[:2]} == set(ReviewState)


def _state_after(actions: tuple[str, ...], quorum: int) -> ReviewState:
    rows, ends, superseded = rows_of(actions, quorum)
    return state(*rows, quorum=quorum, superseded=superseded, ends=ends, at=max(1, len(actions)))


def test_every_file_it_names_is_there() -> None:
    named = set(re.findall(r"`((?:bot|handlers|storage|tests)/[\w/.]*)`", README)) | set(
        re.findall(r"\]\(([^)#:]+)\)", README)
    )
    missing = sorted(path for path in named if not (ROOT / path).exists())
    assert missing == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_every_picture_and_page_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = {*re.findall(r"\]\(([^)#:]+)\)", text), *re.findall(r'<img src="([^"]+)"', text)}
    assert [path for path in named if not (page.parent / path).exists()] == []


def test_every_picture_is_shown_somewhere() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    assert [one.name for one in (ROOT / "docs" / "pictures").iterdir() if one.name not in pages] == []


def test_every_make_target_it_names_is_there() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make (\w+)", README)) <= targets


def test_the_processes_it_starts_are_commands_of_the_program() -> None:
    (commands,) = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    started = re.findall(r"python -m bot (\w+)", (ROOT / "Procfile").read_text())
    composed = re.findall(r'^ {4}command: \["(\w+)"\]', (ROOT / "compose.yaml").read_text(), re.MULTILINE)
    assert set(started) == {"migrate", "web", "worker"}
    assert composed == ["web", "worker"]
    assert {*started, *composed} <= set(commands.choices)


def test_what_compose_must_be_given_is_told_where_compose_is() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    needed = set(re.findall(r"(?<!\$)\$\{?(\w+)", text))
    (told,) = [part for part in README.split("\n\n") if "[compose.yaml](compose.yaml)" in part]
    assert needed
    assert needed | {"SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"} <= set(re.findall(r"`([A-Z_]+)`", told))


def test_the_image_holds_what_the_program_is_made_of() -> None:
    copied = set(re.findall(r"^COPY (\w+) \./\w+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert copied == {"bot", "handlers", "storage"}
    assert all(f"!{name}" in (ROOT / ".dockerignore").read_text().splitlines() for name in copied)
