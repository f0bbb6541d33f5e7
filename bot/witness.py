"""Slack as the outside witness: what its approval messages say of the ledger, and whether they are as they were posted.

Whoever can write to the database can make a whole history of their own in it. What stands in Slack is not theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.settings import SlackAccess
from bot.slack.calls import CallFailed, Calls, Trouble, build_client, build_session
from bot.slack.pace import Pace
from bot.slack.read_back import ReadBack
from bot.slack.seen import digest_of, words_of_blocks
from handlers.errors import Refusal
from storage.database import Saved
from storage.records import Kind, Message, Work

_HEAD = re.compile(r"Ledger ([0-9a-f]{12})\b")
_APPROVED = "approved"

Threads = Sequence[tuple[Work, Sequence[Message]]]
"""Each work that has a thread, with the approvals that were posted there."""


@dataclass(slots=True)
class Testimony:
    """What Slack shows.

    Attributes:
        heads: the ledger's digits in each approval, with where that stands.
        approvals: how many there are.
        problems: what does not stand there as it was posted, each in a sentence.
    """

    heads: dict[str, str] = field(default_factory=dict)
    approvals: int = 0
    problems: list[str] = field(default_factory=list)


async def threads_of(saved: Saved) -> Threads:
    """What is to be looked for in Slack; what is posted later is not missed there."""
    return [
        (work, [one for one in await saved.outbox.of_work(work.id) if one.ts and _was_approval(one)])
        for work in await saved.works.in_threads()
    ]


async def testimony(threads: Threads, access: SlackAccess) -> Testimony:
    """Read the threads in Slack, some fifty a minute. Raises Refusal when Slack cannot be asked."""
    heard = Testimony()
    async with build_session() as session:
        client = build_client(access.bot_token.get_secret_value(), access.api_url, session)
        reader = ReadBack(Calls(client, Pace()))
        for work, posted in threads:
            try:
                shown = await reader.thread(work.channel, str(work.thread_ts))
            except CallFailed as failed:
                raise _cannot_ask(failed) from None
            for seen in filter(_is_approval, shown.values()):
                heard.approvals += 1
                if found := _HEAD.search(words_of_blocks(seen.get("blocks"))):
                    heard.heads[found[1]] = _place(work, seen)
                else:
                    heard.problems.append(f"{_place(work, seen)} is an approval that names no entry of the ledger.")
            heard.problems += _changed(work, shown, posted)
    return heard


def _changed(work: Work, shown: Mapping[str, dict[str, Any]], posted: Sequence[Message]) -> Iterator[str]:
    for message in posted:
        there = shown.get(message.slot)
        if there is None:
            yield f"{_place(work, {'ts': message.ts})} was an approval and is gone from Slack."
        elif message.digest is not None and digest_of(there) != message.digest:
            yield f"{_place(work, there)} is an approval that does not stand in Slack as it was posted."


def _was_approval(message: Message) -> bool:
    return message.kind is Kind.VERDICT and message.body["facts"].get("state") == _APPROVED


def _is_approval(seen: dict[str, Any]) -> bool:
    payload = (seen.get("metadata") or {}).get("event_payload") or {}
    return payload.get("kind") == Kind.VERDICT and payload.get("state") == _APPROVED


def _place(work: Work, seen: dict[str, Any]) -> str:
    return f"Slack's message {seen.get('ts')} in {work.channel}, work {work.id},"


def _cannot_ask(failed: CallFailed) -> Refusal:
    if failed.trouble is Trouble.OPERATOR:
        return Refusal(f"Slack does not let the bot read ({failed.code}): see to SLACK_BOT_TOKEN and the app's scopes.")
    return Refusal(f"Slack cannot be asked now ({failed.code}); without `--with-slack` the database alone is checked.")
