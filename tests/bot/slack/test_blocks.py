"""What the bot says, drawn as blocks: people are named on purpose only, and nothing is left out."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from bot.playground.blocks_check import check_message_blocks
from bot.playground.safety import FALLBACK_CHARACTERS
from bot.slack.blocks import blocks_of, fallback_of, render
from handlers.words import Body, Button, Line, Link, Text, Who, bold, code, line
from storage.records import Kind, Message
from tests.bot.slack.desk import now

HOSTILE = [
    "<!channel>", "<!here>", "<!everyone>", "<@U0ANN>", "<#C0LAUNCH>", "<!subteam^S0REVIEW>", "<!date^1^{date}^x|y>",
    "<https://evil.example|good.example>", "<mailto:a@b.c|x>", "*bold*", "_sly_", "~gone~", "`code`", "```fence```",
    "> quoted", "&gt; quoted", "&lt;!channel&gt;", "*_~`*", "(*x*)", "**x**", "a *b* c", "\n> two\n*lines*",
    "\u202egnp.exe", "<", ">", "&", "&amp;", "<<!channel>>", "<!chan\nnel>",
]  # fmt: skip
# What of a mrkdwn text could still come alive.
LIVE = re.compile(r"<(?!@[UW][A-Z0-9]+>)|(?m:^\s*&gt;)|`")
STYLED = re.compile(r"(?<![^\W_])([*_~])(?=\S)[^\n]*?\S\1(?![^\W_])")


def message(body: Body, **changes: Any) -> Message:
    fields: dict[str, Any] = {
        "slot": "marsupilami/card", "work_id": "w1", "kind": Kind.CARD, "team": "T0PLAY", "channel": "C0LAUNCH",
        "planned_at": now(),
    }  # fmt: skip
    return Message(**{**fields, "body": body.to_json(), **changes})


def texts(*lines: Line | str) -> list[str]:
    body = Body(lines=tuple(one if isinstance(one, Line) else line(one) for one in lines))
    return [block["text"]["text"] for block in blocks_of(body, "p")]


def test_lines_share_a_section_and_small_ones_a_context() -> None:
    body = Body(lines=(line("one"), line("why", small=True), line("two"), line("read", small=True)))
    section, context = blocks_of(body, "p")
    assert section["text"] == {"type": "mrkdwn", "text": "one\ntwo", "verbatim": True}
    assert context["elements"] == [{"type": "mrkdwn", "text": "why\nread", "verbatim": True}]


def test_styles_and_people_are_drawn() -> None:
    drawn = texts(line(bold("draft"), " · ", code("kimi-k2"), " for ", Who(person="U0ANN"), "."))
    assert drawn == ["*draft* · `kimi-k2` for <@U0ANN>."]


@pytest.mark.parametrize(
    ("spans", "drawn"),
    [
        ((bold("draft "), "x"), "*draft* x"),
        (("re", bold("draft"), "ed"), "re\u200b*draft*\u200bed"),
        ((bold("a"), bold("b")), "*a*\u200b*b*"),
        ((bold("two\nlines"),), "*two lines*"),
        ((bold("5 * 5"),), "*5 \u2217 5*"),
        ((code("a`b"),), "`a'b`"),
        ((bold(" "), "x"), " x"),
    ],
)
def test_a_style_holds_whatever_stands_beside_or_in_it(spans: tuple[Any, ...], drawn: str) -> None:
    assert texts(line(*spans)) == [drawn]


@pytest.mark.parametrize(
    "words", ["snake_case_name", "2 * 3 * 4", "~5 and ~6", "__", "a - b", "it's", "kimi-k2 (fast)"]
)
def test_harmless_words_stay_as_they_were_written(words: str) -> None:
    assert texts(words) == [words]


@pytest.mark.parametrize("person", ["<!here>", "U0ann", "S0GROUP", "U0ANN> <!channel", "", "C0LAUNCH"])
def test_only_the_id_of_a_person_becomes_a_mention(person: str) -> None:
    assert not any("<" in text for text in texts(line("by ", Who(person=person))))


@pytest.mark.parametrize("style", ["plain", "quiet", "bold", "code"])
@pytest.mark.parametrize("words", HOSTILE)
def test_nothing_comes_alive_in_anybodys_words(words: str, style: Any) -> None:
    body = Body(lines=(line("said: ", Text(text=words, style=style), " end"), line(Text(text=words), small=True)))
    section, context = blocks_of(body, "p")
    drawn = section["text"]["text"]
    if style in {"bold", "code"}:
        drawn = re.sub(r"([*`])(.*)\1", r"\2", drawn)
    for text in (drawn, context["elements"][0]["text"]):
        assert not LIVE.search(text)
        if style != "code":
            assert not STYLED.search(text)


def test_random_hostile_lines_are_taken_by_slack_and_name_nobody() -> None:
    rng = random.Random(11)
    for _ in range(300):
        spans = [
            Text(text=rng.choice(HOSTILE) * rng.randrange(1, 90), style=rng.choice(["plain", "bold", "code"]))
            for _ in range(4)
        ]
        blocks = blocks_of(Body(lines=(line(*spans), line(*spans[:2], small=True))), "p")
        check_message_blocks(blocks)
        assert not re.search(r"<", str([block.get("text") or block.get("elements") for block in blocks]))


@pytest.mark.parametrize(
    "words",
    ["lemur " * 2_000, "x" * 9_000, "&" * 4_000, "word\n" * 2_000],
    ids=["words", "one word", "entities", "lines"],
)
@pytest.mark.parametrize("style", ["plain", "bold", "code"])
def test_long_words_are_cut_and_none_is_lost(words: str, style: Any) -> None:
    drawn = texts(line(Text(text=words, style=style)))
    assert all(0 < len(text) <= 2_900 for text in drawn)
    said = "".join(drawn).replace("&amp;", "&")
    assert re.sub(r"[\s*`\u200b]", "", said) == re.sub(r"\s", "", words)


def test_a_cut_never_goes_through_a_mention() -> None:
    people = [Who(person=f"U0{number:07}") for number in range(900)]
    drawn = texts(line(*people))
    assert len(drawn) > 1
    assert sum(len(re.findall(r"<@U0\d{7}>", text)) for text in drawn) == 900


def test_answers_pass_untouched_between_words_and_buttons() -> None:
    answer = {
        "type": "rich_text",
        "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "<!channel>"}]}],
    }
    body = Body(
        lines=(line("part 1 of 2", small=True),),
        answer=(answer,),
        buttons=(Button(action="final", label="Final", value="a1"),),
    )
    label, untouched, actions = blocks_of(body, "p")
    assert (label["type"], actions["type"]) == ("context", "actions")
    assert untouched == answer


def test_a_button_carries_its_action_value_style_and_question() -> None:
    button = Button(
        action="cancel",
        label="Cancel " * 20,
        value="r1",
        style="danger",
        confirm=line("Stop ", Who(person="U0ANN"), "?"),
    )
    [block] = blocks_of(Body(buttons=(button, Button(action="final", label="Final", value="a1"))), "p")
    cancel, final = block["elements"]
    assert (cancel["action_id"], cancel["value"], cancel["style"]) == ("cancel", "r1", "danger")
    assert cancel["confirm"]["text"] == {"type": "mrkdwn", "text": "Stop <@U0ANN>?", "verbatim": True}
    assert final == {
        "type": "button", "action_id": "final", "value": "a1",
        "text": {"type": "plain_text", "text": "Final", "emoji": False},
    }  # fmt: skip
    check_message_blocks([block])


@pytest.mark.parametrize(("how_many", "rows"), [(0, []), (1, [1]), (5, [5]), (6, [3, 3]), (7, [4, 3]), (10, [5, 5])])
def test_buttons_that_are_too_many_for_one_row_stand_in_two(how_many: int, rows: list[int]) -> None:
    buttons = tuple(Button(action=f"act{number}", label=f"Act {number}", value="a1") for number in range(how_many))
    drawn = blocks_of(Body(buttons=buttons), "p")
    assert [len(block["elements"]) for block in drawn] == rows
    assert [one["action_id"] for block in drawn for one in block["elements"]] == [one.action for one in buttons]
    assert len({block["block_id"] for block in drawn}) == len(drawn)
    check_message_blocks(drawn)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://zoo.slack.com/archives/C0LAUNCH/p1790000000000100", "<{url}|another &lt;thread&gt;>"),
        ("http://127.0.0.1:8040/archives/C0LAUNCH/p1790000000000100", "<{url}|another &lt;thread&gt;>"),
        ("https://evil.example/?q=secret", "another &lt;thread&gt;"),
        ("javascript:alert(1)", "another &lt;thread&gt;"),
        ("https://zoo.slack.com/archives/C0/p1|x> <!channel>", "another &lt;thread&gt;"),
    ],
)
def test_a_link_leads_to_a_message_of_a_workspace_or_is_only_its_words(url: str, shown: str) -> None:
    assert texts(line("from ", Link(url=url, label="another <thread>"))) == [f"from {shown.format(url=url)}"]


@pytest.mark.parametrize("fallback", ["", "&" * 400, "word " * 200, "<!channel> look", "two\nlines", "\u202e"])
def test_the_fallback_is_one_short_escaped_sentence(fallback: str) -> None:
    text = fallback_of(Body(fallback=fallback))
    assert 0 < len(text) <= FALLBACK_CHARACTERS
    assert not re.search(r"[<>\n]|&(?!(amp|lt|gt);)", text)


def test_metadata_carries_the_facts_and_cannot_be_overruled_by_them() -> None:
    facts = {
        "stage": "final",
        "state": "awaiting",
        "sha256": "cd" * 32,
        "part": 1,
        "parts": 2,
        "kind": "forged",
        "verdict": None,
    }
    drawn = render(message(Body(fallback="x", facts=facts), run_id="r1"))
    assert drawn.metadata == {
        "event_type": "countersign",
        "event_payload": {
            "kind": "card", "slot": "marsupilami/card", "work": "w1", "run": "r1",
            "stage": "final", "state": "awaiting", "sha256": "cd" * 32, "part": 1, "parts": 2,
        },
    }  # fmt: skip


def test_each_revision_and_edition_has_block_ids_of_its_own() -> None:
    body = Body(lines=(line("one"), line("two", small=True)), buttons=(Button(action="a", label="A", value="1"),))
    drawings = [
        render(message(body)), render(message(body, revision=2)), render(message(body, revision=2), edition="b1"),
    ]  # fmt: skip
    ids = [block["block_id"] for drawing in drawings for block in drawing.blocks]
    assert len(ids) == len(set(ids)) == 9
    longest = render(message(body, slot="s" * 120, revision=10**9), edition="b1000000")
    assert all(len(block["block_id"]) <= 255 for block in longest.blocks)
