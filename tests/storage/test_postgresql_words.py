"""Every statement the stores make is one that PostgreSQL understands too, as far as its compiler can tell."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from storage import answers, inbox, ledger, outbox, reviews, runs, works
from storage.records import RunState
from storage.tables import metadata
from tests.storage import records

DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


class _Row:
    rowcount = 1

    def first(self) -> None: ...
    def scalar(self) -> None: ...
    def scalar_one(self) -> int:
        return 0

    def scalars(self) -> list[str]:
        return []

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __aiter__(self) -> _Row:
        return self

    async def __anext__(self) -> None:
        raise StopAsyncIteration


class Listener:
    """A connection that compiles what it is given, for PostgreSQL, and answers with nothing."""

    def __init__(self) -> None:
        self.dialect = DIALECT
        self.heard: list[str] = []

    async def execute(self, statement: Any, _: Any = None) -> _Row:
        self.heard.append(str(statement.compile(dialect=DIALECT)))
        return _Row()

    stream = execute


ARGUMENTS: dict[str, Any] = {
    "letter": records.letter(),
    "work": records.work(),
    "run": records.run(),
    "answer": records.answer(),
    "message": records.message(),
    "review": records.review(),
    "verdict": records.verdict(),
    "entry": records.entry(),
    "context": None,
    "now": records.NOON,
    "at": records.NOON,
    "due_at": records.NOON,
    "state": RunState.ANSWERED,
    "body": {"tail": 8},
    "without": ("one", "two"),
}
BY_TYPE: dict[str, Any] = {"int": 3, "datetime": records.NOON, "str | None": None}
STORES = [inbox.Inbox, works.Works, runs.Runs, answers.Answers, outbox.Outbox, reviews.Reviews, ledger.Ledger]
METHODS = [(store, name) for store in STORES for name in vars(store) if not name.startswith("_")]


@pytest.mark.parametrize(("store", "name"), METHODS, ids=lambda value: getattr(value, "__name__", value))
async def test_each_query_compiles_for_postgresql(store: Any, name: str) -> None:
    listener = Listener()
    made = store(listener, set()) if "news" in inspect.signature(store).parameters else store(listener)
    method = getattr(made, name)
    given = dict(ARGUMENTS)
    if name == "keep_context":
        given["context"] = records_context()
    wanted = inspect.signature(method).parameters.values()
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for one in wanted:
        if one.kind is one.VAR_KEYWORD:
            named.update(model="owl", attempts=2)
        elif one.kind is one.KEYWORD_ONLY:
            named[one.name] = given.get(one.name, BY_TYPE.get(str(one.annotation), "a word"))
        else:
            positional.append(given.get(one.name, BY_TYPE.get(str(one.annotation), "a word")))
    called = method(*positional, **named)
    if hasattr(called, "__aiter__"):
        assert [one async for one in called] == []
    else:
        await called
    assert listener.heard
    assert not any("?" in statement for statement in listener.heard)


def records_context() -> Any:
    from storage.records import StoredContext

    return StoredContext(run_id="r", system="s", prompt="p", manifest={}, made_at=records.NOON)


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_each_table_and_its_indexes_compile_for_both(table: Table) -> None:
    for dialect in (DIALECT, sqlite_dialect.dialect()):
        assert str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            made = str(CreateIndex(index).compile(dialect=dialect))
            assert ("WHERE" in made) == (index.name in {"ix_inbox_open", "ix_runs_open", "ix_outbox_owed"})


def test_what_is_counted_over_the_years_is_wide_enough_on_postgresql() -> None:
    for table in metadata.sorted_tables:
        if "seq" in table.c:
            made = str(CreateTable(table).compile(dialect=DIALECT))
            assert "seq BIGSERIAL" in made or "seq BIGINT" in made
