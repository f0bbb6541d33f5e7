"""The buttons of a review card: a second way to say what the reactions say."""

from __future__ import annotations

from collections.abc import Collection

from handlers.incoming import Wish
from handlers.judge import OPEN, ReviewState
from handlers.words import Button, Who, line
from storage.records import Answer, VerdictKind

_CLOSED = frozenset({ReviewState.SUPERSEDED, ReviewState.EXPIRED})


def review_buttons(
    answer: Answer, state: ReviewState, pressed: Collection[VerdictKind], *, asked_by: str, offered: bool
) -> tuple[Button, ...]:
    """To say it as long as it can be said, and to take back what was said by them as long as that matters.

    `pressed` is what stands of all that was said by them; it can be taken back where none are `offered` any more.
    """
    value, shown = value_of(answer), list[Button]()
    if state in OPEN and offered:
        asks = line(
            f"You approve the {answer.stage} text `{answer.sha256[:12]}`, which ",
            Who(person=asked_by),
            " asked for, exactly as it stands in this thread. The ledger keeps that under your name.",
        )
        shown += [
            Button(action=Wish.APPROVE.value, label="Approve", value=value, style="primary", confirm=asks),
            Button(action=Wish.SEND_BACK.value, label="Send back", value=value),
        ]
    if state not in _CLOSED and VerdictKind.APPROVE in pressed:
        shown.append(Button(action=Wish.WITHDRAW.value, label="Withdraw approval", value=value))
    if state not in _CLOSED and VerdictKind.SEND_BACK in pressed:
        shown.append(Button(action=Wish.TAKE_BACK.value, label="Take back", value=value))
    return tuple(shown)


def value_of(answer: Answer) -> str:
    """What a button carries: the text it was made for, by its id and its digest."""
    return f"{answer.id}/{answer.sha256}"
