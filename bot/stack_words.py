"""pydantic's complaints about a stack, in an operator's words; a value is never repeated, it may be a secret."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from handlers.remarks import Path, Remark, said
from handlers.stack import (
    Budgets,
    ChannelPolicy,
    Commands,
    Host,
    Model,
    Pipeline,
    Policy,
    Price,
    Repository,
    ReviewRules,
    Stack,
    StageName,
    StageRules,
)

TABLES: Mapping[Path, type[BaseModel]] = {
    (): Stack,
    ("models", "*"): Model,
    ("models", "*", "price"): Price,
    ("hosts", "*"): Host,
    ("stages", "*"): StageRules,
    ("review",): ReviewRules,
    ("channels", "*"): ChannelPolicy,
    ("budgets",): Budgets,
    ("pipelines", "*"): Pipeline,
    ("repositories", "*"): Repository,
    ("commands",): Commands,
    ("policy",): Policy,
}
_MUST_BE = {
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false, without quotes",
    "tuple_type": "must be a list in square brackets",
    "finite_number": "must be a finite number",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must be at most 20 lower-case letters, digits, dashes and underscores",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_long": "must be at most {max_length} characters long",
    "value_error": "{error}",
}
_TABLE_TYPES = frozenset({"model_type", "dict_type", "mapping_type", "model_attributes_type"})
_KEY_LENGTH = 40
_STAGES = "the stages are scout, draft, critique, implement, polish and final."


def in_words(error: ErrorDetails) -> Remark:
    """One complaint as a remark; its path is the one to leave out before reading on."""
    path, given, context = tuple(error["loc"]), error["input"], error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return Remark(code="E101", at=path, sentence=_unknown(path))
        case "missing":
            return Remark(code="E103", at=path, sentence=f"{said(_short(path[:-1]))} needs {path[-1]}.")
        case "enum" if path[-1] == "[key]":
            name = path[-2]
            hint = _did_you_mean(str(name), tuple(StageName)) or _STAGES
            return Remark(code="E101", at=path[:-1], sentence=f"Unknown stage {said(_short((name,)))}; {hint}")
        case "enum" | "literal_error":
            return _choice(path, given, str(context.get("expected", "")))
        case kind if kind in _TABLE_TYPES:
            example = f"[{said(_short(path))}]"
            return Remark(code="E102", at=path, sentence=f"{said(_short(path))} must be a table, such as {example}.")
        case kind:
            rule = _MUST_BE.get(kind, "has a value that cannot be used").format(**_plain(context))
            return Remark(code="E102", at=path, sentence=f"{_subject(path)} {rule}.")


def _subject(path: Path) -> str:
    return f"{said(_short(path))}," if isinstance(path[-1], int) else said(_short(path))


def _choice(path: Path, given: Any, expected: str) -> Remark:
    choices = expected.replace(" or ", ", ").replace("'", "").split(", ")
    hint = _did_you_mean(given, choices) if isinstance(given, str) else ""
    listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
    if path[0] == "pipelines":
        where = said(_short((path[1],)))
        sentence = f"Pipeline {where} names an unknown stage; {hint or _STAGES}"
        return Remark(code="E209", at=path, sentence=sentence)
    sentence = f"{_subject(path)} must be {listed}{f'; {hint}' if hint else '.'}"
    return Remark(code="E102", at=path, sentence=sentence)


def _unknown(path: Path) -> str:
    *table, key = path
    here = next(model for pattern, model in TABLES.items() if _fits(pattern, tuple(table)))
    sentence = f"Unknown key {said(_short(path))}"
    if hint := _did_you_mean(str(key), _keys(here), cutoff=0.85):
        return f"{sentence}; {hint}"
    if elsewhere := list(_tables_with(str(key))):
        return f"{sentence}; it belongs in {' or '.join(elsewhere)}."
    hint = _did_you_mean(str(key), _keys(here))
    return f"{sentence}; {hint}" if hint else f"{sentence}."


def _tables_with(key: str) -> Iterator[str]:
    for pattern, model in TABLES.items():
        if key in _keys(model):
            yield f"[{said(pattern).replace('*', 'NAME')}]" if pattern else "the top of the file"


def _did_you_mean(word: str, known: Collection[str], *, cutoff: float = 0.6) -> str:
    close = get_close_matches(word.lower(), known, n=1, cutoff=cutoff)
    return f'did you mean "{close[0]}"?' if close else ""


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _fits(pattern: Path, path: Path) -> bool:
    return len(pattern) == len(path) and all(want in ("*", part) for want, part in zip(pattern, path, strict=True))


def _short(path: Path) -> Path:
    cut = (part[:_KEY_LENGTH] + "…" if isinstance(part, str) and len(part) > _KEY_LENGTH else part for part in path)
    return tuple(part for part in cut if part != "[key]")


def _plain(context: Mapping[str, Any]) -> dict[str, Any]:
    return {key: f"{value:g}" if isinstance(value, float) else value for key, value in context.items()}
