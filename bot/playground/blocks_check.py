"""Block Kit's rules and limits: what Slack refuses as invalid_blocks, each fault with its JSON pointer."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bot.playground.shapes import Json, SlackError

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
MESSAGE_CHARACTERS = 13_200  # over all blocks; measured by others, not documented
HEADER_COST = 100  # what a header takes of it beside its text
VIEW_BYTES = 250_000

Faults = Iterator[tuple[str, str]]  # (what is wrong, JSON pointer)


def check_message_blocks(blocks: Sequence[Any]) -> None:
    """Raises `invalid_blocks` or `msg_blocks_too_long`, as chat.postMessage and chat.update do."""
    _refuse(list(_all_blocks(blocks, MESSAGE_BLOCKS, _MESSAGE)), "invalid_blocks")
    if characters(blocks) > MESSAGE_CHARACTERS:
        raise SlackError("msg_blocks_too_long")


def check_view(view: Json) -> None:
    """Raises `invalid_arguments` or `view_too_large`, as the views methods do."""
    if len(repr(view)) > VIEW_BYTES:
        raise SlackError("view_too_large")
    _refuse([(what, f"/view{where}") for what, where in _view(view)], "invalid_arguments")


def _refuse(faults: list[tuple[str, str]], error: str) -> None:
    if faults:
        raise SlackError(error, messages=[f"[ERROR] {what} [json-pointer:{where}]" for what, where in faults])


def characters(node: Any) -> int:
    """The characters Slack counts towards its undocumented limit for a whole message."""
    match node:
        case {"type": "header", "text": text}:
            return HEADER_COST + characters(text)
        case dict():
            return sum(
                len(value) if key in {"text", "name"} and isinstance(value, str) else characters(value)
                for key, value in node.items()
            )
        case list() | tuple():
            return sum(characters(part) for part in node)
        case _:
            return 0


# Blocks


def _all_blocks(blocks: Sequence[Any], most: int, allowed: frozenset[str]) -> Faults:
    if len(blocks) > most:
        yield f"no more than {most} items allowed", "/blocks"
    seen: set[str] = set()
    for at, block in enumerate(blocks):
        where = f"/blocks/{at}"
        kind = block.get("type") if isinstance(block, dict) else None
        if kind not in allowed:
            yield f"unsupported type: {kind}", f"{where}/type"
            continue
        yield from _string(block, "block_id", where, most=255, needed=False)
        block_id = block.get("block_id")
        if block_id and block_id in seen:
            yield f"block_id already exists: {block_id}", f"{where}/block_id"
        seen.add(block_id or "")
        yield from _BLOCKS[kind](block, where)


def _section(block: Json, where: str) -> Faults:
    if "text" not in block and "fields" not in block:
        yield "missing required field: text or fields", where
    if "text" in block:
        yield from _text(block["text"], f"{where}/text", most=3000)
    yield from _several(block, "fields", where, most=10, needed=False, check=_field)
    if "accessory" in block:
        yield from _element(block["accessory"], f"{where}/accessory", _ACCESSORIES)


def _field(field: Any, where: str) -> Faults:
    yield from _text(field, where, most=2000)


def _header(block: Json, where: str) -> Faults:
    yield from _text(block.get("text"), f"{where}/text", most=150, kinds=("plain_text",))


def _context(block: Json, where: str) -> Faults:
    yield from _several(block, "elements", where, most=10, check=_context_element)


def _context_element(element: Any, where: str) -> Faults:
    if isinstance(element, dict) and element.get("type") == "image":
        yield from _image(element, where)
    else:
        yield from _text(element, where, most=3000)


def _divider(_block: Json, _where: str) -> Faults:
    yield from ()


def _actions(block: Json, where: str) -> Faults:
    def check(element: Any, at: str) -> Faults:
        yield from _element(element, at, _ACTIONS)

    yield from _several(block, "elements", where, most=25, check=check)
    ids = [element.get("action_id") for element in block.get("elements") or () if isinstance(element, dict)]
    yield from ((f"action_id already exists: {one}", where) for one in {i for i in ids if i and ids.count(i) > 1})


def _input(block: Json, where: str) -> Faults:
    yield from _text(block.get("label"), f"{where}/label", most=2000, kinds=("plain_text",))
    if "hint" in block:
        yield from _text(block["hint"], f"{where}/hint", most=2000, kinds=("plain_text",))
    yield from _element(block.get("element"), f"{where}/element", _INPUTS)


def _image(block: Json, where: str) -> Faults:
    if "slack_file" not in block:
        yield from _string(block, "image_url", where, most=3000)
    yield from _string(block, "alt_text", where, most=2000)


def _markdown(block: Json, where: str) -> Faults:
    yield from _string(block, "text", where, most=12_000)


def _anything(_block: Json, _where: str) -> Faults:
    yield from ()


# Elements


def _element(element: Any, where: str, allowed: frozenset[str]) -> Faults:
    kind = element.get("type") if isinstance(element, dict) else None
    if kind not in allowed:
        yield f"unsupported type: {kind}", f"{where}/type"
        return
    yield from _string(element, "action_id", where, most=255, needed=False)
    if "placeholder" in element:
        yield from _text(element["placeholder"], f"{where}/placeholder", most=150, kinds=("plain_text",))
    if "confirm" in element:
        yield from _confirm(element["confirm"], f"{where}/confirm")
    match kind:
        case "button":
            yield from _button(element, where)
        case "plain_text_input":
            yield from _typed(element, where)
        case "static_select" | "multi_static_select":
            yield from _select(element, where)
        case "radio_buttons" | "checkboxes":
            yield from _several(element, "options", where, most=10, check=_option)
            yield from _initial(element, where)
        case "overflow":
            yield from _several(element, "options", where, most=5, check=_option)
        case "image":
            yield from _image(element, where)
        case _:
            pass


def _button(button: Json, where: str) -> Faults:
    yield from _text(button.get("text"), f"{where}/text", most=75, kinds=("plain_text",))
    yield from _string(button, "value", where, most=2000, needed=False)
    yield from _string(button, "url", where, most=3000, needed=False)
    if button.get("style", "primary") not in {"primary", "danger"}:
        yield "must be one of: primary, danger", f"{where}/style"


def _typed(element: Json, where: str) -> Faults:
    yield from _string(element, "initial_value", where, most=3000, needed=False, empty=True)
    for name in ("min_length", "max_length"):
        if not 0 <= element.get(name, 1) <= 3000:  # noqa: PLR2004  the documented limit
            yield "must be between 0 and 3000", f"{where}/{name}"
    if len(str(element.get("initial_value") or "")) > element.get("max_length", 3000):
        yield "must not be longer than max_length", f"{where}/initial_value"


def _select(element: Json, where: str) -> Faults:
    if "option_groups" in element:
        yield from _several(element, "option_groups", where, most=100, check=_option_group)
    else:
        yield from _several(element, "options", where, most=100, check=_plain_option)
    yield from _initial(element, where)


def _initial(element: Json, where: str) -> Faults:
    """What is chosen to begin with must be on offer, word for word."""
    options = [*element.get("options", ()), *(o for g in element.get("option_groups", ()) for o in g["options"])]
    if "initial_option" in element and element["initial_option"] not in options:
        yield "must be one of the options", f"{where}/initial_option"
    for at, option in enumerate(element.get("initial_options", ())):
        if option not in options:
            yield "must be one of the options", f"{where}/initial_options/{at}"


def _option_group(group: Json, where: str) -> Faults:
    yield from _text(group.get("label"), f"{where}/label", most=75, kinds=("plain_text",))
    yield from _several(group, "options", where, most=100, check=_plain_option)


def _plain_option(option: Any, where: str) -> Faults:
    """An option of a menu; only radio buttons and check boxes may say theirs in mrkdwn."""
    yield from _option(option, where, kinds=("plain_text",))


def _option(option: Any, where: str, *, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> Faults:
    if not isinstance(option, dict):
        yield "expected an object", where
        return
    yield from _text(option.get("text"), f"{where}/text", most=75, kinds=kinds)
    yield from _string(option, "value", where, most=150)
    if "description" in option:
        yield from _text(option["description"], f"{where}/description", most=75, kinds=kinds)


def _confirm(confirm: Any, where: str) -> Faults:
    if not isinstance(confirm, dict):
        yield "expected an object", where
        return
    for name, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
        kinds = ("plain_text", "mrkdwn") if name == "text" else ("plain_text",)
        yield from _text(confirm.get(name), f"{where}/{name}", most=most, kinds=kinds)


# Rich text


def _rich_text(block: Json, where: str) -> Faults:
    yield from _several(block, "elements", where, most=1000, check=_rich_container)


def _rich_container(element: Any, where: str) -> Faults:
    kind = element.get("type") if isinstance(element, dict) else None
    match kind:
        case "rich_text_section" | "rich_text_quote" | "rich_text_preformatted":
            yield from _several(element, "elements", where, most=10_000, check=_rich_leaf, empty=True)
        case "rich_text_list":
            if element.get("style") not in {"bullet", "ordered"}:
                yield "must be one of: bullet, ordered", f"{where}/style"
            if element.get("indent", 0) not in range(9):
                yield "must be between 0 and 8", f"{where}/indent"
            yield from _several(element, "elements", where, most=10_000, check=_rich_item)
        case _:
            yield f"unsupported type: {kind}", f"{where}/type"


def _rich_item(element: Any, where: str) -> Faults:
    if not isinstance(element, dict) or element.get("type") != "rich_text_section":
        yield "list items must be rich_text_section", f"{where}/type"
    else:
        yield from _rich_container(element, where)


_LEAVES = {
    "text": "text", "link": "url", "user": "user_id", "usergroup": "usergroup_id", "channel": "channel_id",
    "broadcast": "range", "emoji": "name", "date": "timestamp", "color": "value", "team": "team_id",
}  # fmt: skip
_STYLES = frozenset({"bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink"})


def _rich_leaf(leaf: Any, where: str) -> Faults:
    kind = leaf.get("type") if isinstance(leaf, dict) else None
    if kind not in _LEAVES:
        yield f"unsupported type: {kind}", f"{where}/type"
        return
    needed = _LEAVES[kind]
    if kind == "date":
        if not isinstance(leaf.get(needed), int):
            yield "expected an integer", f"{where}/{needed}"
    else:
        yield from _string(leaf, needed, where, most=3000 if needed == "url" else None)
    style = leaf.get("style", {})
    if not isinstance(style, dict) or not all(name in _STYLES and isinstance(on, bool) for name, on in style.items()):
        yield "unknown style", f"{where}/style"


# Views


def _view(view: Json) -> Faults:
    kind = view.get("type")
    if kind not in {"modal", "home"}:
        yield f"unsupported type: {kind}", "/type"
        return
    if kind == "modal":
        yield from _text(view.get("title"), "/title", most=24, kinds=("plain_text",))
    for name in ("submit", "close"):
        if view.get(name) is not None:
            yield from _text(view[name], f"/{name}", most=24, kinds=("plain_text",))
    yield from _string(view, "callback_id", "", most=255, needed=False, empty=True)
    yield from _string(view, "private_metadata", "", most=3000, needed=False, empty=True)
    blocks = view.get("blocks")
    if not isinstance(blocks, list):
        yield "missing required field: blocks", "/blocks"
        return
    yield from _all_blocks(blocks, VIEW_BLOCKS, _VIEW)
    if (
        kind == "modal"
        and any(b.get("type") == "input" for b in blocks if isinstance(b, dict))
        and not view.get("submit")
    ):
        yield "missing required field: submit", "/submit"


# Small parts


def _text(text: Any, where: str, *, most: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> Faults:
    if not isinstance(text, dict):
        yield "missing required field: text object", where
        return
    if text.get("type") not in kinds:
        yield f"must be one of: {', '.join(kinds)}", f"{where}/type"
    yield from _string(text, "text", where, most=most)


def _string(
    node: Json, name: str, where: str, *, most: int | None = None, needed: bool = True, empty: bool = False
) -> Faults:
    if name not in node or node[name] is None:
        if needed:
            yield f"missing required field: {name}", where
        return
    value, at = node[name], f"{where}/{name}"
    if not isinstance(value, str):
        yield "expected a string", at
    elif not value and not empty:
        yield "must be more than 0 characters", at
    elif most is not None and len(value) > most:
        yield f"must be less than {most + 1} characters", at


def _several(
    node: Json,
    name: str,
    where: str,
    *,
    most: int,
    check: Callable[[Any, str], Faults],
    needed: bool = True,
    empty: bool = False,
) -> Faults:
    if name not in node:
        if needed:
            yield f"missing required field: {name}", where
        return
    items, at = node[name], f"{where}/{name}"
    if not isinstance(items, list):
        yield "expected an array", at
        return
    if not items and not empty:
        yield "must have at least 1 item", at
    if len(items) > most:
        yield f"no more than {most} items allowed", at
    for index, item in enumerate(items):
        yield from check(item, f"{at}/{index}")


_BLOCKS: dict[str, Callable[[Json, str], Faults]] = {
    "section": _section, "header": _header, "context": _context, "divider": _divider, "actions": _actions,
    "input": _input, "image": _image, "rich_text": _rich_text, "markdown": _markdown, "video": _anything,
    "file": _anything, "table": _anything, "context_actions": _anything,
}  # fmt: skip
_MESSAGE = frozenset(_BLOCKS)
_VIEW = frozenset({"section", "header", "context", "divider", "actions", "input", "image", "rich_text", "video"})
_SELECTS = frozenset({
    f"{many}{what}_select" for many in ("", "multi_")
    for what in ("static", "external", "users", "conversations", "channels")
})  # fmt: skip
_PICKERS = frozenset({"datepicker", "timepicker", "datetimepicker", "checkboxes", "radio_buttons"})
_ACTIONS = frozenset({"button", "overflow", "workflow_button", "rich_text_input"}) | _SELECTS | _PICKERS
_ACCESSORIES = _ACTIONS | {"image"}
_INPUTS = (
    frozenset({"plain_text_input", "number_input", "email_text_input", "url_text_input", "rich_text_input"})
    | frozenset({"file_input"}) | _SELECTS | _PICKERS
)  # fmt: skip
