"""Telling trouble with the database, which passes, from a fault of ours, which does not."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Final

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from storage.writers import TakenBack

# Busy, locked, out of memory, read-only, broken off, I/O error, full, cannot be opened, protocol: SQLite's own numbers.
_PASSING: Final = frozenset({5, 6, 7, 8, 9, 10, 13, 14, 15})
_PRIMARY = 0xFF
Follow = Callable[[BaseException | None], None]


def is_trouble(problem: BaseException) -> bool:
    """Whether the same would go well once the database can be used again."""
    return any(_is(one) for one in _causes(problem))


def _causes(problem: BaseException) -> Iterator[BaseException]:
    """It, and what it came of: SQLite takes a whole transaction back on a full disk, and then misses its savepoints."""
    seen: set[int] = set()
    found: BaseException | None = problem
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = (found.orig if isinstance(found, DBAPIError) else None) or found.__cause__ or found.__context__


def _is(problem: BaseException) -> bool:
    match problem:
        case PoolExhausted() | TakenBack():
            return True
        case DBAPIError():
            return problem.connection_invalidated
        case psycopg.errors.ReadOnlySqlTransaction() | psycopg.OperationalError() | psycopg.InterfaceError():
            return True
        case sqlite3.Error():
            return getattr(problem, "sqlite_errorcode", 0) & _PRIMARY in _PASSING
        case _:
            return False


class Watch:
    """Tells followers once when trouble begins, and once when all that was troubled has gone well again."""

    def __init__(self) -> None:
        self._troubled: set[str] = set()
        self._followers: list[Follow] = []

    @property
    def cannot_write(self) -> bool:
        """Whether the last go at writing was troubled; what else goes well says nothing of that."""
        return "write" in self._troubled

    def follow(self, follow: Follow) -> None:
        """Be told what the trouble is, and None when it is over."""
        self._followers.append(follow)

    @asynccontextmanager
    async def over(self, what: str) -> AsyncIterator[None]:
        """Watch one go at something: to write goes wrong and well apart from to read."""
        try:
            yield
        except Exception as problem:
            if is_trouble(problem):
                is_first = not self._troubled
                self._troubled.add(what)
                if is_first:
                    self._tell(problem)
            raise
        if what in self._troubled:
            self._troubled.discard(what)
            if not self._troubled:
                self._tell(None)

    def _tell(self, problem: BaseException | None) -> None:
        for follow in self._followers:
            follow(problem)
