"""Slack's payloads, read as values: whole ones, odd ones, and those that are none of our business."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bot.slack.door import Door, deletion_of, moment
from handlers.errors import Refusal
from handlers.incoming import Click, Deletion, Entrance, Reaction, Reason, Request, Verb, Wish
from handlers.stack import StageName
from storage.records import Letter
from tests.bot.slack.payloads import (
    GONE,
    Payload,
    click,
    command,
    deleted,
    delivery,
    four_answers,
    mention,
    reaction,
    reply,
    run_it,
    submission,
    vary,
)


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Tracebacks of odd payloads go to the log, which takes its time to draw them."""
    with capture_logs():
        yield


NOW = datetime(2026, 11, 3, 14, 32, tzinfo=UTC)
LINK = "https://play.slack.com/archives/C0LAUNCH/p1790000000000200"


def a_door(**more: Any) -> Door:
    said: dict[str, Any] = {
        "bot_user": "UBOT",
        "prefix": "",
        "means_something": lambda emoji: emoji.partition("::")[0] in {"white_check_mark", "x"},
        "now": lambda: NOW,
        "team": "T0PLAY",
    }
    return Door(**(said | more))


def one(body: Payload, **door: Any) -> Letter:
    [letter] = a_door(**door).letters(body)
    assert len(letter.key) <= 200
    assert len(letter.line) <= 200
    assert json.loads(json.dumps(letter.body)) == letter.body
    return letter


def asked(body: Payload, **door: Any) -> Request:
    letter = one(body, **door)
    assert letter.kind == "request"
    return Request.from_json(letter.body)


def refused(body: Payload, **door: Any) -> str:
    with pytest.raises(Refusal) as said:
        a_door(**door).letters(body)
    return said.value.sentence


# commands


@pytest.mark.parametrize("stage", list(StageName))
def test_each_stage_has_its_command(stage: StageName) -> None:
    request = asked(command(command=f"/{stage}"))
    assert (request.verb, request.stage, request.entrance) == (Verb.STAGE, stage, Entrance.COMMAND)
    assert (request.team, request.channel, request.person) == ("T0PLAY", "C0LAUNCH", "U0ANN")
    assert (request.words, request.thread_ts, request.target_ts) == ("Announce the open cage", None, None)
    assert request.reply_url == "https://hooks.slack.com/commands/T0PLAY/1/x"


def test_commands_may_carry_a_prefix() -> None:
    assert asked(command(command="/cs-draft"), prefix="cs-").stage is StageName.DRAFT
    assert refused(command(command="/cs-draft")).startswith("I know no `/cs-draft`. Stages: scout, draft")


def test_a_command_with_a_link_addresses_that_message() -> None:
    request = asked(command(text=f"<{LINK}?thread_ts=1780000000.000200&amp;cid=C0LAUNCH> be harsh"))
    assert (request.target_ts, request.thread_ts) == ("1790000000.000200", "1780000000.000200")
    assert request.words == "be harsh"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (command(text=""), "Say what it is about: `/draft Announce that …`"),
        (command(text=GONE), "Say what it is about"),
        (command(text=None), "Say what it is about"),
        (command(text=" \n "), "Say what it is about"),
        (command(command="/dance"), "I know no `/dance`. Stages: scout, draft"),
        (command(command="/dance"), "Also `/route` and `/stack`."),
        (command(command="/route", trigger_id=GONE), "in a form I cannot read, so nothing was started"),
        (command(command="/route", team_id="T0OTHER"), "This app works for another workspace."),
        (command(command="/route", text=LINK.replace("C0LAUNCH", "C0DOCS")), "That link leads to another channel."),
        (command(command="/stack", team_id="T0OTHER"), "This app works for another workspace."),
        (command(command="/"), "I know no `/`."),
        (command(command=None), "I know no `None`."),
        (command(text=LINK.replace("C0LAUNCH", "C0DOCS")), "That link leads to another channel."),
        (command(team_id="T0OTHER"), "This app works for another workspace."),
        (command(team_id=GONE), "in a form I cannot read, so nothing was started"),
        (command(trigger_id=GONE), "in a form I cannot read, so nothing was started"),
        (command(trigger_id=None), "in a form I cannot read, so nothing was started"),
        (command(channel_id=GONE), "in a form I cannot read, so nothing was started"),
        (command(user_id=GONE), "in a form I cannot read, so nothing was started"),
    ],
)
def test_a_command_that_cannot_be_understood_is_answered_with_a_sentence(body: Payload, says: str) -> None:
    assert says in refused(body)


