"""App Home as Slack takes it: within its limits, with nothing alive in it but our own links and people."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.playground.blocks_check import check_view
from bot.slack.home import home_view, link_to
from handlers.home import Everything, Self, home_of
from handlers.ports import Person
from handlers.stack import Stack
from storage.homes import Gate, OpenRun, Spot
from storage.records import Review, Verdict, VerdictKind
from tests.bot.slack.desk import now
from tests.bot.slack.test_blocks import HOSTILE

SITE = "https://play.slack.com/"
STACK = Stack.model_validate({"review": {"reviewers": ["U0RAE", "S0REVIEW"]}})
LIVE = re.compile(r"<(?!@[UW][A-Z0-9]+>|https://play\.slack\.com/archives/C0LAUNCH/p[0-9]+[^|<>]*\|Open>)")
BRIEFS = [*HOSTILE, "x" * 3_001, "\x00\x1b[31m\x07", "\u202e" * 900, "&" * 3_001, "a\u0301" + "\u0301" * 500, "", " \n"]


def spot(brief: str, **changes: Any) -> Spot:
    place: dict[str, Any] = {"team": "T0PLAY", "channel": "C0LAUNCH", "thread_ts": "17.1", "brief": brief, "ts": "17.2"}
    return Spot(**{**place, **changes})


def gate(number: int, brief: str = "A brief", *, said: tuple[Verdict, ...] = (), by: str = "U0ANN") -> Gate:
    review = Review(
        answer_id=f"a-{number}",
        run_id=f"r-{number}",
        work_id=f"w-{number}",
        asked_by=by,
        authors=(by,),
        opened_at=now() - timedelta(seconds=2_000 - number),
        expires_at=now() + timedelta(days=7),
    )
    heads = {one.ledger_seq: "f" * 64 for one in said}
    return Gate(
        spot=spot(brief), review=review, stage="final", sha256="8" * 64, superseded=False, verdicts=said, heads=heads
    )


def approval(number: int) -> Verdict:
    return Verdict(
        answer_id=f"a-{number}",
        person="U0RAE",
        kind=VerdictKind.APPROVE,
        via="reaction",
        request_key=f"k-{number}",
        evidence={"message": "17.2", "quorum": 1},
        at=now(),
        ledger_seq=number,
        seq=number,
    )


def view_of(one: Self, *gates: Gate, runs: tuple[OpenRun, ...] = ()) -> tuple[dict[str, Any], list[str]]:
    seen = Everything(at=now(), runs=runs, gates=gates)
    view = home_view(home_of(one, "T0PLAY", seen, STACK), site=SITE, prefix="")
    check_view(view)
    return view, [block["text"]["text"] for block in view["blocks"]]


RAE = Self(person=Person(id="U0RAE"))


def test_of_a_thousand_reviews_the_oldest_ten_are_shown_and_the_rest_counted() -> None:
    view, texts = view_of(RAE, *(gate(number) for number in range(1_000)))
    assert len(view["blocks"]) == 12
    assert texts[1].startswith("final for <@U0ANN> · text 88888888 · since ")
    assert " · <#C0LAUNCH> · <https://" in texts[1]
    assert texts[-1] == "and 990 more"


@pytest.mark.parametrize("brief", BRIEFS)
def test_no_brief_comes_alive_or_breaks_the_view(brief: str) -> None:
    mine = OpenRun(spot=spot(brief), stage="draft", state="queued", asked_by="U0RAE", asked_at=now(), revises=False)
    _, texts = view_of(RAE, gate(1, brief), gate(2, brief, said=(approval(2),)), runs=(mine,))
    assert texts[0] == "*Waiting for you*"
    for text in texts:
        assert not LIVE.search(text.replace("<#C0LAUNCH>", ""))
        assert "\u202e" not in text
        assert text.count("\n") <= 1


def test_a_reviewer_who_may_not_be_in_the_channel_does_not_read_its_brief_here() -> None:
    _, texts = view_of(RAE, gate(1, "The squirrel is called Spip"))
    assert "Spip" not in "".join(texts)


def test_a_review_whose_card_is_not_in_slack_waits_for_nobody() -> None:
    lost = gate(1)
    _, texts = view_of(RAE, replace(lost, spot=replace(lost.spot, ts=None)))
    assert texts[0].startswith("Nothing waits for you.")


def test_a_guest_of_the_group_decides_nothing_unless_they_are_named() -> None:
    groups = frozenset({"S0REVIEW"})
    _, member = view_of(Self(person=Person(id="U0SAM"), groups=groups), gate(1))
    _, guest = view_of(Self(person=Person(id="U0SAM", is_guest=True), groups=groups), gate(1))
    assert member[0] == "*Waiting for you*"
    assert guest[0].startswith("Nothing waits for you.")


def test_nobody_waits_for_themselves_and_what_was_decided_is_recent() -> None:
    _, texts = view_of(RAE, gate(1, by="U0RAE"), gate(2, said=(approval(2),)))
    assert [text for text in texts if "\n" not in text] == ["*Your open works*", "*Recently approved*"]
    assert f"Ledger {'f' * 12}" in texts[-1]
    assert "88888888" in texts[-1]


@pytest.mark.parametrize(
    ("site", "ts", "thread_ts", "address"),
    [
        (SITE, "17.2", "17.1", f"{SITE}archives/C0LAUNCH/p172?thread_ts=17.1&amp;cid=C0LAUNCH"),
        (SITE, "17.1", "17.1", f"{SITE}archives/C0LAUNCH/p171"),
        (SITE, None, "17.1", None),
        ("", "17.2", "17.1", None),
        ("https://play.slack.com/|x>", "17.2", "17.1", None),
    ],
)
def test_a_link_is_what_slacks_menu_copies(site: str, ts: str | None, thread_ts: str, address: str | None) -> None:
    assert link_to(spot("A brief", ts=ts, thread_ts=thread_ts), site) == address
