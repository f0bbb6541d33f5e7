"""Slack's payloads, read as values: nothing behind this door knows a field's name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from bot.slack.plain import Pointer, plain_words, take_permalink
from bot.slack.route_form import ROUTE_ADVICE, ROUTE_BUTTON, Faulty, Opener, read_wanted
from handlers.asking import Asked, read_mention
from handlers.errors import Refusal
from handlers.incoming import Click, Deletion, Entrance, Reaction, Reason, Request, Verb, Wish
from handlers.stack import StageName
from storage.records import Letter

log = structlog.get_logger(__name__)

Payload = dict[str, Any]
Said = Request | Reaction | Click | Reason | Deletion

BUTTONS = {
    "critique": Asked(verb=Verb.STAGE, stage=StageName.CRITIQUE),
    "revise": Asked(verb=Verb.STAGE, stage=StageName.DRAFT, revises=True),
    "final": Asked(verb=Verb.STAGE, stage=StageName.FINAL),
    "second_opinion": Asked(verb=Verb.SECOND_OPINION),
    "to_code": Asked(verb=Verb.STAGE, stage=StageName.IMPLEMENT),
    "to_content": Asked(verb=Verb.TO_CONTENT),
    "fresh": Asked(verb=Verb.FRESH),
    "context": Asked(verb=Verb.CONTEXT),
    "download": Asked(verb=Verb.DOWNLOAD),
    "raise": Asked(verb=Verb.RAISE),
}
CRITIQUE_SHORTCUT = "critique_message"
CRITIQUE_MODAL = "critique_modal"
_KEY_LIMIT = 200
_REPLIES = frozenset({None, "thread_broadcast", "file_share"})
"""The subtypes under which a person's reply in a thread may come."""
_ODD = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, OSError)
"""What reading a payload of another shape than documented ends in."""
_UNREADABLE = "Slack delivered this command in a form I cannot read, so nothing was started. Try again in a minute."


