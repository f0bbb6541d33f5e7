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
from storage.homes import Gate, LastRun, OpenRun, Spot
from storage.records import Review, RunState, Verdict, VerdictKind
from tests.bot.slack.desk import now
from tests.bot.slack.test_blocks import HOSTILE

SITE = "https://play.slack.com/"
STACK = Stack.model_validate({"review": {"reviewers": ["U0RAE", "S0REVIEW"]}})
LIVE = re.compile(r"<(?!@[UW][A-Z0-9]+>|https://play\.slack\.com/archives/C0LAUNCH/p[0-9]+[^|<>]*\|Open>)")
BRIEFS = [*HOSTILE, "x" * 3_001, "\x00\x1b[31m\x07", "\u202e" * 900, "&" * 3_001, "a\u0301" + "\u0301" * 500, "", " \n"]


def spot(brief: str, **changes: Any) -> Spot:
    place: dict[str, Any] = {"team": "T0PLAY", "channel": "C0LAUNCH", "thread_ts": "17.1", "brief": brief, "ts": "17.2"}
    whose = {"work_id": "w-0", "opened_by": "U0ANN"}
    return Spot(**{**place, **whose, **changes})


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
        spot=spot(brief, work_id=f"w-{number}"),
        review=review,
        stage="final",
        sha256="8" * 64,
        superseded=False,
        verdicts=said,
        heads=heads,
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


def last(state: RunState, **changes: Any) -> LastRun:
    """A draft that Ann asked for an hour ago, in the first work."""
    facts: dict[str, Any] = {
        "spot": spot("A brief", work_id="w-1"),
        "stage": "draft",
        "state": state,
        "asked_by": "U0ANN",
        "at": now() - timedelta(hours=1),
        "revises": False,
        "stopped": None,
    }
    return LastRun(**{**facts, **changes})


def view_of(
    one: Self, *gates: Gate, runs: tuple[OpenRun, ...] = (), lasts: tuple[LastRun, ...] = ()
) -> tuple[dict[str, Any], list[str]]:
    seen = Everything(at=now(), runs=runs, gates=gates, lasts=lasts)
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


ANN, STAN = Self(person=Person(id="U0ANN")), Self(person=Person(id="U0STAN"))


def sent_back(number: int, *, ago: timedelta = timedelta(), reason_from: str | None = "U0RAE") -> Gate:
    said = replace(approval(number), kind=VerdictKind.SEND_BACK, at=now() - ago)
    one = gate(number, said=(said,))
    review = replace(one.review, reason_wanted_from=reason_from, opened_at=now() - ago - timedelta(hours=1))
    return replace(one, review=review)


def briefly(texts: list[str]) -> list[str]:
    """What the open works wait for, without the days and links."""
    return [text.partition("\n")[2].partition(" · ")[0] for text in texts if "\n" in text]


@pytest.mark.parametrize(
    ("final", "run", "says"),
    [
        (None, last(RunState.FAILED), "draft failed"),
        (None, last(RunState.REFUSED, revises=True), "revise refused"),
        (None, last(RunState.CANCELLED), "draft cancelled"),
        (None, last(RunState.ANSWERED), "draft answered, the next step is yours"),
        (None, last(RunState.FAILED, stage="critique", stopped="content"), "content stopped at critique"),
        (None, last(RunState.ANSWERED, stage="critique", stopped="content"), "content stopped at critique"),
        (sent_back(1), None, "final sent back by <@U0RAE>, a reason or a new final is wanted"),
        (sent_back(1, reason_from=None), None, "final sent back by <@U0RAE>, a new final is wanted"),
        (
            sent_back(1, reason_from=None),
            last(RunState.ANSWERED, stage="polish"),
            "final sent back by <@U0RAE>, a new final is wanted",
        ),
        (sent_back(1), last(RunState.FAILED, stage="final"), "final failed"),
        (
            replace(gate(1), review=replace(gate(1).review, expires_at=now() - timedelta(minutes=1))),
            last(RunState.ANSWERED, stage="final"),
            "final expired, a new final is wanted",
        ),
    ],
)
def test_a_work_is_open_for_whoever_opened_it_and_says_what_it_waits_for(
    final: Gate | None, run: LastRun | None, says: str
) -> None:
    gates, lasts = (final,) * (final is not None), (run,) * (run is not None)
    _, texts = view_of(ANN, *gates, lasts=lasts)  # type: ignore[arg-type]  # what is None is left out
    assert (texts[0], briefly(texts)) == ("*Your open works*", [says])
    _, stranger = view_of(STAN, *gates, lasts=lasts)  # type: ignore[arg-type]  # likewise
    assert stranger[0].startswith("Nothing waits for you.")


@pytest.mark.parametrize(
    "closed",
    [
        {"gates": (gate(1, said=(approval(1),)),), "lasts": (last(RunState.FAILED),)},
        {"gates": (sent_back(1, ago=timedelta(days=8)),)},
        {"lasts": (last(RunState.FAILED, spot=spot("Elsewhere", team="T0OTHER")),)},
    ],
    ids=["approved", "long ago", "another workspace"],
)
def test_a_work_is_not_open_any_more(closed: dict[str, Any]) -> None:
    _, texts = view_of(ANN, *closed.pop("gates", ()), **closed)
    assert "*Your open works*" not in texts


def test_who_asked_for_a_run_that_failed_in_anothers_work_sees_it_too() -> None:
    _, texts = view_of(STAN, lasts=(last(RunState.FAILED, asked_by="U0STAN"),))
    assert briefly(texts) == ["draft failed"]
    _, texts = view_of(STAN, lasts=(last(RunState.ANSWERED, asked_by="U0STAN"),))
    assert texts[0].startswith("Nothing waits for you.")


def test_open_works_are_told_once_and_the_newest_first() -> None:
    running = OpenRun(
        spot=spot("Runs", work_id="w-7"),
        stage="scout",
        state="running",
        asked_by="U0STAN",
        asked_at=now() - timedelta(minutes=90),
        revises=False,
    )
    failed = [last(RunState.FAILED, spot=spot("F", work_id=f"w-{nth}"), at=now() - timedelta(days=1)) for nth in (2, 7)]
    _, texts = view_of(ANN, sent_back(1), gate(2), runs=(running,), lasts=tuple(failed))
    assert briefly(texts) == ["final sent back by <@U0RAE>, a reason or a new final is wanted", "final", "scout"]
    many = [last(RunState.FAILED, spot=spot("F", work_id=f"w-{nth}"), revises=nth == 11) for nth in range(12)]
    at = [replace(one, at=now() - timedelta(hours=12 - nth)) for nth, one in enumerate(many)]
    _, texts = view_of(ANN, lasts=tuple(at))
    assert (briefly(texts)[:2], texts[-1]) == (["revise failed", "draft failed"], "and 2 more")


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
