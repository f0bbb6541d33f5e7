"""The arguments of a Web API call, however they were sent: query, form or JSON, numbers as text or not."""

import json
from typing import Any

from bot.playground.shapes import Json, SlackError

_STRUCTURED = frozenset({"blocks", "attachments", "metadata", "view", "files", "loading_messages", "message"})
_FALSE = frozenset({"", "0", "false", "False"})


class Args(dict[str, Any]):
    """A dictionary that answers in the type asked for, and refuses with `invalid_arguments`."""

    def text(self, name: str, default: str = "") -> str:
        value = self.get(name)
        return default if value is None else str(value)

    def needed(self, name: str, error: str = "invalid_arguments") -> str:
        value = self.text(name)
        if not value:
            raise SlackError(error, messages=[f"[ERROR] missing required field: {name}"])
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.get(name)
        if value is None:
            return default
        return value not in _FALSE if isinstance(value, str) else bool(value)

    def number(self, name: str, default: int) -> int:
        try:
            return int(self.get(name) or default)
        except (TypeError, ValueError) as problem:
            raise SlackError("invalid_arguments", messages=[f"[ERROR] must be an integer: {name}"]) from problem

    def sequence(self, name: str, error: str = "invalid_arguments") -> list[Any] | None:
        value = self.get(name)
        if value is None or isinstance(value, list):
            return value
        raise SlackError(error, messages=[f"[ERROR] expected an array [json-pointer:/{name}]"])

    def mapping(self, name: str, error: str = "invalid_arguments") -> Json | None:
        value = self.get(name)
        if value is None or isinstance(value, dict):
            return value
        raise SlackError(error, messages=[f"[ERROR] expected an object [json-pointer:/{name}]"])


def parsed(raw: Json) -> Args:
    """The call's arguments; structured ones may arrive as JSON inside a form field."""
    args = Args()
    for name, value in raw.items():
        if name in _STRUCTURED and isinstance(value, str):
            try:
                args[name] = json.loads(value) if value else None
            except ValueError:
                args[name] = value  # its own reader refuses it under the right name
        else:
            args[name] = value
    return args
