"""Response URLs: an address for five answers in half an hour to whoever used a command, button or shortcut."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.playground.blocks_check import check_message_blocks
from bot.playground.blocks_kept import kept_blocks
from bot.playground.people import BOT_ID
from bot.playground.safety import Safety
from bot.playground.shapes import Json, Message, SlackError
from bot.playground.wording import as_slack_keeps_it
from bot.playground.workspace import Workspace

USES = 5
SECONDS = 30 * 60


@dataclass(slots=True)
class Address:
    user: str
    channel: str
    message: Message | None  # the one that was clicked
    made: float
    uses: int = 0


@dataclass(kw_only=True)
class ResponseUrls:
    """The addresses given out, and what a POST to one does."""

    workspace: Workspace
    safety: Safety
    clock: Callable[[], float] = time.monotonic
    _addresses: dict[str, Address] = field(default_factory=dict)

    def new(self, user: str, channel: str, message: Message | None = None) -> str:
        key = uuid.uuid4().hex
        self._addresses[key] = Address(user, channel, message, self.clock())
        return f"{self.workspace.url}/respond/{key}"

    def answer(self, key: str, body: Json) -> None:
        """Does what the POST asks for, or raises Slack's refusal."""
        address = self._addresses.get(key)
        if address is None:
            raise SlackError("invalid_url")
        if self.clock() - address.made > SECONDS:
            raise SlackError("expired_url")
        if address.uses >= USES:
            raise SlackError("used_url")
        address.uses += 1
        original = address.message if body.get("replace_original") else None
        edited = original if original and not original.get("is_ephemeral") else None
        visible = body.get("response_type") == "in_channel"
        if body.get("delete_original"):
            self._delete(address)
            return
        self.safety.answered(body, "response_url", visible=visible, edited=edited)
        content = _content(body)
        if original:
            self._replace(address, content)
        elif visible:
            channel = self.workspace.channels[address.channel]
            content |= {"metadata": body["metadata"]} if body.get("metadata") else {}
            # item_user is absent from reactions to such a message, so it is marked
            fields = self.workspace.bot_fields() | {"response_url": True}
            self.workspace.post(channel, thread_ts=body.get("thread_ts"), **fields, **content)
        else:
            thread_ts = body.get("thread_ts") or (address.message.thread_ts if address.message else None)
            self.workspace.whisper(address.user, address.channel, thread_ts=thread_ts, **content)

    def _delete(self, address: Address) -> None:
        if address.message is None:
            raise SlackError("no_original")
        if address.message.get("is_ephemeral"):
            self.workspace.hush(address.message)
        else:
            self.workspace.delete(self.workspace.message(address.channel, address.message.ts))

    def _replace(self, address: Address, content: dict[str, Any]) -> None:
        assert address.message is not None
        if address.message.get("is_ephemeral"):
            self.workspace.hush(address.message)
            thread_ts = address.message.thread_ts
            address.message = self.workspace.whisper(address.user, address.channel, thread_ts=thread_ts, **content)
            return
        stored = self.workspace.message(address.channel, address.message.ts)
        self.workspace.edit(stored, by=BOT_ID, **{"blocks": None, **content})


def _content(body: Json) -> dict[str, Any]:
    content: dict[str, Any] = {"text": as_slack_keeps_it(str(body.get("text") or ""))}
    if blocks := body.get("blocks"):
        check_message_blocks(blocks)
        content["blocks"] = kept_blocks(blocks)
    if not body.get("text") and not blocks:
        raise SlackError("no_text")
    return content
