"""Moving house: a SQLite history on PostgreSQL, whole or not at all, and a bot that goes on there."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from bot import distributed
from bot.cli import main
from bot.moved_house import must_still_live_here
from bot.moving import copy_from
from bot.playground.scripted import Recorded, Reply, ScriptedModels, demo_answers
from bot.playground.server import Playground
from bot.queue import Alone
from bot.settings import Settings, async_database_url
from handlers.errors import Refusal
from storage import moving
from storage.database import Database
from storage.moving import CannotMove, copy
from storage.records import Carried, RunState
from storage.schema import migrate
from storage.tables import metadata
from tests.postgres import Server
from tests.storage.records import answer, at, entry, handing, keep, letter, message, review, run, verdict, work
from tests.stories import workspace
from tests.stories.oracles import nothing_is_wrong
from tests.stories.workspace import REVIEWERS, STACK, at_work

ODD = {"β": [1.5, -0.0, 1e308, 12345678901234567890, None, True], "a": "\u0000\ud800 \U0001f413", "": {}}


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.moving._BATCH", 7)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "palombia.db"


@pytest.fixture
async def source(path: Path) -> AsyncIterator[Database]:
    async with Database(f"sqlite+aiosqlite:///{path}") as opened:
        await migrate(opened)
        await keep(
            opened,
            *(letter(f"command/{number}", body=ODD if number % 2 else {}) for number in range(30)),
            work(brief="Œuvre ☂ 'quoted' \\ \t\n end"),
            work("Z", thread_ts="1.1", fresh_from="w-palombia", carried=Carried(brief_by="U1", people=("U1", "U2"))),
            work("a", thread_ts="1.2"),
            run(started_at=at(1), note_by=("U1", "U2"), route=ODD, cost_usd=0.1 + 0.2, state=RunState.RUNNING),
            run("r-done", state=RunState.ANSWERED, input_tokens=2**40),
            answer(),
            message(body=ODD),
            message("b", ts="1.1", shown=1),
            review(),
            verdict(evidence=ODD),
            handing(payload='{"text":"\\u0000"}', begun_at=at(2), attempts=3, status=500),
            *(entry(team=team, body={"über": number}) for number in range(10) for team in ("T0ZOO", "T1")),
        )
        yield opened


@pytest.fixture
async def target(postgres: Server) -> AsyncIterator[Database]:
    url = await asyncio.to_thread(postgres.fresh)
    async with Database(url) as opened:
        yield opened


async def all_of(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, in an order that is the same everywhere."""
    async with database.reading() as saved:
        found = {table.name: await saved.connection.execute(select(table)) for table in metadata.sorted_tables}
        return {name: sorted(map(tuple, rows), key=repr) for name, rows in found.items()}


async def is_empty(database: Database) -> bool:
    return not any((await all_of(database)).values())


def settings_of(target: Database) -> Settings:
    return Settings().with_database(target.url.render_as_string(hide_password=False))


async def test_everything_arrives_exactly_as_it_was(source: Database, target: Database) -> None:
    before = await all_of(source)
    moved = await copy(source, target)
    assert await all_of(target) == before == await all_of(source)
    assert moved.counts == {name: len(rows) for name, rows in before.items()}
    assert moved.counts["inbox"] == 30
    async with source.reading() as saved:
        assert moved.heads == {team: await saved.ledger.head(team) for team in ("T0ZOO", "T1")}


async def test_what_is_remembered_next_is_numbered_on(source: Database, target: Database) -> None:
    await copy(source, target)
    kept = await keep(
        target,
        letter("new"),
        run("r-new"),
        answer("a-new", None),
        message("new"),
        verdict("new"),
        handing("new"),
        entry(),
    )
    assert all(kept)
    async with target.reading() as saved:
        assert [one.key for one in await saved.inbox.in_line("houba")][-1] == "new"
        assert [one.id for one in await saved.runs.of_work("w-palombia")][-1] == "r-new"


async def test_a_database_with_nothing_in_it_can_be_moved(target: Database, tmp_path: Path) -> None:
    async with Database(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}") as empty:
        await migrate(empty)
        moved = await copy(empty, target)
    assert set(moved.counts.values()) == {0}
    assert await keep(target, letter()) == [True]


