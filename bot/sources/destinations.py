"""A URL read once and strictly: where a request may go, or a sentence why it may not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin

import idna

from bot.sources.addresses import is_public, read_address
from handlers.ports import SourceUnread

LONGEST: Final = 2_000
_PORTS: Final = {"http": 80, "https": 443}
_SHAPE = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_UNSEEN = re.compile(r"[\x00-\x20\x7f-\xa0\\\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# Names that mean a machine of one's own or of one's house, whatever a resolver says of them.
_INSIDE: Final = frozenset(
    """
    localhost localdomain local internal intranet private corp home lan host svc arpa test invalid onion alt
    """.split()  # noqa: SIM905  a table of words
)
_METADATA: Final = frozenset(
    {
        "instance-data.com",
        "metadata.azure.com",
        "metadata.goog",
        "metadata.google.com",
        "metadata.packet.net",
        "metadata.platformequinix.com",
        "metadata.tencentyun.com",
    }
)
_NOT_A_PAGE: Final = ("slack.com", "slack-files.com", "slack-edge.com")


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """One place on the web, every part checked; `host` is ASCII and lower case, `target` what the request line says."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def url(self) -> str:
        usual = _PORTS[self.scheme] == self.port
        return f"{self.scheme}://{self._host}{'' if usual else f':{self.port}'}{self.target}"

    @property
    def host_header(self) -> str:
        return self._host if _PORTS[self.scheme] == self.port else f"{self._host}:{self.port}"

    @property
    def is_encrypted(self) -> bool:
        return self.scheme == "https"

    @property
    def _host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def destination_of(url: str) -> Destination:
    """Where this URL leads. Raises SourceUnread for every address that may not be asked."""
    if len(url) > LONGEST:
        raise SourceUnread(f"its address is longer than {LONGEST:,} characters")
    if _UNSEEN.search(url):
        raise SourceUnread("its address holds characters that no address has")
    shape = _SHAPE.match(url)
    scheme = shape["scheme"].lower() if shape else ""
    if shape is None or scheme not in _PORTS:
        raise SourceUnread("only http and https addresses are read")
    if "@" in shape["authority"]:
        raise SourceUnread("its address carries a user name or a password")
    authority = _AUTHORITY.fullmatch(shape["authority"])
    if authority is None:
        raise SourceUnread("its address names no host")
    port = int(authority["port"]) if authority["port"] else _PORTS[scheme]
    if port not in _PORTS.values():
        raise SourceUnread("only the ports 80 and 443 are asked")
    return Destination(scheme=scheme, host=_host(authority["host"]), port=port, target=_target(shape))


def led_to(here: Destination, location: str) -> Destination:
    """Where a redirect leads. Raises SourceUnread like `destination_of`, and where it would give up encryption."""
    if len(location) > LONGEST or _UNSEEN.search(location):
        raise SourceUnread("it leads to something that is no address")
    try:
        there = destination_of(urljoin(here.url, location))
    except SourceUnread as unread:
        raise SourceUnread(f"it leads on to an address that is not read: {unread.sentence}") from None
    except ValueError:
        raise SourceUnread("it leads to something that is no address") from None
    if here.is_encrypted and not there.is_encrypted:
        raise SourceUnread("it leads from https to http")
    return there


def _host(written: str) -> str:
    if written.startswith("["):
        written = written[1:-1]
        return _literal(written)
    name = _ascii(written).removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):  # browsers take every such host for an IPv4 address, in octal or hex if need be
        return _literal(name)
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):  # noqa: PLR2004  RFC 1035
        raise SourceUnread("its host is no name that the web knows")
    if len(labels) == 1 or labels[-1] in _INSIDE or name in _METADATA:
        raise SourceUnread("its host is a name for something inside a network")
    if any(name == slack or name.endswith(f".{slack}") for slack in _NOT_A_PAGE):
        raise SourceUnread("it is inside Slack, which is not read as a page")
    return name


def _literal(written: str) -> str:
    address = read_address(written)
    if address is None:
        raise SourceUnread("its host is an IP address in an odd spelling")
    if not is_public(address):
        raise SourceUnread("its host is not a public address")
    return str(address)


def _ascii(name: str) -> str:
    """The name as the DNS has it: IDNA 2008 without any mapping, so that no look-alike becomes a dot or a digit."""
    try:
        if name.isascii() and "xn--" not in name.lower():
            return name.lower()
        return idna.encode(idna.decode(name.lower(), strict=True), strict=True, std3_rules=True).decode()
    except (idna.IDNAError, UnicodeError):
        raise SourceUnread("its host is no name that the web knows") from None


def _target(shape: re.Match[str]) -> str:
    path = quote(shape["path"] or "/", safe="/%:@!$&'()*+,;=~-._")
    return path + quote(shape["query"] or "", safe="/%:@!$&'()*+,;=~-._?")
