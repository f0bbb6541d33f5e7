"""Somebody stops what runs or waits in a thread: nothing more is asked of a model, and the card says who did it."""

from __future__ import annotations

from handlers import messages
from handlers.errors import Refusal
from handlers.incoming import Request
from handlers.ports import Clock
from handlers.request import card_slot, forget_url, look_around
from handlers.walk import stop_walk
from storage.database import Database
from storage.records import Entry, Run, WalkState


async def somebody_cancels(request: Request, *, storage: Database, now: Clock) -> tuple[Run, ...]:
    """Cancel every open run of the thread, and its walk; return the runs, so that calls under way can be aborted."""
    async with storage.transaction() as saved:
        around = await look_around(saved, request)
        if around.work is None:
            raise Refusal(f"There is no work of mine in this thread. Try `{messages.BOT} help`.")
        still_open = await saved.runs.open_of_work(around.work.id)
        if not still_open and not any(walk.state is WalkState.WALKING for walk in around.walks):
            raise Refusal("Nothing is running or waiting in this thread.")
        if not await saved.inbox.handled(request.key, at=now(), outcome="cancel", body=forget_url(request)):
            return ()
        for run in still_open:
            await saved.runs.cancel(run.id, by=request.person, at=now())
            await saved.outbox.revise(card_slot(run), messages.cancelled(run, request.person).to_json())
            entry = Entry(
                team=around.work.team,
                at=now(),
                who=request.person,
                what="cancelled",
                work_id=around.work.id,
                run_id=run.id,
                body={"stage": run.stage},
            )
            await saved.ledger.append(entry)
        await stop_walk(around.work, request.person, f"stopped/{request.key}"[:90], saved=saved, now=now)
        return tuple(still_open)
