"""A case: what state it is in, who may decide about it, and the card that shows it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from handlers.case import Case, card_of, deciders, entry_about, is_older_version, load_case, may_decide, review_slot
from handlers.judge import ReviewState
from handlers.stack import Stack
from storage.records import Lane, Spending, Verdict, VerdictKind
from tests.fakes import a_stack
from tests.handlers.house import House, words_of
from tests.storage.records import NOON, answer, at, keep, review, run, verdict, work

HOUR = timedelta(hours=1)
ZORGLUB, FANTASIO = "U0ZORGLUB", "U0FANTASIO"


def a_case(*said: Verdict, **more: Any) -> Case:
    """A final that the marsupilami waits for, until an hour after noon."""
    final = answer(stage="final", decision="ready")
    values: dict[str, Any] = {
        "review": review(),
        "answer": final,
        "work": work(),
        "run": run(),
        "superseded": False,
        "spent": 0.0,
    }
    return Case(verdicts=said, **(values | more))


def approval(**more: Any) -> Verdict:
    said: dict[str, Any] = {"evidence": {"message": "1.1", "quorum": 1}}
    return verdict(**(said | more))


# its state


def test_the_state_follows_from_the_verdicts_the_rules_the_clock_and_newer_texts() -> None:
    one, two = a_stack().review, a_stack({"quorum": 2}).review
    unsaid = verdict(evidence={"message": "1.1"})  # it says nothing of a quorum: the rules do
    assert a_case(unsaid).state(one, NOON) is ReviewState.APPROVED
    assert a_case(unsaid).state(two, NOON) is ReviewState.AWAITING
    taken = verdict("reaction/Ev2", kind=VerdictKind.WITHDRAW, evidence={"message": "1.1"}, at=at(1))
    assert a_case(unsaid, taken).state(one, at(2)) is ReviewState.WITHDRAWN
    assert a_case(unsaid, taken).state(two, at(2)) is ReviewState.AWAITING
    assert a_case(unsaid, superseded=True).state(one, NOON) is ReviewState.SUPERSEDED
    assert a_case().state(one, NOON + HOUR) is ReviewState.EXPIRED
    assert a_case().state(one, NOON + HOUR - timedelta(microseconds=1)) is ReviewState.AWAITING
    endless = review(expires_at=None)
    assert a_case(review=endless).state(one, NOON + 1_000 * HOUR) is ReviewState.AWAITING
    assert a_case(unsaid, review=endless).state(one, NOON + 1_000 * HOUR) is ReviewState.APPROVED


def test_it_is_late_from_the_moment_its_time_is_over() -> None:
    assert not a_case().is_late(NOON + HOUR - timedelta(microseconds=1))
    assert a_case().is_late(NOON + HOUR)
    assert not a_case(review=review(expires_at=None)).is_late(NOON + 1_000 * HOUR)


def test_as_it_would_be_after_more_is_said_it_has_both() -> None:
    first, second, third = (verdict(f"reaction/Ev{number}") for number in (1, 2, 3))
    after = a_case(first).with_also(second, third)
    assert list(after.verdicts) == [first, second, third]
    assert (after.review, after.answer, after.work) == (review(), a_case().answer, work())
    assert a_case().reminded(3).review == review(reminded=3)


@pytest.mark.parametrize(
    ("stage", "lane", "older"),
    [("final", Lane.CONTENT, True), ("final", Lane.CODE, False), ("polish", Lane.CONTENT, False)],
)
def test_only_a_text_of_the_same_stage_and_lane_makes_another_one_old(stage: str, lane: Lane, *, older: bool) -> None:
    assert is_older_version(answer(stage="final"), answer("a-newer", stage=stage, lane=lane)) is older


# who may decide

BACKED = {"reviewers": [ZORGLUB, "S0DESK"], "backup_reviewers": ["U0BACKUP", ZORGLUB]}


@pytest.mark.parametrize(
    ("channel", "reminded", "may"),
    [
        ("C0JUNGLE", 0, (ZORGLUB, "S0DESK")),
        ("C0JUNGLE", 1, (ZORGLUB, "S0DESK")),
        ("C0JUNGLE", 2, (ZORGLUB, "S0DESK", "U0BACKUP")),
        ("C0JUNGLE", 3, (ZORGLUB, "S0DESK", "U0BACKUP")),
        ("C0OWN", 0, (FANTASIO,)),
        ("C0OWN", 2, (FANTASIO,)),
        ("C0NOBODY", 2, ()),
    ],
)
def test_a_channels_own_reviewers_decide_or_the_stacks_and_later_its_backup_ones(
    channel: str, reminded: int, may: tuple[str, ...]
) -> None:
    stack = a_stack(BACKED, channels={"C0OWN": {"reviewers": [FANTASIO]}, "C0NOBODY": {"reviewers": []}})
    assert deciders(stack, channel, reminded=reminded) == may
    assert may_decide(a_case(work=work(channel=channel)).reminded(reminded), stack) == may


# the card


def card(case: Case, stack: Stack, state: ReviewState = ReviewState.AWAITING) -> list[str]:
    return words_of(card_of(case, state, stack)).split("\n")


def test_a_waiting_card_says_who_may_decide_exactly_what_and_how() -> None:
    assert card(a_case(spent=0.123), a_stack(BACKED)) == [
        "Waiting for a reviewer · text abababab · thread so far about $0.12",
        (
            f"✅ approves this text, ❌ sends it back; the buttons do the same. Reviewers: @{ZORGLUB}, "
            "members of the user group S0DESK. @U0SPIROU asked for it and cannot approve it."
        ),
    ]
    assert card(a_case().reminded(2), a_stack(BACKED))[1] == (
        f"✅ approves this text, ❌ sends it back; the buttons do the same. Reviewers: @{ZORGLUB}, @U0BACKUP, "
        "members of the user group S0DESK. @U0SPIROU asked for it and cannot approve it."
    )


def test_a_card_follows_the_rules_it_is_shown_under() -> None:
    rules = {"reviewers": [ZORGLUB], "approve": ["+1"], "send_back": ["eyes"], "solo": True, "quorum": 2}
    case = a_case(approval(evidence={"message": "1.1", "quorum": 2}))
    assert card(case, a_stack(rules | {"buttons": False})) == [
        "Waiting for a reviewer · text abababab",
        f"1 of 2 approvals: @{ZORGLUB}",
        (
            f"👍 approves this text, 👀 sends it back. Reviewers: @{ZORGLUB}. 2 of them must agree. "
            "Solo mode: a reviewer may approve what they asked for."
        ),
    ]


def test_without_emoji_a_card_names_none() -> None:
    bare = a_stack()
    bare = bare.model_copy(update={"review": bare.review.model_copy(update={"approve": (), "send_back": ()})})
    assert card(a_case(), bare)[1].startswith(" approves this text,  sends it back; the buttons do the same.")


def test_a_card_without_a_decision_of_the_owner_says_so() -> None:
    undecided = a_case(answer=answer(stage="final", decision="none"))
    assert card(undecided, a_stack())[1] == "The owner gave no decision on this text: look twice."
    assert "look twice" not in "".join(card(a_case(), a_stack()))


def test_a_cards_approvals_and_buttons_are_those_that_count() -> None:
    pressed = approval(via="button", emoji=None, request_key="click/1")
    late = approval(person=FANTASIO, request_key="reaction/late", at=NOON + HOUR)
    body = card_of(a_case(pressed, late), ReviewState.APPROVED, a_stack())
    assert words_of(body) == f"Approved by @{ZORGLUB} · text abababab"
    assert [(button.action, button.value) for button in body.buttons] == [("withdraw", f"a-nest/{'ab' * 32}")]
    waiting = card_of(a_case(), ReviewState.AWAITING, a_stack())
    assert [button.action for button in waiting.buttons] == ["approve", "send_back"]
    assert waiting.buttons[0].confirm is not None
    assert "U0SPIROU" in repr(waiting.buttons[0].confirm)
    assert card_of(a_case(), ReviewState.AWAITING, a_stack({"buttons": False})).buttons == ()
    assert waiting.facts == {"stage": "final", "state": "awaiting", "sha256": "ab" * 32}


# loading, and the ledger


async def test_a_case_is_loaded_with_all_that_belongs_to_it(house: House) -> None:
    final, other = answer(stage="final"), answer("a-draft", "r-draft", stage="draft")
    await keep(house.storage, work(), run(), run("r-draft"), run("r-newer"), final, other, review(), verdict())
    async with house.storage.transaction() as saved:
        for number, spent in enumerate((250_000_000, 500_000_000), 1):
            await saved.spendings.reserve(
                Spending(
                    team="T0ZOO",
                    day="2026-11-03",
                    work_id="w-palombia",
                    run_id="r-hop",
                    epoch=1,
                    attempt=number,
                    stage="final",
                    model="careful",
                    reserved=spent,
                    at=NOON,
                    spent=spent,
                )
            )
    async with house.storage.reading() as saved:
        assert await load_case("a-unknown", saved) is None
        assert await load_case("a-draft", saved) is None, "nobody reviews it"
        case = await load_case("a-nest", saved)
    assert case is not None
    assert (case.answer.id, case.review.answer_id, case.work.id) == ("a-nest", "a-nest", "w-palombia")
    assert case.run.id == "r-hop"
    assert [one.request_key for one in case.verdicts] == ["reaction/Ev1"]
    assert (case.superseded, case.spent) == (False, 0.75)
    await keep(
        house.storage, answer("a-newer", "r-newer", stage="final", number=2), review("a-newer", run_id="r-newer")
    )
    async with house.storage.reading() as saved:
        older, newer = await load_case("a-nest", saved), await load_case("a-newer", saved)
    assert older is not None
    assert newer is not None
    assert (older.superseded, newer.superseded) == (True, False)


async def test_a_review_whose_text_is_not_there_is_no_case(house: House) -> None:
    await keep(house.storage, work(), run(), answer(stage="final"), review())
    async with house.storage.transaction() as saved:
        await saved.connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        await saved.connection.exec_driver_sql("UPDATE answers SET id = 'a-moved'")
        assert await load_case("a-nest", saved) is None
        assert await load_case("a-moved", saved) is None
        await saved.connection.exec_driver_sql("UPDATE answers SET id = 'a-nest'")


def test_an_entry_about_a_case_names_all_it_is_about() -> None:
    case = a_case(review=replace(review(), run_id="r-tail"))
    entry = entry_about(case, ZORGLUB, VerdictKind.APPROVE, at(3), {"tail": 8})
    assert (entry.team, entry.at, entry.who, entry.what) == ("T0ZOO", at(3), ZORGLUB, "approve")
    assert (entry.work_id, entry.run_id, entry.answer_id) == ("w-palombia", "r-tail", "a-nest")
    assert entry.body == {"tail": 8}
    assert review_slot(case) == "w-palombia/r-tail/review"
