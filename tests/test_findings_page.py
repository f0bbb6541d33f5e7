"""docs/findings.md tells the truth: each code has its section, whose mistake is found and whose mending mends it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bot.price_list import compared
from bot.stack_file import StackErrors, read_stack
from bot.stack_findings import CODES
from handlers import published

PAGE = (Path(__file__).parents[1] / "docs" / "findings.md").read_text()
TODAY = date(2026, 11, 22)
_SECTION = re.compile(r"^### ([EWN]\d{3}) ([^\n]+)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```toml(?: (\w+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)
_TOLD_IN_WORDS = {"E001", "E002", "E003"}
"""No lines of TOML could show these."""

SECTIONS = {code: (title, body) for code, title, body in _SECTION.findall(PAGE)}
BASES = {code: tomllib.loads(text) for code, text in re.findall(_BLOCK, PAGE[: PAGE.index("## Routing")])}
REGULATED = tomllib.loads(next(text for kind, text in _BLOCK.findall(PAGE) if kind == "regulated"))


def lines_of(table: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """A table as TOML."""
    yield from ([f"[{'.'.join(json.dumps(key) for key in path)}]"] if path else [])
    for key, value in table.items():
        if not isinstance(value, dict) or key == "price":
            yield f"{json.dumps(key)} = {_value(value)}"
    for key, value in table.items():
        if isinstance(value, dict) and key != "price":
            yield from lines_of(value, (*path, key))


def _value(value: Any) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + " }"
        case date():
            return value.isoformat()
        case _:
            return json.dumps(value)


def laid_over(base: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """The tables of the example in place of those of the same name: `[models.fast]` whole, and `[review]` whole."""
    whole = {name: dict(table) for name, table in base.items()}
    for name, table in example.items():
        nested = all(isinstance(inner, dict) for inner in table.values())
        whole[name] = {**whole.get(name, {}), **table} if nested else table
    return whole


def found(folder: Path, code: str, kind: str, text: str) -> set[str]:
    """The codes that `check` finds for an example."""
    base = REGULATED if code.startswith("E3") else BASES[""]
    try:
        whole = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        toml = text
    else:
        toml = "\n".join(lines_of(whole if kind == "file" else laid_over(base, whole)))
    file = folder / "stack.toml"
    file.write_text(toml)
    try:
        loaded = read_stack(file, today=TODAY)
    except StackErrors as wrong:
        return {finding.code for finding in wrong.findings}
    prices = compared(loaded.stack)[1] if code in published.CODES else ()
    return {finding.code for finding in loaded.findings} | {price.code for price in prices if price.code}


def examples(code: str) -> tuple[tuple[str, str], tuple[str, str]]:
    planted, mended = _BLOCK.findall(SECTIONS[code][1])[:2]
    return planted, mended


def test_each_code_has_a_section_of_its_name() -> None:
    assert {code: f"{title}." for code, (title, _) in SECTIONS.items()} == dict(CODES)


@pytest.mark.parametrize("code", sorted(set(CODES) - _TOLD_IN_WORDS))
def test_the_mistake_is_found_and_the_mending_mends_it(code: str, tmp_path: Path) -> None:
    planted, mended = examples(code)
    assert code in found(tmp_path, code, *planted)
    left = found(tmp_path, code, *mended)
    assert code not in left
    assert not {other for other in left if other.startswith("E")}


@pytest.mark.parametrize("base", [BASES[""], REGULATED], ids=["ordinary", "regulated"])
def test_the_stacks_to_begin_with_have_no_finding(base: dict[str, Any], tmp_path: Path) -> None:
    assert found(tmp_path, "", "file", "\n".join(lines_of(base))) == set()
