"""Works, answers, reviews and verdicts: kept once, found by what people point at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.database import Database
from storage.records import Answer, Lane, VerdictKind, Work
from tests.storage.records import answer, at, keep, review, run, verdict, work


@pytest.fixture
async def house(database: Database) -> Database:
    await keep(database, work(thread_ts="10.1"), run(), answer(), review())
    return database


# works


async def test_a_thread_has_one_work(house: Database) -> None:
    twin = work("w-twin", thread_ts="10.1")
    assert await keep(house, twin) == [False]
    assert await keep(house, replace(twin, channel="C0OTHER"), replace(twin, id="w-3", team="T0OTHER")) == [True, True]
    async with house.reading() as saved:
        found = await saved.works.in_thread("T0ZOO", "C0JUNGLE", "10.1")
        assert found == work(thread_ts="10.1")
        assert await saved.works.in_thread("T0ZOO", "C0JUNGLE", "10.2") is None
        assert await saved.works.get("w-none") is None


async def test_works_without_a_thread_yet_may_be_many(house: Database) -> None:
    assert await keep(house, work("w-1"), work("w-2")) == [True, True]


async def test_a_root_gets_its_place_once(house: Database) -> None:
    await keep(house, work("w-new"))
    async with house.transaction() as saved:
        await saved.works.rooted("w-new", "20.1")
        await saved.works.rooted("w-new", "20.2")
    async with house.reading() as saved:
        assert (kept := await saved.works.get("w-new")) is not None
        assert kept.thread_ts == "20.1"
        assert isinstance(await saved.works.in_thread("T0ZOO", "C0JUNGLE", "20.1"), Work)


# answers


async def test_an_answer_comes_back_as_it_was_added(house: Database) -> None:
    added = answer(
        "a-2", None, stage="message", lane=Lane.CODE, text="ß\n\t🐒", notes="n", about_id="a-nest", author="U0SPIP"
    )
    await keep(house, added)
    async with house.reading() as saved:
        kept = await saved.answers.get("a-2")
        assert await saved.answers.get("a-none") is None
    assert kept is not None
    fields = [name for name in Answer.__slots__ if name != "seq"]
    assert {name: getattr(kept, name) for name in fields} == {name: getattr(added, name) for name in fields}


async def test_a_run_has_one_answer(house: Database) -> None:
    assert await keep(house, answer("a-second", "r-hop")) == [False]
    async with house.reading() as saved:
        assert [one.id for one in await saved.answers.of_work("w-palombia")] == ["a-nest"]


async def test_answers_are_numbered_by_stage_within_their_work(house: Database) -> None:
    await keep(house, run("r-2"), answer("a-2", "r-2"))
    async with house.reading() as saved:
        assert await saved.answers.next_number("w-palombia", "draft") == 3
        assert await saved.answers.next_number("w-palombia", "final") == 1
        assert await saved.answers.next_number("w-else", "draft") == 1


# reviews


async def test_a_review_is_opened_once_and_keeps_its_authors(house: Database) -> None:
    assert await keep(house, review(asked_by="U0ZORGLUB")) == [False]
    async with house.reading() as saved:
        assert await saved.reviews.get("a-nest") == review()
        assert await saved.reviews.get("a-none") is None
        assert await saved.reviews.of_work("w-palombia") == [review()]


async def test_a_delivery_gives_one_verdict(house: Database) -> None:
    again = verdict(person="U0OTHER", kind=VerdictKind.SEND_BACK)
    assert await keep(house, verdict(), again, verdict("reaction/Ev2", kind=VerdictKind.WITHDRAW)) == [
        True,
        False,
        True,
    ]
    async with house.reading() as saved:
        kept = await saved.reviews.verdicts("a-nest")
    assert [(one.person, one.kind) for one in kept] == [
        ("U0ZORGLUB", VerdictKind.APPROVE),
        ("U0ZORGLUB", VerdictKind.WITHDRAW),
    ]
    assert replace(kept[0], seq=0) == verdict()


async def test_a_reason_is_waited_for_in_one_thread_from_one_person(house: Database) -> None:
    async def waiting(
        person: str = "U0ZORGLUB", ts: str = "10.1", team: str = "T0ZOO", channel: str = "C0JUNGLE"
    ) -> bool:
        async with house.reading() as saved:
            return await saved.reviews.waiting_for_reason(team, channel, ts, person) is not None

    assert not await waiting()
    async with house.transaction() as saved:
        await saved.reviews.want_reason("a-nest", "U0ZORGLUB")
    assert await waiting()
    elsewhere = [waiting("U0SPIP"), waiting(ts="10.2"), waiting(team="T0X"), waiting(channel="C0X")]
    assert not any([await one for one in elsewhere])
    async with house.transaction() as saved:
        await saved.reviews.want_reason("a-nest", None)
    assert not await waiting()


async def test_of_two_reviews_that_wait_for_a_reason_the_newer_gets_it(house: Database) -> None:
    await keep(house, run("r-2"), answer("a-2", "r-2"), review("a-2", run_id="r-2", opened_at=at(5)))
    async with house.transaction() as saved:
        await saved.reviews.want_reason("a-nest", "U0ZORGLUB")
        await saved.reviews.want_reason("a-2", "U0ZORGLUB")
    async with house.reading() as saved:
        found = await saved.reviews.waiting_for_reason("T0ZOO", "C0JUNGLE", "10.1", "U0ZORGLUB")
    assert found is not None
    assert found.answer_id == "a-2"
