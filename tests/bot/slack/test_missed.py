"""A message that is read back gives the very same letter as its delivery, and nothing else does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from handlers.incoming import Reaction
from storage.records import Letter
from tests.bot.slack.payloads import GONE, Payload, delivery, mention, reaction, reply, vary
from tests.bot.slack.test_door import NOW, a_door, one


def as_shown(event: Payload, **changes: Any) -> Payload:
    """The message behind an event, as Slack lists it in a channel or thread."""
    shown = {key: value for key, value in event.items() if key not in {"channel", "channel_type", "event_ts"}}
    return vary(shown | {"type": "message"}, **changes)


def read(shown: Payload, *, edited_too: bool = True) -> Letter | None:
    return a_door().read_back(shown, team="T0PLAY", channel="C0LAUNCH", edited_too=edited_too)


@pytest.mark.parametrize(
    "event",
    [
        mention(),
        mention(thread_ts=GONE),
        mention("<@UBOT|countersign> draft <https://play.slack.com/archives/C0LAUNCH/p1790000000000200> again"),
        mention("Could <@UBOT> help?"),
        mention(user_team="T0OTHER", team="T0OTHER"),
        reply(),
        reply(subtype="thread_broadcast"),
        reply(subtype="file_share", files=[]),
    ],
)
def test_what_is_read_back_is_the_very_letter_that_was_not_delivered(event: Payload) -> None:
    assert read(as_shown(event)) == one(delivery(event))


def test_a_root_is_the_same_when_it_has_got_replies() -> None:
    event = mention(thread_ts=GONE)
    later = as_shown(event, thread_ts=event["ts"], reply_count=2, latest_reply="1790000000.000900")
    assert read(later) == one(delivery(event))


@pytest.mark.parametrize(
    "shown",
    [
        as_shown(mention(thread_ts=GONE, text="Good morning")),
        as_shown(mention(), bot_id="B0OTHER"),
        as_shown(mention(), user="UBOT"),
        as_shown(mention(), user=GONE),
        as_shown(mention(), subtype="channel_join"),
        as_shown(mention(), subtype="tombstone", user="USLACKBOT"),
        as_shown(mention(), subtype="bot_message"),
        as_shown(reply(), bot_id="B0OTHER"),
        as_shown(reply(), ts="1790000000.000100"),
        {},
    ],
)
def test_what_would_not_have_been_delivered_or_not_been_heard_is_nothing(shown: Payload) -> None:
    assert read(shown) is None


def test_an_edited_message_counts_as_it_stands_where_nobody_heard_it_before() -> None:
    edited = as_shown(mention("<@UBOT> polish"), edited={"user": "U0ANN", "ts": "1790000000.000800"})
    assert read(edited) == one(delivery(mention("<@UBOT> polish")))
    assert read(edited, edited_too=False) is None


def test_no_odd_field_keeps_the_rest_of_a_channel_from_being_read() -> None:
    with capture_logs():
        for field in ("ts", "thread_ts", "user", "text", "subtype"):
            for odd in (GONE, None, 7, [], {"a": 1}, "", "Zorglub"):
                for event in (mention(), reply()):
                    read(as_shown(event, **{field: odd}))


def test_a_reaction_found_by_looking_stands_in_the_line_of_those_that_were_told() -> None:
    told = one(delivery(reaction()))
    found = Reaction.from_json({**told.body, "key": "reaction/seen/1", "at": NOW.isoformat(), "seen": True})
    letter = a_door().seen(found)
    assert (letter.line, letter.kind, letter.key) == (told.line, "reaction", "reaction/seen/1")
    assert Reaction.from_json(letter.body) == found
    assert letter.received_at - NOW == timedelta()


def test_a_reaction_kept_before_looking_was_possible_can_still_be_read() -> None:
    before = {key: value for key, value in one(delivery(reaction())).body.items() if key != "seen"}
    assert not Reaction.from_json(before).seen
