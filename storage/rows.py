"""Records to rows and back."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from sqlalchemy import Row

R = TypeVar("R")


def record(of: type[R], /, row: Row[Any], **instead: Any) -> R:
    """Make a record of a row; `instead` replaces columns that need another type."""
    known = row._mapping  # noqa: SLF001  SQLAlchemy's public name for it
    names = [field.name for field in fields(of)]  # type: ignore[arg-type]  # every record is a dataclass
    return of(**{name: instead.get(name, known[name]) for name in names})


def values(of: object, *, without: tuple[str, ...] = ("seq",)) -> dict[str, Any]:
    """The columns of a record, as they go into a row."""
    return {
        field.name: getattr(of, field.name)
        for field in fields(of)  # type: ignore[arg-type]  # every record is a dataclass
        if field.name not in without
    }
