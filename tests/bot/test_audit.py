"""`verify`: whatever was changed in the database is found, and named."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audit import verify
from bot.settings import read_settings
from handlers.errors import Refusal
from storage.chain import Fault, hash_of_row, walk
from storage.database import Database
from storage.ledger import hash_of
from storage.records import Chained, Entry, Verdict, VerdictKind
from storage.schema import migrate
from tests.fakes import open_database
from tests.handlers.house import LAUNCH, RAE, SAM, House, open_house
from tests.handlers.test_raising import raises, refused
from tests.postgres import Server
from tests.storage.records import NOON, entry, keep

_COLUMNS = ("answer_id", "at", "body", "previous", "run_id", "seq", "team", "what", "who", "work_id", "hash")
_WORDS = st.text(st.characters(exclude_characters="\x00"), max_size=30)


@pytest.fixture
async def history(tmp_path: Path) -> Path:
    """A final sent back, another approved, the approval taken away and given again."""
    async with open_house(tmp_path) as house:
        await _lives(house)
        path = Path(str(house.storage.url.database))
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=DELETE")  # the file is all there is
    return path


async def _lives(house: House) -> None:
    text = await house.final()
    await house.reacts(RAE, text, "x")
    newer = await house.another_final(text, note="shorter")
    await house.reacts(RAE, newer)
    await house.unreacts(RAE, newer)
    await house.reacts(SAM, newer)
    other = await house.final(brief="Announce the closed cage")
    await house.reacts(SAM, other)
    damaged = await house.final(brief="Announce the third cage")
    house.slack.tampers(LAUNCH, str((await house.message_of(damaged)).ts), edited=True)
    await house.reacts(RAE, damaged)
    await house.posts()
    await house.reacts(RAE, (await house.answers(damaged.work_id))[-1])


async def checks(path: Path, *heads: str) -> list[str]:
    """What is said; the last line only where all is well."""
    found = await verify(read_settings({"DATABASE_URL": f"sqlite:///{path}"}), heads)
    assert found.is_well == (found.lines[-1] == "Nothing is wrong.")
    return list(found.lines)


async def test_a_history_as_it_happened_is_whole(history: Path) -> None:
    first, last = await checks(history)
    assert first.startswith("T0PLAY: ")
    assert last == "Nothing is wrong."


async def test_the_head_an_approval_shows_is_looked_for(history: Path) -> None:
    with closing(sqlite3.connect(history)) as database, database:
        (head,) = database.execute("SELECT hash FROM ledger WHERE what = 'approve' ORDER BY seq DESC").fetchone()
    assert (await checks(history, head[:12].upper()))[-1] == "Nothing is wrong."
    with closing(sqlite3.connect(history)) as database, database:
        database.execute("DELETE FROM verdicts WHERE seq = (SELECT max(seq) FROM verdicts)")
        database.execute("DELETE FROM ledger WHERE seq = (SELECT max(seq) FROM ledger)")
    assert (await checks(history))[-1] == "Nothing is wrong."  # without a witness nobody can know
    assert (await checks(history, head[:12]))[
        1
    ] == f"No entry begins with {head[:12]}: entries that were there are gone."


@pytest.mark.parametrize("head", ["", "xyz", "abcdef12345", "abcdef1234567", "'; DROP TABLE ledger"])
async def test_what_is_no_head_is_refused(history: Path, head: str) -> None:
    with pytest.raises(Refusal, match="12 digits"):
        await checks(history, head)


async def test_a_database_that_is_not_there_or_not_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="There is no database at"):
        await checks(tmp_path / "nothing.db")
    (tmp_path / "empty.db").touch()
    with pytest.raises(Refusal, match="none of ours"):
        await checks(tmp_path / "empty.db")


TAMPERS = {
    "the text of an answer": "UPDATE answers SET text = text || '.' WHERE stage = 'final'",
    "a text and its digest": "UPDATE answers SET text = 'a', sha256 = "
    "'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afe48bb' WHERE stage = 'final'",
    "who gave a verdict": "UPDATE verdicts SET person = 'U0EVE' WHERE kind = 'approve'",
    "which answer a verdict is about": "UPDATE verdicts SET answer_id = (SELECT id FROM answers LIMIT 1) "
    "WHERE seq = (SELECT max(seq) FROM verdicts)",
    "what kind it is": "UPDATE verdicts SET kind = 'approve' WHERE kind = 'withdraw'",
    "the emoji": "UPDATE verdicts SET emoji = 'eyes' WHERE kind = 'approve'",
    "when it was given": "UPDATE verdicts SET at = '2020-01-01 00:00:00.000000' WHERE kind = 'approve'",
    "its evidence": "UPDATE verdicts SET evidence = json_set(evidence, '$.quorum', 0) WHERE kind = 'approve'",
    "the digest in its evidence": "UPDATE verdicts SET evidence = json_set(evidence, '$.sha256', 'ab') "
    "WHERE kind = 'approve'",
    "a verdict that is gone": "DELETE FROM verdicts WHERE kind = 'send_back'",
    "a verdict nobody gave": "INSERT INTO verdicts (answer_id, person, kind, via, request_key, evidence, at, "
    "ledger_seq) SELECT answer_id, 'U0EVE', 'approve', 'reaction', 'forged', evidence, at, 9999 FROM verdicts LIMIT 1",
    "an entry that is gone": "DELETE FROM ledger WHERE seq = 3",
    "two entries changed over": "UPDATE ledger SET seq = CASE seq WHEN 3 THEN 4000 ELSE 3 END WHERE seq IN (3, 4)",
    "an entry at the end": "INSERT INTO ledger (seq, team, at, who, what, body, previous, hash) "
    "SELECT 9999, team, at, 'U0EVE', 'approve', body, hash, 'forged' FROM ledger ORDER BY seq DESC LIMIT 1",
    "which model answered": "UPDATE runs SET model = 'other' WHERE stage = 'final'",
    "which model served": "UPDATE runs SET served_id = 'other' WHERE stage = 'final'",
    "the stack's digest": "UPDATE runs SET route = json_set(route, '$.stack', 'ab') WHERE stage = 'final'",
    "the reason of a route": "UPDATE runs SET route = json_set(route, '$.reason', 'ab') WHERE stage = 'final'",
    "a run that is gone": "DELETE FROM runs WHERE seq = 1",
    "what a model saw": "UPDATE contexts SET prompt = prompt || ' '",
    "a context that is gone": "DELETE FROM contexts",
    "the owner's notes": "UPDATE answers SET notes = 'All is well.' WHERE stage = 'final'",
    "where a part stands": "UPDATE outbox SET ts = '17.1' WHERE kind = 'answer' AND answer_id = (SELECT answer_id "
    "FROM verdicts WHERE kind = 'approve' LIMIT 1)",
    "what Slack has of a part": "UPDATE outbox SET digest = 'ab' WHERE kind = 'answer' AND answer_id = (SELECT "
    "answer_id FROM verdicts WHERE kind = 'approve' LIMIT 1)",
    "who may not approve": "UPDATE reviews SET authors = '[]'",
    "who asked for it": "UPDATE reviews SET asked_by = 'U0EVE'",
    "until when it waits": "UPDATE reviews SET expires_at = '2036-01-01 00:00:00.000000'",
    "a review that was never opened": "UPDATE reviews SET answer_id = answer_id || 'b'",
    "a review that is gone": "DELETE FROM reviews WHERE answer_id NOT IN (SELECT answer_id FROM verdicts)",
    "which stage an answer is of": "UPDATE answers SET stage = 'polish' WHERE stage = 'final'",
    "which lane an answer is of": "UPDATE answers SET lane = 'code' WHERE stage = 'final'",
    "a part that is gone": "DELETE FROM outbox WHERE kind = 'answer'",
    "a part more": "UPDATE outbox SET kind = 'answer' WHERE kind = 'review'",
    "a newer text that becomes a second opinion": "UPDATE answers SET second_to = (SELECT min(id) FROM answers) "
    "WHERE stage = 'final' AND number = 2",
    "which of two texts is the newer one": "UPDATE answers SET seq = seq + 1000 WHERE stage = 'final' AND number = 1",
    "the form of a time": "UPDATE ledger SET at = replace(at, ' ', 'T') WHERE seq = 2",
}


async def test_an_approval_that_somebody_wrote_by_hand_with_a_right_entry_was_never_said(tmp_path: Path) -> None:
    """The whole chain fits, and so does the verdict; but nobody can make Slack have shown it."""
    async with open_house(tmp_path) as house:
        text = await house.final()
        work, at = await house.work(text.work_id), house.now()
        evidence = {"message": "17.1", "event": "reaction/Ev1", "sha256": text.sha256, "quorum": 1}
        facts = {"emoji": "white_check_mark", "via": "reaction", "reacted_at": at.isoformat()}
        async with house.storage.transaction() as saved:
            told = Entry(
                team=work.team,
                at=at,
                who=SAM,
                what="approve",
                work_id=work.id,
                run_id=text.run_id,
                answer_id=text.id,
                body={**evidence, **facts},
            )
            written = await saved.ledger.append(told)
            forged = Verdict(
                answer_id=text.id,
                person=SAM,
                kind=VerdictKind.APPROVE,
                via="reaction",
                emoji="white_check_mark",
                request_key="reaction/Ev1",
                evidence=evidence,
                at=at,
                ledger_seq=written.seq,
            )
            await saved.reviews.give(forged)
        assert await house.state(text) == "approved"
        path = Path(str(house.storage.url.database))
    assert (await checks(path))[1] == f"Answer {text.id} is approved, and no message in its thread ever said so."


@pytest.mark.parametrize("statement", TAMPERS.values(), ids=TAMPERS)
async def test_a_tamper_is_found(history: Path, statement: str) -> None:
    with closing(sqlite3.connect(history)) as database, database:
        assert database.execute(statement).rowcount > 0
    assert (await checks(history))[-1].startswith("Something was changed")


RAISES = {
    "whose": "work_id = (SELECT id FROM works WHERE id NOT IN (SELECT work_id FROM raises))",
    "for which run": "run_id = (SELECT id FROM runs WHERE id NOT IN (SELECT run_id FROM raises) LIMIT 1)",
    "by how much": "amount = amount * 10",
    "by whom": "who = 'U0EVE'",
}


@pytest.mark.parametrize("what", RAISES.values(), ids=RAISES)
async def test_a_raise_that_was_changed_is_found(tmp_path: Path, what: str) -> None:
    async with open_house(tmp_path) as house:
        await house.final()
        await raises(house, await refused(house))
        path = Path(str(house.storage.url.database))
    assert (await checks(path))[-1] == "Nothing is wrong."
    with closing(sqlite3.connect(path)) as database, database:
        assert database.execute(f"UPDATE raises SET {what}").rowcount == 1
    (told,) = (await checks(path))[1:-1]
    assert told.startswith("What was raised in work ")


_GUARDED = {
    "ledger": ("team", "at", "who", "what", "body", "previous", "hash", "work_id", "run_id", "answer_id"),
    "answers": ("text", "sha256", "notes", "stage", "lane"),
    "reviews": ("authors", "asked_by", "opened_at", "expires_at"),
    "verdicts": ("person", "kind", "emoji", "via", "at", "evidence", "answer_id"),
    "runs": ("model", "served_id", "route"),
    "contexts": ("system", "prompt", "manifest"),
    "outbox": ("ts", "digest", "answer_id"),
}
"""What `verify` holds to the ledger. What decides nothing is left out: reminders, costs, when something was posted."""
_ONLY = {"outbox": "AND kind = 'answer' AND answer_id IN (SELECT answer_id FROM verdicts WHERE kind = 'approve')"}


async def test_any_byte_changed_at_random_is_found(history: Path) -> None:
    """A thousand tampers: a character of a guarded column of some row, for another one."""
    dice = random.Random(20_261_123)
    with closing(sqlite3.connect(history)) as database:
        original = database.serialize()
    for number in range(1_000):
        table = dice.choice(sorted(_GUARDED))
        column = dice.choice(_GUARDED[table])
        with closing(sqlite3.connect(":memory:")) as database:
            database.deserialize(original)
            where = f"{column} IS NOT NULL AND {column} <> '' {_ONLY.get(table, '')}"
            rows = database.execute(f"SELECT rowid, {column} FROM {table} WHERE {where}").fetchall()
            rowid, value = dice.choice(rows)
            database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (_other(value, dice), rowid))
            database.commit()
            changed = database.serialize()
        await asyncio.to_thread(history.write_bytes, changed)
        assert await is_found(history), (number, table, column, rowid)


def _other(value: str, dice: random.Random) -> str:
    """The value with another letter or digit somewhere; what stands between a time's numbers means nothing."""
    at = dice.choice([place for place, sign in enumerate(value) if sign.isalnum()])
    signs = [sign for sign in "0123456789abcdefghijklmnopqrstuvwxyz" if sign != value[at]]
    return value[:at] + dice.choice(signs) + value[at + 1 :]


