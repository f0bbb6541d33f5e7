import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.slack import rich_text_read
from bot.slack.rich_text import Part, inert, mrkdwn_escape, one_line, parts_of, plain_text
from bot.slack.rich_text_addresses import defanged, refanged
from bot.slack.rich_text_blocks import BlockReader
from bot.slack.rich_text_safety import visible
from tests.bot.hostile_answers import ENORMOUS_ANSWERS, HOSTILE_ANSWERS, OPEN_URL
from tests.bot.rich_text_checks import check_message, clickable, everything_in, leaves_of, lost

Element = dict[str, Any]
OPEN = "https://docs.example.org/guide"


def text(words: str, *styles: str) -> Element:
    return {"type": "text", "text": words} | ({"style": dict.fromkeys(styles, True)} if styles else {})


def link(words: str, url: str = OPEN, *styles: str) -> Element:
    return {"type": "link", "url": url, "text": words} | ({"style": dict.fromkeys(styles, True)} if styles else {})


def section(*leaves: Element | str) -> Element:
    return _element("rich_text_section", leaves)


def code(*leaves: Element | str) -> Element:
    return _element("rich_text_preformatted", leaves)


def quote(*leaves: Element | str) -> Element:
    return _element("rich_text_quote", leaves)


def _element(kind: str, leaves: tuple[Element | str, ...]) -> Element:
    return {"type": kind, "elements": [text(leaf) if isinstance(leaf, str) else leaf for leaf in leaves]}


def bullets(*items: str | Element, indent: int = 0) -> Element:
    made = [item if isinstance(item, dict) else section(item) for item in items]
    return {"type": "rich_text_list", "style": "bullet", "indent": indent, "elements": made}


def numbered(*items: str, start: int = 1, indent: int = 0) -> Element:
    made = bullets(*items, indent=indent) | {"style": "ordered"}
    return made | ({"offset": start - 1} if start > 1 else {})


def elements(markdown: str) -> list[Element]:
    (part,) = parts_of(markdown, linkable=[OPEN])
    check_message(part.blocks, linkable=[OPEN])
    (block,) = part.blocks
    made: list[Element] = block["elements"]
    return made


def messages(parts: tuple[Part, ...]) -> list[tuple[dict[str, Any], ...]]:
    return [part.blocks for part in parts]