def test_a_command_without_an_address_for_the_answer_is_still_one() -> None:
    assert asked(command(response_url=GONE)).reply_url is None


# mentions


def test_a_mention_in_a_thread_asks_there() -> None:
    request = asked(delivery(mention()))
    assert (request.verb, request.stage, request.words) == (Verb.STAGE, StageName.CRITIQUE, "be harsh")
    assert (request.thread_ts, request.entrance) == ("1790000000.000100", Entrance.MENTION)
    assert request.at == moment("1790000000.000300")


def test_a_mention_without_a_thread_opens_one_at_its_own_place() -> None:
    assert asked(delivery(mention(thread_ts=GONE))).thread_ts == "1790000000.000300"


@pytest.mark.parametrize(
    ("text", "verb", "stage", "words"),
    [
        ("<@UBOT> draft it", Verb.STAGE, "draft", "it"),
        ("hey <@UBOT> draft it", Verb.STAGE, "draft", "it"),
        ("<@UBOT|countersign> draft it", Verb.STAGE, "draft", "it"),
        ("<@UBOT> revise the ending", Verb.STAGE, "draft", "the ending"),
        ("<@UBOT> status", Verb.STATUS, None, ""),
        ("<@UBOT> fresh critique be kind", Verb.FRESH, "critique", "be kind"),
        ("<@UBOT> second opinion: be kind", Verb.SECOND_OPINION, None, "be kind"),
        ("<@UBOT>", Verb.HELP, None, ""),
        ("<@UBOT> hello &amp; welcome", Verb.HELP, None, "hello & welcome"),
        ("<@UOTHER> draft it", Verb.HELP, None, ""),
        ("", Verb.HELP, None, ""),
    ],
)
def test_what_stands_behind_our_name_is_read(text: str, verb: Verb, stage: str | None, words: str) -> None:
    request = asked(delivery(mention(text)))
    assert (request.verb, request.stage, request.words) == (verb, stage and StageName(stage), words)


def test_a_mention_may_point_at_a_message_of_its_channel_only() -> None:
    request = asked(delivery(mention(f"<@UBOT> critique <{LINK}> be harsh")))
    assert (request.target_ts, request.words) == ("1790000000.000200", "be harsh")
    for words in (f"fresh <{LINK}> critique", f"fresh critique <{LINK}>", f"second opinion <{LINK}>"):
        assert asked(delivery(mention(f"<@UBOT> {words}"))).target_ts == "1790000000.000200"
    elsewhere = LINK.replace("C0LAUNCH", "C0DOCS")
    request = asked(delivery(mention(f"<@UBOT> critique <{elsewhere}> be harsh")))
    assert request.target_ts is None
    assert request.words == f"{elsewhere} be harsh"


# reactions


@pytest.mark.parametrize("kind", ["reaction_added", "reaction_removed"])
def test_a_reaction_is_who_what_where_and_when(kind: str) -> None:
    letter = one(delivery(reaction(kind)))
    assert (letter.kind, letter.line) == ("reaction", "reaction/C0LAUNCH/1790000000.000200")
    found = Reaction.from_json(letter.body)
    assert (found.person, found.emoji, found.added) == ("U0RAE", "white_check_mark", kind == "reaction_added")
    assert (found.message_ts, found.at) == ("1790000000.000200", moment("1790000000.000400"))


def test_skin_tones_pass_and_the_author_of_the_message_does_not_matter() -> None:
    found = Reaction.from_json(one(delivery(reaction(reaction="x::skin-tone-3", item_user=GONE))).body)
    assert found.emoji == "x::skin-tone-3"


def test_a_reaction_that_means_nothing_by_now_can_still_be_taken_away() -> None:
    assert a_door().letters(delivery(reaction(reaction="taco"))) == []
    assert Reaction.from_json(one(delivery(reaction("reaction_removed", reaction="taco"))).body).emoji == "taco"


# replies


@pytest.mark.parametrize("subtype", [GONE, None, "thread_broadcast", "file_share"])
def test_a_reply_in_a_thread_may_be_a_reason(subtype: Any) -> None:
    letter = one(delivery(reply(subtype=subtype, text="Name the &lt;date&gt;.")))
    assert letter.kind == "reason"
    said = Reason.from_json(letter.body)
    assert (said.person, said.thread_ts, said.words) == ("U0SAM", "1790000000.000100", "Name the <date>.")


