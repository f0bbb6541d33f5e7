"""When people are at work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.hours import read_hours

WEEK = read_hours("Mon-Fri 09:00-17:00")
ROME, UTC_ZONE = ZoneInfo("Europe/Rome"), ZoneInfo("UTC")


def at(words: str) -> datetime:
    return datetime.fromisoformat(words).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2026-11-03 10:00", "2026-11-03 10:00"),  # a Tuesday, at work
        ("2026-11-03 09:00", "2026-11-03 09:00"),
        ("2026-11-03 08:59", "2026-11-03 09:00"),
        ("2026-11-03 17:00", "2026-11-04 09:00"),
        ("2026-11-06 16:59", "2026-11-06 16:59"),
        ("2026-11-06 17:00", "2026-11-09 09:00"),  # Friday evening, and so the weekend
        ("2026-11-07 12:00", "2026-11-09 09:00"),
        ("2026-11-08 23:59", "2026-11-09 09:00"),
        ("2026-12-31 20:00", "2027-01-01 09:00"),  # no holidays are known
    ],
)
def test_the_next_business_hour(moment: str, opens: str) -> None:
    assert WEEK.next_open(at(moment), UTC_ZONE) == at(opens)


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2026-11-03 07:30", "2026-11-03 08:00"),  # in winter an hour ahead of UTC
        ("2026-07-07 06:30", "2026-07-07 07:00"),  # in summer two
        ("2026-03-27 17:00", "2026-03-30 07:00"),  # the clocks are put forward in between
        ("2026-10-23 16:00", "2026-10-26 08:00"),  # and back
    ],
)
def test_hours_are_local(moment: str, opens: str) -> None:
    assert WEEK.next_open(at(moment), ROME) == at(opens)


def test_an_hour_that_the_clocks_leave_out_is_the_next_weeks() -> None:
    night = read_hours("Sun 02:30-03:30")
    assert night.next_open(at("2026-03-28 12:00"), ROME) == at("2026-04-05 00:30")


@pytest.mark.parametrize(
    ("words", "days"),
    [
        ("Mon-Fri 09:00-17:00", {0, 1, 2, 3, 4}),
        ("sun-thu 08:30-16:00", {6, 0, 1, 2, 3}),
        (" Sat 10:00-12:00 ", {5}),
        ("Mon-Sun 00:00-23:59", set(range(7))),
    ],
)
def test_days_may_go_round_the_week(words: str, days: set[int]) -> None:
    assert read_hours(words).days == days


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "such as"),
        ("9-17", "such as"),
        ("Mon-Fri 9:00-17:00", "such as"),
        ("Mon-Fri 09:00", "such as"),
        ("Moo-Fri 09:00-17:00", "such as"),
        ("Mon-Fri 09:00-25:00", "such as"),
        ("Mon-Fri 09:60-17:00", "such as"),
        ("Mon-Fri 17:00-09:00", "after it opens"),
        ("Mon-Fri 09:00-09:00", "after it opens"),
    ],
)
def test_what_cannot_be_read_says_the_shape(words: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_hours(words)


@given(st.integers(0, 700_000), st.sampled_from(["UTC", "Europe/Rome", "Asia/Kolkata"]))
def test_a_reminder_waits_for_people_never_longer_than_a_weekend(minutes: int, zone: str) -> None:
    moment = at("2026-01-01 00:00") + timedelta(minutes=minutes)
    opens = WEEK.next_open(moment, ZoneInfo(zone))
    local = opens.astimezone(ZoneInfo(zone))
    assert moment <= opens < moment + timedelta(days=3)
    assert local.weekday() < 5
    assert WEEK.opens <= local.time() < WEEK.closes
    assert WEEK.next_open(opens, ZoneInfo(zone)) == opens
