"""A playground, the real client, and a small real Bolt app on either transport."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.playground.server import Playground

QUICK = (0.0, 0.02, 0.05)  # retry delays nobody waits for


@pytest.fixture
async def slack() -> AsyncIterator[Playground]:
    async with Playground(retry_delays=QUICK) as playground:
        yield playground


@pytest.fixture
async def hasty() -> AsyncIterator[Playground]:
    """A playground that waits for acks only briefly, for tests in which none comes."""
    async with Playground(ack_seconds=0.3, retry_delays=QUICK) as playground:
        yield playground


@pytest.fixture
def client(slack: Playground) -> AsyncWebClient:
    return client_of(slack)


@pytest.fixture
def say(client: AsyncWebClient) -> Callable[..., Any]:
    """Posts as the app should: unfurling off, metadata on; anything may be given otherwise."""

    async def post(text: str = "Marsupilami", **fields: Any) -> Any:
        kind = fields.pop("kind", "root" if "thread_ts" not in fields else "notice")
        metadata = {"event_type": "countersign", "event_payload": {"kind": kind, "slot": fields.pop("slot", text[:40])}}
        given: dict[str, Any] = {
            "channel": "C0LAUNCH",
            "unfurl_links": False,
            "unfurl_media": False,
            "metadata": metadata,
        }
        return await client.chat_postMessage(text=text, **(given | fields))

    return post


def client_of(slack: Playground) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])


def bolt(slack: Playground, client: AsyncWebClient) -> AsyncApp:
    return AsyncApp(client=client, signing_secret=slack.signing_secret)


@asynccontextmanager
async def by_socket(app: AsyncApp, slack: Playground) -> AsyncIterator[AsyncSocketModeHandler]:
    handler = AsyncSocketModeHandler(app, slack.app_token, ping_interval=0.2)
    await handler.connect_async()  # type: ignore[no-untyped-call]
    await slack.until(lambda: slack.connections)
    try:
        yield handler
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]


@asynccontextmanager
async def by_http(app: AsyncApp, slack: Playground) -> AsyncIterator[None]:
    handler = AsyncSlackRequestHandler(app)

    async def endpoint(request: Request) -> Response:
        return await handler.handle(request)

    web = Starlette(routes=[Route("/slack/events", endpoint, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(web, port=0, log_level="warning", lifespan="off"))
    serving = asyncio.ensure_future(server.serve())
    await slack.until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    slack.deliver_to(f"http://127.0.0.1:{port}/slack/events")
    try:
        yield
    finally:
        server.should_exit = True
        await serving


TRANSPORTS: dict[str, Any] = {"socket": by_socket, "http": by_http}
