"""Whose Home is kept up to date, how often it is looked at, and who is forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from bot.slack.chat import Chat
from bot.slack.home import Home
from tests.bot.slack.desk import now
from tests.fakes import FakeSlack, a_stack, open_database

HOUR = 3_600.0


@dataclass
class Wall:
    """Where Homes are published, instead of Slack's views."""

    shown: list[str] = field(default_factory=list)
    is_up: bool = True

    async def publish_home(self, person: str, view: dict[str, Any]) -> bool:
        assert view["type"] == "home"
        if self.is_up:
            self.shown.append(person)
        return self.is_up


@dataclass
class Porch:
    """A Home with a clock that stands still until somebody moves it."""

    home: Home
    wall: Wall
    at: float = 0.0

    def opens(self, *people: str) -> None:
        for person in people:
            self.home.opened("T0PLAY", person)

    async def looks(self) -> list[str]:
        """Who is shown a Home now."""
        self.wall.shown.clear()
        await self.home.look()
        return list(self.wall.shown)


@pytest.fixture
async def porch(tmp_path: Path) -> AsyncIterator[Porch]:
    wall, stack = Wall(), a_stack()
    async with open_database(tmp_path, durable=False) as storage:
        home = Home(
            storage=storage,
            chat=cast("Chat", wall),
            slack=FakeSlack("U0RAE"),
            stack=lambda: stack,
            now=now,
            site="https://play.slack.com/",
            tick=lambda: here.at,
        )
        here = Porch(home=home, wall=wall)
        yield here


async def test_somebody_who_opens_it_again_at_once_waits_until_five_seconds_are_over(porch: Porch) -> None:
    porch.opens("U0RAE")
    assert await porch.looks() == ["U0RAE"]
    porch.at = 1.0
    porch.opens("U0RAE", "U0RAE")
    assert await porch.looks() == []
    assert await porch.home.look() == pytest.approx(4.0)
    porch.at = 5.0
    assert await porch.looks() == ["U0RAE"]


async def test_what_looks_the_same_is_not_published_again(porch: Porch) -> None:
    porch.opens("U0RAE")
    await porch.looks()
    porch.at = HOUR
    assert await porch.looks() == []


async def test_what_slack_did_not_take_is_published_again(porch: Porch) -> None:
    porch.opens("U0RAE")
    porch.wall.is_up = False
    assert await porch.looks() == []
    porch.wall.is_up, porch.at = True, 5.0
    assert await porch.looks() == ["U0RAE"]


async def test_of_many_visitors_those_of_longest_ago_are_forgotten(porch: Porch) -> None:
    people = [f"U0P{number}" for number in range(501)]
    porch.opens("U0RAE", *people, people[1])
    assert await porch.looks() == [*people[2:], people[1]]


async def test_a_day_later_it_is_nobodys_business_any_more(porch: Porch) -> None:
    porch.opens("U0RAE")
    await porch.looks()
    porch.at = 12 * HOUR
    porch.opens("U0ANN")
    assert await porch.looks() == ["U0ANN"]
    assert list(porch.home._visitors) == [("T0PLAY", "U0RAE"), ("T0PLAY", "U0ANN")]
    porch.at = 24 * HOUR + 1
    await porch.looks()
    assert list(porch.home._visitors) == [("T0PLAY", "U0ANN")]
