from __future__ import annotations

from datetime import UTC, datetime, timedelta

from storage.database import Database
from storage.records import Cooldown

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
SNAIL, SLOTH = "https://snail.example/v1#snail-1", "https://sloth.example/v1#sloth-1"


async def test_who_rests_is_known_until_the_time_has_passed_or_it_answers(database: Database) -> None:
    first = Cooldown(endpoint=SNAIL, failures=1, code="http_503", at=NOON)
    second = Cooldown(endpoint=SNAIL, failures=2, code="timeout", at=NOON, until=NOON + timedelta(seconds=15))
    async with database.transaction() as saved:
        await saved.cooldowns.note(Cooldown(endpoint=SLOTH, failures=1, code="cut", at=NOON))
        await saved.cooldowns.note(first)
        assert await saved.cooldowns.current(NOON) == {}
        await saved.cooldowns.note(second)
    async with database.reading() as saved:
        assert (await saved.cooldowns.all())[SNAIL] == second
        assert await saved.cooldowns.current(NOON) == {SNAIL: second}
        assert await saved.cooldowns.current(NOON + timedelta(seconds=15)) == {}
    async with database.transaction() as saved:
        await saved.cooldowns.forget(SNAIL)
        assert list(await saved.cooldowns.all()) == [SLOTH]
