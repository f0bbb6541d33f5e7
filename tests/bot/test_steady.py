"""What the courier's workers bear, and what they do not even take for trouble."""

from __future__ import annotations

import asyncio
from typing import Any

from structlog.testing import capture_logs

from bot.distributed import Distributed
from storage.errands import Errand, Subject
from tests.bot.test_distributed import Attended, jobs, now, process, serving
from tests.postgres import Server
from tests.storage.records import keep, letter

PATIENCE = 60.0
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
FETCH = "SELECT lock FROM procrastinate_fetch_job_v2(ARRAY['line'], %s)"


def cuts_all(postgres: Server, courier: Distributed) -> int:
    """End the sessions of its pool, as a restart of the database does; how many that were."""
    pool: Any = courier._app.connector.pool  # type: ignore[attr-defined]
    pids = [connection.info.backend_pid for connection in pool._pool]
    with postgres.connect("postgres") as admin:
        admin.execute("SELECT pg_terminate_backend(pid, 60000) FROM unnest(%s::int[]) AS pid", [pids])
    return len(pids)


async def test_connections_that_died_in_the_pool_are_replaced_before_anybody_is_given_them(postgres: Server) -> None:
    url = await asyncio.to_thread(postgres.fresh)
    with capture_logs() as logs:
        async with process(url) as (storage, courier):
            pool = courier._app.connector.pool  # type: ignore[attr-defined]
            async with pool.connection(), pool.connection(), pool.connection():
                pass  # so that there are several
            assert await asyncio.to_thread(cuts_all, postgres, courier) >= 3
            for _ in range(3):
                assert await courier.reconcile() == 0
            attended = Attended()
            attended.hold.set()
            async with serving(courier, attended):
                await keep(storage, letter(line="l", received_at=now()))
                await attended.until(1)
    assert [entry["event"] for entry in logs if entry["log_level"] in {"warning", "error"}] == []


async def test_a_job_that_another_worker_takes_at_the_same_moment_is_no_trouble(postgres: Server) -> None:
    """Of two jobs of one lock each worker takes one, for the second goes before the first, which is not seen begun."""
    url = await asyncio.to_thread(postgres.fresh)
    async with process(url) as (storage, courier):
        manager = courier._manager
        one, other = await manager.register_worker(), await manager.register_worker()
        await keep(storage, letter(line="l", received_at=now()))
        with capture_logs() as logs:
            pool = courier._app.connector.pool  # type: ignore[attr-defined]
            async with pool.connection() as connection, connection.transaction():
                assert await (await connection.execute(FETCH, [one])).fetchone() == ("line:l",)
                await courier._put([Errand(Subject.LINE, "l")], doubt=True)
                fetching = asyncio.create_task(manager.fetch_job(["line"], other))
                await until_one_waits_for_another(connection)
            assert await asyncio.wait_for(fetching, PATIENCE) is None
        assert logs == []
        assert sorted(job["status"] for job in await jobs(storage)) == ["doing", "todo"]


async def until_one_waits_for_another(connection: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await connection.execute(WAITING)
            if await found.fetchone() == (1,):
                return
            await asyncio.sleep(0.02)
