"""Slack's spelling of a text, read as plain words, and permalinks in all their forms."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.plain import Pointer, plain_words, take_permalink


@pytest.mark.parametrize(
    ("slack", "words"),
    [
        ("", ""),
        ("plain", "plain"),
        ("a &lt; b &amp;&amp; c &gt; d", "a < b && c > d"),
        ("&amp;lt; stays escaped once", "&lt; stays escaped once"),
        ("ask <@U0ANN>", "ask @U0ANN"),
        ("ask <@U0ANN|ann>", "ask @ann"),
        ("ask <@U0RAE> now", "ask @Rae now"),
        ("in <#C0LAUNCH|launch>", "in #launch"),
        ("in <#C0LAUNCH>", "in #C0LAUNCH"),
        ("<!here> and <!channel>", "@here and @channel"),
        ("<!subteam^S0DESK|@desk>", "@desk"),
        ("<!subteam^S0DESK>", "@subteam"),
        ("<!date^1790000000^{date}|3 November>", "3 November"),
        ("<https://example.com>", "https://example.com"),
        ("<https://example.com|example.com>", "https://example.com"),
        ("<https://example.com|our page>", "our page (https://example.com)"),
        ("<https://example.com/?a=1&amp;b=2>", "https://example.com/?a=1&b=2"),
        ("<mailto:ann@example.com|ann@example.com>", "ann@example.com"),
        ("<mailto:ann@example.com|write to Ann>", "write to Ann (mailto:ann@example.com)"),
        ("a <broken\ntoken> here", "a <broken\ntoken> here"),
        ("<>", ""),
        ("half \ud83d a\x00pair", "half \ufffd a␀pair"),
    ],
)
def test_entities_mentions_channels_and_links_become_words(slack: str, words: str) -> None:
    assert plain_words(slack, names={"U0RAE": "Rae"}) == words


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00")))
def test_what_slack_escapes_comes_back_character_by_character(text: str) -> None:
    assert plain_words(html.escape(text, quote=False)) == text


HERE = Pointer(channel="C0LAUNCH", ts="1790000000.000100")
IN_THREAD = Pointer(channel="C0LAUNCH", ts="1790000000.000100", thread_ts="1780000000.000200")
LINK = "https://acme.slack.com/archives/C0LAUNCH/p1790000000000100"
THREAD_LINK = f"{LINK}?thread_ts=1780000000.000200&cid=C0LAUNCH"


@pytest.mark.parametrize(
    ("text", "pointer", "rest"),
    [
        (LINK, HERE, ""),
        (f"{LINK} be harsh", HERE, "be harsh"),
        (f"  {LINK}\nbe harsh", HERE, "be harsh"),
        (f"<{LINK}>", HERE, ""),
        (f"<{LINK}> be harsh", HERE, "be harsh"),
        (f"<{LINK}|a message> be harsh", HERE, "be harsh"),
        (f"<{LINK}>be harsh", HERE, "be harsh"),
        (THREAD_LINK, IN_THREAD, ""),
        (f"<{THREAD_LINK.replace('&', '&amp;')}> be harsh", IN_THREAD, "be harsh"),
        (f"<{THREAD_LINK.replace('&', '&amp;')}|link>", IN_THREAD, ""),
        (f"{LINK}?cid=C0LAUNCH&thread_ts=1780000000.000200", IN_THREAD, ""),
        (f"{LINK}?cid=C0LAUNCH", HERE, ""),
        (LINK.replace("acme.slack.com", "acme.enterprise.slack.com"), HERE, ""),
        (LINK.replace("https://acme.slack.com", "http://127.0.0.1:8030"), HERE, ""),
        (LINK.replace("C0LAUNCH", "D0DIRECT"), Pointer(channel="D0DIRECT", ts="1790000000.000100"), ""),
        ("", None, ""),
        ("be harsh", None, "be harsh"),
        (f"be harsh {LINK}", None, f"be harsh {LINK}"),
        ("https://example.com", None, "https://example.com"),
        ("https://acme.slack.com/archives/C0LAUNCH", None, "https://acme.slack.com/archives/C0LAUNCH"),
        ("https://acme.slack.com/archives/C0LAUNCH/p12", None, "https://acme.slack.com/archives/C0LAUNCH/p12"),
        (f"{LINK}/more", None, f"{LINK}/more"),
        (f"{LINK}abc", None, f"{LINK}abc"),
        (f"ftp{LINK.removeprefix('https')}", None, f"ftp{LINK.removeprefix('https')}"),
        ("https://acme.slack.com/team/U0ANN", None, "https://acme.slack.com/team/U0ANN"),
    ],
)
def test_a_permalink_at_the_head_points_and_the_rest_are_words(text: str, pointer: Pointer | None, rest: str) -> None:
    assert take_permalink(text) == (pointer, rest)


@given(st.text())
def test_no_text_is_too_odd_to_be_read(text: str) -> None:
    pointer, rest = take_permalink(text)
    assert pointer is not None or rest == text.strip()
    assert isinstance(plain_words(text), str)
