"""A SQLite file whose history goes on elsewhere says so: two bots on one history would both speak in its threads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from handlers.errors import Refusal
from handlers.ports import Clock
from storage.database import Database, Saved
from storage.moving import CannotMove

_MARK = "moved to another database"


@asynccontextmanager
async def moving_out(source: Database, now: Clock) -> AsyncIterator[None]:
    """What this file holds is continued elsewhere: said before it can be, and taken back where that was refused.

    Killed or broken off in between, there is one history that a bot may begin on, or none until somebody says which:
    a commit whose end was not heard may hold.
    """
    async with source.transaction() as saved:
        had_moved = await saved.marks.get(_MARK) is not None
        await saved.marks.set(_MARK, now())
    try:
        yield
    except CannotMove:
        if not had_moved:
            await move_back(source)
        raise


async def moved_in(saved: Saved) -> None:
    """What was copied here is continued here, whatever the mark that came along says."""
    await saved.marks.remove(_MARK)


async def must_still_live_here(storage: Database) -> None:
    """Refuses to begin on a history that was copied away."""
    async with storage.reading() as saved:
        at = await saved.marks.get(_MARK)
    if at is not None:
        raise Refusal(
            f"{storage.url.database} was given to be copied to another database on {at:%Y-%m-%d at %H:%M} UTC and "
            "goes on there: set DATABASE_URL to that one. If the copy did not come to its end, begin it again; if it "
            "is to go on here after all, and nothing runs there, `python -m bot migrate --move-back` says so."
        )


async def move_back(storage: Database) -> bool:
    """The history goes on here after all; False if it never went elsewhere."""
    async with storage.transaction() as saved:
        return await saved.marks.remove(_MARK)
