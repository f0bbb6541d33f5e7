"""Named moments at which a test lets this process die without a last word; otherwise nothing happens there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

POINTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cp01": "a delivery is read and written to the inbox, uncommitted",
        "cp02": "the inbox is committed, the delivery not acknowledged",
        "cp03": "a letter was taken from the inbox; nothing was done about it",
        "cp04": "a run is in line and its card owed; nothing was posted",
        "cp05": "Slack took a message; nothing of its reply was read",
        "cp06": "the reply was read; the message's place is uncommitted",
        "cp07": "the route and the context are remembered; the model was not asked",
        "cp08": "a model took the question; nothing of its answer came",
        "cp09": "the first piece of an answer came, the rest is under way",
        "cp10": "an answer with all that follows from it is written, uncommitted",
        "cp11": "a run ended; the next one of its thread was not begun",
        "cp12": "a piece of a page came, the rest is under way",
        "cp13": "the pages were read; what the model will see of them is uncommitted",
        "cp18": "an answer is committed, nothing of it posted",
        "cp19": "one message of several is shown and remembered, the next one still owed",
        "cp20": "a card was edited; nothing of that is remembered",
        "cp21": "a reaction was taken from the inbox; nothing was done about it",
        "cp22": "a reaction counts; its verdict is written, uncommitted",
        "cp23": "an attempt to hand an approval on is remembered; nothing was sent",
        "cp24": "a verdict is committed, its message not sent",
        "cp25": "a verdict's message was sent; its place is uncommitted",
        "cp26": "the removal of a reaction was taken from the inbox; the verdict stands",
        "cp28": "the tables were changed by a migration, uncommitted",
        "cp30": "what a dead process attended to is in line anew; its own job is not ended",
        "cp31": "the receiver of an approval answered; nothing of that is remembered",
    }
)
"""What is true at each. The numbers leave room for those of benches (cp14 to cp17, cp27)
and of a checkpoint (cp29), which lies inside SQLite's library and is met there by tests."""

_meet: Callable[[str], None] | None = None


def crashpoint(name: str) -> None:
    """Pass a point of the table above."""
    if _meet is not None:
        _meet(name)


def arm(meet: Callable[[str], None]) -> None:
    """For tests: call `meet` with the name of each point that is passed. It need not return."""
    global _meet  # noqa: PLW0603  one process, one fate
    _meet = meet
