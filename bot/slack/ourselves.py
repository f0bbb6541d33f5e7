"""Who Slack says we are."""

from __future__ import annotations

import asyncio

import aiohttp
import structlog
from slack_sdk.web.async_client import AsyncWebClient

log = structlog.get_logger(__name__)


async def who_we_are(client: AsyncWebClient) -> dict[str, str]:
    """Ask Slack whose token this is, for as long as it takes to get an answer."""
    pause = 0.5
    while True:
        try:
            said = await client.auth_test()
            return {"team_id": said["team_id"], "user_id": said["user_id"]}
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            log.warning("slack does not answer yet", cause=type(problem).__name__, again_in=pause)
            await asyncio.sleep(pause)
            pause = min(30.0, pause * 2)
