"""Slack refuses a token of ours: what whoever runs the bot has to mend, in one sentence that names the variable."""

from __future__ import annotations

import re
from enum import StrEnum

from slack_sdk.errors import SlackApiError

_SCOPES = re.compile(r"[a-z.:_,-]{1,100}")
_LONGEST_CODE = 60
_WRONG = frozenset({"invalid_auth", "not_allowed_token_type", "not_authed"})
_OVER = frozenset({"account_inactive", "token_expired", "token_revoked"})


class Token(StrEnum):
    """A token by its variable."""

    BOT = "SLACK_BOT_TOKEN"
    APP = "SLACK_APP_TOKEN"


_WHERE = {
    Token.BOT: "the Bot User OAuth Token on the app's page OAuth & Permissions",
    Token.APP: "an App-Level Token with the scope connections:write, from the app's page Basic Information",
}


def told(token: Token, code: str, problem: Exception) -> str:
    """The sentence for a refusal; `code` is Slack's error, which `problem` may say more about."""
    return f"Slack does not take {token} ({code[:_LONGEST_CODE]}): {_advice(token, code, problem)}."


def _advice(token: Token, code: str, problem: Exception) -> str:
    match token:
        case Token.BOT if code == "missing_scope":
            scope = _needed(problem) or "that it lacks"
            return (
                f"add the scope {scope} to the app (`python -m bot manifest` prints all of them) and install it again"
            )
        case Token.BOT if code in _OVER:
            return f"install the app again, and set it to {_WHERE[token]}"
        case Token.BOT if code in _WRONG:
            return f"set it to {_WHERE[token]}, and install the app again if it was removed"
        case Token.APP if code in _OVER | _WRONG | {"missing_scope"}:
            return f"set it to {_WHERE[token]}"
        case _:
            return "ask whoever administers the workspace whether this app may be used there"


def _needed(problem: Exception) -> str:
    """The scope that Slack names, if it does and it looks like one."""
    data = problem.response.data if isinstance(problem, SlackApiError) else None
    needed = data.get("needed") if isinstance(data, dict) else None
    return needed if isinstance(needed, str) and _SCOPES.fullmatch(needed) else ""
