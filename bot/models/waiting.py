"""How long to wait before a model is asked again: a growing pause with jitter, or what the endpoint asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_FIRST_PAUSE = 1.0
_GROWTH = 4.0
_LONGEST_BELIEVED = 7 * 24 * 3_600.0
_AN_INSTANT = 10**11  # more milliseconds than a wait can have: since 1970, then


def pause(faults: int, *, jitter: float, asked: float | None) -> float:
    """Seconds to wait after so many faults; jitter is between 0 and 1. Never less than what was asked for."""
    own = _FIRST_PAUSE * _GROWTH ** (faults - 1) * (0.5 + jitter)
    return max(own, asked or 0.0)


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds the endpoint asks us to wait, from whichever header it uses; None where it says nothing sensible."""
    now = _date(headers.get("date", "")) or datetime.now(UTC)
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        if (wait := _sensible(_number(headers.get(name)), unit=0.001)) is not None:
            return wait
    if (told := headers.get("retry-after")) is not None:
        number = _number(told)
        until = _date(told)
        wait = (until - now).total_seconds() if number is None and until is not None else number
        if (wait := _sensible(wait)) is not None:
            return wait
    return _until_reset(headers, now)


def _until_reset(headers: Mapping[str, str], now: datetime) -> float | None:
    for name in ("x-ratelimit-reset-ms", "x-ratelimit-reset"):
        number = _number(headers.get(name))
        if number is None:
            continue
        if number > _AN_INSTANT:
            return _sensible(number / 1_000 - now.timestamp())
        if name.endswith("-ms"):
            return _sensible(number, unit=0.001)
    return None


def _number(told: str | None) -> float | None:
    try:
        return float(told) if told is not None else None
    except ValueError:
        return None


def _sensible(value: float | None, *, unit: float = 1.0) -> float | None:
    """The value in seconds, unless it is no number, before now, or beyond a week."""
    if value is None or not math.isfinite(value) or not 0 <= value * unit <= _LONGEST_BELIEVED:
        return None
    return value * unit


def _date(told: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(told)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
