"""Schema changes broken off at every statement, by two at once, from the oldest database there is, and back again."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BindParameter, Boolean, bindparam, text

from bot.cli import main
from bot.settings import async_database_url
from storage.database import Database
from storage.ledger import first_fault
from storage.records import Work
from storage.rows import values
from storage.schema import NoSuchSchema, migrate, newest
from storage.tables import Moment
from tests.postgres import Server
from tests.storage.records import answer, entry, keep, letter, message, run, verdict, work
from tests.storage.test_schema import look

LATER = frozenset({"fresh_from", "carried"})
GOLDEN = Path(__file__).parent / "golden_0001.sql"

KILLED_AT_EACH = """
import asyncio, os, signal, sys
from sqlalchemy import Engine, event
from storage.database import Database
from storage.schema import migrate

url, to = sys.argv[1:]

def change(at):
    left = at
    @event.listens_for(Engine, "before_cursor_execute")
    def count(*_):
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    asyncio.run(migrate(Database(url), to))
    os._exit(0)

at = 0
while True:
    child = os.fork()
    if not child:
        change(at)
    if os.waitpid(child, 0)[1] == 0:
        break
    print(at, flush=True)
    sys.stdin.readline()
    at += 1
"""


async def put_as_then(database: Database, kept: Work) -> None:
    """Into the columns there were: what came later is not known of it."""
    there = {name: value for name, value in values(kept).items() if name not in LATER}
    named, given = ", ".join(there), ", ".join(f":{name}" for name in there)
    typed: list[BindParameter[Any]] = [
        bindparam("opened_at", type_=Moment()),
        bindparam("in_human_thread", type_=Boolean()),
    ]
    async with database.engine.begin() as connection:
        await connection.execute(text(f"INSERT INTO works ({named}) VALUES ({given})").bindparams(*typed), there)


@pytest.fixture(params=["sqlite", "postgresql"])
async def oldest(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database of the first schema, with a work in it."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'palombia.db'}"
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgres")
        url = async_database_url(server.url(await asyncio.to_thread(server.create)))
    async with Database(url) as database:
        await migrate(database, "0001")
        await put_as_then(database, work())
        yield database


@pytest.mark.parametrize("back", [False, True], ids=["up", "down"])
async def test_killed_at_each_statement_it_is_the_old_schema_with_its_rows(oldest: Database, *, back: bool) -> None:
    """And the last time, nobody kills it."""
    before, after = (newest(), "0001") if back else ("0001", newest())
    await migrate(oldest, before)
    tables = await look(oldest)
    url = oldest.url.render_as_string(hide_password=False)
    changing = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        KILLED_AT_EACH,
        url,
        after,
        stdout=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.PIPE,
    )
    assert changing.stdout is not None
    assert changing.stdin is not None
    killed = 0
    while await changing.stdout.readline():
        killed += 1
        assert await look(oldest) == tables
        async with oldest.reading() as saved:
            rows = await saved.connection.execute(text("SELECT id, brief FROM works"))
        assert [tuple(row) for row in rows] == [("w-palombia", work().brief)]
        changing.stdin.write(b"\n")
    assert await changing.wait() == 0
    assert killed > 10
    assert (await look(oldest))[0] == after
    await migrate(oldest)
    assert await keep(oldest, run()) == [True]


async def test_the_oldest_database_comes_along_with_all_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "golden.db"
    golden = await asyncio.to_thread(GOLDEN.read_text, encoding="utf-8")
    made = sqlite3.connect(path)
    made.executescript(golden)
    made.close()
    async with Database(f"sqlite+aiosqlite:///{path}") as database:
        assert await migrate(database) == ("0001", newest())
        async with database.reading() as saved:
            assert await saved.works.get("w-palombia") == work(brief="Find the marsupilami ☂", thread_ts="1.1")
            found = await saved.runs.get("r-hop")
            assert found is not None
            assert (found.state, found.epoch, found.cost_usd, found.note_by) == ("running", 3, 0.25, ("U0SPIROU",))
            assert [one.verdict for one in await saved.answers.of_work("w-palombia")] == ["agree"]
            kept = await saved.inbox.get("command/spirou")
            assert kept is not None
            assert (kept.body, kept.tries) == ({"hop": 1}, 2)
            chain = [one async for one in saved.ledger.chain("T0ZOO")]
            assert len(chain) == 2
            assert first_fault(chain) is None
        await keep(database, entry())


async def test_two_processes_that_migrate_one_file_at_once_do_so_once(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'palombia.db'}"
    program = "import asyncio, sys\nfrom storage.database import Database\nfrom storage.schema import migrate\n"
    program += "print(asyncio.run(migrate(Database(sys.argv[1])))[0])\n"
    both = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, url, stdout=asyncio.subprocess.PIPE)
        for _ in range(2)
    ]
    said = [(await one.communicate())[0].decode().strip() for one in both]
    assert sorted(said) == sorted(["None", newest()])


async def test_a_revision_that_is_not_there_is_refused(oldest: Database) -> None:
    with pytest.raises(NoSuchSchema, match="knows no such revision"):
        await migrate(oldest, "0815")
    assert (await look(oldest))[0] == "0001"


def test_the_command_goes_back_and_says_what_that_means(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environ = {"DATABASE_URL": f"sqlite:///{tmp_path / 'palombia.db'}"}
    assert main(["migrate"], environ) == 0
    assert main(["migrate", "--to", "0001"], environ) == 0
    assert "start the older one" in capsys.readouterr().out
    assert main(["migrate", "--to", "0815"], environ) == 1
    assert "knows no such revision; it knows 0001, 0002, " in capsys.readouterr().err


@pytest.mark.parametrize("role", ["run", "web", "worker"])
def test_no_process_starts_on_a_newer_schema(
    role: str, tmp_path: Path, postgres: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres.url(postgres.create())

    async def make_newer() -> None:
        async with Database(async_database_url(url)) as database:
            await migrate(database)
            async with database.transaction() as saved:
                await saved.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    asyncio.run(make_newer())
    stack = tmp_path / "stack.toml"
    stack.write_text(
        '[models.m]\nwire = "openai"\nid = "m"\nbase_url = "http://127.0.0.1:9/v1"\n'
        '[review]\nreviewers = ["U0RAE", "U0SAM"]\n'
    )
    environ = {"DATABASE_URL": url, "SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "STACK_FILE": str(stack)}
    assert main([role], environ) == 1
    assert "written by a newer Countersign" in capsys.readouterr().err


async def test_the_longest_values_the_door_lets_in_are_taken(oldest: Database) -> None:
    """SQLite never enforced a length; PostgreSQL does."""
    await migrate(oldest)
    kept = await keep(
        oldest,
        letter("k" * 200, line="l" * 200, body={"text": "\x00\ud800"}),
        run(request_key="k" * 200, served_id="s" * 200, error_code="e" * 60, stop_reason="x" * 30, route={"a": "\x00"}),
        answer(verdict="v" * 40, text="☂" * 100_000),
        message("s" * 120, body={"text": "\x00\ud800"}),
        verdict("k" * 200, emoji="e" * 100, evidence={"emoji": "\x00"}),
        entry(body={"said": "\x00"}),
    )
    assert all(kept)
