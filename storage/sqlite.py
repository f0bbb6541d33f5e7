"""SQLite's connection: what may wait for the disk or for another process has a thread; the rest takes microseconds."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import aiosqlite

_AT_ONCE = ("SELECT ", "INSERT ", "UPDATE ", "SAVEPOINT ", "RELEASE ", "ROLLBACK TO ")
_STEPS = frozenset({"close", "fetchall", "fetchmany", "fetchone"})
_CHUNK = 64

if sqlite3.threadsafety != 3:  # noqa: PLR2004  3 is the DB-API's "connections may be shared"
    raise ImportError(
        "This Python's SQLite was not built for use from several threads (sqlite3.threadsafety is "
        f"{sqlite3.threadsafety}, 3 is needed): use a Python whose SQLite is, or a postgresql:// database."
    )


def may_corrupt(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite has the fault by which a reset of the write-ahead log may lose pages under two writers.

    Present from 3.7.0 on, mended in 3.51.3 and in the branches 3.44.6 and 3.50.7 (https://sqlite.org/wal.html). We have
    one writing connection a process and one process a file, so it takes another program that writes to our file.
    """
    mended = {(3, 44): 6, (3, 50): 7, (3, 51): 3}
    branch, patch = (version[0], version[1]), version[2]
    return branch < (3, 52) and patch < mended.get(branch, 1_000)


class Connection(aiosqlite.Connection):
    """Like its base, without the way to a thread and back for each step of a statement.

    A statement within a transaction has its lock already and finds its pages in memory; it is done before a thread
    would have heard of it. Beginning to write may wait for another process and a commit waits for the disk, so these
    two, a DELETE, which may go through much, and whatever is rare, keep the thread. While it is busy, all else lines
    up behind it.
    """

    only_reads = False
    _given = 0  # to the thread; counted only by the loop
    _done = 0  # by the thread; counted only there

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._given == self._done and self._connection and self._takes_no_time(fn, args):
            return fn(*args, **kwargs)

        def in_thread() -> Any:
            try:
                return fn(*args, **kwargs)
            finally:
                self._done += 1

        self._given += 1
        return await super()._execute(in_thread)  # type: ignore[no-untyped-call]  # aiosqlite gives it no types

    def _takes_no_time(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> bool:
        of, step = getattr(fn, "__self__", None), getattr(fn, "__name__", "")
        match of:
            case sqlite3.Cursor() if step == "execute":
                return bool(args[0] == "BEGIN" or args[0].startswith(_AT_ONCE))
            case sqlite3.Cursor():
                return step in _STEPS
            case sqlite3.Connection() if step in {"commit", "rollback"}:
                return self.only_reads or not of.in_transaction
            case sqlite3.Connection():
                return step == "cursor"
            case _:
                return False


def connect(path: str, *, only_reads: bool = False, **options: Any) -> Connection:
    """What aiosqlite.connect does, for the connection above; to be awaited."""
    connection = Connection(lambda: sqlite3.connect(path, **options | {"check_same_thread": False}), _CHUNK)
    connection._thread.daemon = True  # noqa: SLF001  as SQLAlchemy does with the connections it opens
    connection.only_reads = only_reads
    return connection
