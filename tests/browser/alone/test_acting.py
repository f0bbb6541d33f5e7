"""Reacting, pressing buttons, filling in modals."""

import pytest
from playwright.async_api import Page, expect

from tests.browser.alone.parts import TITLE, address, message, until, words
from tests.browser.page_stub import ANN, BOT, LAUNCH, RAE, STAN, Json, PageStub

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="package")]


async def test_reactions_are_given_and_taken_back_from_the_toolbar_the_picker_and_the_bar(
    page: Page, stub: PageStub
) -> None:
    review = stub.says("review", "Waiting for a reviewer", state="awaiting")
    await page.goto(address(stub, person=RAE))
    await message(page, review).hover()
    await page.get_by_role("button", name="React with white check mark").click()
    bar = message(page, review).get_by_role("group", name="Reactions").get_by_role("button")
    await expect(bar.first).to_have_attribute("aria-label", "white check mark, 1, by you")
    await expect(bar.first).to_have_attribute("aria-pressed", "true")
    stub._react(review, ANN, "eyes")
    await expect(message(page, review).locator('[data-reaction="eyes"]')).to_have_attribute("aria-pressed", "false")
    await message(page, review).get_by_role("button", name="Add a reaction").click()
    await page.get_by_role("menuitemcheckbox", name="leftwards arrow with hook").click()
    await expect(message(page, review).locator('[data-reaction="leftwards_arrow_with_hook"]')).to_be_visible()
    await bar.first.click()
    await expect(message(page, review).locator('[data-reaction="white_check_mark"]')).to_have_count(0)
    asked = [(deed["do"], deed["name"]) for deed in stub.done if "name" in deed]
    assert asked == [
        ("react", "white_check_mark"),
        ("react", "leftwards_arrow_with_hook"),
        ("unreact", "white_check_mark"),
    ]


async def test_a_button_with_a_question_is_pressed_only_after_the_answer(page: Page, stub: PageStub) -> None:
    texts = {"title": "Approve?", "confirm": "Approve", "deny": "Not now"}
    plain: Json = {name: {"type": "plain_text", "text": text} for name, text in texts.items()}
    plain["text"] = {"type": "mrkdwn", "text": f"You approve `8c1f04be3d21`, which <@{ANN}> asked for."}
    approve = {"type": "button", "action_id": "approve", "value": "a1", "text": plain["confirm"], "confirm": plain}
    review = stub.says(
        "review", "w", blocks=[words("Waiting"), {"type": "actions", "block_id": "b", "elements": [approve]}]
    )
    await page.goto(address(stub, person=RAE))
    await message(page, review).get_by_role("button", name="Approve").click()
    dialog = page.get_by_role("dialog", name="Approve?")
    await expect(dialog).to_contain_text("You approve 8c1f04be3d21, which @Ann asked for.")
    await dialog.get_by_role("button", name="Not now").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert stub.did("click") == []
    await message(page, review).get_by_role("button", name="Approve").click()
    await page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await until(page, lambda: len(stub.did("click")) == 1)
    assert stub.did("click")[0] == {
        "as": RAE, "do": "click", "channel": LAUNCH, "ts": review["ts"], "block_id": "b", "action_id": "approve",
        "value": "a1",
    }  # fmt: skip


async def test_a_select_in_a_message_tells_what_was_chosen(page: Page, stub: PageStub) -> None:
    options = [{"text": {"type": "plain_text", "text": name}, "value": name.lower()} for name in ("Harsh", "Fair")]
    select = {"type": "static_select", "action_id": "tone", "options": options}
    sent = stub.post(BOT, "w", blocks=[{"type": "actions", "block_id": "b", "elements": [select]}])
    await page.goto(address(stub))
    await message(page, sent).locator("select").select_option("fair")
    await until(page, lambda: stub.did("click"))
    assert stub.did("click")[0]["chosen"] == {"selected_option": options[1]}


