"""The four questions, asked for by a mention: a button offers them, because only a click may open a form."""

from __future__ import annotations

from handlers import messages
from handlers.errors import Refusal
from handlers.incoming import Request
from handlers.ports import Clock
from handlers.request import forget_url, look_around, owed
from handlers.words import Body
from storage.database import Database
from storage.records import Kind

LONGEST = 3_000
"""Characters that the form takes: all that a text field of Slack's holds."""


async def somebody_wants_questions(request: Request, *, storage: Database, now: Clock) -> Body | None:
    """Post the offer in a work's thread; where there is none, it is returned, to be shown to them alone.

    Raises:
        Refusal: what they want to ask about does not fit into the form.
    """
    if len(request.words) > LONGEST:
        raise Refusal(f"That is {len(request.words):,} characters; the four questions take {LONGEST:,}. Shorten it.")
    _, _, asked_ts = request.key.rpartition("/")
    body = messages.offers_questions(f"{request.thread_ts}/{asked_ts}")
    async with storage.transaction() as saved:
        around = await look_around(saved, request)
        if around.work is None:
            return body
        if await saved.inbox.handled(request.key, at=now(), outcome="offered the questions", body=forget_url(request)):
            slot = f"offer/{request.key}"[:90]
            await saved.outbox.plan(owed(around.work, None, Kind.NOTICE, slot, body, now=now))
    return None