# buttons and the modal


@pytest.mark.parametrize(
    ("action", "verb", "stage", "revises"),
    [
        ("critique", Verb.STAGE, "critique", False),
        ("revise", Verb.STAGE, "draft", True),
        ("final", Verb.STAGE, "final", False),
        ("to_code", Verb.STAGE, "implement", False),
        ("to_content", Verb.TO_CONTENT, None, False),
        ("second_opinion", Verb.SECOND_OPINION, None, False),
        ("context", Verb.CONTEXT, None, False),
    ],
)
def test_a_button_asks_about_its_answer(action: str, verb: Verb, stage: str | None, *, revises: bool) -> None:
    request = asked(click(action))
    assert (request.verb, request.stage, request.revises) == (verb, stage and StageName(stage), revises)
    assert (request.target_id, request.thread_ts, request.channel) == ("a-cage", "1790000000.000100", "C0LAUNCH")
    assert request.entrance is Entrance.BUTTON


@pytest.mark.parametrize(
    ("changes", "channel", "thread"),
    [
        ({"message": GONE}, "C0LAUNCH", "1790000000.000200"),
        ({"message": {"ts": "1790000000.000200"}}, "C0LAUNCH", "1790000000.000200"),
        ({"channel": GONE}, "C0LAUNCH", "1790000000.000100"),
        ({"container": GONE}, "C0LAUNCH", "1790000000.000100"),
        ({"team": None}, "C0LAUNCH", "1790000000.000100"),
    ],
)
def test_a_click_finds_its_place_in_whatever_part_says_it(changes: Payload, channel: str, thread: str) -> None:
    request = asked(click(**changes))
    assert (request.team, request.channel, request.thread_ts) == ("T0PLAY", channel, thread)


def test_the_button_that_starts_fresh_is_about_its_thread() -> None:
    request = asked(click("fresh"))
    assert (request.verb, request.entrance) == (Verb.FRESH, Entrance.BUTTON)
    assert (request.target_id, request.thread_ts) == (None, "1790000000.000100")


PRESSED = {"type": "button", "value": "a-cage/5f1c", "action_ts": "1790000001.000500", "block_id": "b"}


@pytest.mark.parametrize("wish", Wish)
def test_a_button_of_a_review_card_is_who_what_and_about_which_text(wish: Wish) -> None:
    body = click(actions=[{**PRESSED, "action_id": wish.value}])
    letter = one(body)
    assert (letter.kind, letter.line) == ("click", "reaction/C0LAUNCH/1790000000.000200")
    found = Click.from_json(letter.body)
    assert (found.person, found.wish, found.answer_id, found.sha256) == ("U0ANN", wish, "a-cage", "5f1c")
    assert (found.at, found.thread_ts) == (moment("1790000001.000500"), "1790000000.000100")
    assert one(body).key == letter.key, "delivered again it is the same click"
    again = click(actions=[{**PRESSED, "action_id": wish.value, "action_ts": "1790000002.000500"}])
    assert one(again).key != letter.key


@pytest.mark.parametrize("changes", [{"value": ""}, {"value": None}, {"action_ts": None}, {"action_ts": "soon"}])
def test_a_click_that_does_not_say_what_about_or_when_is_none(changes: Payload) -> None:
    assert a_door().letters(click(actions=[{**PRESSED, "action_id": "approve", **changes}])) == []


def test_a_click_that_names_no_digest_is_about_no_text_there_is() -> None:
    found = Click.from_json(one(click("approve")).body)
    assert (found.answer_id, found.sha256) == ("a-cage", "")


def test_the_modal_brings_a_note_and_a_brief() -> None:
    request = asked(submission())
    assert (request.entrance, request.stage) == (Entrance.SHORTCUT, StageName.CRITIQUE)
    assert (request.words, request.brief, request.target_ts, request.thread_ts) == ("be harsh", "", "1.2", "1.1")


# the four questions


def test_run_it_is_a_slash_command_with_the_same_words_that_name_nothing_else() -> None:
    request, same = asked(run_it()), asked(command())
    assert request == replace(same, key=request.key, reply_url=None, entrance=Entrance.FORM)
    assert request.key == "view/V0ROUTE"
    assert one(run_it()).line != one(run_it(id="V0OTHER")).line


