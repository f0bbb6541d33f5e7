"""What a transaction may have left for somebody to do."""

from __future__ import annotations

from enum import StrEnum


class News(StrEnum):
    """Whom to wake once it is committed."""

    INBOX = "inbox"
    RUNS = "runs"
    OUTBOX = "outbox"
