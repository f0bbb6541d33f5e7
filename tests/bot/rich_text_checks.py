"""What must hold for every message made of model text, checked on the blocks that were made."""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

LEAVES = {"text", "link"}
STYLES = {"bold", "italic", "strike", "code"}
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff"
    "\ufdd0-\ufdef\ufffe\uffff]"
)


def check_message(blocks: Sequence[dict[str, Any]], *, linkable: Collection[str] = (), limit: int = 7_500) -> None:
    """Fail if these blocks could mention, link, hide or overflow anything."""
    (block,) = blocks
    assert set(block) == {"type", "elements"}
    assert block["type"] == "rich_text"
    assert 1 <= len(block["elements"]) <= 40
    for element in block["elements"]:
        _check_element(element)
    leaves = list(leaves_of(block))
    for leaf in leaves:
        _check_leaf(leaf, linkable)
    everything = sum(_utf16(leaf["text"]) + _utf16(leaf.get("url", "")) for leaf in leaves)
    assert everything <= limit


def _check_element(element: dict[str, Any]) -> None:
    assert element["elements"]
    match element["type"]:
        case "rich_text_section" | "rich_text_quote":
            assert set(element) == {"type", "elements"}
            assert {leaf["type"] for leaf in element["elements"]} <= LEAVES
        case "rich_text_preformatted":
            assert set(element) == {"type", "elements"}
            assert {leaf["type"] for leaf in element["elements"]} == {"text"}
            assert not any("style" in leaf for leaf in element["elements"])
        case "rich_text_list":
            assert set(element) - {"offset"} == {"type", "style", "indent", "elements"}
            assert element["style"] in {"bullet", "ordered"}
            assert element["indent"] in {0, 1, 2}
            assert 0 < element.get("offset", 1) < 10_000
            assert element["style"] == "ordered" or "offset" not in element
            assert {item["type"] for item in element["elements"]} == {"rich_text_section"}
            for item in element["elements"]:
                _check_element(item)
        case other:
            raise AssertionError(f"element of type {other}")


def _check_leaf(leaf: dict[str, Any], linkable: Collection[str]) -> None:
    assert set(leaf) - {"style"} == {"text": {"type", "text"}, "link": {"type", "text", "url"}}[leaf["type"]]
    assert leaf["text"]
    assert _utf16(leaf["text"]) <= 3_000
    assert not HIDDEN.search(leaf["text"])
    assert set(leaf.get("style", {"bold": True})) <= STYLES
    assert all(value is True for value in leaf.get("style", {}).values())
    if leaf["type"] == "link":
        assert leaf["url"] in linkable
        assert leaf["url"].split("/")[2] in leaf["text"], "a link names its host"


def _utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def leaves_of(element: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for inner in element["elements"]:
        if "elements" in inner:
            yield from leaves_of(inner)
        else:
            yield inner


def clickable(messages: Sequence[Sequence[dict[str, Any]]]) -> list[str]:
    return [leaf["url"] for (block,) in messages for leaf in leaves_of(block) if leaf["type"] == "link"]


def everything_in(messages: Sequence[Sequence[dict[str, Any]]]) -> str:
    """All text of these messages, and the URLs behind links where they stand."""
    return "".join(leaf["text"] + leaf.get("url", "") for (block,) in messages for leaf in leaves_of(block))


def lost(source: str, messages: Sequence[Sequence[dict[str, Any]]]) -> str:
    """The first stretch of the source's letters, digits and symbols that does not come back in its order; "" is well.

    List numbers are structure, an entity stands for its character, and a label that is its own URL may come once.
    """
    for pattern, kept in _SHOWN_OTHERWISE:
        source = pattern.sub(kept, source)
    shown = everything_in(messages)
    place = 0
    for start, character in enumerate(source):
        if character.isalnum() or (not character.isascii() and character.isprintable() and not character.isspace()):
            found = shown.find(character, place)
            if found < 0:
                return source[start : start + 40]
            place = found + 1
    return ""


_SHOWN_OTHERWISE = (
    (re.compile(r"^(?:[ \t>]|[-*+](?=[ \t]|$)|\d{1,9}[.)](?=[ \t]|$))+", re.MULTILINE), ""),
    (re.compile(r"&#?\w{1,32};"), ""),
    (re.compile(r"\[([^\[\]\s]{1,2000})\]\(<?\1"), r"\1"),
    (HIDDEN, ""),
    # What the parts write out as \\u{...}
    (
        re.compile(
            "[\u0300-\u036f\u115f\u1160\u180b-\u180f\u200c\u200d\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e01ef]"
        ),
        "",
    ),
)
