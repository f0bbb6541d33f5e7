"""Slack's own spelling of a text, read as plain words: entities, mentions, channels and links."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass

from handlers.words import storable

_TOKEN = re.compile(r"<([^<>\n]*)>")
_PERMALINK = re.compile(
    r"https?://[^\s|<>]+/archives/(?P<channel>[A-Z0-9]+)/p(?P<digits>\d{7,})(?:\?(?P<query>[^\s|<>]*))?"
)
_THREAD = re.compile(r"thread_ts=(\d+\.\d+)")
_MICROSECONDS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Pointer:
    """The message a permalink points at, and its thread when the link names one."""

    channel: str
    ts: str
    thread_ts: str | None = None


def plain_words(text: str, *, names: Mapping[str, str] | None = None) -> str:
    """Undo Slack's escaping. `<@U1>` becomes @U1 (or a name), `<#C1|launch>` #launch, a link its address.

    A link whose label differs from its address is written "label (address)", so that nothing is lost; what no
    database takes becomes visible.
    """

    def words(match: re.Match[str]) -> str:
        head, _, label = match.group(1).partition("|")
        if head.startswith("@"):
            return "@" + ((names or {}).get(head[1:]) or label or head[1:])
        if head.startswith("#"):
            return "#" + (label or head[1:])
        if head.startswith("!"):
            return label or "@" + head[1:].partition("^")[0]
        if label and label not in {head, re.sub(r"^(https?://|mailto:)", "", head)}:
            return f"{label} ({head})"
        return label if head.startswith("mailto:") and label else head

    return storable(html.unescape(_TOKEN.sub(words, text)))


def take_permalink(text: str) -> tuple[Pointer | None, str]:
    """Take a permalink off the beginning of a text: where it points, and the words that are left."""
    stripped = text.strip()
    token = re.match(r"<([^<>|\n]+)(?:\|[^<>\n]*)?>", stripped)
    link = html.unescape(token.group(1)) if token else stripped.split(maxsplit=1)[0] if stripped else ""
    found = _PERMALINK.fullmatch(link)
    if not found:
        return None, stripped
    digits = found["digits"]
    thread = _THREAD.search(found["query"] or "")
    rest = stripped[token.end() :] if token else stripped[len(link) :]
    pointer = Pointer(
        channel=found["channel"],
        ts=f"{digits[:-_MICROSECONDS]}.{digits[-_MICROSECONDS:]}",
        thread_ts=thread.group(1) if thread else None,
    )
    return pointer, rest.strip()