async def is_found(path: Path) -> bool:
    """A column that cannot be read any more is as good as found."""
    try:
        return (await checks(path))[-1] != "Nothing is wrong."
    except ValueError:
        return True


@given(
    st.builds(
        Chained,
        seq=st.integers(1, 2**53),
        team=_WORDS,
        at=st.datetimes().map(lambda at: at.replace(tzinfo=NOON.tzinfo)),
        who=_WORDS,
        what=_WORDS,
        body=_WORDS,
        previous=_WORDS,
        hash=_WORDS,
        work_id=st.none() | _WORDS,
        run_id=st.none() | _WORDS,
        answer_id=st.none() | _WORDS,
    )
)
def test_the_quick_hash_is_the_hash(written: Chained) -> None:
    assert {field.name for field in fields(Chained)} == set(_COLUMNS)
    row = [getattr(written, name) for name in _COLUMNS]
    assert hash_of_row(row) == hash_of(written)
    row[1] = written.at.replace(tzinfo=None).isoformat(" ", "microseconds")  # as SQLite has it
    assert hash_of_row(row) == hash_of(written)


def test_half_a_character_has_a_hash_of_its_own() -> None:
    """No database of ours keeps one, but what somebody wrote into a file is to be judged and not to break us."""
    hashes = set()
    for words in ("\ud800", "\udfff", "?", ""):
        written = Chained(seq=1, team="T0ZOO", at=NOON, who=words, what="said", body="{}", previous="", hash="")
        assert hash_of_row([getattr(written, name) for name in _COLUMNS]) == hash_of(written)
        hashes.add(hash_of(written))
    assert len(hashes) == 4


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    if request.param == "sqlite":
        async with open_database(tmp_path, durable=False) as opened:
            yield opened
        return
    server: Server = request.getfixturevalue("postgres")
    async with Database(await asyncio.to_thread(server.fresh)) as opened:
        await migrate(opened)
        yield opened


