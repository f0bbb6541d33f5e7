"""Times and money are rounded, and say "about" where they are estimates."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from handlers.figures import clock, count, day, duration, money, short, tokens


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (-3, "0 s"),
        (0, "0 s"),
        (0.4, "0 s"),
        (5.6, "6 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (150, "2 min"),
        (3_599.7, "1 h"),
        (7_300, "2 h"),
        (47 * 3_600, "47 h"),
        (48 * 3_600, "2 days"),
        (700_000, "8 days"),
    ],
)
def test_durations(seconds: float, says: str) -> None:
    assert duration(seconds) == says


@pytest.mark.parametrize(
    ("usd", "says"),
    [
        (0, "$0"),
        (0.000_000_01, "less than $0.0001"),
        (0.000_123, "about $0.00012"),
        (0.002, "about $0.002"),
        (0.0412, "about $0.041"),
        (0.05, "about $0.05"),
        (0.0999, "about $0.10"),
        (0.5, "about $0.50"),
        (0.999, "about $1.00"),
        (1, "about $1.00"),
        (1.005, "about $1.00"),
        (12.345, "about $12.35"),
        (1_234.5, "about $1,234.50"),
    ],
)
def test_money(usd: float, says: str) -> None:
    assert money(usd) == says


def test_counts_and_digests() -> None:
    assert tokens(1_240) == "1,240 tokens"
    assert tokens(1_240, estimated=True) == "about 1,240 tokens"
    assert [count(n, "finding") for n in (0, 1, 2, 1_000)] == [
        "0 findings",
        "1 finding",
        "2 findings",
        "1,000 findings",
    ]
    assert count(2, "reply", "replies") == "2 replies"
    assert short("8c1f04be99aa") == "8c1f04be"
    assert clock(datetime(2026, 11, 3, 14, 2, tzinfo=UTC)) == "14:02 UTC"


def test_days() -> None:
    assert [day(date(2026, month, 3)) for month in (1, 9, 12)] == ["3 Jan 2026", "3 Sep 2026", "3 Dec 2026"]
