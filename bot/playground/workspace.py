"""The workspace: what a Slack team holds, how it changes, and the events each change causes."""

import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from bot.playground.blocks_kept import kept_blocks
from bot.playground.channels import Channel, direct_message, first_channels
from bot.playground.files import Files
from bot.playground.people import APP_ID, BOT, BOT_ID, CAST, TEAM, Person
from bot.playground.shapes import Json, Message, SlackError
from bot.playground.views import Views
from bot.playground.wording import as_rich_text

REACTORS_SHOWN = 50  # of those who gave one reaction; the rest is told with `full` only
STATUS_SECONDS = 120  # assistant.threads.setStatus clears itself after two minutes


class Workspace:
    """One team with one app in it.

    Messages are replaced on change, never altered, so that a snapshot handed out stays what it was. `changed` is
    called for every change (the page, waiting tests, the keeper), `happened` for what Slack's Events API would tell.
    """

    def __init__(self, *, trigger_seconds: float = 3.0) -> None:
        self.url = ""
        self.team: Json = {"id": TEAM, "name": "Playground", "domain": "playground"}
        self.people: dict[str, Person] = {person.id: person for person in (*CAST, BOT)}
        self.channels = first_channels()
        self.groups: dict[str, list[str]] = {"S0REVIEW": ["U0RAE", "U0SAM"]}
        self.plan_allows_groups = True
        self.files = Files()
        self.views = Views(self.tell, trigger_seconds=trigger_seconds)
        self.ephemerals: list[Message] = []
        self.statuses: dict[tuple[str, str], tuple[str, float]] = {}
        self.changed: list[Callable[[Json], None]] = []
        self.happened: list[Callable[[Json, Channel | None], None]] = []
        self._messages: dict[str, dict[str, Message]] = defaultdict(dict)
        self._threads: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.seconds_ahead = 0.0  # of the machine's clock; a test may let hours pass
        self.reactors_shown = REACTORS_SHOWN
        self.reactors_shown_in_full = sys.maxsize
        self.tickets: set[str] = set()  # Socket Mode addresses given out and not yet used
        self._last_ts = 0

    def tell(self, change: Json) -> None:
        for listener in self.changed:
            listener(change)

    def happens(self, event: Json, channel: Channel | None = None) -> None:
        for listener in self.happened:
            listener(event, channel)

    # Clock and look-ups

    def new_ts(self) -> str:
        """A ts above every earlier one, and near the real time."""
        self._last_ts = max(self._last_ts + 1, time.time_ns() // 1000 + int(self.seconds_ahead * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def channel(self, ref: str) -> Channel:
        """A channel by id or name."""
        if ref in self.channels:
            return self.channels[ref]
        for channel in self.channels.values():
            if channel.name and channel.name == ref.removeprefix("#"):
                return channel
        raise SlackError("channel_not_found")

    def person(self, ref: str) -> Person:
        """A person by id or name."""
        if ref in self.people:
            return self.people[ref]
        for person in self.people.values():
            if person.name == ref:
                return person
        raise SlackError("user_not_found")

    def direct_message(self, user: str) -> Channel:
        channel = direct_message(self.person(user).id)
        if channel.id not in self.channels:
            self.channels[channel.id] = channel
            self.tell({"type": "state"})
        return self.channels[channel.id]

    def new_socket_address(self) -> str:
        """A WebSocket address that lets one connection in."""
        ticket = uuid.uuid4().hex
        self.tickets.add(ticket)
        return f"{self.url.replace('http', 'ws', 1)}/link?ticket={ticket}&app_id={APP_ID}"

    def find(self, channel: str, ts: str) -> Message | None:
        return self._messages[channel].get(ts)

    def message(self, channel: str, ts: str) -> Message:
        found = self.find(channel, ts)
        if found is None:
            raise SlackError("message_not_found")
        return found

    def top_level(self, channel: str) -> list[Message]:
        """What the channel shows, oldest first: roots, single messages and replies also sent to the channel."""
        return [m for m in self._messages[channel].values() if not m.is_reply or m.get("subtype") == "thread_broadcast"]

    def thread(self, channel: str, ts: str) -> list[Message]:
        """The root and its replies, oldest first; empty if there is no such root."""
        root = self.find(channel, ts)
        return [root, *(self._messages[channel][reply] for reply in self._threads[channel, ts])] if root else []

    def every_message(self) -> Iterator[Message]:
        for messages in self._messages.values():
            yield from messages.values()

    # Changes

    def post(self, channel: Channel, *, thread_ts: str | None = None, **fields: Any) -> Message:
        """A new message of a person or the app, with its place in the thread."""
        ts = self.new_ts()
        message = Message({"type": "message", "ts": ts, "channel": channel.id, "team": TEAM, **fields})
        if thread_ts:
            root = self.message(channel.id, thread_ts)
            message |= {"thread_ts": thread_ts, "parent_user_id": root.user}
            self.statuses.pop((channel.id, thread_ts), None)
        self._messages[channel.id][ts] = message
        self.tell({"type": "message", "message": message})
        if thread_ts:
            self._threads[channel.id, thread_ts].append(ts)
            self._count_replies(channel.id, thread_ts)
        self._say_posted(channel, message)
        return message

    def says(self, person: Person, channel: Channel, text: str, thread_ts: str | None = None) -> Message:
        """A person's message; `text` is as Slack would keep it."""
        return self.post(
            channel,
            thread_ts=thread_ts,
            user=person.id,
            team=person.team_id,
            text=text,
            blocks=kept_blocks(as_rich_text(text)),
            client_msg_id=str(uuid.uuid4()),
            **({"user_team": person.team_id, "source_team": person.team_id} if person.is_stranger else {}),
        )

    def rewrites(self, message: Message, text: str) -> Message:
        """A person's message, said otherwise by its author."""
        return self.edit(message, by=message.user, text=text, blocks=kept_blocks(as_rich_text(text)))

    def bot_fields(self) -> Json:
        """What Slack adds to every message of the app."""
        icons = {"image_36": f"{self.url}/assets/bot.png"}
        return {
            "user": BOT.id,
            "bot_id": BOT_ID,
            "app_id": APP_ID,
            "bot_profile": {
                "id": BOT_ID, "app_id": APP_ID, "user_id": BOT.id, "name": BOT.name, "icons": icons, "deleted": False,
                "updated": 1790000000, "team_id": TEAM,
            },
        }  # fmt: skip

    def edit(self, message: Message, *, by: str, **fields: Any) -> Message:
        """Another text, other blocks or metadata for a message that keeps its ts. A field given as None goes away."""
        edited = Message({**message, **fields, "edited": {"user": by, "ts": self.new_ts()}})
        return self._replace(message, Message({key: value for key, value in edited.items() if value is not None}))

    def _replace(self, message: Message, edited: Message) -> Message:
        self._messages[message.channel][message.ts] = edited
        self.tell({"type": "changed", "message": edited})
        self._say_changed("message_changed", edited.channel, message=_bare(edited), previous_message=_bare(message))
        return edited

    def delete(self, message: Message) -> None:
        """Takes a message away; a root with replies leaves its tombstone."""
        if self._threads[message.channel, message.ts]:
            kept = ("type", "ts", "channel", "team", "thread_ts", "reply_count", "reply_users", "reply_users_count",
                    "latest_reply", "is_locked", "subscribed")  # fmt: skip
            grave = {key: message[key] for key in kept if key in message}
            grave |= {"subtype": "tombstone", "text": "This message was deleted.", "user": "USLACKBOT", "hidden": True}
            self._replace(message, Message(grave))
            return
        del self._messages[message.channel][message.ts]
        self.tell({"type": "deleted", "channel": message.channel, "ts": message.ts})
        if message.is_reply:
            self._threads[message.channel, message.root_ts].remove(message.ts)
            self._count_replies(message.channel, message.root_ts)
        self._say_changed("message_deleted", message.channel, deleted_ts=message.ts, previous_message=_bare(message))

    def react(self, message: Message, user: str, name: str) -> None:
        reactions = [dict(reaction) for reaction in message.get("reactions", ())]
        mine = next((reaction for reaction in reactions if reaction["name"] == name), None)
        if mine is None:
            reactions.append({"name": name, "users": [user], "count": 1})
        elif user in mine["users"]:
            raise SlackError("already_reacted")
        else:
            mine |= {"users": [*mine["users"], user], "count": mine["count"] + 1}
        self._react("reaction_added", message, user, name, reactions)

    def unreact(self, message: Message, user: str, name: str) -> None:
        if user not in message.reacted(name):
            raise SlackError("no_reaction")
        reactions = []
        for reaction in message["reactions"]:
            users = [other for other in reaction["users"] if reaction["name"] != name or other != user]
            if users:
                reactions.append({"name": reaction["name"], "users": users, "count": len(users)})
        self._react("reaction_removed", message, user, name, reactions)

    def whisper(self, user: str, channel: str, *, thread_ts: str | None = None, **fields: Any) -> Message:
        """An ephemeral message: only `user` sees it, and only here."""
        message = Message({
            "type": "message", "ts": self.new_ts(), "channel": channel, "is_ephemeral": True, "to": user,
            **self.bot_fields(), **fields,
        })  # fmt: skip
        if thread_ts:
            message["thread_ts"] = thread_ts
        self.ephemerals.append(message)
        self.tell({"type": "message", "message": message})
        return message

    def hush(self, message: Message) -> None:
        """An ephemeral message goes away."""
        self.ephemerals.remove(message)
        self.tell({"type": "deleted", "channel": message.channel, "ts": message.ts})

    def set_status(self, channel: str, thread_ts: str, text: str) -> None:
        if text:
            self.statuses[channel, thread_ts] = (text, time.monotonic() + STATUS_SECONDS)
        else:
            self.statuses.pop((channel, thread_ts), None)
        self.tell({"type": "status", "channel": channel, "thread_ts": thread_ts, "text": text})

    def status(self, channel: str, thread_ts: str) -> str:
        text, until = self.statuses.get((channel, thread_ts), ("", 0.0))
        return text if time.monotonic() < until else ""

    # What follows from a change

    def _count_replies(self, channel: str, ts: str) -> None:
        root = self.find(channel, ts)
        if root is None:
            return
        replies = [self._messages[channel][reply] for reply in self._threads[channel, ts]]
        fields = ("thread_ts", "reply_count", "reply_users", "reply_users_count", "latest_reply", "is_locked",
                  "subscribed")  # fmt: skip
        counted = Message({key: value for key, value in root.items() if key not in fields})
        if replies:
            users = list(dict.fromkeys(reply.user for reply in replies))
            counted |= {
                "thread_ts": ts, "reply_count": len(replies), "reply_users": users, "reply_users_count": len(users),
                "latest_reply": replies[-1].ts, "is_locked": False, "subscribed": False,
            }  # fmt: skip
        self._messages[channel][ts] = counted
        self.tell({"type": "changed", "message": counted})

    def _react(self, kind: str, message: Message, user: str, name: str, reactions: list[Json]) -> None:
        reacted = Message({**message, "reactions": reactions})
        if not reactions:
            del reacted["reactions"]
        self._messages[message.channel][message.ts] = reacted
        self.tell({"type": "reactions", "channel": message.channel, "ts": message.ts, "reactions": reactions})
        item = {"type": "message", "channel": message.channel, "ts": message.ts}
        event = {"type": kind, "user": user, "reaction": name, "item": item, "event_ts": self.new_ts()}
        if message.user and "response_url" not in message:  # item_user is absent where no user wrote the message
            event["item_user"] = message.user
        self.happens(event, self.channels[message.channel])

    def _say_posted(self, channel: Channel, message: Message) -> None:
        event = {**_bare(message), "channel": channel.id, "channel_type": channel.kind, "event_ts": message.ts}
        self.happens(event, channel)
        if f"<@{BOT.id}" in message.text and message.user != BOT.id and not channel.is_im:
            keys = ("user", "ts", "text", "team", "thread_ts", "parent_user_id", "blocks", "client_msg_id", "files")
            mention = {key: message[key] for key in keys if key in message}
            mention |= {"type": "app_mention", "channel": channel.id, "event_ts": message.ts}
            self.happens(mention, channel)

    def _say_changed(self, subtype: str, channel_id: str, **fields: Any) -> None:
        channel = self.channels[channel_id]
        ts = self.new_ts()
        event = {"type": "message", "subtype": subtype, "channel": channel_id, "hidden": True, "ts": ts, "event_ts": ts}
        self.happens({**event, "channel_type": channel.kind, **fields}, channel)

    # Kept over a restart

    def to_json(self) -> Json:
        return {
            "last_ts": self._last_ts,
            "channels": [asdict(channel) for channel in self.channels.values()],
            "messages": [dict(message) for message in self.every_message()],
            "ephemerals": [dict(message) for message in self.ephemerals],
            "homes": self.views.homes,
            "files": self.files.to_json(),
        }

    def from_json(self, kept: Json) -> None:
        self._last_ts = int(kept["last_ts"])
        self.channels |= {row["id"]: Channel(**row) for row in kept["channels"]}
        for row in kept["messages"]:
            message = Message(row)
            self._messages[message.channel][message.ts] = message
            if message.is_reply:
                self._threads[message.channel, message.root_ts].append(message.ts)
        self.ephemerals = [Message(row) for row in kept["ephemerals"]]
        self.views.homes = kept["homes"]
        self.files.from_json(kept["files"])


def _bare(message: Message) -> Json:
    """A message as events carry it: without the channel, which stands beside it there."""
    return {key: value for key, value in message.items() if key != "channel"}