def test_run_it_in_a_thread_lands_there_or_begins_afresh() -> None:
    there = {"thread_ts": "1790000000.000100", "has_work": True}
    request = asked(run_it("", kept=there))
    assert (request.words, request.thread_ts, request.verb) == ("", "1790000000.000100", Verb.STAGE)
    assert one(run_it(kept=there)).line == "T0PLAY/C0LAUNCH/1790000000.000100"
    afresh = asked(run_it(kept={**there, "is_fresh": True}))
    assert (afresh.verb, afresh.brief_alone) == (Verb.FRESH, True)
    with_text = asked(run_it(kept={**there, "is_fresh": True, "takes_text": True}))
    assert (with_text.verb, with_text.brief_alone) == (Verb.FRESH, False)


@pytest.mark.parametrize("thread", [None, "1790000000.000100"])
def test_run_it_may_begin_with_a_link_to_a_text(thread: str | None) -> None:
    kept = {"stage": "critique", "needs_text": True, "is_fresh": True, "thread_ts": thread}
    request = asked(run_it(f"{LINK} be <harsh> &amp; fair", kept=kept))
    assert (request.stage, request.target_ts, request.thread_ts) == ("critique", "1790000000.000200", thread)
    assert request.words == "be <harsh> &amp; fair", "a form brings what was typed, letter for letter"
    assert request.verb is Verb.STAGE, "who points at a text wants it to be read"
    elsewhere = f"{LINK}?thread_ts=1780000000.000200&cid=C0LAUNCH"
    assert asked(run_it(elsewhere, kept=kept)).thread_ts == "1780000000.000200"


def test_whoever_types_route_wants_to_see_the_form() -> None:
    body = command(command="/cs-route", text=f"<{LINK}|{LINK}> Announce &lt;it&gt;")
    opener = a_door(prefix="cs-").opener(body)
    assert opener is not None
    assert (opener.team, opener.channel, opener.person, opener.trigger_id) == ("T0PLAY", "C0LAUNCH", "U0ANN", "1.2.abc")
    assert (opener.thread_ts, opener.said_in, opener.words) == (None, None, f"{LINK} Announce <it>")
    assert opener.reply_url == "https://hooks.slack.com/commands/T0PLAY/1/x"
    assert a_door(prefix="cs-").letters(body) == []


ROUTE_CLICK = {"type": "button", "action_id": "route", "block_id": "b", "action_ts": "1790000001.0"}
OFFER = {**ROUTE_CLICK, "value": "1790000000.000100/1790000000.000300"}


def test_whoever_presses_the_offers_button_wants_the_form_in_its_thread() -> None:
    odd: list[Payload] = [{}, {"message": GONE}, {"channel": GONE}]
    for changes in odd:
        opener = a_door().opener(click(actions=[OFFER], **changes))
        assert opener is not None
        assert (opener.thread_ts, opener.channel, opener.trigger_id) == ("1790000000.000100", "C0LAUNCH", "1.2.def")
        assert opener.said_in == one(delivery(mention("<@UBOT> route it"))).key


@pytest.mark.parametrize("value", [None, "", "soon", "soon/later", 7, "/1790000000.000300"])
def test_an_offer_that_does_not_say_where_opens_no_form(value: Any) -> None:
    assert a_door().opener(click(actions=[{**OFFER, "value": value}])) is None


def test_nobody_else_wants_to_see_the_form() -> None:
    others = [command(), command(command="/stack"), click(), click("approve"), submission(), {}, delivery(mention())]
    abroad = [command(command="/route", team_id="T9"), click(actions=[OFFER], team={"id": "T9"})]
    assert [a_door().opener(body) for body in (*others, *abroad)] == [None] * 9


@pytest.mark.parametrize(
    "whole", [lambda: command(command="/route"), lambda: click(actions=[{**OFFER}])], ids=["command", "click"]
)
def test_no_odd_field_keeps_a_door_from_saying_who_wants_the_form(whole: Callable[[], Payload]) -> None:
    for path in paths(whole()):
        for value in (None, "", "odd", 7, [], {}, ["x"], {"id": None}):
            body = whole()
            node: Any = body
            for step in path[:-1]:
                node = node[step]
            node[path[-1]] = value
            a_door().opener(body)


