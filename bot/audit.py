"""For whoever asks later: `verify`, whether all is as it was written, and `export`, how one work came about."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.settings import Settings
from bot.slack.plain import Pointer, take_permalink
from bot.stack_file import StackErrors, read_stack
from bot.witness import Testimony, testimony, threads_of
from handlers.audit import disagreements
from handlers.errors import Refusal
from handlers.export import as_markdown, export_work
from handlers.figures import count
from storage.chain import Walk, walk
from storage.database import Database, Saved
from storage.records import Work
from storage.schema import newest, revision_of

_DIGITS = 12
_MOST_TOLD = 100
_HEAD = re.compile(rf"[0-9a-f]{{{_DIGITS}}}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """What there is to say, line by line, and whether all is well."""

    lines: Sequence[str]
    is_well: bool


async def verify(settings: Settings, heads: Sequence[str], *, with_slack: bool = False) -> Verified:
    """Look at everything. `heads` is what approvals in Slack show behind "Ledger"; `with_slack` reads them there.

    Whoever cut off the newest entries can make the rest of the chain fit, but not what Slack shows.
    """
    given = {_read(head) for head in heads}
    heard = await _heard(settings) if with_slack else Testimony()
    wanted = given | heard.heads.keys()
    async with _remembered(settings) as saved:
        walked = await walk(saved.connection, wanted=wanted)
        problems = [*_of_the_chain(walked, given), *heard.problems, *_of_slack(walked, heard)]
        if walked.fault is None:
            async for sentence in disagreements(saved):
                problems.append(sentence)
                if len(problems) > _MOST_TOLD:
                    break
    chains = [
        f"{team}: {entries:,} entries, head {walked.heads[team][:_DIGITS]}"
        for team, entries in sorted(walked.entries.items())
    ]
    chains += [f"Slack: {count(heard.approvals, 'approval')} compared."] if with_slack else []
    more = ["And more."] if len(problems) > _MOST_TOLD else []
    end = "Something was changed: keep a copy of the database as it is." if problems else "Nothing is wrong."
    return Verified(lines=[*chains, *problems[:_MOST_TOLD], *more, end], is_well=not problems)


async def export(settings: Settings, named: str, *, stack_path: Path, as_json: bool) -> str:
    """One work as JSON or Markdown. `named`: its id, or a link to a message of its thread."""
    try:
        stack = (await asyncio.to_thread(read_stack, stack_path)).stack
    except (StackErrors, OSError):
        stack = None  # what was said stands in the database; only the states need the stack's quorum
    pointer, _ = take_permalink(named)
    async with _remembered(settings) as saved:
        work = await (_linked(pointer, saved) if pointer else saved.works.get(named.strip()))
        if work is None:
            raise Refusal(
                f"Nothing is known of the work {named.strip()[:100]!r}; give its id, or a link to its thread."
            )
        exported = await export_work(work, saved, stack=stack, now=datetime.now(UTC))
    return json.dumps(exported, indent=2, ensure_ascii=False) + "\n" if as_json else as_markdown(exported)


async def _linked(pointer: Pointer, saved: Saved) -> Work | None:
    """The work whose thread a link leads into: to its head, or to any of our messages in it."""
    if work := await saved.works.at(pointer.channel, pointer.thread_ts or pointer.ts):
        return work
    message = await saved.outbox.posted_as(pointer.channel, pointer.ts)
    return await saved.works.get(message.work_id) if message else None


@asynccontextmanager
async def _remembered(settings: Settings) -> AsyncIterator[Saved]:
    """One consistent look at a database that is there, in the schema we know."""
    async with Database(settings.database_url.get_secret_value()) as storage:
        path = Path(storage.url.database or "")
        if storage.is_sqlite and not await asyncio.to_thread(path.is_file):
            raise Refusal(f"There is no database at {path}; --database or DATABASE_URL says where it is.")
        async with storage.reading() as saved:
            if (revision := await revision_of(saved.connection)) != newest():
                told = f"The database's schema is {revision or 'none of ours'}, not {newest()}"
                raise Refusal(f"{told}: start the Countersign that wrote it, or `migrate` first.")
            yield saved


async def _heard(settings: Settings) -> Testimony:
    access = settings.slack(intake=False)
    async with _remembered(settings) as saved:
        threads = await threads_of(saved)
    return await testimony(threads, access)


def _of_slack(walked: Walk, heard: Testimony) -> list[str]:
    """What Slack shows of the ledger and is not in it; nothing is known of that behind a fault."""
    lost = sorted(walked.missing & heard.heads.keys()) if walked.fault is None else []
    return [f"{heard.heads[head]} names the ledger's {head}, and no entry begins so: one was there." for head in lost]


def _of_the_chain(walked: Walk, given: AbstractSet[str]) -> list[str]:
    if walked.fault is not None:
        fault = walked.fault
        return [f"Entry {fault.seq} of {fault.team} {fault.why}. What comes after it was not looked at."]
    return [
        f"No entry begins with {head}: entries that were there are gone." for head in sorted(walked.missing & given)
    ]


def _read(head: str) -> str:
    if not _HEAD.fullmatch(digits := head.strip().lower()):
        raise Refusal(f"--head takes the {_DIGITS} digits that stand behind “Ledger” in an approval's message.")
    return digits
