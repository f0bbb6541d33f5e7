"""Going along the whole ledger, quickly: a million entries in seconds, none of them kept."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from storage.ledger import BEGINNING

_AT_A_TIME = 5_000
_ALL = "SELECT answer_id, at, body, previous, run_id, seq, team, what, who, work_id, hash FROM ledger ORDER BY seq"
_SQLITE_MOMENT = len("2026-11-03 14:32:00.000000")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """An entry that is not as it was written, or not in its place."""

    seq: int
    team: str
    why: str


@dataclass(kw_only=True, slots=True)
class Walk:
    """What was found along the way.

    Attributes:
        entries: how many there are of each workspace.
        heads: the hash of each workspace's last entry.
        fault: the first bad entry; nothing behind it was looked at.
        missing: beginnings of hashes that were looked for and are no entry's.
    """

    entries: dict[str, int] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    fault: Fault | None = None
    missing: set[str] = field(default_factory=set)


async def walk(connection: AsyncConnection, *, wanted: Collection[str] = ()) -> Walk:
    """Go along all chains at once. `wanted`: beginnings of hashes, all of one length, that some entries must have."""
    told = Walk(missing=set(wanted))
    digits = len(next(iter(wanted), ""))
    heads, entries, missing = told.heads, told.entries, told.missing
    async for rows in _rows(connection):
        for row in rows:
            team, found = row[6], row[10]
            if row[3] != heads.get(team, BEGINNING):
                told.fault = Fault(seq=row[5], team=team, why="does not follow from the entry before it")
                return told
            if found != hash_of_row(row):
                told.fault = Fault(seq=row[5], team=team, why="is not what was written")
                return told
            heads[team] = found
            entries[team] = entries.get(team, 0) + 1
            if missing:
                missing.discard(found[:digits])
    return told


async def _rows(connection: AsyncConnection) -> AsyncIterator[Sequence[Sequence[Any]]]:
    """Some thousands at a time, by the driver itself: SQLAlchemy would take longer for a row than its hash takes."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    cursor = await driver.cursor() if connection.dialect.name == "sqlite" else driver.cursor(name="walk")
    async with cursor:
        await cursor.execute(_ALL)
        while rows := await cursor.fetchmany(_AT_A_TIME):
            yield rows


def hash_of_row(row: Sequence[Any]) -> str:
    """What `storage.ledger.hash_of` says of the same entry, from its columns in the order above."""
    answer_id, at, body, previous, run_id, seq, team, what, who, work_id = row[:10]
    said = (
        f'{{"answer_id":{_text(answer_id)},"at":"{_moment(at)}","body":{_text(body)},"previous":{_text(previous)},'
        f'"run_id":{_text(run_id)},"seq":{seq},"team":{_text(team)},"what":{_text(what)},"who":{_text(who)},'
        f'"work_id":{_text(work_id)}}}'
    )
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()


def _text(value: str | None) -> str:
    return "null" if value is None else encode_basestring(value)


def _moment(at: str | datetime) -> str:
    """As the hash has it. SQLite's own words are not read, for a change of their form is a change."""
    if isinstance(at, datetime):
        return at.astimezone(UTC).isoformat(timespec="microseconds")
    return f"{at[:10]}T{at[11:]}+00:00" if len(at) == _SQLITE_MOMENT and at[10] == " " else at
