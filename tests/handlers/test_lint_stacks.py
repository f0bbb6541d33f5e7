"""Whole stack files: a planted mistake is found on its line and nothing else is, and good stacks are left in peace."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from bot.cli import main
from bot.stack_file import StackErrors, read_stack
from bot.stack_findings import Finding
from handlers.remarks import Level

TODAY = date(2026, 11, 22)
STANDS_FOR = {
    "%FAST": """[models.fast]
wire = "openai"
id = "fast-1"
base_url = "https://api.fast.example/v1"
trust = 2
family = "lepus"
price = { input = 0.5, output = 1.5, checked = 2026-11-01 }""",
    "%TRUSTED": """[models.trusted]
wire = "openai"
id = "trusted-1"
base_url = "https://api.trusted.example/v1"
trust = 5
family = "strix"
price = { input = 3, output = 15, checked = 2026-11-01 }""",
    "%EUROPEAN": """[models.sworn]
wire = "openai"
id = "sworn-1"
base_url = "https://api.sworn.example/v1"
trust = 4
jurisdiction = "eu"
price = { input = 2, output = 10, checked = 2026-11-01 }""",
    "%REVIEW": '[review]\nreviewers = ["U0ANN42", "U0RAE17"]',
}
_MARK = re.compile(r"# <-((?: [EWN]\d{3})+)")


def blocks(name: str) -> list[tuple[str, str]]:
    """The stacks of a file beside this one, written out, by name."""
    text = Path(__file__).with_name(name).read_text("utf-8")
    return [
        (title, re.sub(r"%[A-Z]+", lambda found: STANDS_FOR[found[0]], stack))
        for title, _, stack in (block.partition("\n") for block in text.split("\n## ")[1:])
    ]


PLANTED, GOOD = blocks("lint_stacks.txt"), blocks("good_stacks.txt")


def findings(file: Path, text: str) -> tuple[Finding, ...]:
    file.write_text(text, "utf-8")
    try:
        return read_stack(file, today=TODAY).findings
    except StackErrors as errors:
        return errors.findings


@pytest.mark.parametrize("stack", [stack for _, stack in PLANTED], ids=[name for name, _ in PLANTED])
def test_a_planted_mistake_is_found_on_its_line_and_nothing_else_is(tmp_path: Path, stack: str) -> None:
    marked = {
        (line, code)
        for line, words in enumerate(stack.split("\n"), start=1)
        for mark in _MARK.findall(words)
        for code in mark.split()
    }
    assert marked
    assert {(finding.line, finding.code) for finding in findings(tmp_path / "stack.toml", stack)} == marked


def test_there_are_enough_stacks() -> None:
    assert len(PLANTED) >= 40
    assert len(GOOD) >= 10


@pytest.mark.parametrize("stack", [stack for _, stack in GOOD], ids=[name for name, _ in GOOD])
def test_check_is_content_with_a_good_stack_even_when_it_is_strict(
    tmp_path: Path, stack: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "stack.toml"
    file.write_text(stack.replace("2026-11-01", datetime.now(UTC).date().isoformat()), "utf-8")
    assert main(["check", "--strict", "--stack", str(file)]) == 0
    # Notes may be said, where the file expects them; a warning may not.
    noted = re.findall(r"^# noted: (.*)$", stack, re.MULTILINE)
    told = re.findall(r": ([A-Z]\d{3}) ", capsys.readouterr().out)
    assert told == [code for line in noted for code in line.split()]
    assert all(Level.NOTE.name[0] == code[0] for code in told)
