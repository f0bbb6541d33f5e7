"""Somebody hands the words of a patch over to the content lane: what they say of it, and not a line of code."""

from __future__ import annotations

import asyncio
import re

from handlers import messages
from handlers.context import digest
from handlers.errors import Refusal
from handlers.incoming import Request
from handlers.material import MESSAGE, counts_as_text, title
from handlers.ports import Clock, NewId
from handlers.request import forget_url, look_around, owed
from handlers.result import Cut
from handlers.sources import addresses_in
from storage.database import Database
from storage.records import Answer, Entry, Kind, Lane, Work

_FENCED = re.compile(r"^(?P<fence>`{3,}|~{3,})[^\n]*\n.*?(?:^(?P=fence)[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_EMPTY_HEADING = re.compile(r"^#{1,6} [^\n]*\n+(?=#{1,6} |\Z)", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{3,}")


def description(patch: str) -> str:
    """What a patch says in words: everything outside its fenced blocks, without the headings that leaves bare."""
    words = _BLANK_LINES.sub("\n\n", _FENCED.sub("", patch)).strip()
    return _EMPTY_HEADING.sub("", words + "\n").strip()


async def somebody_hands_over(request: Request, *, storage: Database, cut: Cut, now: Clock, new_id: NewId) -> None:
    """Make the description of a patch a text of the content lane, once.

    Raises:
        Refusal: there is nothing to hand over, or it was handed over before.
    """
    async with storage.reading() as saved:
        around = await look_around(saved, request)
    work, patch = around.work, around.target
    if work is None or patch is None or patch.lane is not Lane.CODE or not counts_as_text(patch):
        raise Refusal("Only the words of a patch can be handed over to the content lane. Use the button under one.")
    text = description(patch.text)
    if not text:
        raise Refusal(f"{title(patch)} says nothing beside its code, so there is nothing to hand over.")
    given = _given(text, patch, work, now=now, new_id=new_id)
    parts = await asyncio.to_thread(cut, text, addresses_in(work.brief))
    async with storage.transaction() as saved:
        answers = await saved.answers.of_work(work.id)
        if any((a.about_id, a.stage, a.lane) == (patch.id, MESSAGE, Lane.CONTENT) for a in answers):
            raise Refusal(f"The words of {title(patch)} are in the content lane already: use the buttons under them.")
        if not await saved.inbox.handled(request.key, at=now(), outcome="to content", body=forget_url(request)):
            return
        await saved.answers.add(given)
        told = messages.handed_over(patch, request.person)
        await saved.outbox.plan(owed(work, None, Kind.NOTICE, f"{patch.id}/crosses", told, now=now))
        for place, blocks in enumerate(parts, 1):
            body = messages.part(given, blocks, number=place, of=len(parts), buttons=place == len(parts))
            slot = f"{given.id}/answer/{place}"
            await saved.outbox.plan(owed(work, None, Kind.ANSWER, slot, body, now=now, answer=given))
        await saved.ledger.append(_entry(request, work, patch, given))


def _given(text: str, patch: Answer, work: Work, *, now: Clock, new_id: NewId) -> Answer:
    """A text of the content lane that came of the patch, so that whoever had a hand in that has one in this."""
    return Answer(
        id=new_id("a"),
        work_id=work.id,
        run_id=None,
        stage=MESSAGE,
        lane=Lane.CONTENT,
        number=1,
        text=text,
        sha256=digest(text),
        about_id=patch.id,
        made_at=now(),
    )


def _entry(request: Request, work: Work, patch: Answer, given: Answer) -> Entry:
    return Entry(
        team=work.team,
        at=given.made_at,
        who=request.person,
        what="to_content",
        work_id=work.id,
        answer_id=given.id,
        body={"sha256": given.sha256, "of": patch.sha256},
    )
