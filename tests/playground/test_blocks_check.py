"""Which blocks Slack refuses, and where it points."""

from typing import Any

import pytest

from bot.playground.blocks_check import check_message_blocks, check_view
from bot.playground.shapes import SlackError


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def button(**fields: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}, **fields}


def actions(*elements: Any) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def header(text: str) -> dict[str, Any]:
    return {"type": "header", "text": {"type": "plain_text", "text": text}}


def rich(*elements: Any) -> dict[str, Any]:
    return {"type": "rich_text", "elements": list(elements)}


def run(*leaves: Any, kind: str = "rich_text_section") -> dict[str, Any]:
    return {"type": kind, "elements": list(leaves)}


def item_list(*items: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "rich_text_list", "style": "bullet", "elements": list(items), **fields}


WORD = {"type": "text", "text": "marsupilami", "style": {"bold": True, "code": False}}

GOOD = {
    "section at its limit": [section("m" * 3000)],
    "field at its limit": [{"type": "section", "fields": [{"type": "plain_text", "text": "f" * 2000}]}],
    "ten fields": [{"type": "section", "fields": [{"type": "plain_text", "text": "f"}] * 10}],
    "header": [header("h" * 150)],
    "context": [{"type": "context", "elements": [{"type": "mrkdwn", "text": "c"}] * 10}],
    "divider": [{"type": "divider"}],
    "25 buttons": [actions(*(button(action_id=f"go:{n}") for n in range(25)))],
    "image": [{"type": "image", "image_url": "https://example.org/a.png", "alt_text": "a"}],
    "rich text": [rich(run(WORD), run(WORD, kind="rich_text_quote"), run(WORD, kind="rich_text_preformatted"))],
    "list": [rich(item_list(run(WORD), run({"type": "link", "url": "https://example.org"}), indent=1))],
    "empty run": [rich(run())],
    "fifty blocks": [{"type": "divider"}] * 50,
    "13,200 characters": [section("x" * 2640)] * 5,
    "select": [actions({"type": "static_select", "action_id": "s",
                        "options": [{"text": {"type": "plain_text", "text": "One"}, "value": "1"}]})],
}  # fmt: skip

ELEMENT, LEAF = "/blocks/0/elements/0", "/blocks/0/elements/0/elements/0"
FIELD = {"type": "mrkdwn", "text": "f"}
BAD: dict[str, tuple[list[Any], str]] = {
    "unknown block": ([{"type": "marquee"}], "/blocks/0/type"),
    "no type": ([{}], "/blocks/0/type"),
    "51 blocks": ([{"type": "divider"}] * 51, "/blocks"),
    "section too long": ([section("m" * 3001)], "/blocks/0/text/text"),
    "section empty": ([section("")], "/blocks/0/text/text"),
    "section of nothing": ([{"type": "section"}], "/blocks/0"),
    "field too long": ([{"type": "section", "fields": [FIELD | {"text": "f" * 2001}]}], "/blocks/0/fields/0/text"),
    "11 fields": ([{"type": "section", "fields": [FIELD] * 11}], "/blocks/0/fields"),
    "header too long": ([header("h" * 151)], "/blocks/0/text/text"),
    "header in mrkdwn": ([{"type": "header", "text": {"type": "mrkdwn", "text": "h"}}], "/blocks/0/text/type"),
    "11 in a context": ([{"type": "context", "elements": [FIELD] * 11}], "/blocks/0/elements"),
    "26 buttons": ([actions(*(button(action_id=f"go:{n}") for n in range(26)))], "/blocks/0/elements"),
    "no buttons": ([actions()], "/blocks/0/elements"),
    "button label": ([actions(button(text={"type": "plain_text", "text": "g" * 76}))], f"{ELEMENT}/text/text"),
    "button value": ([actions(button(value="v" * 2001))], f"{ELEMENT}/value"),
    "button style": ([actions(button(style="loud"))], f"{ELEMENT}/style"),
    "action_id": ([actions(button(action_id="a" * 256))], f"{ELEMENT}/action_id"),
    "action_id twice": ([actions(button(), button())], "/blocks/0"),
    "block_id": ([{**section("x"), "block_id": "b" * 256}], "/blocks/0/block_id"),
    "block_id twice": ([{**section("x"), "block_id": "b"}] * 2, "/blocks/1/block_id"),
    "text in actions": ([actions({"type": "plain_text_input", "action_id": "a"})], f"{ELEMENT}/type"),
    "option value": (
        [actions({"type": "static_select", "action_id": "s", "options": [
            {"text": {"type": "plain_text", "text": "One"}, "value": "1" * 151}]})],
        f"{ELEMENT}/options/0/value"),
    "confirm": ([actions(button(confirm={"title": {"type": "plain_text", "text": "t" * 101},
                                         "text": {"type": "plain_text", "text": "x"},
                                         "confirm": {"type": "plain_text", "text": "y"},
                                         "deny": {"type": "plain_text", "text": "n"}}))],
                f"{ELEMENT}/confirm/title/text"),
    "rich text of nothing": ([rich()], "/blocks/0/elements"),
    "rich text without a run": ([rich(WORD)], f"{ELEMENT}/type"),
    "unknown leaf": ([rich(run({"type": "script"}))], f"{LEAF}/type"),
    "empty leaf": ([rich(run({"type": "text", "text": ""}))], f"{LEAF}/text"),
    "unknown style": ([rich(run({**WORD, "style": {"blink": True}}))], f"{LEAF}/style"),
    "style no boolean": ([rich(run({**WORD, "style": {"bold": "yes"}}))], f"{LEAF}/style"),
    "list style": ([rich(item_list(run(WORD), style="fancy"))], f"{ELEMENT}/style"),
    "list indent": ([rich(item_list(run(WORD), indent=9))], f"{ELEMENT}/indent"),
    "list of leaves": ([rich(item_list(WORD))], f"{LEAF}/type"),
    "no alt text": ([{"type": "image", "image_url": "https://example.org/a.png"}], "/blocks/0"),
    "not even a block": (["text"], "/blocks/0/type"),
}  # fmt: skip


