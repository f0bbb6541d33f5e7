"""A worker that is given a port can be watched like any other process, and takes nothing in there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from bot.app import Countersign, Role
from tests.postgres import Server
from tests.stories import workspace
from tests.stories.workspace import free_port, team


async def test_a_worker_with_a_port_can_be_watched_and_takes_nothing_in(
    tmp_path: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "POSTGRESQL", postgres)
    port = free_port()
    async with team(tmp_path) as us:
        worker = Countersign(
            slack=us.bot._access,
            database_url=us.bot._database_url,
            stack_path=tmp_path / "stack.toml",
            role=Role.WORK,
            port=port,
            environment={},
        )
        async with worker, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await worker.ready()
            text = await reached(client, "/metrics")
            assert 'countersign_process_info{database="postgresql",intake="none",role="worker"} 1.0' in text
            assert "countersign_database_up 1.0" in text
            assert (await client.get("/healthz")).text == "ok"
            assert (await client.get("/readyz")).json() == {"ready": True, "missing": {}, "warnings": {}}
            assert (await client.post("/slack/events", content=b"{}")).status_code == 404


async def reached(client: httpx.AsyncClient, path: str) -> str:
    """A page, once its port is open."""
    while True:
        try:
            return (await client.get(path)).text
        except httpx.ConnectError:
            await asyncio.sleep(0.01)
