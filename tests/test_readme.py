"""The README tells the truth: its stages, variables, commands and files are the program's."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from bot.cli import parser
from bot.manifest import COMMANDS, OTHER_COMMANDS
from bot.settings import VARIABLES
from handlers.judge import ReviewState
from handlers.stack import StageName
from handlers.stages import STAGES

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


def test_every_state_of_a_review_is_drawn() -> None:
    drawing = section("The gate").split("```")[1]
    assert all(state in drawing for state in ReviewState)


def test_every_file_it_names_is_there() -> None:
    named = set(re.findall(r"`((?:bot|handlers|storage|tests)/[\w/.]*)`", README)) | set(
        re.findall(r"\]\(([^)#:]+)\)", README)
    )
    missing = sorted(path for path in named if not (ROOT / path).exists())
    assert missing == []


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
