"""Times, tokens and money as people read them: rounded, and "about" where a number is an estimate."""

from __future__ import annotations

import math
from datetime import date, datetime

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_LEAST_USD = 0.0001
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def duration(seconds: float) -> str:
    """6 s, 2 min, 3 h, 2 days."""
    for length, least, name in ((_DAY, 2, "days"), (_HOUR, 1, "h"), (_MINUTE, 1, "min")):
        if round(seconds) >= least * length:
            return f"{round(seconds / length)} {name}"
    return f"{max(0, round(seconds))} s"


def tokens(count: int, *, estimated: bool = False) -> str:
    return f"{'about ' if estimated else ''}{count:,} tokens"


def money(usd: float) -> str:
    """About $0.041: two significant digits below a dollar, cents above."""
    if usd == 0:
        return "$0"
    if usd < _LEAST_USD:
        return f"less than ${_LEAST_USD}"
    digits = max(2, 1 - math.floor(math.log10(usd)))
    whole, _, cents = f"{usd:,.{digits}f}".partition(".")
    return f"about ${whole}.{cents.rstrip('0').ljust(2, '0')}"


def exactly(usd: float) -> str:
    """$1.00, $0.125: an amount that somebody set."""
    whole, _, cents = f"{usd:,.9f}".partition(".")
    return f"${whole}.{cents.rstrip('0').ljust(2, '0')}"


def day(on: date) -> str:
    """3 Aug 2026."""
    return f"{on.day} {_MONTHS[on.month - 1]} {on.year}"


def clock(at: datetime) -> str:
    """14:32 UTC."""
    return f"{at:%H:%M} UTC"


def short(sha256: str) -> str:
    """The first eight hex digits, as people compare them."""
    return sha256[:8]


def count(number: int, one: str, many: str | None = None) -> str:
    """1 finding, 3 findings."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
