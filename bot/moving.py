"""`migrate` with options: to an older schema, or with a team's history from its SQLite file to a PostgreSQL."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.clock import utc_now
from bot.distributed import Distributed
from bot.moved_house import move_back, moved_in, moving_out
from bot.queue import Alone
from bot.settings import Settings, SettingsError, async_database_url
from handlers.errors import Refusal
from storage.database import Database
from storage.moving import Moved, copy, must_be_readable
from storage.schema import is_older, migrate, must_be_known, newest, others_at, revision_of

_HEAD_DIGITS = 12


async def copy_from(settings: Settings, address: str) -> str:
    """Copy what the SQLite file at this address holds to the database of the settings; what was brought, as text."""
    source = Database(_source(address))
    path = Path(source.url.database or "")
    async with source, Database(settings.database_url.get_secret_value()) as target:
        if target.is_sqlite:
            raise Refusal(
                "The database to copy to is a SQLite file. Set DATABASE_URL to a PostgreSQL, or copy the file itself."
            )
        if not await asyncio.to_thread(path.is_file):
            raise Refusal(f"There is no database at {path}.")
        with Alone(str(path)):
            await migrate(target)
            await must_be_readable(source)
            async with moving_out(source, utc_now):
                moved = await copy(source, target, arrived=moved_in)
            await _doubt_what_was_owed(target)
    return told(moved)


async def _doubt_what_was_owed(target: Database) -> None:
    """The bot may have died between a post and its commit: whoever attends to what is undone looks in Slack first."""
    async with Distributed(
        url=target.libpq_url, storage=target, now=utc_now, shares=lambda _: None, attends=False
    ) as courier:
        await courier.reconcile()


async def reopen(settings: Settings) -> str:
    """Have the bot work again on a SQLite file that was copied away; what became of it, as text."""
    async with Database(settings.database_url.get_secret_value()) as storage:
        with Alone(storage.url.database if storage.is_sqlite else None):
            await migrate(storage)
            was_away = await move_back(storage)
    return "It goes on here from now on." if was_away else "It never went elsewhere, so nothing was changed."


async def migrate_to(settings: Settings, revision: str) -> str:
    """Bring the schema to a revision, for a Countersign of that time; what became of it, as text."""
    must_be_known(revision)  # before a file is made
    async with Database(settings.database_url.get_secret_value()) as storage:
        with Alone(storage.url.database if storage.is_sqlite else None):
            await _refuse_to_go_back_under_others(storage, revision)
            before, after = await migrate(storage, revision)
    if before is None or before <= after:
        return f"The schema went from {before or 'nothing'} to {after}." if before != after else f"It is {after}."
    return (
        f"The schema went back from {before} to {after}. What only the newer one remembers is gone from the database, "
        f"and this Countersign brings it to {newest()} again when it starts: start the older one."
    )


async def _refuse_to_go_back_under_others(storage: Database, revision: str) -> None:
    """Whoever works on the newer schema would lose what only that remembers, and stumble at every step."""
    async with storage.reading() as saved:
        has, others = await revision_of(saved.connection), await others_at(saved.connection)
    if others and is_older(revision, has):
        raise Refusal(
            f"{others} other connection{'s' * (others > 1)} to this database: stop web, workers and whatever else is "
            f"connected, then go back to {revision}. Nothing was changed."
        )


def _source(address: str) -> str:
    """The address of a SQLite file, with our driver."""
    try:
        url = async_database_url(address)
    except SettingsError as problem:
        raise Refusal(str(problem).replace("DATABASE_URL", "--copy-from")) from None
    if not url.startswith("sqlite"):
        raise Refusal("--copy-from takes a SQLite database, such as sqlite:///countersign.db.")
    return url


def told(moved: Moved) -> str:
    """Counts by table and the end of each ledger, for people to compare and keep."""
    width = max(len(name) for name in moved.counts)
    lines = [f"{name:<{width}}  {count:>9,}" for name, count in moved.counts.items()]
    lines += [f"{'ledger of ' + team}: unbroken, ends in {head[:_HEAD_DIGITS]}" for team, head in moved.heads.items()]
    return "\n".join(
        [
            *lines,
            "Copied and compared. Start the bot with the new address: none starts on the old file any more.",
        ]
    )
