"""Who Slack says we are: asked until it answers, and a token that it does not take is named."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.playground.server import Fault
from bot.slack.ourselves import who_we_are
from handlers.errors import Refusal
from tests.bot.slack.desk import LOSSES, TEAM, Desk

PASSES = {name: fault for name, fault in LOSSES.items() if "HANG" not in fault.happening.name} | {
    "service_unavailable": Fault.ERROR("service_unavailable"),
    "ratelimited": Fault.RATE_LIMITED(7),
}
del PASSES["an error nobody knows"]


@pytest.mark.parametrize("what", PASSES)
async def test_what_passes_by_itself_is_waited_out_and_told(desk: Desk, what: str) -> None:
    desk.slack.faults.add("auth.test", PASSES[what], times=2)
    with capture_logs() as logs:
        assert (await who_we_are(desk.client, sleep=desk.time.sleep))["team_id"] == TEAM
    assert desk.time.asked == ([7, 7] if what == "ratelimited" else [0.5, 1.0])
    assert [(line["log_level"], line["again_in"]) for line in logs] == [("warning", wait) for wait in desk.time.asked]


async def test_it_asks_less_and_less_often(desk: Desk) -> None:
    desk.slack.faults.add("auth.test", Fault.DOWN, times=9)
    await who_we_are(desk.client, sleep=desk.time.sleep)
    assert desk.time.asked == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


async def refusal(desk: Desk, **said: Any) -> str:
    """What somebody who runs the bot reads when Slack answers so."""
    desk.slack.faults.add("auth.test", Fault.TWISTED(lambda _: {"ok": False, **said}))
    with pytest.raises(Refusal) as refused:
        await who_we_are(desk.client, sleep=desk.time.sleep)
    assert desk.time.asked == []
    return refused.value.sentence


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("invalid_auth", "set it to the Bot User OAuth Token"),
        ("not_allowed_token_type", "set it to the Bot User OAuth Token"),
        ("account_inactive", "install the app again, and set it to the Bot User OAuth Token"),
        ("token_revoked", "install the app again, and set it to the Bot User OAuth Token"),
        ("enterprise_is_restricted", "ask whoever administers the workspace"),
        ("moon_in_the_wrong_phase", "ask whoever administers the workspace"),
    ],
)
async def test_a_token_that_is_not_taken_is_named(desk: Desk, code: str, advice: str) -> None:
    told = await refusal(desk, error=code)
    assert told.startswith(f"Slack does not take SLACK_BOT_TOKEN ({code}): {advice}")


async def test_the_scope_that_slack_misses_is_named(desk: Desk) -> None:
    assert await refusal(desk, error="missing_scope", needed="users:read", provided="chat:write") == (
        "Slack does not take SLACK_BOT_TOKEN (missing_scope): add the scope users:read to the app "
        "(`python -m bot manifest` prints all of them) and install it again."
    )


@pytest.mark.parametrize("needed", [None, 3, "", "<script>", "x" * 200])
async def test_a_scope_that_cannot_be_one_is_not_repeated(desk: Desk, needed: Any) -> None:
    told = await refusal(desk, error="missing_scope", needed=needed)
    assert "add the scope that it lacks to the app" in told
