"""Whoever rewrites the ledger is found: by the chain alone, or by a head that somebody read in Slack before."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from storage import tables
from storage.chain import Walk, walk
from storage.database import Database
from storage.ledger import BEGINNING, hash_of
from storage.records import Chained
from tests.fakes import open_database
from tests.storage.records import entry, keep

COLUMNS = tuple(field.name for field in fields(Chained))
Chain = list[Chained]


def chained(told: Chain) -> Chain:
    """The same with right hashes, each behind the one before it: what somebody writes who knows how it is done."""
    heads: dict[str, str] = {}
    made = []
    for one in told:
        bare = replace(one, previous=heads.get(one.team, BEGINNING))
        made.append(replace(bare, hash=hash_of(bare)))
        heads[one.team] = made[-1].hash
    return made


def a_column_is_changed(told: Chain, dice: random.Random) -> Chain:
    place, name = dice.randrange(len(told)), dice.choice(COLUMNS)
    one = told[place]
    value = getattr(one, name)
    if name == "seq":
        other = max(entry.seq for entry in told) + 1 if one is not told[-1] else value + 1
    elif name == "at":
        other = value.replace(microsecond=(value.microsecond + dice.randrange(1, 999_999)) % 1_000_000)
    elif value is None:
        other = ""
    else:
        at = dice.randrange(len(value))
        other = value[:at] + ("a" if value[at] != "a" else "b") + value[at + 1 :]
    changed: dict[str, Any] = {name: other}
    return [*told[:place], replace(one, **changed), *told[place + 1 :]]


def some_are_deleted(told: Chain, dice: random.Random) -> Chain:
    first = dice.randrange(len(told) - 2)
    gone = told[first : first + dice.randrange(1, 6)]
    return [one for one in told if one not in gone]


def two_change_places(told: Chain, dice: random.Random) -> Chain:
    one, other = dice.sample([one for one in told if one.team == "T0"], 2)
    places = {one.seq: other.seq, other.seq: one.seq}
    return [replace(it, seq=places.get(it.seq, it.seq)) for it in told]


def one_is_put_between(told: Chain, dice: random.Random) -> Chain:
    """A fork: it follows from an earlier entry, with a right hash."""
    earlier = dice.choice(told[:-6])
    forged = replace(earlier, seq=told[-1].seq + 1, who="U0EVE", previous=earlier.hash)
    return [*told, replace(forged, hash=hash_of(forged))]


def one_is_copied_from_another_workspace(told: Chain, dice: random.Random) -> Chain:
    one = dice.choice([one for one in told if one.team == "T1"])
    there = replace(one, team="T0") if dice.random() < 0.5 else one
    return [*told, replace(there, seq=told[-1].seq + 1, hash=dice.choice(["f" * 64, one.hash[::-1]]))]


def the_tail_is_cut_off(told: Chain, dice: random.Random) -> Chain:
    return told[: dice.randrange(len(told))]


def all_is_written_anew_from_somewhere(told: Chain, dice: random.Random) -> Chain:
    place = dice.randrange(len(told))
    return chained([*told[:place], replace(told[place], who="U0EVE"), *told[place + 1 :]])


def one_is_left_out_and_the_rest_chained_anew(told: Chain, dice: random.Random) -> Chain:
    place = dice.randrange(len(told))
    return chained([*told[:place], *told[place + 1 :]])


def a_workspace_is_gone(told: Chain, dice: random.Random) -> Chain:
    gone = dice.choice(["T0", "T1"])
    return [one for one in told if one.team != gone]


TAMPERS: dict[Callable[[Chain, random.Random], Chain], bool] = {
    a_column_is_changed: True,
    some_are_deleted: False,  # where they were the last of a workspace, the chain fits
    two_change_places: True,
    one_is_put_between: True,
    one_is_copied_from_another_workspace: True,
    the_tail_is_cut_off: False,
    all_is_written_anew_from_somewhere: False,
    one_is_left_out_and_the_rest_chained_anew: False,
    a_workspace_is_gone: False,
}
"""Whether the chain alone tells, without a head that somebody knows."""


class Enough(Exception):  # noqa: N818  reads as a fact
    """What was written is taken back."""

    def __init__(self, walk: Walk) -> None:
        super().__init__()
        self.walk = walk


async def walked(told: Chain, heads: list[str], database: Database) -> Walk:
    """What a walk says of these entries, which are taken back at once."""
    rows = [{name: getattr(one, name) for name in COLUMNS} for one in told]
    try:
        async with database.transaction() as saved:
            await saved.connection.execute(tables.ledger.delete())
            if rows:
                await saved.connection.execute(tables.ledger.insert(), rows)
            raise Enough(await walk(saved.connection, wanted=[head[:12] for head in heads]))  # noqa: TRY301  it ends the transaction
    except Enough as enough:
        return enough.walk


async def test_a_thousand_tampers_of_a_thousand_are_found(tmp_path: Path) -> None:
    dice = random.Random(20_261_128)
    async with open_database(tmp_path, durable=False) as database:
        for number in range(24):
            body = {"sha256": f"{number:064x}"}
            await keep(database, entry("approve", f"T{number % 2}", body=body, work_id="w1" if number % 3 else None))
        async with database.reading() as saved:
            told = sorted(
                [one for team in ("T0", "T1") async for one in saved.ledger.chain(team)], key=lambda one: one.seq
            )
        heads = [next(one.hash for one in reversed(told) if one.team == team) for team in ("T0", "T1")]
        whole = await walked(told, heads, database)
        assert (whole.fault, whole.missing) == (None, set())
        found: Counter[str] = Counter()
        for number in range(1_000):
            tamper = list(TAMPERS)[number % len(TAMPERS)]
            changed = tamper(told, dice)
            assert changed != told, tamper.__name__
            seen = await walked(changed, heads, database)
            assert seen.fault is not None or seen.missing, (number, tamper.__name__, json.dumps(changed, default=str))
            assert seen.fault is not None or not TAMPERS[tamper], (number, tamper.__name__)
            found[tamper.__name__] += 1
        assert found.total() == 1_000