@dataclass(frozen=True, kw_only=True, slots=True)
class Door:
    """What reading a payload takes: who we are, how commands are called, which emoji mean something.

    Without a team, deliveries of any workspace are read.
    """

    bot_user: str
    prefix: str
    means_something: Callable[[str], bool]
    now: Callable[[], datetime]
    team: str | None = None

    def letters(self, body: Payload) -> list[Letter]:
        """What a delivery asks of us. Empty for what is only to be acknowledged, and for what cannot be read.

        Raises:
            Refusal: a slash command that cannot be understood; the sentence is its answer.
        """
        try:
            value = self._value(body)
            return [self._letter(value)] if value else []
        except _ODD as problem:
            log.exception("a delivery could not be read", type=str(body.get("type")))
            if "command" in body:
                raise Refusal(_UNREADABLE) from problem
            return []

    def read_back(self, shown: Payload, *, team: str, channel: str, edited_too: bool) -> Letter | None:
        """The letter of a message that Slack shows, the very same that its delivery would have been.

        An edited message counts as it stands now, or not at all: only of one posted while nobody listened is it
        certain that we did not see what it said first.
        """
        event = {**shown, "channel": channel, "edited": None}
        body = {"type": "event_callback", "team_id": team, "event": event}
        try:
            if shown.get("subtype") not in _REPLIES or shown.get("user") == self.bot_user:
                return None
            if shown.get("edited") and not edited_too:
                return None
            calls_us = self._calls_us().search(str(shown.get("text") or "")) is not None
            value = self.mention(body, event) if calls_us else self.reply(body, event)
            return self._letter(value) if value else None
        except _ODD:
            log.exception("a message could not be read back", channel=channel)
            return None

    def seen(self, found: Reaction | Deletion) -> Letter:
        """The letter of a reaction or a deletion that was found by looking."""
        return self._letter(found)

    def _value(self, body: Payload) -> Said | None:
        if "command" in body:
            return self.command(body)
        match body.get("type"):
            case "event_callback":
                value: Said | None = self.event(body)
            case "block_actions":
                value = self.click(body)
            case "view_submission":
                value = self.submission(body)
            case _:
                return None
        return value if value is None or self._is_ours(value.team) else None

    def is_ours(self, body: Payload) -> bool:
        """Whether a delivery comes from the workspace that we work for."""
        try:
            return self._is_ours(_team_of(body))
        except _ODD:
            return False

    def _is_ours(self, team: str) -> bool:
        return self.team is None or team == self.team

    def opener(self, body: Payload) -> Opener | None:
        """Who wants to see the form of the four questions, if that is what a delivery asks for."""
        try:
            found = self._opener_by_command(body) if "command" in body else self._opener_by_button(body)
        except _ODD:
            log.exception("a delivery could not be read", type=str(body.get("type")))
            return None
        return found if found and self._is_ours(found.team) else None

    def _opener_by_command(self, body: Payload) -> Opener | None:
        if self._command(body) != Verb.ROUTE:
            return None
        return Opener(
            team=body["team_id"],
            channel=body["channel_id"],
            person=body["user_id"],
            trigger_id=body["trigger_id"],
            thread_ts=None,
            words=plain_words(str(body.get("text") or "")).strip(),
            said_in=None,
            reply_url=body.get("response_url"),
            again=f"Type `{body['command']}` once more.",
        )

    def _opener_by_button(self, body: Payload) -> Opener | None:
        action = (body.get("actions") or [{}])[0]
        if body.get("type") != "block_actions" or action.get("action_id") != ROUTE_BUTTON:
            return None
        thread_ts, _, asked_ts = action["value"].partition("/")
        moment(thread_ts)
        team, channel = _team_of(body), (body.get("channel") or {}).get("id") or body["container"]["channel_id"]
        return Opener(
            team=team,
            channel=channel,
            person=body["user"]["id"],
            trigger_id=body["trigger_id"],
            thread_ts=thread_ts,
            words="",
            said_in=_key("mention", team, channel, asked_ts),
            reply_url=body.get("response_url"),
            again="Press the button once more.",
        )

    def _command(self, body: Payload) -> str:
        """A slash command's name, without the operator's prefix."""
        return str(body["command"]).removeprefix("/").removeprefix(self.prefix)

    def command(self, body: Payload) -> Request | None:
        """`/draft [link] words`, or `/stack`. None for `/route`, which opens a form first.

        Raises:
            Refusal: there is nothing to work on.
        """
        name = self._command(body)
        if name not in {*StageName, Verb.ROUTE, Verb.STACK}:
            others = f"`/{self.prefix}route` and `/{self.prefix}stack`"
            raise Refusal(f"I know no `{body['command']}`. Stages: {', '.join(StageName)}. Also {others}.")
        if not self._is_ours(body["team_id"]):
            raise Refusal("This app works for another workspace. Ask there, or have it installed here.")
        if name == Verb.STACK:
            return self._commanded(body, Verb.STACK)
        pointer, words = take_permalink(str(body.get("text") or ""))
        if pointer and pointer.channel != body["channel_id"]:
            raise Refusal("That link leads to another channel. Ask there: what is said there stays there.")
        if name == Verb.ROUTE:
            self._opener_by_command(body)  # is read here, too, so that what cannot be is answered
            return None
        if not pointer and not words:
            raise Refusal(_empty(body["command"], StageName(name)))
        return self._commanded(body, Verb.STAGE, stage=StageName(name), words=words, pointer=pointer)

    def _commanded(
        self,
        body: Payload,
        verb: Verb,
        *,
        stage: StageName | None = None,
        words: str = "",
        pointer: Pointer | None = None,
    ) -> Request:
        return Request(
            key=_key("command", body["trigger_id"]),
            entrance=Entrance.COMMAND,
            verb=verb,
            stage=stage,
            team=body["team_id"],
            channel=body["channel_id"],
            person=body["user_id"],
            at=self.now(),
            words=plain_words(words),
            thread_ts=pointer.thread_ts if pointer else None,
            target_ts=pointer.ts if pointer else None,
            target_thread_ts=pointer.thread_ts if pointer else None,
            reply_url=body.get("response_url"),
        )

    def event(self, body: Payload) -> Request | Reaction | Reason | Deletion | None:
        """A mention, a reaction, a reply that may be a reason, or that a message of ours was deleted."""
        event = body.get("event") or {}
        match event.get("type"):
            case "app_mention":
                return self.mention(body, event)
            case "reaction_added" | "reaction_removed":
                return self.reaction(body, event)
            case "message" if event.get("subtype") == "message_deleted":
                return self.deletion(body, event)
            case "message":
                return self.reply(body, event)
            case _:
                return None

    def mention(self, body: Payload, event: Payload) -> Request | None:
        """`@bot critique [link] words`, in a thread or starting one."""
        if event.get("bot_id") or event.get("edited") or event.get("user") in {None, "", self.bot_user}:
            return None
        text = str(event.get("text") or "")
        called = self._calls_us().search(text)
        asked = read_mention(text[called.end() :] if called else "")
        # What the four questions will be about goes into their form as it was said.
        pointer, words = (None, asked.words) if asked.verb is Verb.ROUTE else take_permalink(asked.words)
        thread = event.get("thread_ts") or event["ts"]
        if pointer and pointer.channel != event["channel"]:
            pointer = None
            words = asked.words
        return Request(
            key=_key("mention", _team_of(body), event["channel"], event["ts"]),
            entrance=Entrance.MENTION,
            verb=asked.verb,
            stage=asked.stage,
            revises=asked.revises,
            pipeline=asked.pipeline,
            start=asked.start,
            team=_team_of(body),
            channel=event["channel"],
            person=event["user"],
            at=moment(event["ts"]),
            words=plain_words(words),
            thread_ts=thread,
            target_ts=pointer.ts if pointer else None,
            target_thread_ts=pointer.thread_ts if pointer else None,
        )

    def reaction(self, body: Payload, event: Payload) -> Reaction | None:
        """A reaction that means something; or any that is taken away, for it may have meant something when it came."""
        item, added = event.get("item") or {}, event["type"] == "reaction_added"
        if item.get("type") != "message" or (added and not self.means_something(str(event.get("reaction")))):
            return None
        if not event.get("user") or event["user"] == self.bot_user:
            return None
        return Reaction(
            key=_key("reaction", body["event_id"]),
            team=_team_of(body),
            channel=item["channel"],
            message_ts=item["ts"],
            person=event["user"],
            emoji=str(event["reaction"]),
            added=added,
            at=moment(event["event_ts"]),
        )

    def deletion(self, body: Payload, event: Payload) -> Deletion | None:
        """A message of ours is gone; whose it was stands in what Slack shows of it."""
        if (event.get("previous_message") or {}).get("user") != self.bot_user:
            return None
        return deletion_of(_team_of(body), event["channel"], event["deleted_ts"], moment(event["event_ts"]))

    def reply(self, body: Payload, event: Payload) -> Reason | None:
        """A person's plain reply in a thread; the inbox takes it only if a reason is wanted from them there."""
        if event.get("subtype") not in _REPLIES or event.get("bot_id"):
            return None
        if event.get("user") in {None, "", self.bot_user}:
            return None
        if not event.get("thread_ts") or event["ts"] == event["thread_ts"]:
            return None
        text = str(event.get("text") or "")
        if self._calls_us().search(text):
            return None
        return Reason(
            key=_key("reply", _team_of(body), event["channel"], event["ts"]),
            team=_team_of(body),
            channel=event["channel"],
            thread_ts=event["thread_ts"],
            person=event["user"],
            words=plain_words(text),
            at=moment(event["ts"]),
        )

    def _calls_us(self) -> re.Pattern[str]:
        return re.compile(rf"<@{re.escape(self.bot_user)}(?:\|[^<>]*)?>")

    def click(self, body: Payload) -> Request | Click | None:
        """A button under an answer or on a review card. What it may do is decided by what its answer is."""
        action = (body.get("actions") or [{}])[0]
        name = str(action.get("action_id"))
        asked = BUTTONS.get(name.partition(":")[0])  # two of a kind in one message are told apart by what follows
        container = body.get("container") or {}
        if (asked is None and name not in list(Wish)) or not action.get("value"):
            return None
        message = body.get("message") or {}
        where = container.get("message_ts") or message.get("ts") or ""
        key = _key("click", where, name, action.get("action_ts", ""), body["user"]["id"])
        if asked is None:
            answer_id, _, sha256 = action["value"].partition("/")
            return Click(
                key=key,
                team=_team_of(body),
                channel=(body.get("channel") or {}).get("id") or container["channel_id"],
                message_ts=where,
                thread_ts=message.get("thread_ts") or container.get("thread_ts") or where,
                person=body["user"]["id"],
                wish=Wish(name),
                answer_id=answer_id,
                sha256=sha256,
                action_ts=action["action_ts"],
                at=moment(action["action_ts"]),
            )
        return Request(
            key=key,
            entrance=Entrance.BUTTON,
            verb=asked.verb,
            stage=asked.stage,
            revises=asked.revises,
            team=_team_of(body),
            channel=(body.get("channel") or {}).get("id") or container.get("channel_id", ""),
            person=body["user"]["id"],
            at=self.now(),
            thread_ts=message.get("thread_ts") or container.get("thread_ts") or where,
            target_id=None if asked.verb is Verb.FRESH else action["value"],  # a thread has it, and no one answer
        )

    def submission(self, body: Payload) -> Request | None:
        """The modal of "Critique this", or "Run it" under what the four questions came to."""
        view = body.get("view") or {}
        if view.get("callback_id") == ROUTE_ADVICE:
            return self._routed(body, view)
        if view.get("callback_id") != CRITIQUE_MODAL:
            return None
        place = json.loads(view["private_metadata"])
        said = {
            action: str(value.get("value") or "").strip()
            for block in (view.get("state") or {}).get("values", {}).values()
            for action, value in block.items()
        }
        return Request(
            key=_key("view", view["id"]),
            entrance=Entrance.SHORTCUT,
            verb=Verb.STAGE,
            stage=StageName.CRITIQUE,
            team=_team_of(body),
            channel=place["channel"],
            person=body["user"]["id"],
            at=self.now(),
            words=plain_words(said.get("note", "")),
            brief=plain_words(said.get("brief", "")),
            thread_ts=place.get("thread_ts"),
            target_ts=place["ts"],
            target_thread_ts=place.get("thread_ts"),
        )

    def _routed(self, body: Payload, view: Payload) -> Request | None:
        """What was advised, with these words; None for what cannot be started so, which its form says."""
        try:
            wanted = read_wanted(view)
        except Faulty:
            return None
        target = wanted.target
        thread_ts = (target.thread_ts if target else None) or wanted.spot.thread_ts
        if thread_ts:
            moment(thread_ts)
        return Request(
            key=_key("view", view["id"]),
            entrance=Entrance.FORM,
            verb=Verb.FRESH if wanted.is_fresh else Verb.STAGE,
            stage=wanted.stage,
            team=_team_of(body),
            channel=wanted.spot.channel,
            person=body["user"]["id"],
            at=self.now(),
            words=wanted.words,
            thread_ts=thread_ts,
            target_ts=target.ts if target else None,
            target_thread_ts=target.thread_ts if target else None,
            brief_alone=wanted.is_fresh and not wanted.takes_text,
        )

    def _letter(self, value: Said) -> Letter:
        match value:
            case Request():
                kind = "request"
                thread = value.thread_ts or value.target_ts
                line = f"{value.team}/{value.channel}/{thread}" if thread else value.key
            case Reaction():
                kind, line = "reaction", value.line
            case Click():
                kind, line = "click", value.line
            case Deletion():
                kind, line = "deletion", value.line
            case Reason():
                kind, line = "reason", f"{value.team}/{value.channel}/{value.thread_ts}"
        return Letter(key=value.key, kind=kind, line=line[:_KEY_LIMIT], body=value.to_json(), received_at=self.now())


