"""The real storage layer on an SQLite in memory, in steps of the drawn loop: begun, kept and lost as the seed says.

A statement takes no step, as SQLite's do not in the program. Before a transaction's beginning and around its commit
others have their turn; a process that dies before the commit has its transaction rolled back.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from sqlalchemy import StaticPool, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.database import Database
from storage.writers import Writers
from tests.fakes import new_database_file
from tests.faults.world.jobs import Jobs
from tests.faults.world.loop import PROCESS, Process

Pause = Callable[[str], Awaitable[None]]


class Gone(BaseException):
    """A process that is over tried to go on; only when the world is taken down."""


class _Place:
    """The one connection of this process, opened once: what is compiled and prepared is kept from world to world."""

    def __init__(self) -> None:
        self._driver = sqlite3.connect(":memory:", isolation_level=None, cached_statements=1_000)
        self._image = sqlite3.connect(":memory:")
        self._image.deserialize(_empty_database())
        self._driver.execute("PRAGMA foreign_keys=ON")
        engine = create_engine("sqlite://", creator=lambda: self._driver, poolclass=StaticPool)
        self.connection = engine.connect()

    def renew(self) -> None:
        """An empty database in the newest schema."""
        self.rollback()
        self._image.backup(self._driver)

    def begin(self) -> None:
        self._driver.execute("BEGIN")

    def commit(self) -> None:
        self._driver.execute("COMMIT")

    def rollback(self) -> None:
        if self._driver.in_transaction:
            self._driver.execute("ROLLBACK")

    @property
    def written(self) -> int:
        """How many rows were ever written; a look leaves it as it was."""
        return self._driver.total_changes

    def do(self, statement: str) -> None:
        self._driver.execute(statement)


@cache
def place() -> _Place:
    return _Place()


def _empty_database() -> bytes:
    """The schema as the migrations make it, once in a process."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        asyncio.run(new_database_file(path))
        with closing(sqlite3.connect(path)) as file:
            file.execute("PRAGMA journal_mode=DELETE")  # one in memory knows no WAL
        return path.read_bytes()


class Disk:
    """One database of a world, and whose turn it is to write.

    Whoever reads waits until nobody writes: what they see is what they would have seen before the other began.
    """

    def __init__(self, pause: Pause, jobs: Jobs) -> None:
        self.pause, self._jobs = pause, jobs
        self.commits = 0
        self._is_taken = False
        self.holder: Process | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._is_closed = False
        place().renew()

    async def begin(self) -> None:
        await self.free("begin")
        self._is_taken, self.holder = True, PROCESS.get()
        place().begin()

    async def free(self, why: str) -> None:
        """Wait until nobody writes."""
        await self.pause(why)
        while self._is_taken:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        self.check()

    def check(self) -> None:
        """Nobody of a dead process, or of a world that is over, does anything here."""
        process = PROCESS.get()
        if self._is_closed or (process is not None and process.is_dead):
            raise Gone

    def close(self) -> None:
        place().rollback()
        self._is_closed = True

    async def commit(self) -> None:
        await self.pause("before the commit")
        self.check()
        place().commit()
        self._jobs.committed()
        self.commits += 1
        self._release()
        await self.pause("after the commit")

    def rollback(self) -> None:
        place().rollback()
        self._jobs.rolled_back()
        self._release()

    def _release(self) -> None:
        self._is_taken, self.holder = False, None
        waiting, self._waiting = self._waiting, []
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)

    def died(self, process: Process) -> None:
        """What a process did not commit is not there."""
        if self._is_taken and self.holder is process:
            self.rollback()


class _Statements:
    """As much of SQLAlchemy's asynchronous connection as storage uses, over the synchronous one."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._connection = place().connection
        self.dialect = self._connection.dialect

    async def execute(self, *statement: Any) -> Any:
        self._disk.check()
        return self._connection.execute(*statement)

    async def exec_driver_sql(self, *statement: Any) -> Any:
        self._disk.check()
        return self._connection.exec_driver_sql(*statement)

    async def stream(self, *statement: Any) -> AsyncIterator[Any]:
        return _each(await self.execute(*statement))

    async def get_raw_connection(self) -> Any:
        return self._connection.connection

    def begin_nested(self) -> _Part:
        return _Part(self._disk)


class _Part:
    """A savepoint. Like those below it is a class, for a generator as a context takes three times as long."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def __aenter__(self) -> None:
        self._disk.check()
        place().do("SAVEPOINT part")

    async def __aexit__(self, broke: type[BaseException] | None, *_: object) -> None:
        self._disk.check()
        if broke is not None:
            place().do("ROLLBACK TO part")
        place().do("RELEASE part")


async def _each(rows: Any) -> AsyncIterator[Any]:
    for row in rows:
        yield row


class _Writing(_Statements):
    def begin(self) -> _Transaction:
        return _Transaction(self, self._disk)


class _Transaction:
    def __init__(self, connection: _Writing, disk: Disk) -> None:
        self._connection, self._disk = connection, disk

    async def __aenter__(self) -> _Writing:
        await self._disk.begin()
        return self._connection

    async def __aexit__(self, broke: type[BaseException] | None, *_: object) -> None:
        if broke is None:
            await self._disk.commit()
        else:
            self._disk.check()
            self._disk.rollback()


class _Reading(_Statements):
    """A look at what is committed, all of it at the same moment: nobody has a turn meanwhile."""

    def begin(self) -> _Look:
        return _Look(self, self._disk)


class _Look:
    def __init__(self, connection: _Reading, disk: Disk) -> None:
        self._connection, self._disk = connection, disk

    async def __aenter__(self) -> _Reading:
        await self._disk.free("read")
        self._before = place().written
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        self._disk.check()
        assert place().written == self._before, "somebody wrote where they were only to look"


class _Connected:
    def __init__(self, connection: _Writing | _Reading) -> None:
        self._connection = connection

    async def __aenter__(self) -> _Writing | _Reading:
        return self._connection

    async def __aexit__(self, *_: object) -> None: ...


class _Engine:
    """What Database and Writers use of an engine."""

    def __init__(self, made: Callable[[Disk], _Writing | _Reading], disk: Disk) -> None:
        self._made, self._disk = made, disk

    def connect(self) -> _Connected:
        return _Connected(self._made(self._disk))

    def begin(self) -> _Transaction | _Look:
        return self._made(self._disk).begin()

    async def dispose(self) -> None: ...


class Memory(Database):
    """A process's own way to a world's database.

    `shares_commits`: as the embedded bot does; else each transaction has a commit of its own, as on PostgreSQL.
    """

    def __init__(self, disk: Disk, *, shares_commits: bool) -> None:
        self.__dict__.update(_bare().__dict__)
        self._wakes = {}
        self._writing = cast("AsyncEngine", _Engine(_Writing, disk))
        self._reading = cast("AsyncEngine", _Engine(_Reading, disk))
        self._writers = Writers(self._writing) if shares_commits else None


@cache
def _bare() -> Database:
    """Made once, for it makes engines that are never used."""
    return Database("sqlite+aiosqlite:///nowhere.db")
