"""Every sentence that a reaction may be answered with, word for word, and who reads it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from storage.records import Answer, Kind
from tests.handlers.house import ANN, RAE, SAM, STAN, TAO, House, words_of

CHECK = "white_check_mark"
Scene = Callable[[House, Answer], Awaitable[str]]
"""Sets the scene and tells who reacts to the first text of the thread."""


@pytest.fixture
async def text(house: House) -> Answer:
    return await house.final()


async def who_asked(_: House, __: Answer) -> str:
    return ANN


async def who_asked_alone(house: House, _: Answer) -> str:
    house.rules(reviewers=(ANN,))
    return ANN


async def a_stranger(_: House, __: Answer) -> str:
    return STAN


async def a_stranger_where_groups_review(house: House, _: Answer) -> str:
    house.rules(reviewers=("S0DESK",))
    house.slack.groups["S0DESK"] = frozenset({RAE})
    return STAN


async def a_guest_of_the_group(house: House, _: Answer) -> str:
    house.rules(reviewers=("S0DESK", SAM))
    house.slack.groups["S0DESK"] = frozenset({TAO})
    house.slack.knows(TAO, is_guest=True)
    return TAO


async def a_reviewer_of_what_is_old(house: House, text: Answer) -> str:
    await house.another_final(text)
    return RAE


async def a_reviewer_who_comes_too_late(house: House, _: Answer) -> str:
    house.now.goes_on(hours=24 * 7)
    return RAE


async def a_reviewer_of_an_edited_text(house: House, text: Answer) -> str:
    message = await house.message_of(text)
    house.slack.tampers(message.channel, str(message.ts), edited=True)
    return RAE


async def a_reviewer_of_a_deleted_text(house: House, text: Answer) -> str:
    message = await house.message_of(text)
    house.now.goes_on(seconds=60)
    del house.slack.posted[message.channel, str(message.ts)]
    return RAE


TOLD: list[tuple[Scene, str, str]] = [
    (
        who_asked,
        "own_work",
        f"You asked for this text or had a hand in it, so somebody else approves it: @{RAE} or @{SAM}.",
    ),
    (
        who_asked_alone,
        "own_work",
        "You asked for this text or had a hand in it, so somebody else approves it: another reviewer.",
    ),
    (a_stranger, "not_a_reviewer", f"Only a reviewer's reaction counts here. Ask @{RAE} or @{SAM}."),
    (
        a_stranger_where_groups_review,
        "not_a_reviewer",
        "Only a reviewer's reaction counts here. Ask one of them.",
    ),
    (
        a_guest_of_the_group,
        "outsider",
        f"Guests and people from other organisations count only when the stack names them. Ask @{SAM}.",
    ),
    (
        a_reviewer_of_what_is_old,
        "superseded",
        "There is a newer final in this thread, so this one cannot be approved any more. Look at the newest.",
    ),
    (
        a_reviewer_who_comes_too_late,
        "expired",
        "This review has expired. `@Countersign final` opens a new one.",
    ),
    (
        a_reviewer_of_an_edited_text,
        "differs",
        (
            "Text {text} does not stand in the thread as it was posted, so your approval does not count. "
            "It is posted again as final 2: read and approve that."
        ),
    ),
    (
        a_reviewer_of_a_deleted_text,
        "differs",
        (
            "A part of text {text} is no longer in the thread, so your approval does not count. "
            "It is posted again as final 2: read and approve that."
        ),
    ),
]


@pytest.mark.parametrize(("scene", "reason", "says"), TOLD, ids=[scene.__name__ for scene, _, _ in TOLD])
async def test_whose_reaction_does_not_count_reads_why_once_and_alone(
    house: House, text: Answer, scene: Scene, reason: str, says: str
) -> None:
    who = await scene(house, text)
    for _ in range(3):
        await house.reacts(who, text)
    told, *later = [one for one in await house.said(text.work_id, Kind.NOTICE) if one.person]
    assert [one.slot.rpartition("/")[2] for one in later] == (["superseded"] if reason == "differs" else [])
    assert (told.person, words_of(told)) == (who, says.format(text=text.sha256[:8]))
    assert told.slot == f"{text.work_id}/{text.run_id}/told/{who}/{reason}"
    assert told.body["fallback"] == "About your reaction"
    assert told.answer_id == text.id
    assert await house.verdicts(text) == []


async def leaves(house: House) -> None:
    house.slack.knows(RAE, is_deactivated=True)


async def becomes_a_guest_of_the_group(house: House) -> None:
    house.rules(reviewers=("S0DESK", SAM), quorum=2)
    house.slack.groups["S0DESK"] = frozenset({RAE})
    house.slack.knows(RAE, is_guest=True)


async def is_no_reviewer_any_more(house: House) -> None:
    house.rules(reviewers=(SAM, TAO), quorum=2)


LAPSES = [
    (leaves, "The account is deactivated, or a bot's."),
    (
        becomes_a_guest_of_the_group,
        "Guests and people from other organisations count only when the stack names them.",
    ),
    (is_no_reviewer_any_more, "No longer among the reviewers."),
]


@pytest.mark.parametrize(("happens", "why"), LAPSES, ids=[scene.__name__ for scene, _ in LAPSES])
async def test_an_approval_that_lapsed_is_taken_away_aloud(
    house: House, text: Answer, happens: Callable[[House], Awaitable[None]], why: str
) -> None:
    house.rules(quorum=2)
    await house.reacts(RAE, text)
    await happens(house)
    await house.reacts(SAM, text)
    assert await house.state(text) == "awaiting"
    [aloud] = [one for one in await house.said(text.work_id, Kind.NOTICE) if "/lapsed/" in one.slot]
    assert words_of(aloud) == f"The approval by @{RAE} does not count any more. {why}"
    assert (aloud.person, aloud.answer_id) == (None, text.id)
    assert [(one.person, one.kind, one.via) for one in await house.verdicts(text)] == [
        (RAE, "approve", "reaction"),
        (SAM, "approve", "reaction"),
        (RAE, "withdraw", "lapsed"),
    ]


async def test_whoever_wrote_it_approves_in_solo_mode_only_and_no_longer_once_that_is_over(
    house: House, text: Answer
) -> None:
    house.rules(reviewers=(ANN, RAE), solo=True, quorum=2)
    await house.reacts(ANN, text)
    house.rules(reviewers=(ANN, RAE), solo=False, quorum=2)
    await house.reacts(RAE, text)
    assert await house.state(text) == "awaiting"
    [aloud] = [one for one in await house.said(text.work_id, Kind.NOTICE) if "/lapsed/" in one.slot]
    assert words_of(aloud) == (
        f"The approval by @{ANN} does not count any more. "
        "Whoever asked for a text or had a hand in it approves it in solo mode only."
    )


async def test_who_takes_a_send_back_away_when_no_reviewer_any_more_leaves_no_approval_behind(
    house: House, text: Answer
) -> None:
    house.rules(quorum=2)
    await house.reacts(SAM, text, "x")
    await house.reacts(SAM, text)
    house.rules(reviewers=(RAE, TAO), quorum=2)
    await house.reacts(RAE, text)
    await house.unreacts(SAM, text, "x")
    assert await house.state(text) == "awaiting"
    assert [(one.person, one.kind, one.via) for one in (await house.verdicts(text))[3:]] == [
        (SAM, "withdraw", "reaction"),
        (SAM, "withdraw", "lapsed"),
    ]


async def test_the_entry_of_a_verdict_tells_what_was_seen(house: House, text: Answer) -> None:
    await house.reacts(RAE, text)
    await house.unreacts(RAE, text)
    given, taken = await house.verdicts(text)
    part = await house.message_of(text)
    place = part.ts
    assert given.evidence == {
        "message": place,
        "event": given.request_key,
        "sha256": text.sha256,
        "quorum": 1,
        "named": True,
        "in_group": False,
        "groups": [],
        "guest": False,
        "external": False,
        "looked_up_at": given.at.isoformat(),
        "solo": False,
        "rules": house.stack.digest,
        "made_by": {"model": "careful", "served": "careful-1", "stack": house.stack.digest},
        "parts": [{"ts": place, "sha256": part.digest}],
    }
    assert taken.evidence == {"message": place, "event": taken.request_key}
    assert (await house.outcome(given.request_key), await house.outcome(taken.request_key)) == ("counts", "withdraw")


async def test_what_means_nothing_is_settled_as_that(house: House, text: Answer) -> None:
    await house.reacts(RAE, text, "tada")
    assert await house.outcome("reaction/Ev2") == "not about a review"
    await house.unreacts(RAE, text, CHECK)
    assert await house.outcome("reaction/Ev3") == "nothing to take away"
    assert await house.verdicts(text) == []
