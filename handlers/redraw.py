"""Cards of reviews that are not over are brought to what the stack says now: who may decide, how many, by what."""

from __future__ import annotations

from handlers.case import card_of, load_case, review_slot, show_state
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
            if not await _says_something_else(answer_id, saved, stack, now=now):
                continue
        async with storage.transaction() as saved:
            case = await load_case(answer_id, saved)
            if case is not None and await _says_something_else(answer_id, saved, stack, now=now):
                await show_state(case, case.state(stack.review, now()), saved, stack)
                redrawn += 1
    return redrawn


async def _says_something_else(answer_id: str, saved: Saved, stack: Stack, *, now: Clock) -> bool:
    case = await load_case(answer_id, saved)
    card = await saved.outbox.get(review_slot(case)) if case else None
    if case is None or card is None:
        return False
    return card.body != card_of(case, case.state(stack.review, now()), stack).to_json()
