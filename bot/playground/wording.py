"""How Slack writes text down: what it escapes, links and turns into emoji names before it gives a text back."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

TOKEN = re.compile(r"<(?:[@#!][^<>\s][^<>]*|(?:https?://|mailto:|tel:)[^<>\s|]+(?:\|[^<>]*)?)>")
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt);)")
_URL = re.compile(r"https?://[^\s<>|]+")
_TRAILING = ".,;:!?)]}'\"*_~`"
_NAMED = re.compile(r":([a-z0-9_+-]+):")
_AT_NAME = re.compile(r"(?<![\w@])@([A-Za-z][\w-]*)")
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>")
_CHANNEL = re.compile(r"<#([CDG][A-Z0-9]+)(?:\|[^<>]*)?>")
_BROADCAST = re.compile(r"<!(channel|here|everyone)(?:\|[^<>]*)?>")

# Slack stores emoji by name, also those that arrive as characters. These are the ones anybody here uses.
EMOJI = {
    "✅": "white_check_mark",
    "✔️": "heavy_check_mark",
    "✔": "heavy_check_mark",
    "❌": "x",
    "↩️": "leftwards_arrow_with_hook",
    "↩": "leftwards_arrow_with_hook",
    "⏳": "hourglass_flowing_sand",
    "⌛": "hourglass",
    "⚠️": "warning",
    "👍": "+1",
    "👎": "-1",
    "👀": "eyes",
    "🎉": "tada",
    "🙂": "slightly_smiling_face",
    "❤️": "heart",
    "🚀": "rocket",
    "🔒": "lock",
    "ℹ️": "information_source",
}
_EMOJI = re.compile("|".join(map(re.escape, sorted(EMOJI, key=len, reverse=True))))
_SHOWN = {name: character for character, name in reversed(EMOJI.items())}


def emoji_named(text: str) -> str:
    return _EMOJI.sub(lambda found: f":{EMOJI[found[0]]}:", text)


def emoji_shown(text: str) -> str:
    return _NAMED.sub(lambda found: _SHOWN.get(found[1], found[0]), text)


def escaped(text: str) -> str:
    """What a person types: nothing in it is a token."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def as_slack_keeps_it(text: str) -> str:
    """A text as it comes back: tokens kept, everything else escaped once, URLs linked, emoji by name."""
    kept: list[str] = []
    for token, plain in _pieces(text):
        kept.append(token or _linked(_escaped_once(plain)))
    return emoji_named("".join(kept))


def typed(text: str, names: Mapping[str, str]) -> str:
    """What a person typed into the composer: escaped, `@name` resolved through `names` (lower case -> user id)."""

    def mention(found: re.Match[str]) -> str:
        user = names.get(found[1].lower())
        return f"<@{user}>" if user else found[0]

    return as_slack_keeps_it(_AT_NAME.sub(mention, escaped(text)))


def in_command(text: str, names: Mapping[str, str]) -> str:
    """A text as slash commands carry it: mentions with their name beside the id (user id -> name)."""
    return _MENTION.sub(
        lambda found: f"<@{found[1]}|{names[found[1]]}>" if found[1] in names else found[0], as_slack_keeps_it(text)
    )


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    for token in TOKEN.finditer(text):
        yield "", text[at : token.start()]
        yield token[0], ""
        at = token.end()
    yield "", text[at:]


def _escaped_once(text: str) -> str:
    return _ENTITY.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;")


def _linked(text: str) -> str:
    def link(found: re.Match[str]) -> str:
        url, rest = found[0], ""
        for entity in ("&gt;", "&lt;"):
            if entity in url:
                at = url.index(entity)
                url, rest = url[:at], url[at:]
        bare = url.rstrip(_TRAILING)
        return f"<{bare}>{url[len(bare) :]}{rest}"

    return _URL.sub(link, text)


def as_rich_text(text: str) -> list[dict[str, Any]]:
    """The blocks Slack's own composer makes of a person's text."""
    elements: list[dict[str, Any]] = []
    for token, plain in _pieces(text):
        if token:
            elements.append(_element(token))
        elif plain:
            elements.append({"type": "text", "text": emoji_shown(unescaped(plain))})
    return [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": elements}]}]


_KINDS: list[tuple[re.Pattern[str], Callable[[str], dict[str, Any]]]] = [
    (_MENTION, lambda found: {"type": "user", "user_id": found}),
    (_CHANNEL, lambda found: {"type": "channel", "channel_id": found}),
    (_BROADCAST, lambda found: {"type": "broadcast", "range": found}),
]


def _element(token: str) -> dict[str, Any]:
    for pattern, make in _KINDS:
        if found := pattern.fullmatch(token):
            return make(found[1])
    url, bar, label = token[1:-1].partition("|")
    return {"type": "link", "url": unescaped(url), **({"text": unescaped(label)} if bar else {})}
