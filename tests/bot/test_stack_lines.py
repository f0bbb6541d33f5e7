from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.stack_lines import key_lines, line_of
from handlers.remarks import Path

TEXT = '''# a comment with [brackets] and = signs
top = 1
[models.fast]   # a header
id = """
[not.a.header]
not = "a key" \\""" still
"""
price = { input = 1, checked = 2026-11-01, "odd key".deep = ['a]', "b}"] } # comment
"quo\\u0074ed"."dot.ted" = 'x'
list = [
  "one", # ]
  [2, 3],

  { four = 4 },
]
when = 1979-05-27 07:32:00
[models.fast.more]
literal = \'\'\'
it = 1\'\'\'\'
[[aot]]
name = 1
[[aot]]
name = 2
[aot.sub]
x = 1
[ spaced . out ]
a.b = true
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("models",), 3),
        (("models", "fast"), 3),
        (("models", "fast", "id"), 4),
        (("models", "fast", "price"), 8),
        (("models", "fast", "price", "checked"), 8),
        (("models", "fast", "price", "odd key", "deep", 1), 8),
        (("models", "fast", "quoted", "dot.ted"), 9),
        (("models", "fast", "list", 0), 11),
        (("models", "fast", "list", 1, 1), 12),
        (("models", "fast", "list", 2, "four"), 14),
        (("models", "fast", "when"), 16),
        (("models", "fast", "more", "literal"), 18),
        (("aot", 0, "name"), 21),
        (("aot", 1, "name"), 23),
        (("aot", 1, "sub", "x"), 25),
        (("spaced", "out", "a", "b"), 27),
    ],
    ids=str,
)
def test_each_key_stands_on_its_line(path: Path, line: int) -> None:
    assert key_lines(TEXT)[path] == line


def test_a_path_that_is_not_written_takes_the_line_of_what_is_around_it() -> None:
    lines = key_lines(TEXT)
    assert line_of(lines, ("models", "fast", "price", "output")) == 8
    assert line_of(lines, ("models", "fast", "trust")) == 3
    assert line_of(lines, ("review", "reviewers")) == 1
    assert line_of(lines, ()) == 1


def every_path(value: Any, path: Path = ()) -> set[Path]:
    if isinstance(value, dict):
        return {path, *(found for key, inner in value.items() for found in every_path(inner, (*path, key)))}
    if isinstance(value, list):
        return {path, *(found for nth, inner in enumerate(value) for found in every_path(inner, (*path, nth)))}
    return {path}


def test_no_key_is_missed_and_none_is_made_up() -> None:
    assert set(key_lines(TEXT)) == every_path(tomllib.loads(TEXT)) - {()}


WORDS = st.text(st.sampled_from("ab\"'\\#[]{}=,.\n é\t"), max_size=8)


def quoted(text: str) -> str:
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(escapes.get(character, character) for character in text) + '"'


def written(value: Any) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{quoted(key)} = {written(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[\n" + "".join(f"{written(inner)}, # ]\n" for inner in value) + "]"
        case str():
            return quoted(value)
        case bool():
            return str(value).lower()
        case _:
            return str(value)


VALUES = st.recursive(
    st.one_of(WORDS, st.integers(-9, 9), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(WORDS, st.one_of(WORDS, st.integers()), max_size=3)
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.dictionaries(WORDS, st.dictionaries(WORDS, VALUES, max_size=3), max_size=3))
def test_whatever_the_values_the_keys_found_are_the_keys_read(tables: dict[str, dict[str, Any]]) -> None:
    lines: list[str] = []
    expected: dict[Path, int] = {}
    for table, pairs in tables.items():
        lines.append(f"[{quoted(table)}]")
        expected[table,] = len(lines)
        for key, value in pairs.items():
            expected[table, key] = len(lines) + 1
            lines.extend(f"{quoted(key)} = {written(value)}".split("\n"))
    text = "\n".join(lines)
    found = key_lines(text)
    assert set(found) == every_path(tomllib.loads(text)) - {()}
    assert {path: found[path] for path in expected} == expected