MARKDOWN = {
    "plain words": ("Marsupilami", [section("Marsupilami")]),
    "styles": (
        "a **b** *i* ~~s~~ `c` ***bi***",
        [
            section(
                *("a ", text("b", "bold"), " ", text("i", "italic"), " ", text("s", "strike")),
                *(" ", text("c", "code"), " ", text("bi", "bold", "italic")),
            ),
        ],
    ),
    "lines stay lines, paragraphs stay apart": ("one\ntwo  \nthree\n\nfour", [section("one\ntwo\nthree\n\nfour")]),
    "a high heading stands apart": ("# Plan\nGo.", [section(text("Plan", "bold"), "\n\nGo.")]),
    "a low heading stands on its text": ("### Plan\nGo.", [section(text("Plan", "bold"), "\nGo.")]),
    "an underlined heading": ("Plan\n===\nGo.", [section(text("Plan", "bold"), "\n\nGo.")]),
    "code in a heading": ("# a `b`", [section(text("a ", "bold"), text("b", "bold", "code"))]),
    "a list under words": ("Buy:\n- tea\n- milk", [section("Buy:"), bullets("tea", "milk")]),
    "words under a list": ("- tea\n\nThat is all.", [bullets("tea"), section("\nThat is all.")]),
    "lists in lists, no deeper than two": (
        "- a\n  - b\n    - c\n      - d\n        - e\n- f",
        [bullets("a"), bullets("b", indent=1), bullets("c", "d", "e", indent=2), bullets("f")],
    ),
    "numbers go on after an inner list": (
        "1. a\n   - x\n2. b\n3. c",
        [numbered("a"), bullets("x", indent=1), numbered("b", "c", start=2)],
    ),
    "a list starts where it says": ("7. a\n8. b", [numbered("a", "b", start=7)]),
    "numbers are kept where they jump": ("1. a\n4. b", [numbered("a"), numbered("b", start=4)]),
    "lazy numbers count": ("1. a\n1. b\n1. c", [numbered("a", "b", "c")]),
    "a number too high for Slack is text": ("123456789. a", [bullets("123456789. a")]),
    "zero is text": ("0. a\n1. b", [bullets("0. a"), numbered("b")]),
    "numbers around an inner list": ("1. - a", [numbered(" "), bullets("a", indent=1)]),
    "an item of two paragraphs": ("- a\n\n  b\n- c", [bullets("a\nb", "c")]),
    "code inside an item": (
        "1. a\n\n   ```\n   x\n   ```\n2. b",
        [numbered("a"), code("x"), numbered("b", start=2)],
    ),
    "an empty item": ("- a\n-\n- b", [bullets("a", " ", "b")]),
    "tasks stay as written": ("- [ ] open\n- [x] done", [bullets("[ ] open", "[x] done")]),
    "fenced code is kept to the byte": (
        "```\n  a  <b> & *c*\n\n\thttps://evil.example/x\n```",
        [code("  a  <b> & *c*\n\n\thttps://evil.example/x")],
    ),
    "a fence says its language": ("```python\nx = 1\n```", [section(text("python", "italic")), code("x = 1")]),
    "indented code": ("    x = 1\n      y", [code("x = 1\n  y")]),
    "an open fence is code to the end": ("```\nx\n# y", [code("x\n# y")]),
    "an empty fence is shown as it is": ("```\n```", [section("```\n```")]),
    "a quote": ("> so *it* goes\n> on\n>\n> and on", [quote("so ", text("it", "italic"), " goes\non\n\nand on")]),
    "two quotes": ("> a\n\nand\n\n> b", [quote("a"), section("and"), quote("b")]),
    "a quote in a quote": ("> a\n> > b", [quote("a\n\n> b")]),
    "a list in a quote": ("> - a\n> - b\n>   1. c", [quote("\u2022 a\n\u2022 b\n    1. c")]),
    "code in a quote": ("> a\n> ```\n> x\n> ```\n> b", [quote("a"), code("x"), quote("b")]),
    "a rule": ("a\n\n---\n\nb", [section("a\n\n\u2014\u2014\u2014\n\nb")]),
    "a table": (
        "| name | n |\n|---|---:|\n| gaston | 3 |\n| \u6f22\u5b57 | 12 |",
        [code("name     n\n------  --\ngaston   3\n\u6f22\u5b57    12")],
    ),
    "a table too wide for columns": (
        f"| name | story |\n|---|---|\n| gaston | {'zz ' * 40}|\n| | b |",
        [
            section(text("name | story", "bold")),
            bullets(
                section(text("name: ", "bold"), "gaston\n", text("story: ", "bold"), ("zz " * 40).strip()),
                section(text("story: ", "bold"), "b"),
            ),
        ],
    ),
    "a row with a cell too many is shown as it is": (
        "| a |\n|---|\n| 1 | 2 |",
        [code("| a |\n|---|\n| 1 | 2 |")],
    ),
    "HTML is text": ("<b>a</b>\n\n<!-- b -->", [section("<b>a</b>\n\n<!-- b -->")]),
    "references stay": ("[a][1]\n\n[1]: b", [section("[a][1]\n\n[1]: b")]),
    "footnotes stay": ("a[^1]\n\n[^1]: b", [section("a[^1]\n\n[^1]: b")]),
    "entities are what they stand for": ("a &lt; b &amp;&amp; c", [section("a < b && c")]),
    "Slack's tokens are words": (
        "<!channel> <@U1> <#C1> <!subteam^S1> :tada: @here",
        [section("<!channel> <@U1> <#C1> <!subteam^S1> :tada: @here")],
    ),
}


