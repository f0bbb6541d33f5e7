"""The playground's page in a real Chromium, over a stand-in server: what it shows, and what it asks for."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.browser.conftest import desk, opened_browser, phone
from tests.browser.page_stub import ANN, BOT, DOCS, LAUNCH, RAE, STAN, Json, PageStub

# One browser for all of these, hence one event loop: starting it takes longer than most of the tests.
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

TITLE = {"type": "plain_text", "text": "Critique this"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with opened_browser() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with desk(browser) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def phone_page(browser: Browser) -> AsyncIterator[Page]:
    async with phone(browser) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def stub() -> AsyncIterator[PageStub]:
    async with PageStub() as running:
        yield running


def message(page: Page, sent: Json, *, pane: str = "main") -> Locator:
    return page.locator(f'{pane} [data-ts="{sent["ts"]}"]')


def in_thread(page: Page, sent: Json) -> Locator:
    return message(page, sent, pane="aside")


def address(stub: PageStub, person: str = ANN, channel: str = LAUNCH, thread: str = "") -> str:
    return f"{stub.url}/#as={person}&channel={channel}" + (f"&thread={thread}" if thread else "")


def words(text: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def rich(*elements: Json) -> list[Json]:
    return [{"type": "rich_text", "elements": list(elements)}]


def section(*texts: str) -> Json:
    return {"type": "rich_text_section", "elements": [{"type": "text", "text": text} for text in texts]}


def listed(indent: int, *items: str, style: str = "bullet", offset: int = 0) -> Json:
    elements = [section(item) for item in items]
    return {"type": "rich_text_list", "style": style, "indent": indent, "offset": offset, "elements": elements}


# The first look


async def test_a_newcomer_sees_who_they_are_what_answers_and_what_to_try(page: Page, stub: PageStub) -> None:
    await page.goto(stub.url)
    await expect(page).to_have_title("#launch · Countersign playground")
    await expect(page.locator(".who")).to_contain_text("You are Ann Okafor")
    await expect(page.locator(".label")).to_contain_text("Scripted answers")
    await expect(page.locator(".connection")).to_have_text("Countersign is connected")
    await page.get_by_role("button", name="/scout What do teams fear").click()
    await expect(page.locator("#composer")).to_have_value("/scout What do teams fear when a bot writes in their name?")
    await page.keyboard.press("Enter")
    await expect(page.locator("#composer")).to_have_value("")
    assert stub.did("say") == [
        {
            "as": ANN,
            "do": "say",
            "channel": LAUNCH,
            "text": "/scout What do teams fear when a bot writes in their name?",
        }
    ]


async def test_the_page_says_when_the_bot_leaves(page: Page, stub: PageStub) -> None:
    await page.goto(stub.url)
    await expect(page.locator(".connection")).to_have_text("Countersign is connected")
    stub.state["bot"]["connected"] = False
    stub.push({"type": "state"})
    await expect(page.locator(".connection")).to_have_text("Countersign is not connected")


# Composing


async def test_a_slash_opens_the_commands_and_arrows_and_tab_complete_one(page: Page, stub: PageStub) -> None:
    await page.goto(stub.url)
    await page.locator("main.channel-pane").wait_for()
    await page.keyboard.press("/")
    await expect(page.locator("#composer")).to_be_focused()
    await page.keyboard.type("/")
    options = page.get_by_role("option")
    await expect(options).to_have_count(4)
    await expect(options.nth(1)).to_contain_text("what to write")
    await page.keyboard.press("ArrowDown")
    await expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Tab")
    await expect(page.locator("#composer")).to_have_value("/draft ")
    await expect(page.locator("main .composer-hint")).to_contain_text("A first draft, cheap to revise")
    await page.keyboard.type("a bandicoot")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("in two lines")
    await page.keyboard.press("Enter")
    await expect(page.locator("#composer")).to_have_value("")
    assert stub.did("say")[0]["text"] == "/draft a bandicoot\nin two lines"


async def test_a_command_typed_out_is_sent_at_once_and_escape_closes_the_menu(page: Page, stub: PageStub) -> None:
    await page.goto(stub.url)
    composer = page.locator("#composer")
    await composer.fill("/sc")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("option")).to_have_count(0)
    await composer.fill("/scout")
    await page.keyboard.press("Enter")
    await expect(composer).to_have_value("")
    assert [deed["text"] for deed in stub.did("say")] == ["/scout"]


async def test_in_a_thread_a_slash_becomes_the_mention_that_does_the_same(page: Page, stub: PageStub) -> None:
    root = stub.says("root", "The wombat launch")
    await page.goto(address(stub, thread=root["ts"]))
    composer = page.get_by_label("Reply in the thread")
    await expect(page.locator("aside .composer-hint")).to_contain_text("mention @Countersign")
    await composer.fill("/cri")
    await expect(page.get_by_role("listbox")).to_contain_text("no app commands inside threads")
    await page.keyboard.press("Enter")
    await expect(composer).to_have_value("@Countersign critique ")
    await page.keyboard.type("be harsh")
    await page.keyboard.press("Enter")
    await expect(page.locator("aside .message").last).to_contain_text("be harsh")
    assert stub.did("say")[0] | {"as": ""} == {
        "as": "", "do": "say", "channel": LAUNCH, "thread_ts": root["ts"], "text": "@Countersign critique be harsh",
    }  # fmt: skip


async def test_an_at_sign_offers_the_bot_and_the_people(page: Page, stub: PageStub) -> None:
    await page.goto(stub.url)
    await page.locator("#composer").fill("could @Ra")
    await page.keyboard.press("Enter")
    await expect(page.locator("#composer")).to_have_value("could @Rae ")
    await page.locator("#composer").fill("@c")
    await expect(page.get_by_role("option")).to_contain_text("@Countersign")


async def test_a_refusal_stands_beside_the_text_which_is_kept(page: Page, stub: PageStub) -> None:
    stub.answers["say"] = {"ok": False, "error": "/frobnicate is not a command here."}
    await page.goto(stub.url)
    await page.locator("#composer").fill("/frobnicate now")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("alert").filter(has_text="/frobnicate is not a command here.")).to_be_visible()
    await expect(page.locator("#composer")).to_have_value("/frobnicate now")


# Live


async def test_what_happens_appears_without_a_reload_and_is_announced(page: Page, stub: PageStub) -> None:
    root = stub.says("root", "The quokka announcement")
    await page.goto(address(stub))
    await expect(message(page, root)).to_contain_text("quokka")
    stub.push({"type": "status", "channel": LAUNCH, "thread_ts": root["ts"], "text": "is drafting…"})
    await expect(message(page, root)).to_contain_text("Countersign is drafting…")
    await message(page, root).locator(".thread-link").click()
    await expect(page.get_by_role("status", name="What the app is doing")).to_have_text("Countersign is drafting…")
    card = stub.says("card", "draft · working", thread=root["ts"], stage="draft", run="r1", state="running")
    await expect(in_thread(page, card)).to_contain_text("working")
    await expect(page.get_by_role("status", name="What the app is doing")).to_have_text("")
    await expect(message(page, root)).to_contain_text("1 reply")
    await expect(page.locator("#announcer")).to_contain_text("Countersign: draft · working")
    payload = card["metadata"]["event_payload"] | {"state": "answered"}
    stub.change(card, text="draft · answered", metadata={"event_payload": payload}, edited={"user": BOT, "ts": "1.0"})
    await expect(in_thread(page, card)).to_have_attribute("data-state", "answered")
    await expect(in_thread(page, card)).to_contain_text("updated")
    await expect(page.get_by_role("list", name="Stages so far")).to_have_text("draftanswered")


async def test_a_deleted_message_goes_and_a_root_with_replies_leaves_its_tombstone(page: Page, stub: PageStub) -> None:
    stray, root = stub.post(RAE, "a stray numbat"), stub.post(RAE, "a root of numbats")
    stub.post(ANN, "indeed", thread=root["ts"])
    await page.goto(address(stub))
    await expect(message(page, stray)).to_be_visible()
    stub.delete(stray)
    stub.change(root, subtype="tombstone", deleted=True, text="This message was deleted.")
    await expect(message(page, stray)).to_have_count(0)
    await expect(message(page, root)).to_contain_text("This message was deleted.")
    await expect(message(page, root)).to_contain_text("1 reply")


async def test_what_came_while_the_line_was_broken_is_there_after_it(page: Page, stub: PageStub) -> None:
    await page.goto(address(stub))
    await page.locator("main.channel-pane").wait_for()
    stub.cut_lines()
    await expect(page.locator(".connection")).to_have_text("Reconnecting…")
    missed = stub.post(RAE, "said while nobody listened")
    await expect(message(page, missed)).to_be_visible()
    await expect(page.locator(".connection")).to_have_text("Countersign is connected")


async def test_new_messages_scroll_only_a_reader_who_is_at_the_end(page: Page, stub: PageStub) -> None:
    for number in range(30):
        stub.post((ANN, RAE)[number % 2], f"bilby {number}\nand a second line")
    await page.goto(address(stub))
    await expect(page.get_by_text("bilby 29")).to_be_in_viewport()
    followed = stub.post(RAE, "bilby 30")
    await expect(message(page, followed)).to_be_in_viewport()
    await page.locator(".channel-pane .scroller").evaluate("scroller => { scroller.scrollTop = 0 }")
    await expect(page.get_by_text("bilby 0", exact=False).first).to_be_in_viewport()
    waiting = stub.post(RAE, "bilby 31")
    await page.get_by_role("button", name="1 new message").click()
    await expect(message(page, waiting)).to_be_in_viewport()
    await expect(page.get_by_role("button", name="1 new message")).to_be_hidden()


async def test_another_channel_counts_what_is_new_there(page: Page, stub: PageStub) -> None:
    await page.goto(address(stub))
    await page.locator("main.channel-pane").wait_for()
    stub.post(RAE, "over here", channel=DOCS)
    row = page.locator(f'[data-channel="{DOCS}"]')
    await expect(row.locator(".unread")).to_have_text("1")
    await row.click()
    await expect(page.get_by_text("over here")).to_be_visible()
    await expect(row.locator(".unread")).to_have_count(0)


# Reacting, pressing, filling in


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
    plain = {name: {"type": "plain_text", "text": words} for name, words in
             {"title": "Approve?", "text": "Your name goes on it.", "confirm": "Approve", "deny": "Not now"}.items()}  # fmt: skip
    approve = {"type": "button", "action_id": "approve", "value": "a1", "text": plain["confirm"], "confirm": plain}
    review = stub.says(
        "review", "w", blocks=[words("Waiting"), {"type": "actions", "block_id": "b", "elements": [approve]}]
    )
    await page.goto(address(stub, person=RAE))
    await message(page, review).get_by_role("button", name="Approve").click()
    await page.get_by_role("dialog", name="Approve?").get_by_role("button", name="Not now").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert stub.did("click") == []
    await message(page, review).get_by_role("button", name="Approve").click()
    await page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await _until(page, lambda: len(stub.did("click")) == 1)
    assert stub.did("click")[0] == {
        "as": RAE, "do": "click", "channel": LAUNCH, "ts": review["ts"], "block_id": "b", "action_id": "approve", "value": "a1",
    }  # fmt: skip


async def test_a_select_in_a_message_tells_what_was_chosen(page: Page, stub: PageStub) -> None:
    options = [{"text": {"type": "plain_text", "text": name}, "value": name.lower()} for name in ("Harsh", "Fair")]
    select = {"type": "static_select", "action_id": "tone", "options": options}
    sent = stub.post(BOT, "w", blocks=[{"type": "actions", "block_id": "b", "elements": [select]}])
    await page.goto(address(stub))
    await message(page, sent).locator("select").select_option("fair")
    await _until(page, lambda: stub.did("click"))
    assert stub.did("click")[0]["chosen"] == {"selected_option": options[1]}


async def test_every_shortcut_stands_in_the_toolbar(page: Page, stub: PageStub) -> None:
    said = stub.post(STAN, "We are the market leader in marsupials.")
    await page.goto(address(stub))
    await message(page, said).hover()
    await message(page, said).get_by_role("button", name="Critique this").click()
    await _until(page, lambda: stub.did("shortcut"))
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
    await _until(page, lambda: stub.did("close"))
    assert stub.did("close") == [{"as": ANN, "do": "close", "view_id": "V1"}]


# Who sees what


async def test_another_person_sees_their_own_page_and_the_address_remembers(page: Page, stub: PageStub) -> None:
    root = stub.says("root", "The potoroo text")
    stub.post(BOT, "Somebody else approves it.", thread=root["ts"], is_ephemeral=True, to=ANN)
    await page.goto(address(stub, thread=root["ts"]))
    whisper = page.get_by_text("Somebody else approves it.")
    await expect(whisper).to_be_visible()
    await expect(page.get_by_text("Only you can see this")).to_be_visible()
    await page.locator(".who").click()
    await page.get_by_role("menuitemradio", name="Rae Lindqvist").click()
    await expect(page.locator(".who")).to_contain_text("Rae Lindqvist")
    await expect(in_thread(page, root)).to_be_visible()
    await expect(whisper).to_have_count(0)
    stub.push({"type": "message", "message": {"ts": "9.1", "channel": LAUNCH, "user": BOT, "text": "psst", "to": ANN}})
    await page.reload()
    await expect(page.locator(".who")).to_contain_text("Rae Lindqvist")
    await expect(in_thread(page, root)).to_be_visible()
    await page.go_back()
    await expect(whisper).to_be_visible()


async def test_the_home_tab_shows_what_the_app_published_for_this_person(page: Page, stub: PageStub) -> None:
    stub.homes[ANN] = {
        "id": "VH",
        "type": "home",
        "blocks": [{"type": "header", "text": TITLE}, words("*2* texts wait")],
    }
    await page.goto(address(stub))
    await page.get_by_role("button", name="Home").click()
    await expect(page.get_by_role("heading", name="Critique this")).to_be_visible()
    stub.push({"type": "home", "user": ANN, "view": stub.homes[ANN] | {"blocks": [words("Nothing waits")]}})
    await expect(page.locator(".home-pane")).to_contain_text("Nothing waits")


async def test_a_toast_is_for_its_person(page: Page, stub: PageStub) -> None:
    await page.goto(address(stub))
    await page.locator("main.channel-pane").wait_for()
    stub.push({"type": "toast", "as": RAE, "text": "not for Ann"})
    stub.push({"type": "toast", "as": ANN, "text": "/draft failed: operation_timeout"})
    await expect(page.locator(".toast")).to_have_text("/draft failed: operation_timeout")


async def test_a_messages_own_address_opens_its_thread(page: Page, stub: PageStub) -> None:
    root = stub.says("root", "The dunnart text")
    answer = stub.says("answer", "small and quick", thread=root["ts"])
    link = f"/archives/{LAUNCH}/p{answer['ts'].replace('.', '')}?thread_ts={root['ts']}&cid={LAUNCH}"
    await page.goto(f"{stub.url}{link}")
    await expect(in_thread(page, answer)).to_contain_text("small and quick")


# Blocks


async def test_nested_lists_stand_inside_each_other_and_numbers_go_on(page: Page, stub: PageStub) -> None:
    lists = [
        listed(0, "one", "two", style="ordered"), listed(1, "deep"), listed(2, "deeper"), listed(1, "deep again"),
        listed(0, "three", style="ordered", offset=2), section("between"), listed(0, "four", style="ordered", offset=3),
    ]  # fmt: skip
    sent = stub.says("answer", "lists", blocks=rich(*lists))
    await page.goto(address(stub))
    shape = (
        await message(page, sent)
        .locator(".rich-text")
        .evaluate(
            """node => {
            const shape = (one) => one.nodeType === 3 ? one.data : one.tagName === "DIV" ? [...one.childNodes].map(shape)
                : [one.tagName.toLowerCase() + (one.start > 1 ? one.start : ""), ...[...one.childNodes].map(shape)];
            return [...node.childNodes].map(shape);
        }"""
        )
    )
    deep = ["ul", ["li", "deep", ["ul", ["li", "deeper"]]], ["li", "deep again"]]
    assert shape == [
        ["ol", ["li", "one"], ["li", "two", deep], ["li", "three"]],
        ["between"],
        ["ol4", ["li", "four"]],
    ]


MRKDWN = {
    "*bold* _italic_ ~gone~ `code *not bold*`": "<strong>bold</strong> <em>italic</em> <s>gone</s> <code>code *not bold*</code>",
    "_*both*_ snake_case_name 2*3*4": "<em><strong>both</strong></em> snake_case_name 2*3*4",
    "a &lt;b&gt; &amp;amp; c": "a &lt;b&gt; &amp;amp; c",
    "<https://example.com|*here*> and <@U0RAE> in <#C0DOCS>, <!here>": (
        '<a href="https://example.com" target="_blank" rel="noreferrer" title="https://example.com">*here*</a> and '
        '<span class="pill pill-user" data-user="U0RAE">@Rae</span> in <span class="pill">#docs</span>, '
        '<span class="pill pill-loud">@here</span>'
    ),
    "<javascript:alert(1)|press me>": '<span class="dead-link">press me</span>',
    ":not_an_emoji: 10:30:45": ":not_an_emoji: 10:30:45",
    "<!date^0^{date_num}|long ago>": None,
}


async def test_mrkdwn_reads_as_slack_reads_it(page: Page, stub: PageStub) -> None:
    sent = {text: stub.post(RAE, text) for text in MRKDWN}
    await page.goto(address(stub))
    for text, html in MRKDWN.items():
        shown = message(page, sent[text]).locator(".words")
        if html is None:
            await expect(shown.locator("time")).to_have_attribute("title", "long ago")
        else:
            assert await shown.inner_html() == html, text


async def test_fences_quotes_and_emoji_are_drawn(page: Page, stub: PageStub) -> None:
    sent = stub.post(RAE, "Look:\n&gt; quoted\n```\nlet x = &lt;1&gt;;\n```\n:white_check_mark: done")
    await page.goto(address(stub))
    shown = message(page, sent)
    await expect(shown.locator("blockquote")).to_have_text("quoted")
    await expect(shown.locator("pre")).to_have_text("let x = <1>;")
    await expect(shown.get_by_role("img", name="white check mark")).to_be_visible()


HOSTILE = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>'


async def test_no_words_of_anybody_become_markup(page: Page, stub: PageStub) -> None:
    stub.state["people"][0]["real_name"] = HOSTILE
    stub.state["channels"][0] |= {"purpose": HOSTILE, "name": HOSTILE}
    stub.state["commands"][0]["description"] = HOSTILE
    link = {"type": "link", "url": "javascript:document.title='owned'", "text": "press"}
    blocks = [
        words(HOSTILE), {"type": "header", "text": {"type": "plain_text", "text": HOSTILE}}, {"type": HOSTILE, "text": HOSTILE},
        {"type": "image", "image_url": "https://example.com/x.png", "alt_text": HOSTILE},
        *rich(section(HOSTILE), {"type": "rich_text_section", "elements": [link]}),
    ]  # fmt: skip
    stub.post(RAE, HOSTILE.replace("<", "&lt;"), reactions=[{"name": HOSTILE, "users": [ANN], "count": 1}])
    sent = stub.says("answer", HOSTILE, blocks=blocks)
    await page.goto(address(stub))
    await page.locator("#composer").fill("/")
    await expect(page.get_by_role("option").first).to_contain_text("<img src=x")
    await page.locator("#composer").fill("")
    await expect(message(page, sent)).to_contain_text("<img src=x")
    await message(page, sent).get_by_text("press").click()
    assert await page.locator("#app img[src=x], #app script, #app a[href^=javascript]").count() == 0
    assert "owned" not in (await page.title()).replace(HOSTILE, "")
    requested: list[str] = await page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [url for url in requested if not url.startswith(stub.url)] == []


async def test_blocks_nobody_knows_stand_in_a_box_with_their_name(page: Page, stub: PageStub) -> None:
    sent = stub.post(BOT, "x", blocks=[{"type": "carousel"}, {"type": "markdown", "text": "# hm"}])
    await page.goto(address(stub))
    await expect(message(page, sent).locator(".unknown-block")).to_have_text(
        ["carousel block", re.compile("markdown block")]
    )


# Keys, phones, colours


async def test_the_keyboard_reaches_everything(page: Page, stub: PageStub) -> None:
    first, root = stub.post(RAE, "first"), stub.says("root", "second")
    await page.goto(address(stub))
    await message(page, root).focus()
    await page.keyboard.press("ArrowUp")
    await expect(message(page, first)).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Tab")
    await expect(message(page, root).get_by_role("button", name="React with white check mark")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(message(page, root).locator('[data-reaction="white_check_mark"]')).to_be_visible()
    await message(page, root).focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Reply in the thread")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("aside.thread-pane")).to_be_hidden()
    await expect(message(page, root)).to_be_focused()
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_a_phone_shows_one_thing_at_a_time_and_no_more_than_fits(phone_page: Page, stub: PageStub) -> None:
    page = phone_page
    await page.set_viewport_size({"width": 360, "height": 740})
    root = stub.says("root", "The phascogale text")
    code = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "x" * 400}]}
    answer = stub.says("answer", "long", thread=root["ts"], blocks=rich(section("y" * 300), code))
    await page.goto(address(stub))
    await message(page, root).locator(".thread-link").tap()
    await expect(in_thread(page, answer)).to_be_visible()
    await expect(page.locator("main.channel-pane")).to_be_hidden()
    assert await page.evaluate("document.documentElement.scrollWidth") == 360
    await in_thread(page, answer).get_by_role("button", name="Show actions").tap()
    await in_thread(page, answer).get_by_role("button", name="React with x").tap()
    await expect(in_thread(page, answer).locator('[data-reaction="x"]')).to_be_visible()
    await page.get_by_role("button", name="Back to the channel", exact=True).tap()
    await page.get_by_role("button", name="Back to the channels").tap()
    await page.locator(f'[data-channel="{DOCS}"]').tap()
    await expect(page.get_by_role("heading", name="docs")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") == 360


PAIRS = [
    (ink, ground)
    for ink in ("ink", "ink-2", "ink-3", "accent", "good", "warn", "bad", "code-ink")
    for ground in ("paper", "page", "raised", "sunken", "hover")
] + [("accent", "accent-soft"), ("warn", "warn-soft"), ("bad", "bad-soft"), ("good", "good-soft"), ("ink", "accent-soft"),
     ("accent-ink", "accent"), ("paper", "bad"), ("paper", "ink"), ("ink-2", "accent-soft")]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_ink_can_be_read_on_every_ground(page: Page, stub: PageStub, scheme: Any) -> None:
    await page.emulate_media(color_scheme=scheme)
    await page.goto(stub.url)
    names = sorted({name for pair in PAIRS for name in pair})
    colours = await page.evaluate(
        "names => Object.fromEntries(names.map(n => [n, getComputedStyle(document.documentElement).getPropertyValue('--' + n)]))",
        names,
    )
    pale = {pair: round(_contrast(*(colours[name] for name in pair)), 2) for pair in PAIRS}
    assert {pair: ratio for pair, ratio in pale.items() if ratio < 4.5} == {}


def _contrast(one: str, other: str) -> float:
    low, high = sorted(_luminance(colour.strip()) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


async def _until(page: Page, holds: Any) -> None:
    """Waits until something came to be true on the server's side."""
    for _ in range(200):
        if holds():
            return
        await page.wait_for_timeout(25)
    raise AssertionError("it never happened")
