"""What must never be sent: every call is looked at, and each offence becomes a sentence in `violations`."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from bot.playground.arguments import Args
from bot.playground.faults import Call
from bot.playground.people import BOT_ID
from bot.playground.shapes import Json, Message
from bot.playground.workspace import Workspace

POSTS = frozenset({"chat.postMessage", "chat.update", "chat.postEphemeral"})
VIEWS = frozenset({"views.open", "views.push", "views.update", "views.publish"})
STREAMS = frozenset({"chat.startStream", "chat.appendStream", "chat.stopStream"})
MODEL_TEXT = frozenset({"answer", "notes"})
FORBIDDEN_BLOCKS = frozenset({"image", "video", "file", "markdown"})
NAMING = frozenset({"user", "usergroup", "broadcast", "channel", "emoji"})
APPROVING = frozenset({"white_check_mark", "heavy_check_mark", "ballot_box_with_check", "+1", "thumbsup", "ok", "100"})
FALLBACK_CHARACTERS = 300

_LIVE = re.compile(r"<[@#!][^<>\s][^<>]*>")
_LOUD = re.compile(r"<!(?:channel|here|everyone|subteam)\b[^<>]*>")
_LABELLED = re.compile(r"<(https?://[^<>|\s]+)\|([^<>]*)>")
_ADDRESS = re.compile(r"(?:https?://)?((?:[\w-]+\.)+[A-Za-z]{2,})(?=[/:?#\s]|$)")


class Safety:
    """Looks at each call before it is done, and at each message once it stands."""

    def __init__(self, workspace: Workspace, found: Callable[[str], None]) -> None:
        self._workspace = workspace
        self._found = found
        self._slots: dict[str, str] = {}  # slot -> ts of the message that has it
        workspace.changed.append(self._changed)

    def remember(self) -> None:
        """Takes in the slots of a workspace that was kept."""
        self._slots |= {message.slot: message.ts for message in self._workspace.every_message() if message.slot}

    def asked(self, call: Call) -> None:
        """One call of the Web API, whether or not Slack will do it."""
        for sentence in _offences(self._workspace, call.method, Args(call.args)):
            self._found(f"{call.method}: {sentence}")

    def answered(self, body: Json, how: str, *, visible: bool, edited: Message | None = None) -> None:
        """What the app answered by an ack or a response_url: to everybody, to one, or in place of a message."""
        method = "chat.update" if edited else "chat.postMessage" if visible else "chat.postEphemeral"
        place = {"channel": edited.channel, "ts": edited.ts} if edited else {}
        for sentence in _post(self._workspace, method, Args(body | place)):
            self._found(f"{how}: {sentence}")

    def _changed(self, change: Json) -> None:
        message = change.get("message")
        if change["type"] != "message" or message is None or message.get("is_ephemeral"):
            return
        if message.get("bot_id") == BOT_ID:
            for sentence in self._standing(message):
                self._found(f"{message.channel} {message.ts}: {sentence}")

    def _standing(self, message: Message) -> Iterator[str]:
        if message.slot:
            first = self._slots.setdefault(message.slot, message.ts)
            if first != message.ts:
                yield f"the slot {message.slot!r} was posted twice; {first} has it already"
        if not message.thread_ts and message.kind and message.kind != "root" and not message.channel.startswith("D"):
            yield f"a message of kind {message.kind!r} stands outside a thread; only a root does"


def _offences(workspace: Workspace, method: str, args: Args) -> Iterator[str]:
    if method in POSTS:
        yield from _post(workspace, method, args)
    elif method in VIEWS:
        yield from _in_blocks((args.get("view") or {}).get("blocks"))
    elif method in STREAMS:
        yield "streams cannot be kept from unfurling; nothing is streamed"
    elif method == "reactions.add":
        yield f"the app adds no reactions of its own{_approving(args.text('name'))}"
    elif method == "files.completeUploadExternal":
        yield from _tokens(args.text("initial_comment"), _LIVE)


def _approving(name: str) -> str:
    bare = name.strip(":").split("::")[0]
    return f", least of all the approving :{bare}:" if bare in APPROVING else f" (:{bare}:)"


def _post(workspace: Workspace, method: str, args: Args) -> Iterator[str]:
    stored = workspace.find(args.text("channel"), args.text("ts")) if method == "chat.update" else None
    if method == "chat.postMessage":
        for name in ("unfurl_links", "unfurl_media"):
            if args.flag(name, default=True):
                yield f"{name} is not false"
    payload = _payload(args) or (stored.payload if stored and "metadata" not in args else {})
    if method != "chat.postEphemeral" and not (payload.get("kind") and payload.get("slot")):
        yield "the message carries no metadata of event_type 'countersign' with kind and slot"
    if stored and stored.kind in MODEL_TEXT:
        yield f"a message of kind {stored.kind!r} was edited; it never is"
    if args.flag("link_names") or args.text("parse") == "full":
        yield "link_names or parse=full makes mentions of plain words"
    if args.get("attachments"):
        yield "attachments are never used"
    yield from _in_text(args)
    yield from _in_blocks(args.get("blocks"))
    if payload.get("kind") in MODEL_TEXT:
        yield from _model_text(args)


def _payload(args: Args) -> Json:
    metadata = args.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("event_type") != "countersign":
        return {}
    payload = metadata.get("event_payload")
    return payload if isinstance(payload, dict) else {}


def _model_text(args: Args) -> Iterator[str]:
    """Model text names nobody: no typed mention, no live token, and a short fixed fallback."""
    for node in _nodes(args.get("blocks")):
        if node.get("type") in NAMING and "elements" not in node:
            yield f"model text holds a {node['type']} element"
        if node.get("type") == "mrkdwn":
            yield from (f"model text holds the token {found}" for found in _LIVE.findall(str(node.get("text"))))
    yield from (f"the fallback of model text holds the token {found}" for found in _LIVE.findall(args.text("text")))
    if len(args.text("text")) > FALLBACK_CHARACTERS:
        yield f"the fallback of model text is {len(args.text('text'))} characters long, over {FALLBACK_CHARACTERS}"


def _in_text(args: Args) -> Iterator[str]:
    for name in ("text", "markdown_text"):
        yield from _tokens(args.text(name), _LOUD)
        yield from _disguised_links(args.text(name))


def _in_blocks(blocks: Any) -> Iterator[str]:
    for node in _nodes(blocks):
        match node:
            case {"type": "broadcast"}:
                yield f"a broadcast element ({node.get('range')})"
            case {"type": kind} if kind in FORBIDDEN_BLOCKS:
                yield f"a block of type {kind!r}"
            case {"type": "mrkdwn", "text": text}:
                yield from _tokens(str(text), _LOUD)
                yield from _disguised_links(str(text))
            case {"type": "link", "url": url}:
                yield from _disguise(str(url), str(node.get("text") or ""))
            case _:
                pass


def _tokens(text: str, pattern: re.Pattern[str]) -> Iterator[str]:
    yield from (f"the live token {found}" for found in pattern.findall(text))


def _disguised_links(text: str) -> Iterator[str]:
    for url, label in _LABELLED.findall(text):
        yield from _disguise(url, label)


def _disguise(url: str, label: str) -> Iterator[str]:
    host = (urlsplit(url).hostname or "").lower()
    for shown in _ADDRESS.findall(label):
        if shown.lower() != host:
            yield f"a link to {host} shows the address {label!r}"
            return


def _nodes(tree: Any) -> Iterator[Json]:
    """Every object of a tree of blocks."""
    match tree:
        case dict():
            yield tree
            for value in tree.values():
                yield from _nodes(value)
        case list() | tuple():
            for value in tree:
                yield from _nodes(value)
        case _:
            pass
