"""The shapes Slack talks in: its JSON, its errors, and messages and views as a test reads them."""

from collections.abc import Iterator, Sequence
from typing import Any

from bot.playground.wording import emoji_shown

Json = dict[str, Any]


class SlackError(Exception):
    """A Web API call Slack would refuse, by the error's documented name."""

    def __init__(self, error: str, *, messages: Sequence[str] = (), **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.body: Json = {"ok": False, "error": error, **more}
        if messages:
            self.body["response_metadata"] = {"messages": list(messages)}


class Message(dict[str, Any]):
    """A message as Slack holds it (a plain dictionary), with the questions a test asks of it.

    It is a snapshot: a later edit is seen by asking the workspace again.
    """

    @property
    def ts(self) -> str:
        return str(self["ts"])

    @property
    def channel(self) -> str:
        return str(self["channel"])

    @property
    def thread_ts(self) -> str | None:
        """The root's ts, on replies and on roots that have replies."""
        return self.get("thread_ts")

    @property
    def root_ts(self) -> str:
        """The ts to answer to, whether or not this message has replies yet."""
        return str(self.get("thread_ts") or self["ts"])

    @property
    def is_reply(self) -> bool:
        return bool(self.get("thread_ts", self["ts"]) != self["ts"])

    @property
    def user(self) -> str:
        return str(self.get("user", ""))

    @property
    def text(self) -> str:
        """The top-level text as Slack returns it: escaped, and only a fallback where there are blocks."""
        return str(self.get("text", ""))

    @property
    def blocks(self) -> list[Json]:
        return list(self.get("blocks", ()))

    @property
    def payload(self) -> Json:
        """The metadata's event_payload; empty where there is none."""
        return dict(self.get("metadata", {}).get("event_payload", {}))

    @property
    def kind(self) -> str:
        return str(self.payload.get("kind", ""))

    @property
    def slot(self) -> str:
        return str(self.payload.get("slot", ""))

    @property
    def state(self) -> str:
        return str(self.payload.get("state", ""))

    @property
    def visible(self) -> str:
        """The words a person reads: those of the blocks, or the text where there are none."""
        return visible_text(self.blocks) if self.blocks else emoji_shown(self.text)

    def says(self, words: str) -> bool:
        return words in self.visible

    @property
    def actions(self) -> list[Json]:
        """The interactive elements, each with the block_id it stands in."""
        return list(interactive_elements(self.blocks))

    @property
    def buttons(self) -> list[str]:
        """The labels of the buttons, as they stand."""
        return [str(element["text"]["text"]) for element in self.actions if element["type"] == "button"]

    def reacted(self, name: str) -> list[str]:
        """Who reacted with this emoji (the exact name, skin tone included)."""
        return next((list(r["users"]) for r in self.get("reactions", ()) if r["name"] == name), [])


class View(dict[str, Any]):
    """A modal or Home view as Slack holds it."""

    @property
    def id(self) -> str:
        return str(self["id"])

    @property
    def callback_id(self) -> str:
        return str(self.get("callback_id", ""))

    @property
    def blocks(self) -> list[Json]:
        return list(self.get("blocks", ()))

    @property
    def visible(self) -> str:
        return visible_text(self.blocks)

    @property
    def actions(self) -> list[Json]:
        return list(interactive_elements(self.blocks))

    @property
    def inputs(self) -> dict[str, Json]:
        """The input elements by "block_id.action_id"."""
        return {
            f"{block['block_id']}.{block['element']['action_id']}": block["element"]
            for block in self.blocks
            if block["type"] == "input"
        }


def visible_text(blocks: Sequence[Json]) -> str:
    """The words of the blocks, one line a block."""
    return emoji_shown("\n".join(_words(block) for block in blocks))


def _words(node: Any) -> str:  # noqa: C901  one case for each sort of node
    match node:
        case {"type": "link", "url": url}:
            return str(node.get("text") or url)
        case {"type": "user", "user_id": user}:
            return f"<@{user}>"
        case {"type": "usergroup", "usergroup_id": group}:
            return f"<!subteam^{group}>"
        case {"type": "broadcast", "range": reach}:
            return f"<!{reach}>"
        case {"type": "emoji", "name": name}:
            return f":{name}:"
        case {"type": "divider"}:
            return ""
        case {"type": "rich_text_section" | "rich_text_quote" | "rich_text_preformatted", "elements": elements}:
            return "".join(_words(element) for element in elements)
        case {"text": str() as text}:
            return text
        case dict():
            parts = (node.get(key) for key in ("label", "text", "fields", "elements", "element", "accessory", "hint"))
            return "\n".join(words for part in parts if part and (words := _words(part)))
        case list():
            return "\n".join(words for part in node if (words := _words(part)))
        case _:
            return ""


def interactive_elements(blocks: Sequence[Json]) -> Iterator[Json]:
    for block in blocks:
        inside = [*(block.get("elements") or ()), block.get("accessory"), block.get("element")]
        for element in inside:
            if isinstance(element, dict) and "action_id" in element:
                yield {**element, "block_id": block.get("block_id", "")}
