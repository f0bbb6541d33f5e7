"""Which IP addresses are public: a frozen table of all that are not.

The table is ours because what `ipaddress` calls global changes from one Python to the next and leaves out ranges that
lead inside: 64:ff9b::/96 and 2002::/16 carry any IPv4 address, fec0::/10 and 5f00::/16 are private in all but name.
Sources: the IANA registries of special-purpose addresses (IPv4, IPv6) and of IPv6 address space, as of November 2026.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

SPECIAL_V4: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers; metadata of some clouds (100.100.100.200)
        "127.0.0.0/8",  # this machine
        "169.254.0.0/16",  # link-local; metadata of most clouds (169.254.169.254)
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; metadata of some clouds (192.0.0.192)
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays, withdrawn
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "168.63.129.16/32",  # a public number that leads to the host of a virtual machine at one cloud
    )
)
SPECIAL_V6: Final = tuple(
    IPv6Network(network)
    for network in (
        "::/96",  # unspecified, this machine, and IPv4 in the compatible form of old
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b::/96",  # NAT64: any IPv4 address
        "64:ff9b:1::/48",  # NAT64 inside a house
        "100::/64",  # discarded
        "100:0:0:1::/64",  # dummy prefix
        "2001::/23",  # protocol assignments, among them Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: any IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing inside a domain
        "fc00::/7",  # private
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local of old
        "ff00::/8",  # multicast
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
"""The only part of IPv6 that is handed out; everything outside is nobody's or somebody's inside."""


def is_public(address: Address) -> bool:
    """Whether the address can only be a public host. An IPv4 address inside an IPv6 one is judged itself."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in SPECIAL_V4)
    if address.scope_id is not None:
        return False
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address not in _GLOBAL_UNICAST:
        return False
    return not any(address in network for network in SPECIAL_V6)


def read_address(text: str) -> Address | None:
    """The address a resolver or a URL names, in its one usual spelling; None for anything else."""
    try:
        return ip_address(text)
    except ValueError:
        return None
