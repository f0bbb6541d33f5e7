"""One process from its command to its end: what it is for, the signals it heeds, start and stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from sqlite3 import sqlite_version
from typing import Any

import structlog

from bot.app import Countersign, Role
from bot.logs import learn_secrets
from bot.queue import Alone
from bot.settings import Settings
from handlers.errors import Refusal
from storage.database import Database
from storage.schema import migrate as bring_to_newest
from storage.sqlite import may_corrupt

log = structlog.get_logger(__name__)


async def work(bot: Countersign, *, announce: Callable[[], None]) -> None:
    """Start, say so, and work until SIGTERM or Ctrl-C, or until a part fails for good. Told early, it never starts."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    if not await _first(_started(bot), stop):
        log.info(bot.under_way.last_words())
        return
    try:
        announce()
        await _first(bot.broken(), stop)
    finally:
        await bot.stop()
        log.info(bot.under_way.last_words())


async def _started(bot: Countersign) -> None:
    await bot.__aenter__()
    try:
        await bot.ready()
    except BaseException:
        await bot.stop()
        raise


async def _first(wanted: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Whether it came to its end before we were told to stop; its failure is ours."""
    task, told = asyncio.create_task(wanted), asyncio.create_task(stop.wait())
    await asyncio.wait([task, told], return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if task.done():
        task.result()
        return True
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return False


async def run(settings: Settings, stack_path: Path) -> None:
    """Everything in one process."""
    await _serve(settings, stack_path, Role.ALL)


async def web(settings: Settings, stack_path: Path) -> None:
    """Intake only: needs a database that several processes may share."""
    _must_be_shared(settings, Role.INTAKE)
    await _serve(settings, stack_path, Role.INTAKE)


async def worker(settings: Settings, stack_path: Path) -> None:
    """What is to be done: needs a database that several processes may share."""
    _must_be_shared(settings, Role.WORK)
    await _serve(settings, stack_path, Role.WORK)


async def _serve(settings: Settings, stack_path: Path, role: Role) -> None:
    access = settings.slack(intake=role is not Role.WORK)
    takes_http = role is Role.INTAKE or (role is Role.ALL and not access.socket_mode)
    bot = Countersign(
        slack=access,
        database_url=settings.database_url.get_secret_value(),
        stack_path=stack_path,
        role=role,
        port=settings.port if settings.port_is_set or takes_http else None,
        follow=lambda stack: learn_secrets(settings, stack),
    )
    mode = "none" if role is Role.WORK else "socket" if access.socket_mode else "http"

    def announce() -> None:
        if bot.is_on_sqlite and may_corrupt():
            log.warning(
                "this SQLite may lose pages if another program writes to the file too; let none", version=sqlite_version
            )
        log.info("ready", role=role.value, intake=mode, stack=str(stack_path))

    await work(bot, announce=announce)


def _must_be_shared(settings: Settings, role: Role) -> None:
    if settings.database_url.get_secret_value().startswith("sqlite"):
        raise Refusal(
            f"`{role}` is one of several processes on one PostgreSQL, and this database is a SQLite file, which one "
            "process has for itself. Start `python -m bot run`, or set DATABASE_URL to a PostgreSQL."
        )


async def migrate(settings: Settings) -> str:
    """Bring the database to the newest schema; return a sentence."""
    async with Database(settings.database_url.get_secret_value()) as storage:
        with Alone(storage.url.database if storage.is_sqlite else None):
            before, after = await bring_to_newest(storage)
    return f"The schema is {after}." if before == after else f"The schema went from {before or 'nothing'} to {after}."