async def test_every_shortcut_stands_in_the_toolbar(page: Page, stub: PageStub) -> None:
    said = stub.post(STAN, "We are the market leader in marsupials.")
    await page.goto(address(stub))
    await message(page, said).hover()
    await message(page, said).get_by_role("button", name="Critique this").click()
    await until(page, lambda: stub.did("shortcut"))
    assert stub.did("shortcut")[0] | {"as": ANN} == {
        "as": ANN, "do": "shortcut", "callback_id": "critique_message", "channel": LAUNCH, "ts": said["ts"],
    }  # fmt: skip


def _modal() -> Json:
    choice = [{"text": {"type": "plain_text", "text": name}, "value": name} for name in ("fair", "harsh")]
    elements = {
        "brief": {"type": "plain_text_input", "action_id": "brief", "multiline": True},
        "tone": {"type": "radio_buttons", "action_id": "tone", "options": choice, "initial_option": choice[0]},
        "model": {"type": "static_select", "action_id": "model", "options": choice},
        "also": {"type": "checkboxes", "action_id": "also", "options": choice},
    }
    blocks = [
        {"type": "input", "block_id": name, "optional": name == "also", "element": element,
         "label": {"type": "plain_text", "text": name.title()}}
        for name, element in elements.items()
    ]  # fmt: skip
    submit, close = ({"type": "plain_text", "text": text} for text in ("Ask the critic", "Not now"))
    return {"id": "V1", "type": "modal", "title": TITLE, "submit": submit, "close": close, "blocks": blocks}


async def test_a_modal_asks_for_what_is_missing_shows_refusals_and_sends_slacks_values(
    page: Page, stub: PageStub
) -> None:
    await page.goto(address(stub))
    await page.locator("main.channel-pane").wait_for()
    stub.push({"type": "view", "view": _modal(), "as": ANN})
    dialog = page.get_by_role("dialog", name="Critique this")
    await dialog.get_by_role("button", name="Ask the critic").click()
    await expect(dialog.get_by_role("alert").filter(has_text="Please fill this in.")).to_have_count(2)
    await expect(dialog.get_by_label("Brief")).to_be_focused()
    await dialog.get_by_label("Brief").fill("Convince a wary reader")
    await dialog.get_by_label("Model").select_option("harsh")
    await dialog.get_by_label("harsh").last.check()
    stub.answers["submit"] = {"ok": True, "errors": {"brief": "Say who reads it."}}
    await dialog.get_by_role("button", name="Ask the critic").click()
    await expect(dialog.get_by_text("Say who reads it.")).to_be_visible()
    del stub.answers["submit"]
    await dialog.get_by_role("button", name="Ask the critic").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    options = {option["value"]: option for option in _modal()["blocks"][1]["element"]["options"]}
    assert stub.did("submit")[-1]["values"] == {
        "brief": {"brief": {"type": "plain_text_input", "value": "Convince a wary reader"}},
        "tone": {"tone": {"type": "radio_buttons", "selected_option": options["fair"]}},
        "model": {"model": {"type": "static_select", "selected_option": options["harsh"]}},
        "also": {"also": {"type": "checkboxes", "selected_options": [options["harsh"]]}},
    }
    assert stub.did("close") == []


async def test_an_updated_modal_keeps_what_was_typed_and_leaving_it_is_told(page: Page, stub: PageStub) -> None:
    await page.goto(address(stub))
    await page.locator("main.channel-pane").wait_for()
    stub.push({"type": "view", "view": _modal(), "as": RAE})
    stub.push({"type": "view", "view": _modal(), "as": ANN})
    await page.get_by_label("Brief").fill("half a sentence")
    stub.push({"type": "view", "view": _modal() | {"title": TITLE | {"text": "Critique that"}}, "as": ANN})
    await expect(page.get_by_role("dialog", name="Critique that").get_by_label("Brief")).to_have_value(
        "half a sentence"
    )
    await page.get_by_role("button", name="Not now").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await until(page, lambda: stub.did("close"))
    assert stub.did("close") == [{"as": ANN, "do": "close", "view_id": "V1"}]
