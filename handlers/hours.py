"""When people are at work (pure): reminders wait for the next business hour, as the stack has it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK = len(_DAYS)
_HOURS = re.compile(r"([A-Za-z]{3})(?:-([A-Za-z]{3}))? (\d{2}:\d{2})-(\d{2}:\d{2})")
_SHAPE = 'must be days and hours, such as "Mon-Fri 09:00-17:00"'


@dataclass(frozen=True, slots=True)
class Hours:
    """Days of the week (Monday is 0) and the local times between which people are at work."""

    days: frozenset[int]
    opens: time
    closes: time

    def next_open(self, at: datetime, zone: ZoneInfo) -> datetime:
        """The moment itself if people are at work then, else when they are next; in the moment's own zone.

        Hours that the clocks leave out when they are put forward are nobody's, so two weeks are looked through.
        """
        local = at.astimezone(zone)
        for ahead in range(2 * _WEEK + 1):
            day = local.date() + timedelta(days=ahead)
            if day.weekday() not in self.days:
                continue
            opens, closes = (datetime.combine(day, one, zone) for one in (self.opens, self.closes))
            if (start := max(opens.astimezone(at.tzinfo), at)) < closes.astimezone(at.tzinfo):
                return start
        raise AssertionError("two weeks have a working day")


def read_hours(words: str) -> Hours:
    """`Mon-Fri 09:00-17:00`, `Sun-Thu 08:30-16:00`, `Sat 10:00-12:00`. Raises ValueError, which says the shape."""
    if (found := _HOURS.fullmatch(words.strip())) is None:
        raise ValueError(_SHAPE)
    try:
        first, last = _DAYS.index(found[1].lower()), _DAYS.index((found[2] or found[1]).lower())
        opens, closes = time.fromisoformat(found[3]), time.fromisoformat(found[4])
    except ValueError:
        raise ValueError(_SHAPE) from None
    if closes <= opens:
        raise ValueError("must close after it opens, on the same day")
    days = frozenset((first + more) % _WEEK for more in range((last - first) % _WEEK + 1))
    return Hours(days=days, opens=opens, closes=closes)