@pytest.mark.parametrize("name", MARKDOWN)
def test_markdown_becomes_typed_elements(name: str) -> None:
    markdown, expected = MARKDOWN[name]
    assert elements(markdown) == expected


LINKS = {
    "label and host": (f"[guide]({OPEN})", [link("guide (docs.example.org)")]),
    "a title": (f'[guide]({OPEN} "old")', [link("guide (docs.example.org)"), text(" \u201cold\u201d")]),
    "an autolink": (f"<{OPEN}>", [link(OPEN)]),
    "a bare URL in a sentence": (f"See {OPEN}, (or {OPEN}).", [
        text("See "), link(OPEN), text(", (or "), link(OPEN), text(")."),
    ]),
    "its own label": (f"[{OPEN}]({OPEN})", [link(OPEN)]),
    "its host as label": (f"[docs.example.org]({OPEN})", [link("docs.example.org")]),
    "no label": (f"[]({OPEN})", [link(OPEN)]),
    "in bold": (f"**[guide]({OPEN})**", [link("guide (docs.example.org)", OPEN, "bold")]),
    "a label of another place is not clickable": (f"[bank.example]({OPEN})", [
        text("bank.example "), link("(docs.example.org)"),
    ]),
    "nor is a URL of another place": (f"[https://bank.example/a]({OPEN})", [
        text("https[:]//bank[.]example/a "), link("(docs.example.org)"),
    ]),
    "a very long label is not clickable": (f"[{'long ' * 99}]({OPEN})", [
        text("long " * 99), link("(docs.example.org)"),
    ]),
    "a picture is words": (f'![map]({OPEN} "of it")', [
        text("map (https[:]//docs[.]example[.]org/guide) \u201cof it\u201d"),
    ]),
    "another page of the host": (f"[guide]({OPEN}/x)", [text("guide (https[:]//docs[.]example[.]org/guide/x)")]),
    "another letter case": (f"[guide]({OPEN.upper()})", [text("guide (HTTPS[:]//DOCS[.]EXAMPLE[.]ORG/GUIDE)")]),
    "a longer bare URL": (f"{OPEN}x", [text("https[:]//docs[.]example[.]org/guidex")]),
    "a script": ("[a](javascript:alert(1))", [text("a (javascript[:]alert(1))")]),
    "an address for mail": ("<rae@docs.example.org>", [text("rae@docs.example.org")]),
    "an empty target": ("[a]()", [text("a")]),
}  # fmt: skip


@pytest.mark.parametrize("name", LINKS)
def test_only_a_known_url_is_clickable_and_it_names_its_host(name: str) -> None:
    markdown, expected = LINKS[name]
    assert elements(markdown) == [section(*expected)]


@pytest.mark.parametrize(
    "url",
    [
        "https://rae:secret@docs.example.org/",
        "https://docs.example.org@evil.example/",
        "javascript:alert(1)",
        "ftp://docs.example.org/x",
        "https://\u0434\u043ecs.example.org/",
        "https://docs.example.org/\u202egnp.exe",
        "https://docs.example.org/a b",
        "https:///nohost",
        "https://[bad",
        "HTTPS://docs.example.org/",
        "https://docs.example.org/" + "a" * 3_000,
    ],
)
def test_even_a_known_url_is_text_when_it_could_mislead(url: str) -> None:
    parts = parts_of(f"[guide](<{url}>) and {url}", linkable=[url])
    assert clickable(messages(parts)) == []


DEFANGED = {
    "https://evil.example/a.b?c=d.e": "https[:]//evil[.]example/a.b?c=d.e",
    "slack://open and x-y://a.b": "slack[:]//open and x-y[:]//a[.]b",
    "//evil.example/x": "//evil[.]example/x",
    "www.evil.example.": "www[.]evil[.]example[.]",
    "evil.example/steal?q=1": "evil[.]example/steal?q=1",
    "evil.example:8080/steal": "evil[.]example:8080/steal",
    "mailto:rae@a.example tel:+32 data:text/html,x": "mailto[:]rae@a.example tel[:]+32 data[:]text/html,x",
    "Booking.com, README.md, bot/app.py:12, app.py:12 and v1.2/x": None,
    "Node.js/Express, and/or, e.g. this: that, 14:32, a::b, // note": None,
    "key: value; data: none; 3.14/2": None,
}


