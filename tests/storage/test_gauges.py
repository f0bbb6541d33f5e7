"""What is open is counted exactly, and what is done costs nothing however much of it is stored."""

from __future__ import annotations

import re

from sqlalchemy import text

from storage.database import Database
from storage.gauges import STATEMENTS, Gauges, read_gauges
from storage.records import Cooldown, Kind, RunState
from tests.storage.records import NOON, at, letter, message, run, work

STORED = 20_000

# As `INSERT … SELECT` on both databases; {numbers} counts from 1 to `most`.
MANY = (
    """INSERT INTO runs (id, work_id, request_key, stage, lane, state, asked_by, entrance, note, note_by, revises,
                         asked_at, epoch, attempts, estimated, is_seated)
       SELECT 'r' || n, 'w-palombia', 'command/' || n, 'draft', 'content', 'answered', 'U0ANN', 'command', '', '[]',
              FALSE, '2026-11-03 12:00:00', 1, 1, FALSE, FALSE FROM ({numbers}) AS numbers""",
    """INSERT INTO inbox (key, kind, line, body, received_at, due_at, tries, handled_at, outcome)
       SELECT 'event/' || n, 'request', 'line/' || n, '{{}}', '2026-11-03 12:00:00', '2026-11-03 12:00:00', 0,
              '2026-11-03 12:00:01', 'done' FROM ({numbers}) AS numbers""",
    """INSERT INTO outbox (slot, work_id, kind, team, channel, body, revision, shown, ts, planned_at)
       SELECT 'slot/' || n, 'w-palombia', 'notice', 'T0ZOO', 'C0JUNGLE', '{{}}', 2, 2, CAST(n AS VARCHAR),
              '2026-11-03 12:00:00' FROM ({numbers}) AS numbers""",
)
NUMBERS = {
    True: "WITH RECURSIVE made(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM made WHERE n < {most}) SELECT n FROM made",
    False: "SELECT n FROM generate_series(1, {most}) AS series(n)",
}


async def gauges(database: Database) -> Gauges:
    async with database.reading() as saved:
        return await read_gauges(saved.connection)


async def fill(database: Database, most: int) -> None:
    """So many runs, letters and messages that are done."""
    numbers = NUMBERS[database.is_sqlite].format(most=most)
    async with database.transaction() as saved:
        await saved.works.open(work())
        for statement in MANY:
            await saved.connection.execute(text(statement.format(numbers=numbers)))
        await saved.connection.execute(text("ANALYZE"))


async def explained(database: Database) -> list[str]:
    """How the database would go about each statement."""
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    plans = []
    async with database.reading() as saved:
        for statement in STATEMENTS:
            compiled = statement.compile(saved.connection.engine, compile_kwargs={"literal_binds": True})
            rows = await saved.connection.execute(text(f"{explain} {compiled}"))
            plans.append(" ".join(str(row[-1]) for row in rows))
    return plans


async def test_where_nothing_happened_nothing_is_open(database: Database) -> None:
    assert await gauges(database) == Gauges()


async def test_an_endpoint_that_rests_is_there_until_it_answers(database: Database) -> None:
    async with database.transaction() as saved:
        for name, until in (("snail", at(2)), ("sloth", at(1)), ("hare", None)):
            await saved.cooldowns.note(Cooldown(endpoint=name, failures=2, code="http_503", at=NOON, until=until))
    assert (await gauges(database)).rests == (at(1), at(2))
    async with database.transaction() as saved:
        await saved.cooldowns.forget("sloth")
    assert (await gauges(database)).rests == (at(2),)


async def test_runs_are_counted_by_stage_state_and_model_with_the_oldest_of_each(database: Database) -> None:
    async with database.transaction() as saved:
        await saved.works.open(work())
        for minute, (name, stage) in enumerate([("r1", "scout"), ("r2", "draft"), ("r3", "draft"), ("r4", "draft")]):
            await saved.runs.add(run(name, stage=stage, asked_at=at(minute)))
        begun = await saved.runs.begin("r3", at=at(9))
        assert begun
        await saved.runs.note_facts(begun, model="fast")
        await saved.runs.cancel("r1", by="U0ANN", at=at(10))
    found = await gauges(database)
    assert {(one.stage, one.state, one.model, one.count, one.asked_at) for one in found.runs} == {
        ("draft", RunState.QUEUED, None, 2, at(1)),
        ("draft", RunState.RUNNING, "fast", 1, at(2)),
    }
    assert (found.count(RunState.QUEUED), found.count(RunState.RUNNING)) == (2, 1)
    assert (found.queued_at, found.running_since) == (at(1), at(9))


async def test_a_letter_counts_until_it_is_handled_and_waits_from_when_it_is_due(database: Database) -> None:
    async with database.transaction() as saved:
        for name in ("command/one", "command/two"):
            await saved.inbox.put(letter(name))
    assert ((await gauges(database)).letters, (await gauges(database)).letter_due_at) == (2, NOON)
    async with database.transaction() as saved:
        await saved.inbox.later(letter("command/one"), due_at=at(5))
        await saved.inbox.handled("command/two", at=at(1), outcome="done")
    found = await gauges(database)
    assert (found.letters, found.letter_due_at) == (1, at(5))


async def test_a_message_is_owed_as_a_post_then_as_an_edit_then_not_at_all(database: Database) -> None:
    async with database.transaction() as saved:
        await saved.works.open(work())
        await saved.outbox.plan(message("card", kind=Kind.CARD, planned_at=at(1)))
        await saved.outbox.plan(message("late", planned_at=at(3)))
        await saved.outbox.plan(message("lost", planned_at=at(0)))
        await saved.outbox.give_up("lost", "is_archived")
    found = await gauges(database)
    assert (found.posts, found.edits, found.post_planned_at) == (2, 0, at(1))
    async with database.transaction() as saved:
        await saved.outbox.sent("card", shown=1, ts="1.2", digest=None, at=at(4))
        await saved.outbox.revise("card", {"lines": []})
    found = await gauges(database)
    assert (found.posts, found.edits, found.post_planned_at) == (1, 1, at(3))
    async with database.transaction() as saved:
        await saved.outbox.sent("card", shown=2, ts="1.2", digest=None, at=at(5))
        await saved.outbox.sent("late", shown=1, ts="1.3", digest=None, at=at(5))
    assert (await gauges(database)).posts + (await gauges(database)).edits == 0


# Of the two that hold the unhandled letters, SQLite takes the one it also knows the values of.
WAYS = ({"ix_runs_open"}, {"ix_inbox_open", "ix_inbox_handled_at"}, {"ix_outbox_owed"})


def used(plan: str) -> set[str]:
    """The indexes a plan goes by; the word "everything" for a table gone through from end to end."""
    by_index = set(re.findall(r"(?:USING INDEX|Scan using|Index Scan on) (\w+)", plan))
    return by_index or {"everything"}


async def test_what_is_done_is_not_looked_at_however_much_of_it_is_stored(database: Database) -> None:
    await fill(database, STORED)
    plans = await explained(database)
    for plan, ways in zip(plans, WAYS, strict=True):
        assert used(plan) <= ways, plan
    assert await gauges(database) == Gauges()


async def test_without_the_indexes_the_plans_would_go_through_everything(database: Database) -> None:
    async with database.transaction() as saved:
        for index in set.union(*WAYS):
            await saved.connection.execute(text(f"DROP INDEX {index}"))
    assert [used(plan) for plan in await explained(database)] == [{"everything"}] * 3
