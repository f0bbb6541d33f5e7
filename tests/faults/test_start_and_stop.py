"""What an operator sees of a process that starts while Slack is away or refuses it, and of one that ends."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from bot.playground.server import Fault
from tests.faults.process import PATIENCE, Host, host

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
ALWAYS = 1_000_000
RUN_TAKES = 600.0  # seconds: longer than any stop


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110  another process makes it so
            await asyncio.sleep(0.05)


def page(port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE)


async def answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).text == "ok"
    except httpx.TransportError:
        return False


@asynccontextmanager
async def starting(folder: Path, port: int, **more: str) -> AsyncIterator[Host]:
    """A machine on which a process is to begin while Slack is away."""
    more = {"PORT": str(port), "LOG_LEVEL": "info"} | more
    async with host(folder, more=more) as us:
        us.slack.faults.add("auth.test", Fault.HANG, times=ALWAYS)
        yield us
        us.slack.faults.clear()
        us.more.clear()  # the life after this one, which leaving begins, is like any other


async def missing(client: httpx.AsyncClient) -> dict[str, str]:
    reply = await client.get("/readyz")
    assert reply.status_code == (503 if reply.json()["missing"] else 200)
    return dict(reply.json()["missing"])


async def knocks(client: httpx.AsyncClient) -> httpx.Response:
    """Slack knocks, signed, with what nobody keeps."""
    body, stamp = b'{"type": "url_verification", "challenge": "houba"}', str(int(time.time()))
    made = hmac.new(SECRET.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={made}"}
    return await client.post("/slack/events", content=body, headers={"content-type": "application/json"} | headers)


async def test_while_slack_is_away_it_says_so_and_is_told_to_stop_all_the_same(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    async with starting(tmp_path, unused_tcp_port) as us, page(unused_tcp_port) as client:
        life = us.begin("run")
        await until(lambda: answers(client))
        assert (await missing(client))["slack"].startswith("Slack has not said yet who we are")
        assert 'countersign_trouble{part="slack"} 1.0' in (await client.get("/metrics")).text
        await us.slack.until(lambda: us.slack.calls_of("auth.test"), timeout=PATIENCE)
        assert await us.terminate() < 20
        assert "stopped: no run was under way" in life.last_words.splitlines()[-1]


async def test_before_slack_said_who_we_are_its_deliveries_are_put_off(tmp_path: Path, unused_tcp_port: int) -> None:
    async with starting(tmp_path, unused_tcp_port, SLACK_APP_TOKEN="", SLACK_SIGNING_SECRET=SECRET) as us:
        us.slack.faults.clear()
        us.slack.faults.add("auth.test", Fault.DOWN, times=ALWAYS)
        us.begin("run")
        async with page(unused_tcp_port) as client:
            await until(lambda: answers(client))
            assert (await knocks(client)).status_code == 503
            assert (await client.post("/slack/events", content=b"{}")).status_code == 401
            us.slack.faults.clear()

            async def is_ready() -> bool:
                return not await missing(client)

            await until(is_ready)
            assert (await knocks(client)).status_code == 200
        await us.terminate()


@pytest.mark.parametrize("code", ["invalid_auth", "missing_scope"])
async def test_an_app_token_that_slack_never_took_ends_the_start_in_one_sentence(tmp_path: Path, code: str) -> None:
    async with host(tmp_path) as us:
        us.slack.faults.add("apps.connections.open", Fault.ERROR(code), times=ALWAYS)
        life = us.begin("run")
        assert await life.ended(PATIENCE) == 1
        del us.lives["run"]
        (sentence,) = life.last_words.splitlines()
        assert sentence.startswith(f"Slack does not take SLACK_APP_TOKEN ({code}): set it to an App-Level Token with")
        us.slack.faults.clear()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_the_last_line_says_what_became_of_the_runs(tmp_path: Path, how: signal.Signals) -> None:
    async with host(tmp_path, more={"LOG_LEVEL": "info"}, pace=RUN_TAKES) as us:
        await us.start()
        life = us.lives["run"]
        await us.slack.as_person("ann").command("/draft", "Announce the marsupilami")
        await us.slack.until(lambda: us.models.requests, timeout=PATIENCE)
        life.send_signal(how)
        assert await us._ends("run", None) == 0
        assert "stopped: 1 run handed back to begin again" in life.last_words.splitlines()[-1]
        us.models.pace = 0.0