def test_a_mention_asks_for_the_questions_with_its_words_as_they_are() -> None:
    request = asked(delivery(mention(f"<@UBOT> route <{LINK}> be harsh")))
    assert (request.verb, request.stage, request.target_ts) == (Verb.ROUTE, None, None)
    assert request.words == f"{LINK} be harsh"


def test_the_stack_is_shown_to_whoever_asks_and_takes_no_words() -> None:
    request = asked(command(command="/stack", text=LINK.replace("C0LAUNCH", "C0DOCS")))
    assert (request.verb, request.stage, request.words, request.entrance) == (Verb.STACK, None, "", Entrance.COMMAND)
    assert request.reply_url == "https://hooks.slack.com/commands/T0PLAY/1/x"
    assert asked(delivery(mention("<@UBOT> stack"))).verb is Verb.STACK


# shared channels


def test_in_a_shared_channel_the_workspace_is_the_one_we_are_installed_in() -> None:
    body = delivery(mention(user="U9OTHER", team="T9OTHER"), team_id="T9OTHER", is_ext_shared_channel=True)
    assert asked(body).team == "T0PLAY"
    assert asked(delivery(mention(), authorizations=GONE)).team == "T0PLAY"
    assert asked(delivery(mention(), authorizations=[])).team == "T0PLAY"


# deletions


def test_a_message_of_ours_that_was_deleted_is_a_deletion_whoever_tells_it_and_however_often() -> None:
    letter = one(delivery(deleted()))
    assert (letter.kind, letter.line) == ("deletion", "reaction/C0LAUNCH/1790000000.000200")
    told = Deletion.from_json(letter.body)
    assert (told.team, told.channel, told.message_ts) == ("T0PLAY", "C0LAUNCH", "1790000000.000200")
    found = deletion_of("T0PLAY", "C0LAUNCH", "1790000000.000200", told.at + timedelta(hours=1))
    assert a_door().seen(found).key == letter.key


# what asks nothing of us: no letter, and never an exception

