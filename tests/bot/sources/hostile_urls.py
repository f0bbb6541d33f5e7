"""Addresses that must never be asked, and those that may: the tables of the reading room's tests."""

from __future__ import annotations

from pathlib import Path

_FILE = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()

SPELT = [line for line in _FILE if line and not line.startswith("#")]
"""Refused as they stand, before any look-up."""

SPELT += [
    "http://public.example/a b",
    "http://public.example/\tx",
    "http://public.example/\r\nHost: inside",
    "http://public.example\n.evil.example/",
    " http://public.example/",
    "http://public.example/\x00",
    "http://public.example/\x7f",
    "http://public.example/\u202egnp.exe",
    "http://public.example/\u2028x",
    "http://public.example/\ufeff",
    "http://exa\u00admple.com/",
    "http://" + "a" * 64 + ".example/",
    "http://" + "a." * 130 + "example/",
    "http://public.example/" + "a" * 2_000,
    "",
    "x",
    "http://exa\u200bmple.com/",
]

RESOLVED = """
127.0.0.1 127.8.8.8 0.0.0.0 0.255.0.1 10.1.2.3 172.16.5.4 172.31.0.1 192.168.1.1 169.254.169.254 169.254.1.1
100.64.0.1 100.100.100.200 100.127.255.255 192.0.0.8 192.0.0.192 192.0.2.5 198.51.100.5 203.0.113.5 198.18.5.5
198.19.5.5 192.88.99.5 192.31.196.5 192.52.193.5 192.175.48.5 168.63.129.16 224.0.0.5 233.252.0.1 239.1.1.1
240.5.5.5 254.1.1.1 255.255.255.255 ::1 :: ::5 ::7f00:1 ::10.0.0.5 ::ffff:127.0.0.1 ::ffff:10.0.0.1
::ffff:192.168.0.1 ::ffff:169.254.169.254 ::ffff:100.64.0.1 ::ffff:0:10.0.0.1 64:ff9b::a00:1 64:ff9b::808:808
64:ff9b:1::1 64:ff9b:1:fffe::1 100::5 100:0:0:1::5 2001::5 2001:1::1 2001:2::5 2001:3::5 2001:4:112::5
2001:10::5 2001:20::5 2001:30::5 2001:1ff::5 2001:db8::5 2002:a00:1::5 2002:808:808::5 2620:4f:8000::5 3fff::5
3fff:0fff::5 5f00::5 fc00::5 fd12:3456::5 fe80::5 febf::5 fec0::5 feff::5 ff00::5 ff02::1 ff0e::5 4000::5
9000::5 f000::5 fe80::1%eth0 ::1%lo ::ffff:8.8.8.8%eth0 nonsense 0x7f000001 2130706433 127.1 0177.0.0.1
1.2.3.4.5
""".split()  # noqa: SIM905  a table
"""What a resolver may say of a name that then must not be asked."""

OPEN = """
1.1.1.1 8.8.8.8 93.184.215.14 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1
169.253.255.255 169.255.0.1 172.15.255.255 172.32.0.1 192.0.1.1 192.0.3.1 192.167.255.255 192.169.0.1
198.17.255.255 198.20.0.1 223.255.255.255 2606:4700:4700::1111 2001:200::1 2001:4860:4860::8888 2003::1
2a00:1450:4001::1 3ffe::1 ::ffff:8.8.8.8
""".split()  # noqa: SIM905  a table
"""Public addresses, many of them next to one that is not."""
