"""The modal of "Critique this": what it asks, and that its answer finds back to the message."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from bot.playground.blocks_check import check_view
from bot.slack.door import Door
from bot.slack.modals import critique_modal
from handlers.incoming import Request


def submitted(view: dict[str, object], **said: str) -> dict[str, object]:
    values = {name: {name: {"type": "plain_text_input", "value": value}} for name, value in said.items()}
    return {
        "type": "view_submission",
        "team": {"id": "T0PLAY"},
        "user": {"id": "U0ANN"},
        "view": {**view, "id": "V0CAGE", "state": {"values": values}},
    }


@pytest.mark.parametrize("asks", [False, True], ids=["in a work", "elsewhere"])
def test_the_brief_is_asked_for_only_where_none_is_known(*, asks: bool) -> None:
    view = critique_modal(channel="C0LAUNCH", ts="1.2", thread_ts="1.1", asks_for_brief=asks)
    assert [block["block_id"] for block in view["blocks"]] == (["brief", "note"] if asks else ["note"])
    assert [block["optional"] for block in view["blocks"]] == ([False, True] if asks else [True])


def test_every_text_fits_slacks_limits() -> None:
    view = critique_modal(channel="C" * 20, ts="1790000000.000100", thread_ts="1790000000.000100", asks_for_brief=True)
    check_view(view)
    assert len(view["private_metadata"]) <= 3_000
    for part in ("title", "submit", "close"):
        assert 0 < len(view[part]["text"]) <= 24
    for block in view["blocks"]:
        assert len(block["label"]["text"]) <= 2_000
        assert len(block["hint"]["text"]) <= 2_000
        assert block["element"]["max_length"] <= 3_000


def test_what_is_filled_in_becomes_a_request_about_that_message() -> None:
    view = critique_modal(channel="C0LAUNCH", ts="1.2", thread_ts="1.1", asks_for_brief=True)
    assert json.loads(view["private_metadata"]) == {"channel": "C0LAUNCH", "ts": "1.2", "thread_ts": "1.1"}
    door = Door(bot_user="UBOT", prefix="", means_something=lambda _: False, now=lambda: datetime.now(UTC))
    [letter] = door.letters(submitted(view, brief=" For the jungle ", note="be &amp; stay harsh"))
    request = Request.from_json(letter.body)
    assert (request.brief, request.words) == ("For the jungle", "be & stay harsh")
    assert (request.channel, request.target_ts, request.thread_ts, request.person) == (
        "C0LAUNCH",
        "1.2",
        "1.1",
        "U0ANN",
    )
