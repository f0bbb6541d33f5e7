"""How many connections a process holds at most when all it may do at once is under way: what the docs count with."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.distributed import Distributed
from storage.database import Database
from storage.errands import Subject
from tests.postgres import Server

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"
HELD = {"worker": 25, "web": 17}


@pytest.mark.parametrize("role", HELD)
async def test_a_process_holds_no_more_connections_than_the_docs_say(role: str, postgres: Server) -> None:
    url = await asyncio.to_thread(postgres.fresh)
    storage = Database(url)
    courier = Distributed(
        url=storage.libpq_url,
        storage=storage,
        now=lambda: datetime.now(UTC),
        shares=lambda _: None,
        attends=role == "worker",
    )

    async def is_busy(*_: object) -> None:
        async with storage.reading() as saved:
            await saved.connection.exec_driver_sql("SELECT pg_sleep(1)")

    async def keeps_the_courier_busy() -> None:
        await courier._app.connector.execute_query_one_async("SELECT pg_sleep(1) AS slept")

    def held() -> int:
        with postgres.connect("postgres") as admin:
            found = admin.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'",
                (storage.url.database,),
            ).fetchone()
        assert found is not None
        return int(str(found[0]))

    most = 0
    async with storage, courier:
        tasks = [asyncio.create_task(is_busy()) for _ in range(48)]
        tasks += [asyncio.create_task(keeps_the_courier_busy()) for _ in range(12)]
        if role == "worker":
            tasks.append(asyncio.create_task(courier.serve(dict.fromkeys(Subject, is_busy))))
        async with asyncio.timeout(20):
            while most < HELD[role]:
                most = max(most, await asyncio.to_thread(held))
                await asyncio.sleep(0.05)
        for _ in range(10):
            most = max(most, await asyncio.to_thread(held))
            await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert most == HELD[role]
    assert f"| `{role}` | {HELD[role]} |" in DOCS.read_text()
