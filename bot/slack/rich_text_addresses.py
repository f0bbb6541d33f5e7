"""Addresses in a model's text: which may be clicked, and how the others are broken so that no program links them."""

import re
import unicodedata
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from bot.slack.rich_text_safety import visible

_LONGEST_ADDRESS: Final = 2_000

# Slack draws no links of its own inside the text elements of a rich_text block. Should a client begin to,
# or a reader paste the text elsewhere, these forms still lead nowhere: `https[:]//evil[.]example/x`,
# `www[.]evil[.]example`, `evil[.]example/x`, `mailto[:]x@evil.example`. Taking the brackets out gives the address back.
# A bare name without a path (Booking.com, README.md) can carry nothing away and stays readable.
_AFTER_SCHEME = re.compile(r"://([^\s/?#]*)")
_SCHEMELESS = re.compile(r"(?<!\[:\])(?<![\w:])//[\w-]+\.[^\s/?#]*|(?<![\w.])www\.[^\s/?#]*", re.IGNORECASE)
_NO_AUTHORITY = re.compile(r"\b(mailto|tel|sms|javascript|vbscript|data(?=:[\w.+-]{0,64}[/;,])):(?=\S)", re.IGNORECASE)
_NOT_TLDS = "js|ts|go|jsx|tsx|json|toml|yaml|yml|txt|html|css|cfg|ini|sql|java|cpp|vue|kt|lock"
_WITH_PATH = re.compile(
    rf"(?<![\w.@/\\-])(?:[\w-]{{1,63}}\.){{1,10}}(?!(?:{_NOT_TLDS})\b)[^\W\d_]{{2,24}}(?=(?::\d{{1,5}})?[/?#]\S)",
    re.IGNORECASE,
)
_ADDRESS_LIKE = re.compile(r"//|www\.|\S[.\u3002][^\W\d_]{2,}")


def defanged(text: str) -> str:
    """Break every address in a text so that no program takes it for a link; nothing but brackets is added."""
    if ":" in text:
        text = _AFTER_SCHEME.sub(lambda found: "[:]//" + _dots_broken(found[1]), text)
        text = _NO_AUTHORITY.sub(r"\1[:]", text)
    if "." in text:
        text = _SCHEMELESS.sub(lambda found: _dots_broken(found[0]), text)
        text = _WITH_PATH.sub(lambda found: _dots_broken(found[0]), text)
    return text


def _dots_broken(host: str) -> str:
    return host.replace("[.]", ".").replace(".", "[.]")


def refanged(text: str) -> str:
    """Give back the addresses that `defanged` broke."""
    return text.replace("[:]", ":").replace("[.]", ".")


def host_of(url: str, linkable: Collection[str]) -> str | None:
    """The host (and port) of a URL that may be clickable, None for every other text.

    Clickable is what is byte-identical to a URL of the brief or its sources, is http or https, hides no user name
    before its host and shows every character it has. A host in other than ASCII could be a look-alike and stays text.
    """
    if url not in linkable or len(url) > _LONGEST_ADDRESS or re.search(r"[\s<>\"\\]", url) or visible(url) != url:
        return None
    try:
        address = urlsplit(url)
    except ValueError:
        return None
    host = address.netloc
    is_web = address.scheme in {"http", "https"} and url.startswith(("http://", "https://"))
    return host if is_web and address.hostname and host.isascii() and "@" not in host else None


def looks_like_an_address(label: str) -> bool:
    """Whether somebody could take a link's label for the place it leads to."""
    return bool(_ADDRESS_LIKE.search(unicodedata.normalize("NFKC", label).casefold()))
