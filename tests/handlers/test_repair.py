"""Which letters are missing: decided from what Slack shows and what is remembered."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from handlers.incoming import Entrance, Reaction, Reason, Request, Verb
from handlers.repair import (
    OVERTAKEN,
    SEEN_BEFORE,
    TOLD_MEANWHILE,
    Sight,
    Spot,
    Told,
    Wanted,
    is_missing,
    last_known,
    means,
    missing_reactions,
    read_since,
    told_already,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
CHECK = "white_check_mark"
SPOT = Spot(team="T0PLAY", channel="C0LAUNCH", ts="1790000000.000100", posted=NOON, meant=lambda emoji: emoji != "eyes")


def heard(minute: int, *, added: bool, person: str = "U0RAE", emoji: str = CHECK, **more: object) -> Reaction:
    return Reaction(
        key=f"reaction/Ev{minute}{person}{emoji}",
        team="T0PLAY",
        channel="C0LAUNCH",
        message_ts=SPOT.ts,
        person=person,
        emoji=emoji,
        added=added,
        at=NOON + timedelta(minutes=minute),
        **more,  # type: ignore[arg-type]
    )


def found(sight: Sight, *known: Reaction, spot: Spot = SPOT, now: datetime = NOON) -> list[tuple[str, bool, datetime]]:
    missing = missing_reactions(spot, sight, [Told(reaction=one) for one in known], now)
    assert all(one.seen for one in missing)
    return [(one.person, one.added, one.at) for one in missing]


def stands(*who: str, unsure: str = "") -> Sight:
    return Sight(standing=frozenset((one, CHECK) for one in who), unsure=frozenset({unsure} - {""}))


def test_a_reaction_nobody_told_of_is_as_old_as_it_can_be() -> None:
    assert found(stands("U0RAE")) == [("U0RAE", True, NOON + TICK)]


def test_what_is_known_is_not_found_again() -> None:
    assert found(stands("U0RAE"), heard(1, added=True)) == []
    assert found(stands(), heard(1, added=True), heard(2, added=False)) == []
    assert found(stands(), heard(2, added=False), heard(1, added=True)) == []
    assert found(stands(), heard(1, added=False), heard(1, added=True)) == []  # in doubt it is gone


def test_a_removal_nobody_told_of_follows_what_it_takes_away() -> None:
    assert found(stands(), heard(1, added=True)) == [("U0RAE", False, NOON + timedelta(minutes=1) + TICK)]


def test_a_reaction_given_again_follows_its_removal() -> None:
    again = found(stands("U0RAE"), heard(1, added=True), heard(2, added=False))
    assert again == [("U0RAE", True, NOON + timedelta(minutes=2) + TICK)]


def test_removals_come_before_what_is_new() -> None:
    assert [added for _, added, _ in found(stands("U0ANN"), heard(1, added=True))] == [False, True]


def test_where_slack_does_not_name_everybody_nobody_is_taken_to_have_left() -> None:
    sight = stands("U0SAM", unsure=CHECK)
    assert found(sight, heard(1, added=True)) == [("U0SAM", True, NOON + TICK)]


def test_an_emoji_that_meant_nothing_then_means_nothing_now() -> None:
    assert found(Sight(standing=frozenset({("U0RAE", "eyes")}))) == []


def test_one_that_means_nothing_any_more_can_still_be_taken_away() -> None:
    gone = found(stands(), heard(1, added=True, emoji="eyes"))
    assert gone == [("U0RAE", False, NOON + timedelta(minutes=1) + TICK)]


def test_what_is_found_after_the_time_ran_out_came_too_late() -> None:
    spot = replace(SPOT, expires_at=NOON + timedelta(hours=1))
    in_time, late = NOON + timedelta(minutes=59), NOON + timedelta(hours=1)
    assert found(stands("U0RAE"), spot=spot, now=in_time)[0][2] == NOON + TICK
    assert found(stands("U0RAE"), spot=spot, now=late)[0][2] == spot.expires_at
    assert found(stands(), heard(1, added=True), spot=spot, now=late)[0][2] == NOON + timedelta(minutes=1) + TICK


def test_two_who_look_at_once_write_the_same_letter() -> None:
    one, other = (missing_reactions(SPOT, stands("U0RAE"), [], now) for now in (NOON, NOON + timedelta(hours=3)))
    assert one == other
    assert one[0].key == "reaction/seen/C0LAUNCH/1790000000.000100/U0RAE/added/1795348800.000001/white_check_mark"
    later = missing_reactions(SPOT, stands("U0RAE"), [Told(reaction=heard(2, added=False))], NOON)
    assert later[0].key != one[0].key


@pytest.mark.parametrize(
    ("new", "handled", "outcome"),
    [
        (heard(5, added=True), [], None),
        (heard(5, added=True), [(heard(1, added=True, seen=True), "counts")], SEEN_BEFORE),
        (heard(5, added=True), [(heard(1, added=True), "counts")], None),
        (heard(5, added=True), [(heard(1, added=True, seen=True, person="U0SAM"), "counts")], None),
        (heard(5, added=True), [(heard(1, added=True, seen=True, emoji="x"), "counts")], None),
        (heard(5, added=False), [(heard(1, added=True, seen=True), "counts")], None),
        (heard(1, added=True, seen=True), [(heard(5, added=True), "counts")], TOLD_MEANWHILE),
        (heard(1, added=True, seen=True), [(heard(5, added=False), "withdraw")], None),
        (
            heard(3, added=False),
            [(heard(1, added=True, seen=True), "counts"), (heard(5, added=True), SEEN_BEFORE)],
            OVERTAKEN,
        ),
        (
            heard(3, added=False),
            [(heard(1, added=True, seen=True), "counts"), (heard(5, added=True), "counts")],
            None,
        ),
    ],
)
def test_the_same_reaction_seen_and_told_is_handled_once(
    new: Reaction, handled: list[tuple[Reaction, str]], outcome: str | None
) -> None:
    assert told_already(new, [Told(reaction=one, outcome=said) for one, said in handled]) == outcome


# All orders of things


@dataclass
class Side:
    """One person's check mark in Slack, the deliveries of it, and our side of the matter, in one small world."""

    stands: bool = False
    minute: int = 0
    under_way: list[Reaction] = field(default_factory=list)
    inbox: list[Reaction] = field(default_factory=list)
    handled: list[Told] = field(default_factory=list)
    counted: list[Reaction] = field(default_factory=list)
    look: tuple[bool, dict[tuple[str, str], Reaction]] | None = None

    def toggles(self) -> None:
        self.stands, self.minute = not self.stands, self.minute + 1
        self.under_way.append(heard(self.minute, added=self.stands))

    def delivers(self, place: int) -> None:
        if self.under_way:
            self.inbox.append(self.under_way.pop(place % len(self.under_way)))

    def loses(self, place: int) -> None:
        if self.under_way:
            self.under_way.pop(place % len(self.under_way))

    def known(self) -> list[Told]:
        return [*self.handled, *(Told(reaction=one) for one in self.inbox)]

    def looks(self) -> None:
        self.look = self.stands, last_known(self.known())

    def writes(self) -> None:
        """What the sweep does in its transaction: nothing where something was heard meanwhile."""
        if self.look is None:
            return
        (was, before), self.look = self.look, None
        if last_known(self.known()) == before:
            sight = stands("U0RAE") if was else stands()
            told = [Told(reaction=one) for one in before.values()]
            keys = {one.reaction.key for one in self.known()}
            self.inbox += [one for one in missing_reactions(SPOT, sight, told, NOON) if one.key not in keys]

    def handles(self) -> None:
        """As the gate does, but for the judging."""
        if not self.inbox:
            return
        one = self.inbox.pop(0)
        outcome = told_already(one, self.handled)
        if outcome is None:
            self.counted.append(one)
            if one.added:  # removals that were delivered before it
                self.counted += [t.reaction for t in self.handled if not t.reaction.added and t.reaction.at >= one.at]
        self.handled.append(Told(reaction=one, outcome=outcome or "counts"))

    def sweeps(self) -> None:
        self.looks()
        self.writes()
        while self.inbox:
            self.handles()

    @property
    def approves(self) -> bool:
        last = max(self.counted, key=lambda one: (one.at, not one.added), default=None)
        return last is not None and last.added