async def test_a_database_in_use_is_not_joined(source: Database, target: Database) -> None:
    await keep(target, letter("theirs"))
    before = await all_of(target)
    with pytest.raises(CannotMove, match="table inbox is not empty"):
        await copy(source, target)
    assert await all_of(target) == before


async def test_a_second_copy_is_refused(source: Database, target: Database) -> None:
    await copy(source, target)
    with pytest.raises(CannotMove, match="in use"):
        await copy(source, target)
    assert await all_of(target) == await all_of(source)


async def test_what_a_bot_started_too_early_left_is_replaced(source: Database, target: Database) -> None:
    for database, minute in ((source, 1), (target, 2)):
        async with database.transaction() as saved:
            await saved.connection.execute(metadata.tables["marks"].insert().values(name="repair/C1", at=at(minute)))
    await copy(source, target)
    assert (await all_of(target))["marks"] == [("repair/C1", at(1))]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger SET body = '{\"tail\":9}' WHERE seq = 5",
        "UPDATE ledger SET who = 'U0SOMEBODY' WHERE seq = 5",
        "UPDATE ledger SET at = '2026-11-03 13:00:00.000000' WHERE seq = 5",
        "DELETE FROM ledger WHERE seq = 3",
    ],
    ids=["another body", "another person", "another time", "one is gone"],
)
async def test_a_ledger_that_was_changed_is_refused_with_the_first_bad_entry(
    source: Database, target: Database, change: str
) -> None:
    async with source.transaction() as saved:
        await saved.connection.execute(text(change.replace(":", r"\:")))
    with pytest.raises(CannotMove, match=r"Entry 5 of the ledger \(workspace T0ZOO"):
        await copy(source, target)
    assert await is_empty(target)


async def test_what_the_new_database_changes_on_its_way_in_is_noticed(source: Database, target: Database) -> None:
    """A trigger stands for whatever may do so: a rule, an extension, a driver."""
    async with target.transaction() as saved:
        for statement in (
            r"CREATE FUNCTION blot() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.text \:= ' '; RETURN NEW; END $$",
            "CREATE TRIGGER blot BEFORE INSERT ON answers FOR EACH ROW EXECUTE FUNCTION blot()",
        ):
            await saved.connection.execute(text(statement))
    with pytest.raises(CannotMove, match=r"table answers did not arrive as it was \(1 of 1 rows\)"):
        await copy(source, target)
    assert await is_empty(target)


@pytest.mark.parametrize(("value", "why"), [("x" * 201, "longer than 200"), ("a\x00b", "NUL")])
async def test_what_only_sqlite_takes_is_named_with_its_row(
    source: Database, target: Database, value: str, why: str
) -> None:
    async with source.transaction() as saved:
        await saved.connection.execute(text("UPDATE runs SET served_id = :value WHERE id = 'r-done'"), {"value": value})
    with pytest.raises(CannotMove, match=f"table runs holds a served_id .* seq is 2: .*{why}"):
        await copy(source, target)
    assert await is_empty(target)


@pytest.mark.parametrize(("revision", "why"), [("0001", "has schema 0001"), ("9999", "newer Countersign")])
async def test_another_schema_is_refused_and_left_alone(
    source: Database, target: Database, revision: str, why: str
) -> None:
    async with source.transaction() as saved:
        await saved.connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))
    before = await all_of(source)
    with pytest.raises(CannotMove, match=why):
        await copy(source, target)
    assert await all_of(source) == before
    assert await is_empty(target)


async def test_a_file_of_somebody_else_is_refused(target: Database, path: Path) -> None:
    sqlite3.connect(path).execute("CREATE TABLE cats (name)").connection.commit()
    async with Database(f"sqlite+aiosqlite:///{path}") as theirs:
        with pytest.raises(CannotMove, match="nothing of Countersign"):
            await copy(theirs, target)


async def test_a_file_that_is_damaged_is_refused(source: Database, target: Database, path: Path) -> None:
    await source.close()
    os.truncate(path, 40_960)
    async with Database(f"sqlite+aiosqlite:///{path}") as torn:
        with pytest.raises(Exception, match=r"malformed|disk image"):
            await copy(torn, target)
    assert await is_empty(target)