@pytest.mark.parametrize(("source", "shown"), DEFANGED.items())
def test_an_address_is_broken_where_a_program_might_link_it_and_can_be_mended(source: str, shown: str | None) -> None:
    assert defanged(source) == (shown or source)
    assert refanged(defanged(source)) == source


VISIBLE = {
    "\u202eevil\u202c": "\\u{202E}evil\\u{202C}",
    "a\x00b\x1b[31m": "a\\u{0000}b\\u{001B}[31m",
    "tab\tand\nnewline": "tab\tand\nnewline",
    "in\u200bvisible \ufeffmark so\u00adft": "in\\u{200B}visible \\u{FEFF}mark so\\u{00AD}ft",
    "\ud800 and \udfff and \uffff": "\\u{D800} and \\u{DFFF} and \\u{FFFF}",
    "\u200b" * 4_000: "\\u{200B\u00d74000}",
    "x\U000e0061": "x\\u{E0061}",
    "\u2764\ufe0f \U0001f468\u200d\U0001f469\u200d\U0001f467": None,
    "1\ufe0f\u20e3 \u2139\ufe0f \U0001f44d\U0001f3fd": None,
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f": None,
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u0d28\u0d4d\u200d": None,
    "a\u200db x\ufe0f": "a\\u{200D}b x\\u{FE0F}",
    "\u845b\U000e0100\U000e0101": "\u845b\U000e0100\\u{E0101}",
    "\u1820\u180b\u180b": "\u1820\u180b\\u{180B}",
    "e\u0301\u0323 \u1ec7": None,
    "o" + "\u0301" * 10: "o" + "\u0301" * 8 + "\\u{0301}" * 2,
}


@pytest.mark.parametrize(("source", "shown"), VISIBLE.items(), ids=ascii)
def test_what_nobody_sees_is_written_out_and_the_rest_stays(source: str, shown: str | None) -> None:
    assert visible(source) == (source if shown is None else shown)


@pytest.mark.parametrize("source", ["", " ", "\n\n\t", "\u00a0\u3000"])
def test_a_text_of_white_space_has_no_parts(source: str) -> None:
    assert parts_of(source) == ()


@pytest.mark.parametrize(("name", "source"), HOSTILE_ANSWERS, ids=[name for name, _ in HOSTILE_ANSWERS])
def test_a_hostile_answer_is_harmless_and_whole(name: str, source: str) -> None:
    parts = parts_of(source, linkable=[OPEN_URL])
    for part in parts:
        check_message(part.blocks, linkable=[OPEN_URL])
        json.dumps(part.blocks).encode()
        assert part.characters == sum(len(leaf["text"]) for leaf in leaves_of(part.blocks[0]))
    assert lost(source, messages(parts)) == ""
    assert bool(parts) is bool(source.strip())


def test_without_known_urls_nothing_can_be_clicked() -> None:
    for _, source in HOSTILE_ANSWERS:
        if OPEN_URL in source:
            assert clickable(messages(parts_of(source))) == []


@pytest.mark.parametrize(("name", "source"), ENORMOUS_ANSWERS, ids=[name for name, _ in ENORMOUS_ANSWERS])
def test_an_enormous_answer_is_read_to_its_end(name: str, source: str) -> None:
    parts = parts_of(f"first word\n\n{source}\n\nlast word", linkable=[OPEN_URL])
    for part in parts:
        check_message(part.blocks, linkable=[OPEN_URL])
    shown = everything_in(messages(parts))
    assert shown.startswith("first word")
    assert shown.endswith("last word")


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    names = [name for name, _ in HOSTILE_ANSWERS]
    assert len(set(names)) == len(names) >= 120
    assert sum(name.startswith("link") for name in names) >= 30


