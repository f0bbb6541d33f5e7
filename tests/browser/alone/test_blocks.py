"""Words and blocks are drawn as Slack draws them, and nothing in them comes alive."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.alone.parts import address, listed, message, rich, section, words
from tests.browser.page_stub import ANN, BOT, RAE, PageStub

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="package")]


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
            const shape = (one) => one.nodeType === 3 ? one.data : one.tagName === "DIV"
                ? [...one.childNodes].map(shape)
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
    "*bold* _italic_ ~gone~": "<strong>bold</strong> <em>italic</em> <s>gone</s>",
    "`code *not bold*`": "<code>code *not bold*</code>",
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
        words(HOSTILE), {"type": "header", "text": {"type": "plain_text", "text": HOSTILE}},
        {"type": HOSTILE, "text": HOSTILE},
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
