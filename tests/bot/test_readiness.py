"""A look at the database that nobody waits for, and the sentences of /readyz."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError

from bot.glance import Glance
from bot.readiness import Readiness, SlackTrouble, waiting_too_long
from bot.stack_findings import Finding
from handlers.remarks import Level
from storage.database import Database, Saved
from storage.gauges import Gauges, OpenRuns
from storage.records import RunState
from tests.fakes import open_database
from tests.postgres import Server
from tests.storage.records import NOON, letter, message, work

PATIENCE = 0.05


class Hanging:
    """A database that keeps whoever reads waiting until it is let go."""

    def __init__(self, then: Exception | None = None) -> None:
        self.reads, self.go_on, self._then = 0, asyncio.Event(), then

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Saved]:
        self.reads += 1
        await self.go_on.wait()
        if self._then:
            raise self._then
        yield cast("Saved", None)


class Stubborn(Hanging):
    """As a driver that waits for its server even when it is told to stop."""

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Saved]:
        self.reads += 1
        while not self.go_on.is_set():
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                continue
        raise ConnectionResetError
        yield cast("Saved", None)


def glance(storage: Any) -> Glance:
    return Glance(cast("Database", storage), patience=PATIENCE)


@pytest.mark.parametrize("kind", [Hanging, Stubborn])
async def test_a_database_that_hangs_is_not_waited_for_and_not_asked_again_meanwhile(
    kind: Callable[[], Hanging],
) -> None:
    storage = kind()
    look = glance(storage)
    for _ in range(3):
        async with asyncio.timeout(10):
            seen = await look.look()
        assert (seen.gauges, seen.problem) == (None, "The database did not answer within 0.05 s.")
    assert storage.reads == 1
    storage.go_on.set()
    async with asyncio.timeout(10):
        await look.aclose()


async def test_closing_does_not_wait_for_a_database_that_hangs_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Stubborn()
    look = glance(storage)
    await look.look()
    async with asyncio.timeout(10):
        await look.aclose()
    storage.go_on.set()
    await look.look()


async def test_a_database_that_fails_is_told_by_the_kind_of_failure_alone() -> None:
    storage = Hanging(then=OSError("/srv/team/countersign.db: password=hunter2"))
    storage.go_on.set()
    seen = await glance(storage).look()
    assert (seen.gauges, seen.problem) == (None, "The database does not answer (OSError).")


async def test_a_database_that_comes_back_is_seen_at_once(tmp_path: Path) -> None:
    async with open_database(tmp_path, durable=False) as storage:
        look = Glance(storage)
        await storage.close()
        (tmp_path / "marsupilami.db").rename(tmp_path / "elsewhere.db")
        (tmp_path / "marsupilami.db").mkdir()
        assert (await look.look()).problem == "The database does not answer (OperationalError)."
        (tmp_path / "marsupilami.db").rmdir()
        (tmp_path / "elsewhere.db").rename(tmp_path / "marsupilami.db")
        assert (await look.look()).gauges == Gauges()
        await look.aclose()


# Sentences

SINCE = {"post_planned_at": "outbox", "letter_due_at": "inbox"}


def waiting(**said: Any) -> dict[str, str]:
    return waiting_too_long(Gauges(**said), NOON + timedelta(hours=2, minutes=5))


def ago(minutes: float) -> Any:
    return NOON + timedelta(hours=2, minutes=5 - minutes)


def queued(minutes: float) -> tuple[OpenRuns, ...]:
    state = RunState.QUEUED
    return (OpenRuns(stage="draft", state=state, model=None, count=3, asked_at=ago(minutes), started_at=None),)


def test_what_waits_for_a_while_is_nobodys_concern() -> None:
    assert waiting(post_planned_at=ago(5), letter_due_at=ago(2), runs=queued(15)) == {}
    assert waiting() == {}
    assert waiting(letters=1, letter_due_at=ago(-1)) == {}


def test_a_message_that_slack_does_not_take_is_told_with_how_many_are_owed() -> None:
    told = waiting(post_planned_at=ago(7), posts=3, edits=1)["outbox"]
    assert told.startswith("A message to Slack has waited for 7 min, and 4 are owed. The log says why")


def test_letters_nobody_handles_and_runs_nobody_begins_are_told() -> None:
    told = waiting(letter_due_at=ago(3), letters=2, runs=queued(125))
    assert told["inbox"].startswith("A letter that is due has waited for 3 min, and 2 are unhandled.")
    assert told["queue"].startswith("A run has waited in line for 2 h 5 min, and 3 are queued.")


async def is_well() -> str:
    return ""


async def is_apart() -> str:
    return "There is no Socket Mode connection."


def finding(line: int, code: str) -> Finding:
    return Finding(path=Path("/srv/secret-place/stack.toml"), line=line, code=code, sentence="Odd.", level=Level.ERROR)


async def readiness(
    storage: Database, *, problems: Sequence[Finding] = (), slack: SlackTrouble = is_well, **said: Any
) -> Any:
    look = Readiness(
        glance=Glance(storage),
        now=lambda: NOON + timedelta(hours=1),
        slack=slack,
        stack_problems=lambda: problems,
        **said,
    )
    return await look.look()


async def test_a_process_that_can_do_its_part_is_ready(tmp_path: Path) -> None:
    async with open_database(tmp_path, durable=False) as storage:
        health = await readiness(storage)
    assert (health.is_ready, health.missing, health.warnings) == (True, {}, {})
    assert health.gauges == Gauges()


async def test_without_a_connection_to_slack_it_is_not_ready(tmp_path: Path) -> None:
    async with open_database(tmp_path, durable=False) as storage:
        health = await readiness(storage, slack=is_apart)
    assert not health.is_ready
    assert health.missing == {"slack": "There is no Socket Mode connection."}


async def test_without_a_database_it_is_not_ready_and_says_what_becomes_of_deliveries() -> None:
    storage = Hanging(then=ConnectionResetError())
    storage.go_on.set()
    health = await readiness(cast("Database", storage))
    assert health.missing == {
        "database": "The database does not answer (ConnectionResetError). What comes in is not acknowledged; "
        "Slack brings it again."
    }
    assert health.gauges is None


async def test_a_worker_without_a_database_says_what_becomes_of_what_is_in_line() -> None:
    storage = Hanging(then=ConnectionResetError())
    storage.go_on.set()
    health = await readiness(cast("Database", storage), takes_in=False)
    assert health.missing == {
        "database": "The database does not answer (ConnectionResetError). Nothing is begun here until it answers; "
        "what is in line stays there."
    }


@pytest.mark.parametrize("takes_in", [True, False])
async def test_a_queue_out_of_reach_keeps_a_worker_from_its_part_and_others_only_from_some(
    tmp_path: Path,
    takes_in: bool,  # noqa: FBT001
) -> None:
    async with open_database(tmp_path, durable=False) as storage:
        health = await readiness(storage, takes_in=takes_in, is_queue_away=lambda: True)
    assert health.is_ready is takes_in
    told = health.warnings if takes_in else health.missing
    assert told["queue"].startswith("The queue in the database is out of reach")


async def test_what_is_stuck_is_told_but_keeps_nobody_from_taking_in(tmp_path: Path) -> None:
    async with open_database(tmp_path, durable=False) as storage:
        async with storage.transaction() as saved:
            await saved.works.open(work())
            await saved.outbox.plan(message())
            await saved.inbox.put(letter())
        health = await readiness(storage)
    assert health.is_ready
    assert health.warnings.keys() == {"outbox", "inbox"}
    assert "has waited for 1 h 0 min" in health.warnings["outbox"]


@pytest.mark.parametrize(("more", "others"), [((), ""), ((8, 9), " and 2 more")])
async def test_a_broken_stack_file_is_told_by_code_and_line_alone(
    tmp_path: Path, more: Sequence[int], others: str
) -> None:
    problems = [finding(3, "E104"), *(finding(line, "E105") for line in more)]
    async with open_database(tmp_path, durable=False) as storage:
        health = await readiness(storage, problems=problems)
    assert health.is_ready
    assert health.warnings["stack"] == (
        f"The changed stack file cannot be used (E104 in line 3{others}), so the old stack stays in use. "
        "`python -m bot check` shows what to mend."
    )


async def test_a_table_that_somebody_holds_is_not_waited_for_and_is_seen_again_afterwards(postgres: Server) -> None:
    url = await asyncio.to_thread(postgres.fresh)
    name = str(make_url(url).database)
    async with Database(url) as storage:
        look = Glance(storage, patience=0.3)
        assert (await look.look()).gauges == Gauges()
        with await asyncio.to_thread(postgres.connect, name) as other:
            other.execute("BEGIN")
            other.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
            for _ in range(3):
                assert (await look.look()).problem == "The database did not answer within 0.3 s."
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"
            assert other.execute(waiting, (name,)).fetchone() == (1,)
            other.execute("ROLLBACK")
        async with asyncio.timeout(20):
            while (await look.look()).gauges is None:  # noqa: ASYNC110  the one that hung ends by itself
                await asyncio.sleep(0)
        await look.aclose()


async def test_what_can_be_read_and_not_written_is_warned_of(tmp_path: Path) -> None:
    async with open_database(tmp_path, durable=False) as storage:
        readiness = Readiness(
            glance=Glance(storage), now=lambda: NOON, slack=nothing, cannot_write=lambda: storage.cannot_be_written
        )
        assert (await readiness.look()).warnings == {}
        with pytest.raises(OperationalError):
            async with storage.transaction():
                raise OperationalError("", {}, full())
        health = await readiness.look()
        assert health.is_ready
        assert health.warnings["database"].startswith("The last change could not be written")
        async with storage.transaction():
            pass
        assert (await readiness.look()).warnings == {}


async def nothing() -> str:
    return ""


def full() -> sqlite3.OperationalError:
    problem = sqlite3.OperationalError("database or disk is full")
    problem.sqlite_errorcode = sqlite3.SQLITE_FULL
    return problem
