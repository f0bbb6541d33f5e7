"""Years of work in a database, written by SQL: works, runs, letters, messages, answers and entries of the ledger."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Database
from storage.schema import migrate

_CHUNK = 50_000
_TEXT = "Houba houba, says the marsupilami, and lays another egg where nobody looks for it. " * 4
_NUMBERS = {
    "sqlite": (
        "WITH RECURSIVE n(i) AS (SELECT CAST(:first AS INTEGER) UNION ALL SELECT i + 1 FROM n WHERE i < :last)",
        "n",
    ),
    "postgresql": ("", "generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n(i)"),
}
_AT = "'2026-01-01 12:00:00.000000'"
_ROWS: Mapping[str, Mapping[str, str]] = {
    "inbox": {
        "key": "'old/' || i", "kind": "'request'", "line": "'old/' || i", "body": "'{}'", "received_at": _AT,
        "due_at": _AT, "tries": "0", "handled_at": ":over", "outcome": "'done'",
    },
    "works": {
        "id": "'w' || i", "team": "'T0ZOO'", "channel": "'C0OLD'", "thread_ts": "i || '.000001'", "brief": ":text",
        "opened_by": "'U0ANN'", "opened_at": _AT, "in_human_thread": "{false}",
    },
    "runs": {
        "id": "'r' || i", "work_id": "'w' || i", "request_key": "'old/' || i", "stage": "'draft'",
        "lane": "'content'", "state": "CASE WHEN :state = '' THEN CASE i % 2 WHEN 0 THEN 'queued' ELSE 'running' END"
        " ELSE :state END", "asked_by": "'U0ANN'", "entrance": "'command'", "note": "''", "note_by": "'[]'",
        "revises": "{false}", "asked_at": _AT, "epoch": "1", "is_seated": "{false}", "attempts": "1",
        "estimated": "{false}",
    },
}  # fmt: skip
_OVER: Mapping[str, Mapping[str, str]] = {
    "answers": {
        "id": "'a' || i", "work_id": "'w' || i", "run_id": "'r' || i", "stage": "'draft'", "lane": "'content'",
        "number": "1", "text": ":text", "sha256": "'old'", "notes": "''", "decision": "'none'", "made_at": _AT,
    },
    "outbox": {
        "slot": "'w' || i || '/{part}'", "work_id": "'w' || i", "run_id": "'r' || i", "kind": "'{part}'",
        "team": "'T0ZOO'", "channel": "'C0OLD'", "body": "'{{}}'", "revision": "1", "shown": "1",
        "ts": "i || '.{part}'", "planned_at": _AT, "sent_at": _AT,
    },
    "ledger": {
        "seq": "i * 2 + {at}", "team": "'T0ZOO'", "at": _AT, "who": "'U0ANN'", "what": "'asked'",
        "work_id": "'w' || i", "run_id": "'r' || i", "body": "'{{}}'", "previous": "'old'", "hash": "i || '/{at}'",
    },
}  # fmt: skip


async def fill(database: Database, count: int, *, state: str = "answered") -> None:
    """So many works with one run each, ended with all that belongs to it; open ones, in turns, if `state` is ""."""
    await migrate(database)
    for first in range(1, count + 1, _CHUNK):
        async with database.transaction() as saved:
            await _rows(saved.connection, first, min(first + _CHUNK - 1, count), state)
    async with database.engine.begin() as connection:
        await connection.execute(text("ANALYZE"))


async def _rows(connection: AsyncConnection, first: int, last: int, state: str) -> None:
    inserts = list(_ROWS.items())
    if state:
        inserts += [
            (table, {name: value.format(part=part, at=at) for name, value in columns.items()})
            for table, columns in _OVER.items()
            for at, part in enumerate(["root"] if table == "answers" else ["root", "card"])
        ]
    before, numbers = _NUMBERS[connection.dialect.name]
    given = {"first": first, "last": last, "text": _TEXT, "state": state}
    for table, columns in inserts:
        false = "0" if connection.dialect.name == "sqlite" else "false"
        chosen = ", ".join(value.replace("{false}", false) for value in columns.values())
        statement = f"{before} SELECT {chosen} FROM {numbers}".replace(":over", _AT)
        if connection.dialect.name == "postgresql":
            statement = statement.replace(":state", "CAST(:state AS text)").replace(":text", "CAST(:text AS text)")
            statement = statement.replace(_AT, f"CAST({_AT} AS timestamptz)").replace("'{}'", "CAST('{}' AS json)")
            statement = statement.replace("'[]'", "CAST('[]' AS json)")
        used = {name: value for name, value in given.items() if f":{name}" in statement}
        await connection.execute(text(f"INSERT INTO {table} ({', '.join(columns)}) {statement}"), used)