async def test_a_file_that_is_no_database_is_refused_by_its_role(target: Database, path: Path) -> None:
    await asyncio.to_thread(path.write_bytes, b"Dear diary, " * 1_000)
    with pytest.raises(Refusal, match=f"{path} is no SQLite database"):
        await copy_from(settings_of(target), f"sqlite:///{path}")
    await asyncio.to_thread(path.write_bytes, b"SQLite format 3\0" + b"Dear diary, " * 1_000)
    with pytest.raises(CannotMove, match=r"The database to copy from cannot be read \(file is not a database\)"):
        await copy_from(settings_of(target), f"sqlite:///{path}")
    assert await is_empty(target)


async def test_a_running_bot_keeps_its_file(source: Database, target: Database, path: Path) -> None:
    with Alone(str(path)), pytest.raises(Refusal, match="already working on"):
        await copy_from(settings_of(target), f"sqlite:///{path}")
    assert await is_empty(target)


async def test_a_file_that_is_not_there_is_not_made(target: Database, path: Path) -> None:
    with pytest.raises(Refusal, match="There is no database at"):
        await copy_from(settings_of(target), f"sqlite:///{path}")
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("address", ["postgresql://x/y", "cats.db", "sqlite://"])
async def test_only_a_sqlite_file_is_copied_from(target: Database, address: str) -> None:
    with pytest.raises(Refusal, match="--copy-from"):
        await copy_from(settings_of(target), address)


async def test_a_sqlite_file_is_not_copied_to(source: Database, path: Path) -> None:
    with pytest.raises(Refusal, match="Set DATABASE_URL to a PostgreSQL"):
        await copy_from(settings_of(source), f"sqlite:///{path}")


async def test_a_server_that_goes_away_in_the_middle_leaves_nothing(
    source: Database, target: Database, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = moving._copy_table

    async def goes_away(table: Any, old: Any, new: Any) -> int:
        if table.name == "outbox":
            with postgres.connect("postgres") as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (target.url.database,)
                )
        return await really(table, old, new)

    monkeypatch.setattr(moving, "_copy_table", goes_away)
    with pytest.raises(Exception, match=r"terminating connection|server closed"):
        await copy(source, target)
    monkeypatch.undo()
    assert await is_empty(target)
    await copy(source, target)
    assert await all_of(target) == await all_of(source)


async def test_killed_at_any_moment_it_leaves_all_or_nothing(source: Database, target: Database, path: Path) -> None:
    before = await all_of(source)
    await source.close()
    program = (
        "import asyncio, sys\n"
        "from storage import moving\n"
        "from storage.database import Database\n"
        "moving._BATCH = 3\n"
        "async def go():\n"
        "    print('begun', flush=True)\n"
        "    await moving.copy(Database(sys.argv[1]), Database(sys.argv[2]))\n"
        "asyncio.run(go())\n"
    )
    url = target.url.render_as_string(hide_password=False)
    ends, moments = set(), random.Random(8)
    for _ in range(5):
        copying = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, f"sqlite+aiosqlite:///{path}", url, stdout=asyncio.subprocess.PIPE
        )
        assert copying.stdout is not None
        await copying.stdout.readline()
        await asyncio.sleep(moments.uniform(0.0, 0.5))
        if copying.returncode is None:
            copying.kill()
        await copying.wait()
        while await _others(target):  # noqa: ASYNC110  the server gives no event
            await asyncio.sleep(0.02)
        found = await all_of(target)
        assert found == before or not any(found.values())
        ends.add(copying.returncode)
        if found == before:
            break
    assert -9 in ends
    if not any((await all_of(target)).values()):
        await copy(source, target)
    assert await all_of(target) == before


async def _others(database: Database) -> int:
    """How many sessions but ours the server still has."""
    async with database.reading() as saved:
        busy = "datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
        counted = await saved.connection.execute(text(f"SELECT count(*) FROM pg_stat_activity WHERE {busy}"))
        return int(counted.scalar_one())