WORDS = [f"w{number}" for number in range(3_000)]
PAIRS = list(zip(WORDS[::2], WORDS[1::2], strict=True))
LONG_SHAPES = {
    "one line": " ".join(WORDS),
    "sentences": ". ".join(WORDS),
    "lines": "\n".join(WORDS),
    "paragraphs": "\n\n".join(WORDS),
    "items": "".join(f"- {word}\n" for word in WORDS),
    "an item": "- " + " ".join(WORDS),
    "a quote": "".join(f"> {word}\n" for word in WORDS),
    "a heading": "# " + " ".join(WORDS),
    "bold": "**" + " ".join(WORDS) + "**",
    "every word in a style": " ".join(f"*{word}*" for word in WORDS),
    "headings and words": "\n".join(f"## {word}\n" for word in WORDS),
    "a table": "| a | b |\n|---|---|\n" + "".join(f"| {a} | {b} |\n" for a, b in PAIRS),
    "items in items": "".join(f"- {a}\n  - {b}\n" for a, b in PAIRS),
    "code": "```\n" + "\n".join(WORDS) + "\n```",
    "a line of code": "```\n" + " ".join(WORDS) + "\n```",
}  # fmt: skip


@pytest.mark.parametrize("shape", LONG_SHAPES)
@pytest.mark.parametrize("limit", [400, 7_500])
def test_a_long_answer_keeps_every_word_in_its_order(shape: str, limit: int) -> None:
    parts = parts_of(LONG_SHAPES[shape], limit=limit)
    for part in parts:
        check_message(part.blocks, limit=limit)
    between = "" if shape == "a line of code" else " "  # code is cut where the message is full
    assert re.findall(r"w\d+", between.join(plain_text(part.blocks) for part in parts)) == WORDS


def test_code_that_was_cut_is_code_in_every_part_and_whole_when_joined() -> None:
    lines = [f"{'    ' * (number % 4)}line({number})  # <&>" for number in range(2_000)]
    parts = parts_of("```\n" + "\n".join(lines) + "\n```")
    assert len(parts) > 5
    texts = []
    for part in parts:
        (element,) = part.blocks[0]["elements"]
        assert element["type"] == "rich_text_preformatted"
        texts.append("".join(leaf["text"] for leaf in element["elements"]))
    assert "\n".join(texts) == "\n".join(lines)


def test_a_cut_falls_between_paragraphs_before_it_falls_inside_one() -> None:
    paragraph = "A sentence of the answer. " * 8
    parts = parts_of("\n\n".join([paragraph.strip()] * 12), limit=1_000)
    assert all(plain_text(part.blocks).endswith("answer.") for part in parts)
    assert all(len(plain_text(part.blocks).split("\n\n")[0]) == len(paragraph.strip()) for part in parts)


def test_a_cut_inside_a_paragraph_falls_after_a_sentence() -> None:
    parts = parts_of("It was a quiet day at the office. " * 100, limit=500)
    assert all(plain_text(part.blocks).endswith("office.") for part in parts)


def test_a_heading_goes_with_what_stands_under_it() -> None:
    parts = parts_of("word " * 60 + "\n\n# Verdict\n\n" + "word " * 60, limit=500)
    assert [plain_text(part.blocks).splitlines()[0][:7] for part in parts] == ["word wo", "Verdict"]


def test_words_of_many_styles_after_the_cut_keep_their_order() -> None:
    styled = " ".join(f"*{word}* **{word}**" for word in WORDS[:10])
    parts = parts_of(f"{'word ' * 45}end. {styled} {'word ' * 60}", limit=500)
    assert plain_text(parts[0].blocks).endswith("end.")
    assert re.findall(r"w\d+", plain_text(parts[1].blocks)) == [word for word in WORDS[:10] for _ in range(2)]


def test_what_is_left_of_a_long_item_is_no_item_of_its_own() -> None:
    parts = parts_of(f"3. {'word ' * 120}\n4. next", limit=400)
    kinds = [[element["type"] for element in part.blocks[0]["elements"]] for part in parts]
    assert kinds == [["rich_text_list"], ["rich_text_section", "rich_text_list"]]
    assert parts[1].blocks[0]["elements"][1] == numbered("next", start=4)


