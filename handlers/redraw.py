"""Cards of reviews that are not over are brought to what the stack says now: who may decide, how many, by what."""

from __future__ import annotations

from typing import Any

from handlers.case import card_of, load_case, review_slot
from handlers.ports import Clock
from handlers.stack import Stack
from storage.database import Database, Saved


async def redraw_cards(*, storage: Database, stack: Stack, now: Clock) -> int:
    """Revise each card that says something else than it would now; in any process, any number of times.

    Returns how many that were. One after the other: nobody waits for the whole.
    """
    redrawn = 0
    async with storage.reading() as saved:
        looked_after = [review.answer_id for review in await saved.reviews.looked_after()]
    for answer_id in looked_after:
        async with storage.reading() as saved:
            if await _drawn_anew(answer_id, saved, stack, now=now) is None:
                continue
        async with storage.transaction() as saved:
            if (drawn := await _drawn_anew(answer_id, saved, stack, now=now)) is not None:
                await saved.outbox.revise(*drawn)
                redrawn += 1
    return redrawn


async def _drawn_anew(answer_id: str, saved: Saved, stack: Stack, *, now: Clock) -> tuple[str, dict[str, Any]] | None:
    """A card's slot and what it would say now; None where it says that already."""
    case = await load_case(answer_id, saved)
    card = await saved.outbox.get(review_slot(case)) if case else None
    if case is None or card is None:
        return None
    body = card_of(case, case.state(stack.review, now()), stack).to_json()
    return (card.slot, body) if body != card.body else None