def _team_of(body: Payload) -> str:
    """The workspace we are installed in. In a shared channel `team_id` may be the other organisation's."""
    installed = [one for one in body.get("authorizations") or [] if one.get("team_id")]
    if installed:
        return str(installed[0]["team_id"])
    team: str = body.get("team_id") or (body.get("team") or {}).get("id") or body["user"]["team_id"]
    return team


def deletion_of(team: str, channel: str, ts: str, at: datetime) -> Deletion:
    """The same, however it is known: a message is deleted once."""
    return Deletion(key=_key("deletion", channel, ts), team=team, channel=channel, message_ts=ts, at=at)


def _empty(command: str, stage: StageName) -> str:
    """What to say to a command without words: an example that would work."""
    if stage in {StageName.CRITIQUE, StageName.POLISH}:
        return f"`{command}` works on a text: begin with a link to it (its menu, Copy link), then a note if you like."
    return f"Say what it is about: `{command} Announce that …`, or begin with a link to a message."


def moment(ts: str) -> datetime:
    """Slack's "1790000000.000100" as a moment."""
    seconds, _, micro = str(ts).partition(".")
    return datetime.fromtimestamp(int(seconds), tz=UTC).replace(microsecond=int((micro + "000000")[:6]))


def _key(kind: str, *parts: str) -> str:
    return "/".join([kind, *parts])[:_KEY_LIMIT]
