"""Times, tokens and money as people read them: rounded, and "about" where a number is an estimate."""

from __future__ import annotations

from datetime import datetime

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def duration(seconds: float) -> str:
    """6 s, 2 min, 3 h, 2 days."""
    if seconds < _MINUTE:
        return f"{max(0, round(seconds))} s"
    if seconds < _HOUR:
        return f"{round(seconds / _MINUTE)} min"
    if seconds < 2 * _DAY:
        return f"{round(seconds / _HOUR)} h"
    return f"{round(seconds / _DAY)} days"


def tokens(count: int, *, estimated: bool = False) -> str:
    return f"{'about ' if estimated else ''}{count:,} tokens"


def money(usd: float) -> str:
    """About $0.002: two significant digits below a dollar, cents above."""
    if usd == 0:
        return "$0"
    if usd >= 1:
        return f"about ${usd:,.2f}"
    digits = 2
    while digits < 6 and round(usd, digits) * 10**digits < 2:  # noqa: PLR2004  one significant digit at the least
        digits += 1
    return f"about ${usd:.{digits}f}"


def clock(at: datetime) -> str:
    """14:32 UTC."""
    return f"{at:%H:%M} UTC"


def short(sha256: str) -> str:
    """The first eight hex digits, as people compare them."""
    return sha256[:8]


def count(number: int, one: str, many: str | None = None) -> str:
    """1 finding, 3 findings."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
