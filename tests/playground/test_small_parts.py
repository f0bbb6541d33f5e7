"""The parts that need no server: wording, pace, and the keeping of a workspace."""

import json
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground.pace import Pace, Tier
from bot.playground.server import Playground
from bot.playground.wording import as_slack_keeps_it, in_command, typed


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("plain", "plain"),
        ("a & b", "a &amp; b"),
        ("a &amp; b &lt;", "a &amp; b &lt;"),
        ("1 < 2 > 0", "1 &lt; 2 &gt; 0"),
        ("<@U0ANN> in <#C0DOCS|docs> <!channel>", "<@U0ANN> in <#C0DOCS|docs> <!channel>"),
        ("<b>bold</b>", "&lt;b&gt;bold&lt;/b&gt;"),
        ("https://a.org/x?y=1&z=2.", "<https://a.org/x?y=1&amp;z=2>."),
        ("(see http://a.org)", "(see <http://a.org>)"),
        ("<https://a.org|here>", "<https://a.org|here>"),
        ("✅ done", ":white_check_mark: done"),
    ],
)
def test_texts_as_slack_keeps_them(sent: str, kept: str) -> None:
    assert as_slack_keeps_it(sent) == kept
    assert as_slack_keeps_it(kept) == kept


def test_typed_words_hold_no_token_but_known_names() -> None:
    names = {"ann": "U0ANN"}
    assert typed("hi @Ann. @nobody a@ann <@U0SAM>", names) == "hi <@U0ANN>. @nobody a@ann &lt;@U0SAM&gt;"
    assert in_command("for <@U0ANN>", {"U0ANN": "ann"}) == "for <@U0ANN|ann>"


def test_the_pace_leaves_room_for_bursts_and_then_holds() -> None:
    now = [100.0]
    pace = Pace(clock=lambda: now[0])

    def post() -> int:
        return pace.wait("chat.postMessage", Tier.SPECIAL, "C0LAUNCH")

    assert [post() for _ in range(12)] == [0] * 10 + [1, 1]
    now[0] += 1
    assert [post(), post()] == [0, 1]
    assert [pace.wait("chat.update", Tier.THREE, "") for _ in range(51)] == [0] * 50 + [2]
    now[0] += 60
    assert pace.wait("chat.update", Tier.THREE, "") == 0
    pace.enabled = False
    assert [post() for _ in range(50)] == [0] * 50


async def test_a_kept_workspace_continues_where_it_ended(tmp_path: Path) -> None:
    file = tmp_path / "kept" / "workspace.json"
    post: dict[str, Any] = {
        "channel": "C0LAUNCH", "text": "root", "unfurl_links": False, "unfurl_media": False,
        "metadata": {"event_type": "countersign", "event_payload": {"kind": "root", "slot": "w/root"}},
    }  # fmt: skip
    async with Playground(keep=file) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
        root = await client.chat_postMessage(**post)
        await slack.as_person("ann").says("reply", thread_ts=root["ts"])
        await slack.as_person("rae").reacts("white_check_mark", slack.messages("launch")[0])
        await client.chat_postEphemeral(channel="C0LAUNCH", user="U0ANN", text="psst")
        await slack.until(file.exists)  # not only on close
        before = slack.everything()
    async with Playground(keep=file) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
        thread = slack.thread("launch", root["ts"])
        assert [*thread, *slack.ephemerals("ann")][:3:2] == [before[0], slack.ephemerals("ann")[0]]
        assert [message.text for message in thread] == ["root", "reply"]
        assert thread[0].reacted("white_check_mark") == ["U0RAE"]
        new = await slack.as_person("ann").says("later", thread_ts=root["ts"])
        assert new.ts > before[-1].ts
        await client.chat_postMessage(**post)
        assert ["'w/root' was posted twice" in sentence for sentence in slack.violations] == [True]
    assert json.loads(file.read_text())["messages"][-1]["text"] == "root"


async def test_what_was_answered_is_kept_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is killed a moment later, as the demo may be, has lost nothing of it."""
    monkeypatch.setattr("bot.playground.keep.DEBOUNCE_SECONDS", 3_600.0)
    file = tmp_path / "workspace.json"
    async with Playground(keep=file) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
        for text in ("one", "two"):
            await client.chat_postMessage(
                channel="C0LAUNCH",
                text=text,
                unfurl_links=False,
                unfurl_media=False,
                metadata={"event_type": "countersign", "event_payload": {"kind": "root", "slot": text}},
            )
            assert json.loads(file.read_text())["messages"][-1]["text"] == text