@pytest.mark.parametrize("blocks", GOOD.values(), ids=GOOD)
def test_what_slack_takes(blocks: list[Any]) -> None:
    check_message_blocks(blocks)


@pytest.mark.parametrize(("blocks", "pointer"), BAD.values(), ids=BAD)
def test_what_slack_refuses(blocks: list[Any], pointer: str) -> None:
    with pytest.raises(SlackError) as refusal:
        check_message_blocks(blocks)
    assert refusal.value.error == "invalid_blocks"
    messages = refusal.value.body["response_metadata"]["messages"]
    assert f"[json-pointer:{pointer}]" in messages[0]


@pytest.mark.parametrize(
    "blocks",
    [
        [section("x" * 2641)] * 5,
        [header("h"), *[section("x" * 2625)] * 5],  # a header costs about a hundred more
        [rich(run({"type": "text", "text": "y" * 13_201}))],
    ],
    ids=["sections", "header", "rich text"],
)
def test_more_than_13200_characters_are_too_many(blocks: list[Any]) -> None:
    with pytest.raises(SlackError, match="msg_blocks_too_long"):
        check_message_blocks(blocks)


def modal(**fields: Any) -> dict[str, Any]:
    title = {"type": "plain_text", "text": "Marsupilami"}
    return {"type": "modal", "title": title, "blocks": [section("x")], **fields}


ASK = {"type": "input", "label": {"type": "plain_text", "text": "Why?"}, "element": {"type": "plain_text_input"}}
SEND = {"type": "plain_text", "text": "Send"}


def option(**fields: Any) -> dict[str, Any]:
    return {"text": {"type": "plain_text", "text": "Palombia"}, "value": "pal", **fields}


def asks(kind: str, *options: Any, **fields: Any) -> dict[str, Any]:
    """A form with one element to fill in."""
    element = {"type": kind, "action_id": "a", **({"options": list(options)} if options else {}), **fields}
    return modal(blocks=[{**ASK, "element": element}], submit=SEND)


LABEL, IN_MRKDWN = {"type": "plain_text", "text": "p" * 75}, {"type": "mrkdwn", "text": "*Palombia*"}
AT = "/view/blocks/0/element"


@pytest.mark.parametrize(
    ("view", "pointer"),
    [
        (asks("static_select", option(text=LABEL | {"text": "p" * 76})), f"{AT}/options/0/text/text"),
        (asks("static_select", option(value="v" * 151)), f"{AT}/options/0/value"),
        (asks("static_select", option(text=IN_MRKDWN)), f"{AT}/options/0/text/type"),
        (asks("static_select", *[option()] * 101), f"{AT}/options"),
        (asks("static_select", option(), initial_option=option(value="zam")), f"{AT}/initial_option"),
        (asks("static_select", option(), placeholder=LABEL | {"text": "p" * 151}), f"{AT}/placeholder/text"),
        (asks("radio_buttons", *[option()] * 11), f"{AT}/options"),
        (asks("radio_buttons", option(description=LABEL | {"text": "d" * 76})), f"{AT}/options/0/description/text"),
        (asks("radio_buttons", option(), initial_option=option(value="zam")), f"{AT}/initial_option"),
        (asks("checkboxes", option(), initial_options=[option(), option(value="z")]), f"{AT}/initial_options/1"),
        (asks("radio_buttons"), AT),
        (asks("plain_text_input", initial_value="hop", max_length=2), f"{AT}/initial_value"),
        (asks("plain_text_input", initial_value="h" * 3001), f"{AT}/initial_value"),
        (asks("plain_text_input", max_length=3001), f"{AT}/max_length"),
        (modal(submit=SEND | {"text": "s" * 25}), "/view/submit/text"),
        (modal(title={"type": "plain_text", "text": "t" * 25}), "/view/title/text"),
        (modal(blocks=[ASK]), "/view/submit"),
        (modal(private_metadata="p" * 3001), "/view/private_metadata"),
        (modal(callback_id="c" * 256), "/view/callback_id"),
        (modal(blocks=[{"type": "divider"}] * 101), "/view/blocks"),
        (modal(blocks=None), "/view/blocks"),
        ({"type": "poster"}, "/view/type"),
    ],
)
def test_views_slack_refuses(view: dict[str, Any], pointer: str) -> None:
    with pytest.raises(SlackError, match="invalid_arguments") as refusal:
        check_view(view)
    assert f"[json-pointer:{pointer}]" in refusal.value.body["response_metadata"]["messages"][0]


def test_views_slack_takes() -> None:
    check_view(modal(blocks=[ASK] * 100, submit={"type": "plain_text", "text": "s" * 24}))
    check_view({"type": "home", "blocks": [section("x")]})
    at_their_limits = option(text=LABEL, value="v" * 150)
    check_view(asks("static_select", *[at_their_limits] * 100, initial_option=at_their_limits))
    check_view(asks("radio_buttons", *[option(text=IN_MRKDWN, description=IN_MRKDWN)] * 10))
    check_view(asks("plain_text_input", initial_value="h" * 3000, max_length=3000))
    with pytest.raises(SlackError, match="view_too_large"):
        check_view(modal(blocks=[section("x" * 3000)] * 90))
