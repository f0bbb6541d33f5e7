"""A file that is shared into a thread: announced, sent, and shown by one last call, which is all that is seen."""

from __future__ import annotations

from typing import Any

from bot.slack.calls import CallFailed, Calls, Trouble
from handlers.words import Body
from storage.records import Message, Work

_ANNOUNCE, SHARE = "files.getUploadURLExternal", "files.completeUploadExternal"
# Whoever installed the app has to give it a scope; the thread goes on without the file.
_NOT_ALLOWED = frozenset({"missing_scope", "no_permission", "not_allowed_token_type", "access_denied"})


async def share(message: Message, work: Work, content: bytes, *, calls: Calls) -> None:
    """Show a file in a work's thread. Slack does not say where it stands: that is read back, by the file's name.

    Raises:
        CallFailed: UNKNOWN only if the last call may have been done; a file that is sent and not shown is seen by
            nobody, and Slack drops it.
    """
    body = Body.from_json(message.body)
    try:
        file_id = await _sent(str(body.facts["file"]), content, calls)
        await calls.pace.turn(SHARE, message.channel)
        await calls.send(
            SHARE,
            files=[{"id": file_id, "title": body.fallback}],
            channel_id=message.channel,
            thread_ts=work.thread_ts,
        )
    except CallFailed as failed:
        if failed.code in _NOT_ALLOWED:
            raise CallFailed(Trouble.NEVER, failed.code) from failed
        raise


async def _sent(name: str, content: bytes, calls: Calls) -> str:
    """The id of a file that Slack has and nobody sees yet."""
    try:
        announced = await calls.ask(_ANNOUNCE, filename=name, length=len(content))
        await calls.upload(str(announced.get("upload_url")), content)
    except CallFailed as failed:
        trouble = Trouble.LATER if failed.trouble is Trouble.UNKNOWN else failed.trouble
        raise CallFailed(trouble, failed.code) from failed
    return str(announced.get("file_id"))


def mark_of(slot: str) -> str:
    """What a slot is found by in Slack: the slot itself, or the name of the file that it is of."""
    _, is_file, name = slot.partition("/file/")
    return f"file/{name}" if is_file else slot


def marks_of_files(seen: dict[str, Any]) -> list[str]:
    """What the files are found by that a message shows."""
    files = seen.get("files")
    names = [file.get("name") for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    return [f"file/{name}" for name in names]
