"""Who Slack says we are."""

from __future__ import annotations

import asyncio

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.calls import Trouble, read_failure
from bot.slack.refused import Token, told
from handlers.errors import Refusal
from handlers.ports import Sleep

log = structlog.get_logger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds
_PASSES = frozenset({Trouble.LATER, Trouble.LIMITED, Trouble.UNKNOWN})


async def who_we_are(client: AsyncWebClient, *, sleep: Sleep = asyncio.sleep) -> dict[str, str]:
    """Ask Slack whose token this is, again and again while what keeps it from answering may pass by itself.

    Raises:
        Refusal: Slack does not take the token; says what to mend.
    """
    pause = _FIRST_PAUSE
    while True:
        try:
            said = await client.auth_test()
            return {"team_id": said["team_id"], "user_id": said["user_id"], "url": str(said.get("url") or "")}
        except Exception as problem:  # noqa: BLE001  the SDK lets through whatever a broken reply makes it stumble over
            failed, retry_after = read_failure(problem)
            if failed.trouble not in _PASSES:
                raise Refusal(told(Token.BOT, failed.code, problem)) from None
        wait = retry_after if failed.trouble is Trouble.LIMITED else pause
        log.warning("slack does not say yet who we are; asking again", cause=failed.code, again_in=wait)
        await sleep(wait)
        pause = min(_LONGEST_PAUSE, pause * 2)