MESSAGE_ITEM = {"type": "message", "channel": "C0LAUNCH", "ts": "1790000000.000200"}
NOTHING: dict[str, Payload] = {
    "an empty body": {},
    "a body of an unknown type": {"type": "quantum"},
    "a body whose type is no word": {"type": ["block_actions"]},
    "url_verification": {"type": "url_verification", "challenge": "x"},
    "ssl_check": {"ssl_check": "1"},
    "an event without an event": delivery(reply(), event=GONE),
    "an event that is null": delivery(reply(), event=None),
    "an event that is a word": delivery(reply(), event="app_mention"),
    "an event without a type": delivery(mention(type=GONE)),
    "an unknown event": delivery({"type": "team_rename", "name": "zoo"}),
    "app_home_opened": delivery({"type": "app_home_opened", "user": "U0ANN", "channel": "D0"}),
    "member_joined_channel": delivery({"type": "member_joined_channel", "user": "UBOT", "channel": "C0LAUNCH"}),
    "message_changed": delivery(reply(subtype="message_changed")),
    "message_deleted": delivery(reply(subtype="message_deleted")),
    "a person's message deleted": delivery(deleted(previous_message={"user": "U0ANN", "text": "hm"})),
    "a deletion that shows nothing of what was there": delivery(deleted(previous_message=GONE)),
    "a deletion without a place": delivery(deleted(deleted_ts=GONE)),
    "our own message": delivery(reply(user="UBOT")),
    "a mention by ourselves": delivery(mention(user="UBOT")),
    "message_replied": delivery(reply(subtype="message_replied")),
    "channel_join": delivery(reply(subtype="channel_join")),
    "bot_message": delivery(reply(subtype="bot_message", bot_id="B0")),
    "a bot's reply": delivery(reply(bot_id="B0BOT")),
    "a reply of nobody": delivery(reply(user=GONE)),
    "a reply without words and place": delivery(reply(ts=GONE)),
    "a message outside a thread": delivery(reply(thread_ts=GONE)),
    "a thread's root": delivery(reply(ts="1790000000.000100")),
    "a reply that mentions us comes as a mention too": delivery(reply(text="<@UBOT> final")),
    "the same with a label": delivery(reply(text="hey <@UBOT|countersign> final")),
    "a reply without a channel": delivery(reply(channel=GONE)),
    "a reply at an odd time": delivery(reply(ts="yesterday")),
    "a bot's mention": delivery(mention(bot_id="B0BOT")),
    "an edited mention": delivery(mention(edited={"user": "U0ANN", "ts": "1790000001.000000"})),
    "a mention of nobody": delivery(mention(user=GONE)),
    "a mention without a place": delivery(mention(ts=GONE)),
    "a mention without a channel": delivery(mention(channel=GONE)),
    "a mention at an odd time": delivery(mention(ts="soon")),
    "a mention at the end of time": delivery(mention(ts="9" * 40)),
    "a mention before all time": delivery(mention(ts="-" + "9" * 18)),
    "a mention without a workspace": delivery(mention(), team_id=GONE, authorizations=GONE),
    "a mention in another workspace": delivery(mention(), team_id="T9", authorizations=[{"team_id": "T9"}]),
    "odd authorizations": delivery(mention(), authorizations=["T0PLAY"]),
    "our own reaction": delivery(reaction(user="UBOT")),
    "a reaction of nobody": delivery(reaction(user=GONE)),
    "a reaction on a file": delivery(reaction(item={"type": "file", "file": "F0"})),
    "a reaction on a file's comment": delivery(reaction(item={"type": "file_comment", "file_comment": "Fc0"})),
    "a reaction on nothing": delivery(reaction(item=GONE)),
    "a reaction on null": delivery(reaction(item=None)),
    "a reaction without a message": delivery(reaction(item={"type": "message", "channel": "C0LAUNCH"})),
    "a reaction without a channel": delivery(reaction(item=vary(MESSAGE_ITEM, channel=GONE))),
    "a meaningless reaction": delivery(reaction(reaction="eyes")),
    "a reaction that looks alike": delivery(reaction(reaction="white_check_mark2")),
    "a reaction without a name": delivery(reaction(reaction=GONE)),
    "a removal without a name": delivery(reaction("reaction_removed", reaction=GONE)),
    "a reaction without its time": delivery(reaction(event_ts=GONE)),
    "a reaction without its id": delivery(reaction(), event_id=GONE),
    "a reaction in another workspace": delivery(reaction(), team_id="T9", authorizations=[{"team_id": "T9"}]),
    "an unknown button": click("delete_everything"),
    "a click without actions": click(actions=[]),
    "a click whose actions are null": click(actions=None),
    "a click whose actions are no list": click(actions={"0": "critique"}),
    "a button without a value": click(actions=[{"action_id": "critique"}]),
    "a click of nobody": click(user=GONE),
    "a click in another workspace": click(team={"id": "T9"}),
    "a click without any workspace": click(team=None, user={"id": "U0ANN"}),
    "another modal": submission(callback_id="invite"),
    "a modal without its place": submission(private_metadata="{}"),
    "a modal whose place is no JSON": submission(private_metadata="C0LAUNCH"),
    "a modal whose place is a list": submission(private_metadata="[]"),
    "a modal without an id": submission(id=GONE),
    "a modal with odd values": submission(state={"values": {"note": "be harsh"}}),
    "a modal without a view": vary(submission(), view=GONE),
    "the four questions, which start nothing": four_answers(),
    "the button that asks for them": click("route"),
    "Run it without words": run_it(" \n "),
    "Run it with too many words": run_it("x" * 3_001),
    "Run it without a state": run_it(state=GONE),
    "Run it without a place": run_it(private_metadata="{}"),
    "Run it with a place that is no JSON": run_it(private_metadata="C0LAUNCH"),
    "Run it with a place that is too deep": run_it(private_metadata="[" * 100_000),
    "Run it with a stage there is not": run_it(kept={"stage": "approve"}),
    "Run it with a thread at an odd time": run_it(kept={"thread_ts": "soon"}),
    "Run it without the text it needs": run_it(kept={"stage": "critique", "needs_text": True}),
    "Run it with a link to another channel": run_it(LINK.replace("C0LAUNCH", "C0DOCS")),
    "Run it without an id": run_it(id=GONE),
    "Run it in another workspace": {**run_it(), "team": {"id": "T9"}},
    "a closed modal": vary(submission(), type="view_closed"),
    "a shortcut": {"type": "message_action", "callback_id": "critique_message", "trigger_id": "1"},
    "a suggestion": {"type": "block_suggestion", "value": "cag"},
}


@pytest.mark.parametrize("what", NOTHING)
def test_what_is_none_of_our_business_gives_no_letter(what: str) -> None:
    assert a_door().letters(NOTHING[what]) == []


