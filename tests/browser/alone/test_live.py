"""What happens elsewhere shows without a reload, and to whom."""

import pytest
from playwright.async_api import Page, expect

from tests.browser.alone.parts import TITLE, address, in_thread, message, words
from tests.browser.page_stub import ANN, BOT, DOCS, LAUNCH, RAE, PageStub

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="package")]


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


async def test_an_approved_text_is_marked_as_long_as_it_is_although_its_message_stays_as_it_was(
    page: Page, stub: PageStub
) -> None:
    root = stub.says("root", "The quokka announcement")
    parts = [stub.says("answer", f"part {one}", thread=root["ts"], stage="final", run="r1") for one in (1, 2)]
    other = stub.says("answer", "a draft", thread=root["ts"], stage="draft", run="r0")
    card = stub.says("review", "Waiting", thread=root["ts"], stage="final", run="r1", state="awaiting")
    await page.goto(address(stub))
    await message(page, root).locator(".thread-link").click()
    mark = page.get_by_text("Approved text", exact=True)
    await expect(in_thread(page, parts[1])).to_contain_text("part 2")
    await expect(mark).to_have_count(0)
    for state, marks in (("approved", 2), ("withdrawn", 0), ("approved", 2)):
        payload = card["metadata"]["event_payload"] | {"state": state}
        stub.change(card, metadata={"event_payload": payload}, edited={"user": BOT, "ts": "1.0"})
        await expect(mark).to_have_count(marks)
    await expect(in_thread(page, other)).not_to_contain_text("Approved text")
    await expect(page.get_by_role("list", name="Stages so far")).to_have_text("finalapproved")


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


async def test_what_comes_while_messages_are_on_their_way_is_not_lost(page: Page, stub: PageStub) -> None:
    stub.post(RAE, "long here", channel=DOCS)
    await page.goto(address(stub))
    await page.locator("main.channel-pane").wait_for()
    stub.reading.clear()
    async with page.expect_request(lambda request: f"channel={DOCS}" in request.url):
        await page.locator(f'[data-channel="{DOCS}"]').click()
    late = stub.post(RAE, "just now", channel=DOCS)
    stub.post(RAE, "a sign that the page has heard it", channel="C0QUIET")
    await expect(page.locator('[data-channel="C0QUIET"] .unread')).to_be_visible()
    stub.reading.set()
    await expect(page.get_by_text("long here")).to_be_visible()
    await expect(message(page, late)).to_be_visible()


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
    stub.post(BOT, "And another word for Ann.", thread=root["ts"], is_ephemeral=True, to=ANN)
    after = stub.post(RAE, "I read it now.", thread=root["ts"])
    await expect(in_thread(page, after)).to_be_visible()
    await expect(page.get_by_text("And another word for Ann.")).to_have_count(0)
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
