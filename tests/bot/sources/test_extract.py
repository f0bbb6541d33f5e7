"""What of a page is taken for its words; and that no markup makes reading it expensive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sources import tidy as tidying
from bot.sources.extract import page_of_html, page_of_text
from bot.sources.tidy import DEEPEST, MOST_TAGS, MOST_WORDS, tidy

FILLING = "<p>" + "Ants walk in a line. " * 12


def words(markup: str) -> str:
    return page_of_html(markup).text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("ants", "ants"),
        ("<p>one<p>two", "one\n\ntwo"),
        ("<p>one\n   and\ttwo</p>", "one and two"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<h1>The <em>ant</em></h1><h3>Its\nlegs</h3>x", "# The ant\n\n### Its legs\n\nx"),
        ("<h2>  </h2>x", "x"),
        ("<b>a</b><i>n</i>t<wbr>s <a href='https://b.example'>link</a>", "ants link"),
        ("<ul><li>one<li>two<ul><li>deeper</ul><li>three</ul>", "- one\n- two\n  - deeper\n- three"),
        ("<ol><li>one</li><li>two</li></ol>", "1. one\n2. two"),
        ("<ul><li><p>one<p>more</ul>", "- one\n  more"),
        ("<li>alone", "- alone"),
        ("<table><tr><th>a<th>b<tr><td>1<td>2 <b>x</b></table>", "a | b\n1 | 2 x"),
        ("<table><tbody><tr><td>1</td><td hidden>2</td></tr></tbody></table>", "1"),
        ("<dl><dt>ant<dd>small<dt>bee<dd>loud</dl>", "ant\n\nsmall\n\nbee\n\nloud"),
        ("<pre>def ant():\n    return 6\n</pre>", "```\ndef ant():\n    return 6\n```"),
        ("&lt;b&gt; &amp;amp; &#233; &eacute; &", "<b> &amp; é é &"),
        ("5 < 6 and 7 > 6, <3 ants", "5 < 6 and 7 > 6, <3 ants"),
        ("a<!-- not this --->b<!-->c<!--->d", "abcd"),
        ("a<!doctype html><?php echo ?>b<![CDATA[c]]>d", "abd"),
        ("a<script>if (1 < 2) { '</p>' }</script >b<STYLE>p { }</sTyLe\n>c", "a b c"),
        ("a<script>x</scripted>y</script>b", "a b"),
        ("a<template><p>no</template><svg><text>no</text></svg><noscript>no</noscript>b", "a b"),
        ("a<textarea>no</textarea><select><option>no</select><iframe>no</iframe>b", "a b"),
        ("a<img alt='b'><input value=c>d", "ad"),
        ("</p></div>a</b>", "a"),
        ("<p title='a > b'>c", "c"),
        ("<p title=it's>c</p><p title=\"x>d", "c\n\nd"),
        ("<x-ant>a</x-ant><ünknown>b", "a<ünknown>b"),
    ],
    ids=ascii,
)
def test_words_come_out_as_lines(markup: str, text: str) -> None:
    assert words(markup) == text


@pytest.mark.parametrize(
    "hidden",
    [
        "<p hidden>marsupilami</p>",
        "<P HIDDEN=''>marsupilami</P>",
        "<div hidden><p>marsupilami</div>",
        "<p aria-hidden='true'>marsupilami</p>",
        '<p style="display:none">marsupilami</p>',
        "<p style='color: red; DISPLAY : NONE'>marsupilami</p>",
        "<span style=visibility:hidden>marsupilami</span>",
        "<span style='font-size:0'>marsupilami</span>",
        "<span style='font-size:0px'>marsupilami</span>",
        "<span style='opacity: 0;'>marsupilami</span>",
        "<p style='display&#58;none'>marsupilami</p>",
        "<p/hidden>marsupilami</p>",
        "<!-- marsupilami -->",
        "<meta name=description content=marsupilami>",
        "<a href='https://b.example/marsupilami' title=marsupilami>b</a>",
        "<ul><li hidden>marsupilami</ul>",
        "<h1><span hidden>marsupilami</span>b</h1>",
        "<table><tr><td><span hidden>marsupilami</span>",
    ],
)
def test_what_a_reader_would_not_see_is_not_read(hidden: str) -> None:
    text = words(f"<p>before</p>{hidden}<p>after</p>")
    assert "marsupilami" not in text
    assert text.startswith("before")
    assert text.endswith("after")


@pytest.mark.parametrize("style", ["font-size:0.9em", "opacity:0.5", "display:block", "font-size: 10px"])
def test_what_is_only_styled_is_read(style: str) -> None:
    assert words(f"<p style='{style}'>ants") == "ants"


def test_the_main_part_is_read_without_what_stands_around_it() -> None:
    around = "<header>Ant News<nav><ul><li>Home</ul></nav></header>{}<aside>Buy ants</aside><footer>Imprint</footer>"
    for part in ("main", "article", "div role=main", "div"):
        closing = part.split()[0]
        text = words(around.format(f"<{part}><header><h1>Ants</h1></header>{FILLING}</{closing}>"))
        assert "Ants walk in a line." in text
        assert not any(no in text for no in ("Home", "Buy ants", "Imprint", "Ant News"))
        assert text.startswith("# Ants") or part == "div"


def test_a_page_that_is_all_furniture_is_read_all_the_same() -> None:
    assert words("<form><header>Ants</header><button>Walk</button></form>") == "Ants\n\nWalk"


def test_a_main_part_of_a_few_words_is_not_taken_for_the_page() -> None:
    assert "Ants walk" in words(f"<main>Loading</main><div>{FILLING}</div>")


def test_the_title_is_the_pages_own() -> None:
    page = page_of_html(
        "<title>\n Ants &amp; <b>bees\u202e </title><svg><title>no</title></svg><title>nor this</title>x"
    )
    assert page.title == "Ants & <b>bees"
    assert page_of_html("x").title == ""
    assert len(page_of_html(f"<title>{'ant ' * 10_000}</title>x").title) <= 300


@pytest.mark.parametrize(
    "unseen", ["\u200b", "\u202e", "\u2066", "\ufeff", "\u00ad", "\x07", "\x1b", "\U000e0041", "\u2063"]
)
def test_characters_that_nobody_sees_do_not_cross(unseen: str) -> None:
    assert words(f"an{unseen}ts") == "ants"
    assert page_of_text(f"an{unseen}ts").text == "ants"


def test_characters_that_belong_to_a_script_or_an_emoji_stay() -> None:
    assert words("می‌خواهم 👩‍🔬 ✅") == "می‌خواهم 👩‍🔬 ✅"


def test_text_keeps_its_lines() -> None:
    assert page_of_text("# Ants\r\n\r\n\r\n\r\n  - six  \rlegs\n").text == "# Ants\n\n  - six\nlegs"


SIZE = 4_000_000
HOSTILE = {
    "comments": "<!--",
    "declarations": "<!",
    "instructions": "<?",
    "cdata": "<![CDATA[",
    "tags": "<a ",
    "quotes": '<a b="',
    "both quotes": "<a '<a \"",
    "ends": "</a ",
    "lesser": "<",
    "empty": "<>",
    "ampersands": "&",
    "entities": "&a",
    "numbers": "&#1",
    "scripts": "<script>",
    "half ends": "<script></scrip",
    "textareas": "<textarea>",
    "divs": "<div>",
    "formatting": "<b><i>",
    "divs and stray ends": "<div></p>",
    "items": "<ul><li>x",
    "rows": "<table><tr><td>",
    "paragraphs": "<p>x",
    "hidden": "<p hidden>x",
    "styles": "<p style='display :" + " " * 280 + "non'>x",
    "nested rows with words": "<table><tr><td>x<td>",
    "nested rows without cells": "<table><tr>x",
    "headings in items": "<ul><li><h2>x",
    "headers": "<article><header>x",
    "mains": "<main>x",
    "headings": "<h1>",
    "pre": "<pre>",
    "spaces": " ",
    "lines": "\n",
    "words": "ant ",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_markup_makes_reading_expensive(kind: str) -> None:
    tidied = tidy(HOSTILE[kind] * (SIZE // len(HOSTILE[kind])))
    assert len(tidied.markup) < 3 * MOST_WORDS
    assert tidied.markup.count("<") <= 3 * MOST_TAGS
    few = HOSTILE[kind] * (SIZE // 20 // len(HOSTILE[kind]))
    assert len(words(few)) <= 2 * len(few)


def test_a_million_attributes_are_one_tag() -> None:
    many = " ".join(f"b{number}=1" for number in range(1_000_000))
    assert "ants" not in tidy(f"<p {many} hidden>ants").markup.partition("b0")[0]
    assert words(f"<p {many[:9_000]} hidden>no</p>ants") == "ants"


def test_a_hundred_thousand_levels_are_a_few_hundred() -> None:
    for opening in ("<div>", "<div></p>", "<ul><li>", "<b>", "<x-y>"):
        markup = tidy(opening * 100_000 + "ants").markup
        depth = deepest = 0
        for piece in markup.split("<")[1:]:
            depth += -1 if piece.startswith("/") else 1
            deepest = max(deepest, depth)
        assert deepest <= DEEPEST


def test_what_is_too_large_to_be_read_whole_is_said_to_be() -> None:
    for markup in ("ant " * 200_000, "<b>a</b>" * 30_000):
        page = page_of_html(markup)
        assert page.text.endswith("[the page goes on; it is too large to be read whole]")
        assert page.text.startswith("a")
    assert "goes on" not in words("ant " * 1_000)


@given(
    markup=st.lists(
        st.sampled_from([*"<>/!?-='\" &;ab\n", "<p", "<li>", "</li>", "<script>", "</script>", "<!--", "-->", "hidden"])
    ).map("".join)
)
def test_whatever_comes_is_read_without_a_fault(markup: str) -> None:
    page = page_of_html(markup)
    assert page.text == page.text.strip()
    assert page_of_text(markup).text == page_of_text(page_of_text(markup).text).text


@given(
    markup=st.lists(
        st.sampled_from(["<p>", "</p>", "<div>", "</div>", "<b>", "</b>", "<li>", "<td>", "<tr>", "<br>", "x"])
    ).map("".join)
)
def test_what_leaves_the_tidier_has_every_end_where_it_belongs(markup: str) -> None:
    open_: list[str] = []
    for piece in tidy(markup).markup.split("<")[1:]:
        name = piece.partition(">")[0]
        if name.startswith("/"):
            assert open_.pop() == name[1:]
        elif name not in tidying._VOID:
            open_.append(name)