def test_numbers_go_on_in_the_next_part() -> None:
    parts = parts_of("\n".join(f"{number}. {'word ' * 20}" for number in range(1, 11)), limit=500)
    lists = [element for part in parts for element in part.blocks[0]["elements"]]
    assert len(lists) > 2
    assert [item.get("offset", 0) for item in lists] == [
        sum(len(earlier["elements"]) for earlier in lists[:place]) for place in range(len(lists))
    ]


def test_a_short_list_is_not_spread_over_two_parts() -> None:
    listed = "\n".join(f"- {'word ' * 8}" for _ in range(5))
    parts = parts_of("word " * 70 + "\n\n" + listed, limit=600)
    assert [element["type"] for element in parts[1].blocks[0]["elements"]] == ["rich_text_list"]
    assert len(parts[1].blocks[0]["elements"][0]["elements"]) == 5


@pytest.mark.parametrize(
    "character",
    ["\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e7\U0001f1ea", "e\u0301\u0323", "\U0001f44d\U0001f3fd"],
    ids=ascii,
)
def test_a_cut_leaves_a_drawn_character_whole(character: str) -> None:
    parts = parts_of(character * 2_000, limit=401)
    for part in parts:
        assert plain_text(part.blocks).replace(character, "") == ""


def test_a_cut_leaves_our_notations_whole() -> None:
    parts = parts_of("\u202ea\u202e" * 400 + "http://a.b.c/" * 200, limit=333)
    shown = "".join(plain_text(part.blocks) for part in parts)
    assert shown == "\\u{202E}a\\u{202E}" * 400 + "http[:]//a[.]b[.]c/" * 200
    for part in parts:
        rest = re.sub(r"\\u\{202E\}|\[:\]|\[\.\]", "", plain_text(part.blocks))
        assert not re.search(r"[\\{}\[\]]", rest)


def test_a_link_is_never_cut() -> None:
    parts = parts_of(f"[guide]({OPEN}) and " * 300, linkable=[OPEN], limit=1_000)
    links = [leaf for part in parts for leaf in leaves_of(part.blocks[0]) if leaf["type"] == "link"]
    assert {leaf["text"] for leaf in links} == {"guide (docs.example.org)"}
    assert len(links) == 300


def test_a_part_counts_a_character_as_slack_might() -> None:
    for sign in ("\U0001f4a3", "<", "&"):
        for part in parts_of(sign * 8_000):
            shown = mrkdwn_escape(plain_text(part.blocks))
            assert len(shown.encode("utf-16-le")) // 2 <= 7_500


def test_a_limit_too_small_to_work_with_is_an_error() -> None:
    with pytest.raises(ValueError, match="200"):
        parts_of("a", limit=199)


def test_a_fault_of_the_parser_costs_the_style_and_not_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def parse(self, source: str) -> list[Any]:
            raise IndexError(source)

    monkeypatch.setattr(rich_text_read, "_PARSERS", dict.fromkeys(rich_text_read._PARSERS, Broken()))
    assert elements(f"# Plan\n\nSee {OPEN}") == [section("# Plan\n\nSee ", link(OPEN))]


def test_a_word_the_reader_would_lose_brings_its_block_back_as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BlockReader, "_code", lambda *_, **__: None)
    assert elements("**a**\n\n> b\n> ```\n> lost\n> ```\n\n*c*") == [
        section(text("a", "bold"), "\n\n> b\n> ```\n> lost\n> ```\n\n", text("c", "italic")),
    ]


