"""Records to rows and back."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from sqlalchemy import Row

R = TypeVar("R")


def record(of: type[R], /, row: Row[Any], **instead: Any) -> R:
    """Make a record of a row; `instead` replaces columns that need another type."""
    known = row._mapping  # noqa: SLF001  SQLAlchemy's public name for it
    return of(**{name: instead[name] if name in instead else known[name] for name in _names(of)})  # type: ignore[arg-type]  # a class is hashable


def values(of: object, *, without: tuple[str, ...] = ("seq",)) -> dict[str, Any]:
    """The columns of a record, as they go into a row."""
    names = _names(type(of))  # type: ignore[arg-type]  # a class is hashable
    return {name: getattr(of, name) for name in names if name not in without}


@cache
def _names(of: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(of))