STEPS = ("toggles", "delivers 0", "delivers 1", "loses 0", "looks", "writes", "handles")


def step(side: Side, name: str) -> None:
    what, _, place = name.partition(" ")
    getattr(side, what)(*([int(place)] if place else []))


def every_way(length: int) -> Iterator[tuple[str, ...]]:
    return product(STEPS, repeat=length)


def random_ways(count: int, length: int) -> Iterator[tuple[str, ...]]:
    drawn = random.Random(1868)
    return (tuple(drawn.choices(STEPS, weights=(3, 3, 2, 1, 2, 2, 3), k=length)) for _ in range(count))


def check(way: tuple[str, ...]) -> None:
    side = Side()
    for name in way:
        step(side, name)
    while side.inbox:
        side.handles()
    side.writes()
    side.under_way.clear()  # whatever is still under way is lost
    side.sweeps()
    assert side.approves is side.stands, way
    side.sweeps()
    assert side.approves is side.stands, way
    before = len(side.handled)
    side.sweeps()
    assert len(side.handled) == before, way


def test_in_whatever_order_things_come_the_last_look_settles_the_matter() -> None:
    for way in every_way(5):
        check(way)


def test_nor_does_it_matter_in_longer_stories() -> None:
    for way in random_ways(8_000, 24):
        check(way)


