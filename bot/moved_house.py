"""A SQLite file whose history goes on elsewhere says so: two bots on one history would both speak in its threads."""

from __future__ import annotations

from handlers.errors import Refusal
from handlers.ports import Clock
from storage.database import Database

_MARK = "moved to another database"


async def moved_out(source: Database, now: Clock) -> None:
    """What this file holds is continued elsewhere from now on."""
    async with source.transaction() as saved:
        await saved.marks.set(_MARK, now())


async def moved_in(target: Database) -> None:
    """What was copied here is continued here, whatever the mark that came along says."""
    async with target.transaction() as saved:
        await saved.marks.remove(_MARK)


async def must_still_live_here(storage: Database) -> None:
    """Refuses to begin on a history that was copied away."""
    async with storage.reading() as saved:
        at = await saved.marks.get(_MARK)
    if at is not None:
        raise Refusal(
            f"{storage.url.database} was copied to another database on {at:%Y-%m-%d at %H:%M} UTC and goes on there: "
            "set DATABASE_URL to that one. If it is to go on here after all, and nothing runs there, "
            "`python -m bot migrate --move-back` says so."
        )


async def move_back(storage: Database) -> bool:
    """The history goes on here after all; False if it never went elsewhere."""
    async with storage.transaction() as saved:
        return await saved.marks.remove(_MARK)
