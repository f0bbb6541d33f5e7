"""Who Slack says we are: asked until it answers, and a token that it does not take is named."""

from __future__ import annotations

import pytest

from bot.playground.server import Fault
from bot.slack.ourselves import who_we_are
from handlers.errors import Refusal
from tests.bot.slack.desk import TEAM, Desk


async def test_it_is_asked_until_it_answers(desk: Desk) -> None:
    desk.slack.faults.add("auth.test", Fault.RESET_BEFORE)
    assert (await who_we_are(desk.client))["team_id"] == TEAM


@pytest.mark.parametrize("code", ["invalid_auth", "account_inactive", "token_revoked", "not_allowed_token_type"])
async def test_a_token_that_is_not_taken_is_named(desk: Desk, code: str) -> None:
    desk.slack.faults.add("auth.test", Fault.ERROR(code))
    with pytest.raises(Refusal) as refused:
        await who_we_are(desk.client)
    assert refused.value.sentence.startswith(f"Slack does not take SLACK_BOT_TOKEN ({code}): set it to ")
