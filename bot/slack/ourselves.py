"""Who Slack says we are."""

from __future__ import annotations

import asyncio

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from handlers.errors import Refusal

log = structlog.get_logger(__name__)


_NO_USE = frozenset(
    {
        "account_inactive",
        "invalid_auth",
        "missing_scope",
        "not_allowed_token_type",
        "not_authed",
        "token_expired",
        "token_revoked",
    }
)


async def who_we_are(client: AsyncWebClient) -> dict[str, str]:
    """Ask Slack whose token this is, for as long as it takes to get an answer.

    Raises:
        Refusal: Slack does not take the token.
        SlackApiError: it refuses for another reason.
    """
    pause = 0.5
    while True:
        try:
            said = await client.auth_test()
            return {"team_id": said["team_id"], "user_id": said["user_id"], "url": str(said.get("url") or "")}
        except SlackApiError as problem:
            if (code := problem.response.get("error")) not in _NO_USE:
                raise
            raise Refusal(
                f"Slack does not take SLACK_BOT_TOKEN ({code}): set it to the Bot User OAuth Token on the app's page "
                "OAuth & Permissions, and install the app again if it was removed."
            ) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            log.warning("slack does not answer yet", cause=type(problem).__name__, again_in=pause)
            await asyncio.sleep(pause)
            pause = min(30.0, pause * 2)