async def test_letters_that_come_while_it_copies_wait_and_are_kept(
    source: Database, target: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, posted, elsewhere = moving._copy_table, list[asyncio.Task[Any]](), copy_context()

    async def put() -> bool:
        async with target.transaction(alone=False) as saved:
            return await saved.inbox.put(letter("meanwhile"))

    async def with_a_letter(table: Any, old: Any, new: Any) -> int:
        if not posted:
            posted.append(asyncio.create_task(put(), context=elsewhere))
        return await really(table, old, new)

    monkeypatch.setattr(moving, "_copy_table", with_a_letter)
    await copy(source, target)
    assert await posted[0] is True
    assert len((await all_of(target))["inbox"]) == 31


def test_the_command_says_what_it_brought(tmp_path: Path, postgres: Server, capsys: pytest.CaptureFixture[str]) -> None:
    path, name = tmp_path / "palombia.db", postgres.create()

    async def fill() -> None:
        async with Database(f"sqlite+aiosqlite:///{path}") as source:
            await migrate(source)
            await keep(source, work(), run(), entry())

    asyncio.run(fill())
    environ = {"DATABASE_URL": postgres.url(name)}
    assert main(["migrate", "--copy-from", f"sqlite:///{path}"], environ) == 0
    said = capsys.readouterr().out
    assert "works" in said
    assert "ledger of T0ZOO: unbroken, ends in " in said
    assert main(["migrate", "--copy-from", f"sqlite:///{path}"], environ) == 1
    assert "in use" in capsys.readouterr().err
    assert (
        main(["migrate", "--copy-from", f"sqlite:///{path}"], {"DATABASE_URL": "postgresql://x@/y?host=/nowhere"}) == 1
    )
    assert capsys.readouterr().err.startswith("The database cannot be used: ")


def test_nobody_begins_on_a_history_that_went_elsewhere_until_it_is_brought_back(
    tmp_path: Path, postgres: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    path, url = tmp_path / "palombia.db", postgres.url(postgres.create())

    async def fill() -> None:
        async with Database(f"sqlite+aiosqlite:///{path}") as source:
            await migrate(source)
            await keep(source, work(), run(), entry())

    async def begins(address: str) -> str:
        async with Database(async_database_url(address)) as storage:
            try:
                await must_still_live_here(storage)
            except Refusal as refusal:
                return refusal.sentence
        return ""

    asyncio.run(fill())
    assert asyncio.run(begins(f"sqlite:///{path}")) == ""
    assert main(["migrate", "--copy-from", f"sqlite:///{path}"], {"DATABASE_URL": url}) == 0
    assert "set DATABASE_URL to that one" in asyncio.run(begins(f"sqlite:///{path}"))
    assert asyncio.run(begins(url)) == ""
    again = postgres.url(postgres.create())
    assert main(["migrate", "--copy-from", f"sqlite:///{path}"], {"DATABASE_URL": again}) == 0
    assert asyncio.run(begins(again)) == ""
    capsys.readouterr()
    assert main(["migrate", "--move-back"], {"DATABASE_URL": f"sqlite:///{path}"}) == 0
    assert capsys.readouterr().out == "It goes on here from now on.\n"
    assert asyncio.run(begins(f"sqlite:///{path}")) == ""
    assert main(["migrate", "--move-back"], {"DATABASE_URL": f"sqlite:///{path}"}) == 0
    assert capsys.readouterr().out == "It never went elsewhere, so nothing was changed.\n"


async def test_killed_between_the_two_commits_neither_history_is_begun_on_twice(
    source: Database, target: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    async def dies(*_: Any, **__: Any) -> None:
        raise Killed

    monkeypatch.setattr("bot.moving.copy", dies)
    with pytest.raises(Killed):
        await copy_from(settings_of(target), f"sqlite:///{path}")
    with pytest.raises(Refusal, match="If the copy did not come to its end, begin it again"):
        await must_still_live_here(source)
    monkeypatch.undo()
    monkeypatch.setattr("bot.moving._doubt_what_was_owed", dies)
    with pytest.raises(Killed):
        await copy_from(settings_of(target), f"sqlite:///{path}")
    await must_still_live_here(target)
    with pytest.raises(Refusal, match="set DATABASE_URL to that one"):
        await must_still_live_here(source)


async def test_a_copy_that_was_refused_leaves_the_bot_where_it_lives(
    source: Database, target: Database, path: Path
) -> None:
    await keep(target, work())
    with pytest.raises(CannotMove, match="in use"):
        await copy_from(settings_of(target), f"sqlite:///{path}")
    await must_still_live_here(source)


async def jobs_in(url: str) -> set[str]:
    """What is in line, and whether with a doubt."""
    async with Database(url) as target, target.reading() as saved:
        rows = await saved.connection.exec_driver_sql(
            "SELECT DISTINCT queue_name || ' ' || (args->>'doubt') FROM procrastinate_jobs"
        )
        return set(rows.scalars())


async def test_a_team_goes_on_where_it_stopped(
    tmp_path: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the middle of a critique, with more in line behind it, a card half told and a review open."""
    go_on, usual = asyncio.Event(), demo_answers()

    async def answers(asked: Recorded) -> Reply | str:
        if "critique" in asked.system.partition("\n")[0]:
            await go_on.wait()
        said = usual(asked)
        return await said if isinstance(said, Awaitable) else said

    monkeypatch.setattr(distributed, "_OVERDUE", distributed._OVERDUE * 0)
    monkeypatch.setattr("bot.parts.STOP_SECONDS", 1.0)
    async with AsyncExitStack() as scene:
        models = await scene.enter_async_context(ScriptedModels(answers=answers))
        slack = await scene.enter_async_context(Playground())
        slack.pace(enabled=False)
        stack = STACK.format(wire="openai", url=models.openai_url, review=REVIEWERS, more="")
        (tmp_path / "stack.toml").write_text(stack)
        async with at_work(slack, models, tmp_path) as us:
            root = await us.starts("scout", "Move to the new house")
            await us.asks(root, "draft")
            await us.asks(root, "final")
            await us.person("ann").replies(root, "<@UBOT> critique")
            await slack.until(lambda: len(us.prompts("critique")) > 0)
            await us.person("ann").replies(root, "<@UBOT> polish")
            await slack.until(lambda: ("polish", "queued") in us.states(root))
            (open_runs,) = await us.rows("SELECT count(*) AS open FROM runs WHERE state IN ('queued', 'running')")
            assert open_runs["open"] == 2
        models.requests.pop()  # of the critique, which begins again with a fence of its own
        go_on.set()
        url = async_database_url(postgres.url(await asyncio.to_thread(postgres.create)))
        assert "runs" in await copy_from(Settings().with_database(url), f"sqlite:///{tmp_path / 'countersign.db'}")
        assert (
            {"work true"} <= await jobs_in(url) <= {"line true", "work true", "lane true"}
        )  # Slack is looked at first
        monkeypatch.setitem(workspace._DATABASES, tmp_path, url)
        monkeypatch.setattr(workspace, "POSTGRESQL", postgres)
        async with at_work(slack, models, tmp_path) as us:
            await us.quiet()
            walked = [(stage, "answered") for stage in ("scout", "draft", "final", "critique", "polish")]
            assert us.states(root) == walked
            await us.reacts("white_check_mark", us.last(root, "answer", stage="final"))
            assert us.last(root, "verdict").state == "approved"
            await nothing_is_wrong(slack, models, us.bot.storage)


def test_the_schema_goes_not_back_under_others(postgres: Server, capsys: pytest.CaptureFixture[str]) -> None:
    environ = {"DATABASE_URL": postgres.url(postgres.create())}
    assert main(["migrate"], environ) == 0

    async def goes_back() -> int:
        async with Database(async_database_url(environ["DATABASE_URL"])) as other, other.reading():
            return await asyncio.to_thread(main, ["migrate", "--to", "0001"], environ)

    assert asyncio.run(goes_back()) == 1
    said = capsys.readouterr().err
    assert said.startswith("1 other connection to this database: stop web, workers")
    assert main(["migrate"], environ) == 0
    assert capsys.readouterr().out.startswith("The schema is ")
    assert main(["migrate", "--to", "0001"], environ) == 0
    assert capsys.readouterr().out.startswith("The schema went back from ")
