"""conversations.*, reactions.*, users.*, usergroups.* and team.* of the Web API."""

import base64
from collections.abc import Sequence
from typing import Any

from bot.playground.arguments import Args
from bot.playground.channels import Channel
from bot.playground.methods_chat import permalink
from bot.playground.people import APP_ID, BOT, BOT_ID, TEAM
from bot.playground.shapes import Json, Message, SlackError
from bot.playground.workspace import Workspace

MOST = 1000  # objects a page
HISTORY_PAGE = 100


def auth_test(workspace: Workspace, _args: Args) -> Json:
    return {
        "ok": True, "url": f"{workspace.url}/", "team": workspace.team["name"], "user": BOT.name, "team_id": TEAM,
        "user_id": BOT.id, "bot_id": BOT_ID, "app_id": APP_ID, "is_enterprise_install": False,
    }  # fmt: skip


def api_test(_workspace: Workspace, args: Args) -> Json:
    if "error" in args:
        raise SlackError(args.text("error"))
    return {"ok": True, "args": dict(args)}


def team_info(workspace: Workspace, _args: Args) -> Json:
    return {"ok": True, "team": workspace.team}


# Conversations


def channel_to_read(workspace: Workspace, args: Args) -> Channel:
    channel = workspace.channels.get(args.needed("channel", "channel_not_found"))
    if channel is None or (channel.is_private and not channel.has_bot):
        raise SlackError("channel_not_found")
    return channel


def _channel_inside(workspace: Workspace, args: Args) -> Channel:
    channel = channel_to_read(workspace, args)
    if not channel.has_bot:
        raise SlackError("not_in_channel")
    return channel


def conversations_info(workspace: Workspace, args: Args) -> Json:
    return {"ok": True, "channel": channel_to_read(workspace, args).as_slack_shows()}


def conversations_list(workspace: Workspace, args: Args) -> Json:
    kinds = {name.strip() for name in args.text("types", "public_channel").split(",")}

    def asked_for(channel: Channel) -> bool:
        if channel.is_im:
            return "im" in kinds
        if channel.is_archived and args.flag("exclude_archived"):
            return False
        return "private_channel" in kinds and channel.has_bot if channel.is_private else "public_channel" in kinds

    channels = [channel.as_slack_shows() for channel in workspace.channels.values() if asked_for(channel)]
    page, cursor = _paged(channels, args, default=HISTORY_PAGE)
    return {"ok": True, "channels": page, "response_metadata": {"next_cursor": cursor}}


def users_conversations(workspace: Workspace, args: Args) -> Json:
    """Where the app is a member: every channel by default, others by `types`."""
    kinds = {name.strip() for name in args.text("types", "public_channel").split(",")}
    skips_archived = args.flag("exclude_archived")

    def asked_for(channel: Channel) -> bool:
        kind = "im" if channel.is_im else "private_channel" if channel.is_private else "public_channel"
        return channel.has_bot and kind in kinds and not (skips_archived and channel.is_archived)

    channels = [channel.as_slack_shows() for channel in workspace.channels.values() if asked_for(channel)]
    page, cursor = _paged(channels, args, default=HISTORY_PAGE)
    return {"ok": True, "channels": page, "response_metadata": {"next_cursor": cursor}}


def conversations_members(workspace: Workspace, args: Args) -> Json:
    page, cursor = _paged(channel_to_read(workspace, args).members, args, default=HISTORY_PAGE)
    return {"ok": True, "members": page, "response_metadata": {"next_cursor": cursor}}


def conversations_join(workspace: Workspace, args: Args) -> Json:
    channel = channel_to_read(workspace, args)
    if channel.is_archived:
        raise SlackError("is_archived")
    if channel.is_private:
        raise SlackError("method_not_supported_for_channel_type")
    if not channel.has_bot:
        channel.members.append(BOT.id)
        workspace.tell({"type": "state"})
    return {"ok": True, "channel": channel.as_slack_shows()}


def conversations_open(workspace: Workspace, args: Args) -> Json:
    users = [user for user in args.text("users").split(",") if user]
    if len(users) != 1 and not args.text("channel"):
        raise SlackError("users_list_not_supplied" if not users else "not_enough_users")
    channel = workspace.channel(args.text("channel")) if args.text("channel") else workspace.direct_message(users[0])
    shown = channel.as_slack_shows() if args.flag("return_im") else {"id": channel.id}
    return {"ok": True, "channel": shown}


def conversations_history(workspace: Workspace, args: Args) -> Json:
    channel = _channel_inside(workspace, args)
    messages = [m for m in reversed(workspace.top_level(channel.id)) if _in_time(m, args)]
    page, cursor = _paged(messages, args, default=HISTORY_PAGE)
    return _messages_answer(workspace, page, args, cursor)


def conversations_replies(workspace: Workspace, args: Args) -> Json:
    """Root first, then replies, oldest first; the root is there whatever `oldest` says."""
    channel = _channel_inside(workspace, args)
    message = workspace.find(channel.id, args.needed("ts"))
    if message is None:
        raise SlackError("thread_not_found")
    if message.is_reply:
        return _messages_answer(workspace, [message], args, "")
    root, *replies = workspace.thread(channel.id, message.ts)
    page, cursor = _paged([root, *(reply for reply in replies if _in_time(reply, args))], args, default=MOST)
    return _messages_answer(workspace, page, args, cursor)


