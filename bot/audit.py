"""`verify`: whether the ledger is whole, and texts and verdicts are what it says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.settings import Settings
from handlers.audit import disagreements
from handlers.errors import Refusal
from storage.chain import Walk, walk
from storage.database import Database
from storage.schema import newest, revision_of

_DIGITS = 12
_MOST_TOLD = 100
_HEAD = re.compile(rf"[0-9a-f]{{{_DIGITS}}}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """What there is to say, line by line, and whether all is well."""

    lines: Sequence[str]
    is_well: bool


async def verify(settings: Settings, heads: Sequence[str]) -> Verified:
    """Look at everything. `heads` is what approvals in Slack show behind "Ledger".

    Whoever cut off the newest entries can make the rest of the chain fit, but not what Slack shows.
    """
    wanted = {_read(head) for head in heads}
    async with Database(settings.database_url.get_secret_value()) as storage:
        path = Path(storage.url.database or "")
        if storage.is_sqlite and not await asyncio.to_thread(path.is_file):
            raise Refusal(f"There is no database at {path}; --database or DATABASE_URL says where it is.")
        async with storage.reading() as saved:
            if (revision := await revision_of(saved.connection)) != newest():
                told = f"The database's schema is {revision or 'none of ours'}, not {newest()}"
                raise Refusal(f"{told}: start the Countersign that wrote it, or `migrate` first.")
            walked = await walk(saved.connection, wanted=wanted)
            problems = _of_the_chain(walked)
            if walked.fault is None:
                async for sentence in disagreements(saved):
                    problems.append(sentence)
                    if len(problems) > _MOST_TOLD:
                        break
    chains = [
        f"{team}: {entries:,} entries, head {walked.heads[team][:_DIGITS]}"
        for team, entries in sorted(walked.entries.items())
    ]
    more = ["And more."] if len(problems) > _MOST_TOLD else []
    end = "Something was changed: keep a copy of the database as it is." if problems else "Nothing is wrong."
    return Verified(lines=[*chains, *problems[:_MOST_TOLD], *more, end], is_well=not problems)


def _of_the_chain(walked: Walk) -> list[str]:
    if walked.fault is not None:
        fault = walked.fault
        return [f"Entry {fault.seq} of {fault.team} {fault.why}. What comes after it was not looked at."]
    return [f"No entry begins with {head}: entries that were there are gone." for head in sorted(walked.missing)]


def _read(head: str) -> str:
    if not _HEAD.fullmatch(digits := head.strip().lower()):
        raise Refusal(f"--head takes the {_DIGITS} digits that stand behind “Ledger” in an approval's message.")
    return digits
