"""chat.* of the Web API, and the status line under a thread."""

from typing import Any

from bot.playground.arguments import Args
from bot.playground.blocks_check import check_message_blocks
from bot.playground.blocks_kept import kept_blocks
from bot.playground.channels import Channel
from bot.playground.people import BOT, BOT_ID
from bot.playground.shapes import Json, Message, SlackError
from bot.playground.wording import as_slack_keeps_it
from bot.playground.workspace import Workspace

TEXT_CHARACTERS = 4000  # documented as a wish for posts, hard for updates; both are refused here
MARKDOWN_CHARACTERS = 12_000
METADATA_BYTES = 8000  # undocumented; a guess on the small side
ATTACHMENTS = 100
LOADING_MESSAGES = 10


def post_message(workspace: Workspace, args: Args) -> Json:
    channel = channel_to_write(workspace, args)
    thread_ts = _thread(workspace, channel, args)
    content = {"text": "", **_content(args)}
    if thread_ts and args.flag("reply_broadcast"):
        content["subtype"] = "thread_broadcast"
    message = workspace.post(channel, thread_ts=thread_ts, **workspace.bot_fields(), **content)
    return {"ok": True, "channel": channel.id, "ts": message.ts, "message": as_returned(message)}


def post_ephemeral(workspace: Workspace, args: Args) -> Json:
    channel = channel_to_write(workspace, args)
    user = args.needed("user")
    if user not in channel.members:
        raise SlackError("user_not_in_channel")
    content = _content(args)
    message = workspace.whisper(user, channel.id, thread_ts=args.text("thread_ts") or None, **content)
    return {"ok": True, "message_ts": message.ts}


def update(workspace: Workspace, args: Args) -> Json:
    channel = channel_to_write(workspace, args)
    message = workspace.message(channel.id, args.needed("ts"))
    if message.get("bot_id") != BOT_ID or message.get("subtype") == "tombstone":
        raise SlackError("cant_update_message")
    changes = _content(args)
    if args.get("metadata") == {}:
        changes["metadata"] = None
    if "blocks" in changes:
        _keep_rich(message, changes["blocks"])
        changes.setdefault("text", message.text)
    else:
        changes["blocks"] = None  # a text without blocks drops the old ones
    edited = workspace.edit(message, by=BOT_ID, **changes)
    return {"ok": True, "channel": channel.id, "ts": edited.ts, "text": edited.text, "message": as_returned(edited)}


def delete(workspace: Workspace, args: Args) -> Json:
    channel = channel_to_write(workspace, args)
    message = workspace.message(channel.id, args.needed("ts"))
    if message.get("subtype") == "tombstone":
        raise SlackError("message_not_found")
    if message.get("bot_id") != BOT_ID:
        raise SlackError("cant_delete_message")
    workspace.delete(message)
    return {"ok": True, "channel": channel.id, "ts": message.ts}


def get_permalink(workspace: Workspace, args: Args) -> Json:
    channel = workspace.channel(args.needed("channel"))
    message = workspace.message(channel.id, args.needed("message_ts"))
    return {"ok": True, "channel": channel.id, "permalink": permalink(workspace, message)}


def permalink(workspace: Workspace, message: Message) -> str:
    link = f"{workspace.url}/archives/{message.channel}/p{message.ts.replace('.', '')}"
    return f"{link}?thread_ts={message.thread_ts}&cid={message.channel}" if message.thread_ts else link


def set_status(workspace: Workspace, args: Args) -> Json:
    channel = channel_to_write(workspace, args, name="channel_id")
    thread_ts = args.needed("thread_ts")
    if workspace.find(channel.id, thread_ts) is None:
        raise SlackError("invalid_thread_ts")
    if len(args.sequence("loading_messages") or ()) > LOADING_MESSAGES:
        raise SlackError("invalid_arguments", messages=["[ERROR] no more than 10 items allowed: loading_messages"])
    if "status" not in args:
        args.needed("status")
    workspace.set_status(channel.id, thread_ts, args.text("status"))
    return {"ok": True}


def as_returned(message: Message) -> Json:
    """A message inside an answer of chat.*: without its channel, which stands beside it."""
    return {key: value for key, value in message.items() if key != "channel"}


def channel_to_write(workspace: Workspace, args: Args, name: str = "channel") -> Channel:
    """The channel, if the app may write there."""
    ref = args.needed(name, "channel_not_found")
    if ref in workspace.people and ref != BOT.id:
        return workspace.direct_message(ref)
    channel = workspace.channels.get(ref)
    if channel is None or (channel.is_private and not channel.has_bot):
        raise SlackError("channel_not_found")
    if channel.is_archived:
        raise SlackError("is_archived")
    if not channel.has_bot:
        raise SlackError("not_in_channel")
    return channel


def _thread(workspace: Workspace, channel: Channel, args: Args) -> str | None:
    thread_ts = args.text("thread_ts")
    if not thread_ts:
        return None
    root = workspace.find(channel.id, thread_ts)
    if root is None:
        raise SlackError("thread_not_found")
    if root.is_reply:
        raise SlackError("cannot_reply_to_message")
    return thread_ts


def _content(args: Args) -> dict[str, Any]:
    """Text, blocks, attachments and metadata, checked, as Slack would keep them."""
    text, blocks = args.text("text"), args.sequence("blocks", "invalid_blocks_format")
    attachments, markdown = args.sequence("attachments") or [], args.text("markdown_text")
    if markdown and (text or blocks):
        raise SlackError("markdown_text_conflict")
    if not (text or blocks or attachments or markdown):
        raise SlackError("no_text")
    if len(text) > TEXT_CHARACTERS or len(markdown) > MARKDOWN_CHARACTERS:
        raise SlackError("msg_too_long")
    if len(attachments) > ATTACHMENTS:
        raise SlackError("too_many_attachments")
    content: dict[str, Any] = {}
    if text or markdown or not blocks:
        content["text"] = as_slack_keeps_it(text or markdown)
    if blocks:
        check_message_blocks(blocks)
        content["blocks"] = kept_blocks(blocks)
    if attachments:
        content["attachments"] = attachments
    return content | _metadata(args)


def _metadata(args: Args) -> dict[str, Any]:
    metadata = args.mapping("metadata", "invalid_metadata_format")
    if not metadata:
        return {}
    if not isinstance(metadata.get("event_type"), str) or not isinstance(metadata.get("event_payload"), dict):
        raise SlackError("invalid_metadata_schema")
    if len(repr(metadata).encode()) > METADATA_BYTES:
        raise SlackError("metadata_too_large")
    return {"metadata": {"event_type": metadata["event_type"], "event_payload": metadata["event_payload"]}}


def _keep_rich(message: Message, blocks: list[Json]) -> None:
    def rich(some: list[Json]) -> bool:
        return any(block["type"] == "rich_text" for block in some)

    if rich(message.blocks) and not rich(blocks):
        raise SlackError("block_mismatch")
