"""views.*, files.* and the rest of the Web API."""

from typing import Any

from bot.playground.arguments import Args
from bot.playground.blocks_check import check_message_blocks, check_view
from bot.playground.blocks_kept import kept_blocks
from bot.playground.methods_chat import channel_to_write
from bot.playground.shapes import Json, SlackError, View
from bot.playground.wording import as_slack_keeps_it
from bot.playground.workspace import Workspace

# Views


def _sent_view(args: Args, kind: str) -> Json:
    view = args.mapping("view")
    if not view:
        args.needed("view")
        return {}
    if view.get("type") != kind:
        raise SlackError("invalid_arguments", messages=[f"[ERROR] must be {kind} [json-pointer:/view/type]"])
    return checked_view(view)


def checked_view(view: Json) -> Json:
    """A view as Slack keeps it, or a refusal."""
    check_view(view)
    return {**view, "blocks": kept_blocks(view["blocks"])}


def _shown(view: View | Json) -> Json:
    return {"ok": True, "view": {key: value for key, value in view.items() if key != "user"}}


def views_open(workspace: Workspace, args: Args) -> Json:
    trigger = workspace.views.exchange(args.needed("trigger_id"))
    return _shown(workspace.views.open(trigger, _sent_view(args, "modal")))


def views_push(workspace: Workspace, args: Args) -> Json:
    trigger = workspace.views.exchange(args.needed("trigger_id"))
    return _shown(workspace.views.open(trigger, _sent_view(args, "modal"), push=True))


def views_update(workspace: Workspace, args: Args) -> Json:
    view_id = args.text("view_id")
    views = workspace.views
    old = views.get(view_id) if view_id else views.by_external_id(args.needed("external_id"))
    return _shown(views.update(old, _sent_view(args, "modal"), args.text("hash")))


def views_publish(workspace: Workspace, args: Args) -> Json:
    user = workspace.people.get(args.needed("user_id"))
    if user is None or user.is_bot:
        raise SlackError("invalid_arguments", messages=["[ERROR] invalid user_id"])
    return _shown(workspace.views.publish(user.id, _sent_view(args, "home"), args.text("hash")))


# Files


def get_upload_url(workspace: Workspace, args: Args) -> Json:
    file = workspace.files.announce(
        name=args.needed("filename"),
        length=args.number("length", 0),
        snippet_type=args.text("snippet_type"),
        alt_txt=args.text("alt_txt"),
    )
    return {"ok": True, "upload_url": f"{workspace.url}/upload/{file.id}", "file_id": file.id}


def complete_upload(workspace: Workspace, args: Args) -> Json:
    asked = args.sequence("files")
    if not asked:
        raise SlackError("invalid_arguments", messages=["[ERROR] missing required field: files"])
    channels = [one for one in (args.text("channel_id"), *args.text("channels").split(",")) if one]
    thread_ts = args.text("thread_ts")
    if thread_ts and len(channels) != 1:
        raise SlackError("invalid_arguments", messages=["[ERROR] thread_ts needs exactly one channel"])
    places = [channel_to_write(workspace, Args(channel=one)) for one in channels]
    if thread_ts and workspace.find(places[0].id, thread_ts) is None:
        raise SlackError("thread_not_found")
    files = [workspace.files.finish(str(one.get("id")), str(one.get("title") or "")) for one in asked]
    shown: list[Any] = [file.as_slack_shows(workspace.url) for file in files]
    for channel in places:
        text = as_slack_keeps_it(args.text("initial_comment"))
        share: Json = {"text": text, "files": shown, "subtype": "file_share"}
        workspace.post(channel, thread_ts=thread_ts or None, **workspace.bot_fields(), **share)
    return {"ok": True, "files": shown}


def files_info(workspace: Workspace, args: Args) -> Json:
    file = workspace.files.get(args.needed("file", "file_not_found"))
    content = (file.content or b"").decode(errors="replace")
    return {"ok": True, "file": file.as_slack_shows(workspace.url), "content": content}


# The rest


def connections_open(workspace: Workspace, _args: Args) -> Json:
    return {"ok": True, "url": workspace.new_socket_address()}


def blocks_validate(_workspace: Workspace, args: Args) -> Json:
    if view := args.mapping("view"):
        check_view(view)
    else:
        message = args.mapping("message") or {}
        check_message_blocks(args.sequence("blocks") or message.get("blocks") or [])
    return {"ok": True}