def test_a_reaction_taken_back_never_counts_when_its_removal_is_told_in_whatever_order() -> None:
    for way in random_ways(8_000, 16):
        side = Side()
        for name in way:
            step(side, name)
        if side.stands:
            side.toggles()
        lost = len(side.handled) + len(side.inbox) + len(side.under_way) != side.minute + _seen(side)
        while side.under_way:
            side.delivers(random.Random(len(way)).randrange(9))
        while side.inbox:
            side.handles()
        assert lost or not side.approves, way


def _seen(side: Side) -> int:
    return sum(one.seen for one in [*(told.reaction for told in side.handled), *side.inbox])


# Mentions and reasons


@pytest.mark.parametrize(
    ("mark", "hours", "minutes_ago"),
    [(None, 1, 60), (-30, 1, 35), (-59, 1, 60), (None, 30, 24 * 60), (-30, 30, 35)],
)
def test_reading_begins_where_it_ended_never_before_our_own_beginning_nor_a_day_ago(
    mark: int | None, hours: int, minutes_ago: int
) -> None:
    first = NOON - timedelta(hours=hours)
    ended = None if mark is None else NOON + timedelta(minutes=mark)
    assert read_since(first, ended, NOON) == NOON - timedelta(minutes=minutes_ago)


WANTED = Wanted(team="T0PLAY", channel="C0LAUNCH", thread_ts="1790000000.000100", person="U0RAE", since=NOON)


@pytest.mark.parametrize(
    ("changes", "minute", "missing"),
    [
        ({}, 1, True),
        ({}, 0, False),
        ({}, -1, False),
        ({"person": "U0SAM"}, 1, False),
        ({"thread_ts": "1790000000.000200"}, 1, False),
        ({"channel": "C0DOCS"}, 1, False),
    ],
)
def test_words_are_a_reason_only_after_the_question(changes: dict[str, str], minute: int, *, missing: bool) -> None:
    said = Reason(
        **{
            "key": "reply/1",
            "team": "T0PLAY",
            "channel": "C0LAUNCH",
            "thread_ts": "1790000000.000100",
            "person": "U0RAE",
            "words": "Zorglub is spelt with a Z",
            "at": NOON + timedelta(minutes=minute),
        }
        | changes  # type: ignore[arg-type]
    )
    assert is_missing(said, wanted=[WANTED], line=()) is missing


def request(verb: Verb, minute: int) -> Request:
    return Request(
        key=f"mention/{minute}",
        entrance=Entrance.MENTION,
        verb=verb,
        team="T0PLAY",
        channel="C0LAUNCH",
        person="U0ANN",
        at=NOON + timedelta(minutes=minute),
    )


def test_a_late_cancel_undoes_nothing_that_was_asked_after_it() -> None:
    cancel, before, after = request(Verb.CANCEL, 0), request(Verb.STAGE, -1), request(Verb.STAGE, 1)
    assert is_missing(cancel, wanted=(), line=[before, cancel])
    assert not is_missing(cancel, wanted=(), line=[before, after])
    assert is_missing(request(Verb.STATUS, 0), wanted=(), line=[after])


def test_an_emoji_means_something_for_what_was_opened_since_it_does() -> None:
    since = {"approve/tada": NOON}
    assert means("tada", "approve", since, NOON)
    assert not means("tada", "approve", since, NOON - TICK)
    assert not means("tada", "send_back", since, NOON)