def _in_time(message: Message, args: Args) -> bool:
    """Whether a message lies between `oldest` and `latest`; the ends count with `inclusive`."""
    oldest, latest = _padded(args.text("oldest", "0")), _padded(args.text("latest", "9999999999"))
    ts = _padded(message.ts)
    return oldest <= ts <= latest if args.flag("inclusive") else oldest < ts < latest


def _padded(ts: str) -> tuple[int, str]:
    seconds, _, fraction = ts.partition(".")
    try:
        return int(seconds or 0), fraction.ljust(6, "0")
    except ValueError as problem:
        raise SlackError("invalid_ts_latest") from problem


def _messages_answer(workspace: Workspace, page: Sequence[Message], args: Args, cursor: str) -> Json:
    metadata, most = args.flag("include_all_metadata"), workspace.reactors_shown
    shown = [_with_some_reactors(as_listed(m, metadata=metadata), most) for m in page]
    answer: Json = {"ok": True, "messages": shown, "has_more": bool(cursor)}
    if cursor:
        answer["response_metadata"] = {"next_cursor": cursor}
    return answer


def as_listed(message: Message, *, metadata: bool = True) -> Json:
    """A message inside history or replies: metadata comes only on request."""
    hidden = {"channel"} if metadata else {"channel", "metadata"}
    return {key: value for key, value in message.items() if key not in hidden}


def _paged(items: Sequence[Any], args: Args, *, default: int) -> tuple[list[Any], str]:
    limit = args.number("limit", default)
    if not 1 <= limit <= MOST:
        raise SlackError("invalid_limit")
    start = _cursor(args.text("cursor"))
    after = start + limit
    more = base64.b64encode(f"next:{after}".encode()).decode() if after < len(items) else ""
    return list(items[start:after]), more


def _cursor(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor).decode().removeprefix("next:")) if cursor else 0
    except ValueError as problem:
        raise SlackError("invalid_cursor") from problem


# Reactions


def _reacted_to(workspace: Workspace, args: Args) -> Message:
    channel = _channel_inside(workspace, args)
    return workspace.message(channel.id, args.needed("timestamp", "no_item_specified"))


def _with_some_reactors(shown: Json, most: int) -> Json:
    """Slack may leave some of many people out of `users`; `count` is always right."""
    if "reactions" not in shown:
        return shown
    return {**shown, "reactions": [{**one, "users": one["users"][:most]} for one in shown["reactions"]]}


def reactions_get(workspace: Workspace, args: Args) -> Json:
    """A message's reactions; all who gave them only with `full`."""
    message = _reacted_to(workspace, args)
    most = workspace.reactors_shown_in_full if args.flag("full") else workspace.reactors_shown
    shown = _with_some_reactors(as_listed(message, metadata=False), most)
    shown |= {"permalink": permalink(workspace, message)}
    return {"ok": True, "type": "message", "channel": message.channel, "message": shown}


def reactions_add(workspace: Workspace, args: Args) -> Json:
    name = args.needed("name", "invalid_name")
    message = _reacted_to(workspace, args)
    if workspace.channels[message.channel].is_archived:
        raise SlackError("is_archived")
    workspace.react(message, BOT.id, name.strip(":"))
    return {"ok": True}


def reactions_remove(workspace: Workspace, args: Args) -> Json:
    workspace.unreact(_reacted_to(workspace, args), BOT.id, args.needed("name", "invalid_name").strip(":"))
    return {"ok": True}


# People


def users_info(workspace: Workspace, args: Args) -> Json:
    person = workspace.people.get(args.needed("user", "user_not_found"))
    if person is None:
        raise SlackError("user_not_found")
    return {"ok": True, "user": person.as_slack_shows()}


def users_list(workspace: Workspace, args: Args) -> Json:
    people = [person.as_slack_shows() for person in workspace.people.values() if not person.is_stranger]
    page, cursor = _paged(people, args, default=MOST)
    return {"ok": True, "members": page, "response_metadata": {"next_cursor": cursor}}


def usergroups_list(workspace: Workspace, _args: Args) -> Json:
    _plan(workspace)
    groups = [
        {
            "id": group, "team_id": TEAM, "is_usergroup": True, "name": "Reviewers", "handle": "reviewers",
            "is_external": False, "date_delete": 0, "user_count": len(users),
        }
        for group, users in workspace.groups.items()
    ]  # fmt: skip
    return {"ok": True, "usergroups": groups}


def usergroups_users_list(workspace: Workspace, args: Args) -> Json:
    _plan(workspace)
    users = workspace.groups.get(args.needed("usergroup"))
    if users is None:
        raise SlackError("no_such_subteam")
    return {"ok": True, "users": [user for user in users if not workspace.people[user].deleted]}


def _plan(workspace: Workspace) -> None:
    if not workspace.plan_allows_groups:
        raise SlackError("plan_upgrade_required")
