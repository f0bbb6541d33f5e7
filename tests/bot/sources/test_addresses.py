"""Which addresses may be asked at all: everything else is refused before a connection is made."""

from __future__ import annotations

import pytest

from bot.sources.addresses import is_public, read_address
from bot.sources.destinations import destination_of, led_to
from handlers.ports import SourceUnread
from tests.bot.sources.hostile_urls import OPEN, RESOLVED, SPELT
from tests.bot.sources.web import PUBLIC, SmallWeb, page


def test_the_tables_are_large_enough_to_mean_something() -> None:
    assert len(set(SPELT)) + len(set(RESOLVED)) >= 300


@pytest.mark.parametrize("url", SPELT, ids=ascii)
async def test_a_hostile_address_is_refused_without_a_look_up_or_a_connection(url: str) -> None:
    web = SmallWeb()
    with pytest.raises(SourceUnread):
        await web.room().read(url)
    assert (web.lookups, web.opened, web.requests) == ([], 0, [])


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://a.example/", "only http and https addresses are read"),
        ("https://ann:secret@a.example/", "its address carries a user name or a password"),
        ("https://a.example:8443/", "only the ports 80 and 443 are asked"),
        ("http://0x7f.1/", "its host is an IP address in an odd spelling"),
        ("http://192.168.0.1/", "its host is not a public address"),
        ("http://printer.local/", "its host is a name for something inside a network"),
        ("https://a_b.example/", "its host is no name that the web knows"),
        ("https://a.example/" + "x" * 2_000, "its address is longer than 2,000 characters"),
        ("https://team.slack.com/archives/C0LAUNCH/p17", "it is inside Slack, which is not read as a page"),
    ],
)
async def test_people_are_told_what_is_wrong_with_an_address(url: str, told: str) -> None:
    with pytest.raises(SourceUnread) as unread:
        await SmallWeb().room().read(url)
    assert unread.value.sentence == told


@pytest.mark.parametrize("address", RESOLVED)
async def test_a_name_that_leads_inside_is_looked_up_and_never_connected_to(address: str) -> None:
    web = SmallWeb().at("a.example", [address])
    with pytest.raises(SourceUnread, match="not public"):
        await web.room().read("https://a.example/")
    assert (web.lookups, web.opened) == (["a.example"], 0)


@pytest.mark.parametrize("inside", RESOLVED[::7])
@pytest.mark.parametrize("among", [2, 8])
async def test_one_address_inside_among_public_ones_is_enough_to_refuse(inside: str, among: int) -> None:
    for place in range(among):
        answer = [f"8.8.4.{number}" for number in range(among - 1)]
        answer.insert(place, inside)
        web = SmallWeb().at("a.example", answer)
        with pytest.raises(SourceUnread, match="not public"):
            await web.room().read("https://a.example/")
        assert web.opened == 0


@pytest.mark.parametrize("address", OPEN)
async def test_a_public_address_is_asked(address: str) -> None:
    web = SmallWeb().at("a.example", [address]).holds("https://a.example/", page())
    assert (await web.room().read("https://a.example/")).text == "ants"
    found = read_address(address)
    assert found is not None
    assert is_public(found)
    assert [read_address(host) for host in web.connected_to] == [found]


@pytest.mark.parametrize(
    ("url", "host", "asked"),
    [
        ("https://a.example", "a.example", "https://a.example/"),
        ("HTTPS://A.Example./x", "a.example", "https://a.example/x"),
        ("http://a.example:80/x?y#z", "a.example", "http://a.example/x?y"),
        ("http://a.example:443/", "a.example", "http://a.example:443/"),
        ("https://bücher.example/ä?ö=ü", "xn--bcher-kva.example", "https://xn--bcher-kva.example/%C3%A4?%C3%B6=%C3%BC"),
        ("https://a.example/%2e%2E/a%20b", "a.example", "https://a.example/%2e%2E/a%20b"),
        ("https://a.example/<x>\"y'", "a.example", "https://a.example/%3Cx%3E%22y'"),
        ("https://a.example?x=//b.example", "a.example", "https://a.example/?x=//b.example"),
        ("http://8.8.8.8/", "8.8.8.8", "http://8.8.8.8/"),
        ("http://[2606:4700:4700:0::1111]/", "2606:4700:4700::1111", "http://[2606:4700:4700::1111]/"),
    ],
)
def test_an_address_is_read_once_and_rebuilt_from_its_parts(url: str, host: str, asked: str) -> None:
    there = destination_of(url)
    assert (there.host, there.url) == (host, asked)
    assert destination_of(there.url) == there


@pytest.mark.parametrize(
    "location",
    [
        *SPELT[:30:3],
        *SPELT[60::9],
        "http://a.example/down",
        "//127.0.0.1/",
        "https://b.example\\@c.example",
        "///x",
        "http://[",
        "\x00",
    ],
    ids=ascii,
)
def test_a_redirect_may_lead_nowhere_that_may_not_be_asked(location: str) -> None:
    here = destination_of("https://a.example/page")
    try:
        there = led_to(here, location)
    except SourceUnread:
        return
    assert (there.host, there.scheme) == ("a.example", "https")  # a relative one, on the same host


async def test_the_answer_that_was_checked_is_the_one_that_is_connected_to() -> None:
    web = SmallWeb().at("a.example", [PUBLIC], ["127.0.0.1"], ["10.0.0.1"]).holds("https://a.example/", page())
    await web.room().read("https://a.example/")
    assert (web.lookups, web.connected_to) == (["a.example"], [PUBLIC])


async def test_a_name_that_turns_inward_between_two_hops_is_refused_at_the_second() -> None:
    web = SmallWeb().at("a.example", [PUBLIC], ["127.0.0.1"])
    web.holds("https://a.example/", page("", status=302, location="/next"))
    with pytest.raises(SourceUnread, match="not public"):
        await web.room().read("https://a.example/")
    assert web.connected_to == [PUBLIC]


async def test_the_name_stays_in_host_header_and_certificate_check_though_an_address_is_asked() -> None:
    web = SmallWeb().at("a.example", [PUBLIC]).holds("https://a.example/x?y=1", page())
    await web.room().read("https://a.example/x?y=1")
    (request,) = web.requests
    assert request.url.host == PUBLIC
    assert request.url.raw_path == b"/x?y=1"
    assert request.headers["host"] == "a.example"
    assert request.extensions["sni_hostname"] == "a.example"