FRAGMENTS = st.sampled_from([
    *("# ", "## ", "- ", "1. ", "7) ", "> ", "```", "```py\n", "~~~", "`", "**", "*", "_", "~~", "[", "](", ")", "!["),
    *("<", ">", "|", "\n|---|---|\n", "---\n", "===\n", "\n", "\n\n", "    ", "\t", "\\", "&lt;", "&#8238;"),
    *(OPEN, f"[guide]({OPEN})", f"<{OPEN}>", "https://evil.example/x", "[a](https://evil.example/x)", "<!channel>"),
    *("@here", "gaston", "word one", "\u6f22\u5b57", "\U0001f468\u200d\U0001f469", "e\u0301", "\u2713"),
    *("\r", "\x00", "12", "a.b", ":x:", "\u202e", "\u200b", "\u200d", "\ufe0f"),
])  # fmt: skip
MARKDOWN_LIKE = st.lists(FRAGMENTS | st.text(max_size=8), max_size=60).map("".join)
ANY_TEXT = st.text(st.characters(), max_size=400)


@settings(max_examples=300, deadline=None)
@given(source=MARKDOWN_LIKE | ANY_TEXT, limit=st.sampled_from([200, 240, 7_500]))
def test_any_text_is_harmless_and_whole(source: str, limit: int) -> None:
    parts = parts_of(source, linkable=[OPEN], limit=limit)
    for part in parts:
        check_message(part.blocks, linkable=[OPEN], limit=limit)
    assert lost(source, messages(parts)) == ""
    assert bool(parts) is bool(source.strip())


@settings(max_examples=200, deadline=None)
@given(source=ANY_TEXT)
def test_code_keeps_every_character_that_can_be_seen(source: str) -> None:
    kept = visible(source.replace("\r\n", "\n").replace("\r", "\n")).strip("\n")
    if not kept.strip() or "`" in kept:
        return
    (part,) = parts_of(f"```\n{kept}\n```")
    assert plain_text(part.blocks) == kept


def test_the_plain_text_of_an_answer_reads_like_it() -> None:
    parts = parts_of("# Plan\n\n3. tea\n   - green\n\n> so\n\n```\nx\n```")
    assert plain_text(parts[0].blocks) == "Plan\n3. tea\n    \u2022 green\nso\nx"
    assert plain_text([{"type": "divider"}]) == ""


def test_mrkdwn_loses_its_three_signs() -> None:
    assert mrkdwn_escape("<!channel> & <@U1>") == "&lt;!channel&gt; &amp; &lt;@U1&gt;"


@pytest.mark.parametrize(
    ("source", "limit", "shown"),
    [
        ("  one\n\ntwo\tthree  ", 99, "one two three"),
        ("Approved\u202e by\u2066 Rae\x00now", 99, "Approved by Rae now"),
        ("in\u200bvisible \ud800", 99, "invisible"),
        ("gaston lagaffe", 8, "gaston\u2026"),
        ("gaston", 6, "gaston"),
        ("\U0001f1e7\U0001f1ea\U0001f1e7\U0001f1ea", 3, "\U0001f1e7\U0001f1ea\u2026"),
        ("o" + "\u0301" * 50, 99, "o" + "\u0301" * 8),
        ("\u2764\ufe0f stays", 99, "\u2764\ufe0f stays"),
        ("", 10, ""),
    ],
    ids=ascii,
)
def test_one_line_is_one_line(source: str, limit: int, shown: str) -> None:
    assert one_line(source, limit) == shown


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("<!channel>\n<@U1> & co", "&lt;!channel&gt; &lt;@U1&gt; &amp; co"),
        ("@here @Channel @everyone, @rae", "\uff20here \uff20Channel \uff20everyone, @rae"),
        ("```code", "'''code"),
        ("@\u200bhere", "\uff20here"),
    ],
)
def test_an_inert_line_addresses_nobody(source: str, shown: str) -> None:
    assert inert(source) == shown


@settings(max_examples=100, deadline=None)
@given(source=MARKDOWN_LIKE | ANY_TEXT, limit=st.integers(min_value=1, max_value=60))
def test_one_line_never_grows_over_its_limit(source: str, limit: int) -> None:
    line = one_line(source, limit)
    assert len(line) <= limit
    assert "\n" not in line
    assert "<" not in inert(source, limit)