WHOLE: list[Callable[[], Payload]] = [
    command,
    lambda: delivery(mention()),
    lambda: delivery(reaction()),
    lambda: delivery(reaction("reaction_removed")),
    lambda: delivery(reply()),
    click,
    submission,
    run_it,
]
NAMES = ["command", "mention", "added", "removed", "reply", "click", "modal", "advice"]


def paths(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at] if at else []
    if isinstance(node, dict):
        found += [path for key, value in node.items() for path in paths(value, (*at, key))]
    elif isinstance(node, list):
        found += [path for place, value in enumerate(node) for path in paths(value, (*at, place))]
    return found


@pytest.mark.parametrize("whole", WHOLE, ids=NAMES)
def test_no_missing_or_odd_field_raises_anything_but_a_refusal_of_a_command(whole: Callable[[], Payload]) -> None:
    odd = [GONE, None, "", "odd", 7, -1.5, True, [], {}, ["x"], {"id": None}, "\ud800", "\x00", "9" * 30]
    checked = 0
    for path in paths(whole()):
        for value in odd:
            body = whole()
            node: Any = body
            for step in path[:-1]:
                node = node[step]
            if value is GONE:
                del node[path[-1]]
            else:
                node[path[-1]] = value
            try:
                letters = a_door().letters(body)
            except Refusal:
                assert "command" in body
            else:
                assert len(letters) <= 1
            checked += 1
    assert checked > 90


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(["event_callback", "block_actions", "view_submission"]),
)
def test_no_body_is_too_odd(anything: Any, kind: str) -> None:
    body = {"type": kind, "event": anything, "actions": anything, "view": anything, "team_id": "T0PLAY"}
    assert a_door().letters(body) == []


# keys: the same for a redelivery, another for another deed


@pytest.mark.parametrize("whole", WHOLE, ids=NAMES)
def test_a_redelivery_has_the_same_key_and_line(whole: Callable[[], Payload]) -> None:
    first, again = one(whole()), one({**whole(), "retry": True, "token": "another", "event_time": 1}, now=lambda: NOW)
    assert (first.key, first.line) == (again.key, again.line)


def test_the_other_way_of_delivery_has_the_same_key() -> None:
    socket = {**delivery(mention()), "envelope_id": "e-1", "accepts_response_payload": False}
    assert one(socket).key == one(delivery(mention())).key


@pytest.mark.parametrize(
    "deeds",
    [
        [command(), command(trigger_id="1.2.other")],
        [delivery(mention()), delivery(mention(ts="1790000000.000301")), delivery(mention(channel="C0DOCS"))],
        [delivery(reaction(), event_id=f"Ev{n}") for n in range(3)],
        [delivery(reply()), delivery(reply(ts="1790000000.000501"))],
        [delivery(mention()), delivery(reply(ts="1790000000.000300"))],
        [click("critique"), click("revise"), click("final"), click("context")],
        [click(), click(user={"id": "U0RAE", "team_id": "T0PLAY"})],
        [click(), click(actions=[{"action_id": "critique", "value": "a-cage", "action_ts": "1790000002.0"}])],
        [submission(), submission(id="V0OTHER")],
        [run_it(), run_it(id="V0OTHER")],
    ],
    ids=["commands", "mentions", "reactions", "replies", "kinds", "buttons", "people", "times", "modals", "advices"],
)
def test_different_deeds_have_different_keys(deeds: list[Payload]) -> None:
    keys = [one(deed).key for deed in deeds]
    assert len(set(keys)) == len(keys)


def test_what_happens_in_one_thread_is_handled_in_one_line() -> None:
    lines = {one(body).line for body in (delivery(mention()), delivery(reply()), click())}
    assert lines == {"T0PLAY/C0LAUNCH/1790000000.000100"}
    assert one(command()).line != one(command(trigger_id="1.2.other")).line


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        ("1790000000.000100", datetime(2026, 9, 21, 14, 13, 20, 100, tzinfo=UTC)),
        ("1790000000.1", datetime(2026, 9, 21, 14, 13, 20, 100_000, tzinfo=UTC)),
        ("1790000000", datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)),
        ("1790000000.1234567", datetime(2026, 9, 21, 14, 13, 20, 123_456, tzinfo=UTC)),
    ],
)
def test_slacks_times_keep_their_microseconds(ts: str, expected: datetime) -> None:
    assert moment(ts) == expected
