"""What is kept of second opinions and of works that go on from others; what was kept before means what it meant."""

from __future__ import annotations

from pathlib import Path

from storage.database import Database
from storage.homes import Homes
from storage.records import Carried, RunState, Work
from storage.schema import migrate
from tests.storage.records import NOON, answer, at, keep, review, run, work
from tests.storage.test_schema import alembic, url_of

ALONG = Carried(brief_by="U0SPIROU", people=("U0SPIROU", "U0FANTASIO"), answer_id="a-nest")
BEFORE = "0007"


async def get(database: Database, work_id: str) -> Work | None:
    async with database.reading() as saved:
        return await saved.works.get(work_id)


async def test_a_work_keeps_whence_it_came_and_who_had_a_hand_in_it(database: Database) -> None:
    fresh = work("w-fresh", fresh_from="w-palombia", carried=ALONG)
    brief = work("w-brief", fresh_from="w-palombia", carried=Carried(brief_by="U0SPIROU"), opened_at=at(1))
    await keep(database, work(), brief, fresh)
    assert await get(database, "w-fresh") == fresh
    assert await get(database, "w-palombia") == work()
    async with database.reading() as saved:
        assert await saved.works.begun_from("w-palombia") == [fresh, brief]
        assert await saved.works.begun_from("w-fresh") == []


async def test_a_second_opinion_supersedes_nothing_in_anybodys_home(database: Database) -> None:
    first = answer(stage="final")
    await keep(database, work(), run(), run("r-second", second_to="a-nest"), first, review())
    second = answer("a-second", "r-second", stage="final", number=2, second_to="a-nest")
    newer = answer("a-newer", None, stage="final", number=3)
    for added, superseded in ((second, False), (newer, True)):
        await keep(database, added)
        async with database.reading() as saved:
            [gate] = await Homes(saved.connection).gates(NOON, NOON)
            kept = await saved.answers.get(added.id)
        assert gate.superseded is superseded
        assert kept is not None
        assert kept.second_to == added.second_to
    async with database.reading() as saved:
        [plain, opinion] = await saved.runs.of_work("w-palombia")
    assert (plain.second_to, opinion.second_to) == (None, "a-nest")


async def test_what_was_kept_before_there_were_boundaries_comes_back_as_it_was(tmp_path: Path) -> None:
    async with Database(url_of(tmp_path)) as database:
        await migrate(database)
        await keep(database, work(), run(state=RunState.ANSWERED), answer())
        await alembic(database, "downgrade", BEFORE)
        await migrate(database)
        assert await get(database, "w-palombia") == work()
        async with database.reading() as saved:
            [kept] = await saved.answers.of_work("w-palombia")
            [made] = await saved.runs.of_work("w-palombia")
    assert (kept.text, kept.second_to, made.second_to) == ("Houba houba.", None, None)