async def test_a_walk_goes_along_the_chains_of_all_workspaces(database: Database) -> None:
    for number in range(40):
        await keep(database, entry("approve", f"T{number % 3}", body={"hop": "“é\u2028😀" * number}))
    async with database.reading() as saved:
        heads = {team: await saved.ledger.head(team) for team in ("T0", "T1", "T2")}
        walked = await walk(saved.connection, wanted=[heads["T1"][:12], "0" * 12])
    assert walked.fault is None
    assert walked.heads == heads
    assert walked.entries == {"T0": 14, "T1": 13, "T2": 13}
    assert walked.missing == {"0" * 12}
    async with database.transaction() as saved:
        await saved.connection.exec_driver_sql("UPDATE ledger SET who = 'U0EVE' WHERE seq IN (17, 30)")
    async with database.reading() as saved:
        walked = await walk(saved.connection)
    assert walked.fault is not None
    assert (walked.fault.seq, walked.fault.why) == (17, "is not what was written")


async def test_a_walk_tells_the_first_entry_that_is_not_in_its_place_and_stops_there(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.chain._AT_A_TIME", 7)
    for number in range(30):
        await keep(database, entry("approve", f"T{number % 2}"))
    async with database.transaction() as saved:
        await saved.connection.exec_driver_sql("DELETE FROM ledger WHERE seq = 16")
    async with database.reading() as saved:
        walked = await walk(saved.connection)
    assert walked.fault == Fault(seq=18, team="T1", why="does not follow from the entry before it")
    assert walked.entries == {"T0": 9, "T1": 7}
    async with database.transaction() as saved:
        await saved.connection.exec_driver_sql("UPDATE ledger SET team = 'T1' WHERE seq = 1")
    async with database.reading() as saved:
        walked = await walk(saved.connection)
    assert walked.fault == Fault(seq=1, team="T1", why="is not what was written")
    assert walked.heads == {}
