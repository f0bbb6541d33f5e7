"""SQLite's one line of writers: those who wait at the same moment share a commit, for each waits for the disk."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


class TakenBack(Exception):  # noqa: N818  reads as a fact
    """SQLite took back the whole transaction when another one that shared its commit failed; nothing was kept."""


@dataclass(frozen=True, slots=True, eq=False)
class _Writer:
    turn: asyncio.Future[AsyncConnection] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    kept: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    left: asyncio.Event = field(default_factory=asyncio.Event)


class Writers:
    """Lets writers in one after the other, each within a savepoint, and commits for all who were in line.

    A writer that fails takes back only its own part. Each is told that its part is kept after the commit returned,
    never before; where the commit fails, all are told so.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._line: deque[_Writer] = deque()
        self._work: asyncio.Task[None] | None = None
        self.commits = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        writer = _Writer()
        self._line.append(writer)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._serve())
        try:
            connection = await writer.turn
            async with connection.begin_nested():
                yield connection
        finally:
            writer.left.set()
        await writer.kept

    async def close(self) -> None:
        """Wait for the last commit."""
        if self._work is not None:
            await asyncio.wait([self._work])

    async def _serve(self) -> None:
        """Until nobody is in line. Its own task, so that a writer called off takes no commit of others with it."""
        while self._line:
            inside: list[_Writer] = []
            try:
                async with self._engine.connect() as connection, connection.begin():
                    await self._let_in(connection, inside)
            except Exception as problem:  # noqa: BLE001  whatever it is, those it befell are told
                _tell(inside or self._everybody(), problem)
            except BaseException as ended:
                _tell([*inside, *self._everybody()], ended)
                raise
            else:
                self.commits += bool(inside)
                _tell(inside, None)

    def _everybody(self) -> list[_Writer]:
        """All in line, who leave it: what could not be begun now will not be begun for the next one either."""
        everybody = list(self._line)
        self._line.clear()
        return everybody

    async def _let_in(self, connection: AsyncConnection, inside: list[_Writer]) -> None:
        """Whoever is in line by now; who comes later waits for the next commit, so that this one is not put off."""
        driver: Any = (await connection.get_raw_connection()).driver_connection
        for _ in range(len(self._line)):
            writer = self._line.popleft()
            if writer.turn.done():  # called off while waiting
                continue
            inside.append(writer)
            writer.turn.set_result(connection)
            await writer.left.wait()
            if not driver.in_transaction:  # on a full disk, SQLite takes all of it back by itself
                raise TakenBack(TakenBack.__doc__)


def _tell(writers: list[_Writer], problem: BaseException | None) -> None:
    for writer in writers:
        match problem:
            case None:
                if not writer.kept.done():
                    writer.kept.set_result(None)
            case Exception():
                for awaited in (writer.turn, writer.kept):
                    if not awaited.done():
                        awaited.set_exception(problem)
                        awaited.exception()  # nobody may be left to hear it
            case _:
                writer.turn.cancel()
                writer.kept.cancel()
