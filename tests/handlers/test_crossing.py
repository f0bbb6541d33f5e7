"""Content and code read nothing of each other until somebody presses a button, and then exactly that text."""

from __future__ import annotations

from typing import Any

import pytest

from handlers.context import digest
from handlers.crossing import description
from handlers.errors import Refusal
from handlers.incoming import Entrance, Request, Verb
from handlers.words import Body
from storage.records import Answer, Kind, Lane, Run, Work
from tests.handlers.house import ANN, RAE, READY, SAM, STAN, TAO, House, words_of
from tests.handlers.test_second_opinion import BRIEF, made

PATCH = """\
## Plan
1. Open the planwords gate.

## Patch
```diff
--- a/cage.py
+++ b/cage.py
+codecanary = True
```

## Tests
None testwords.
"""
WORDS = "## Plan\n1. Open the planwords gate.\n\n## Tests\nNone testwords."


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        (PATCH, WORDS),
        ("~~~\ncode\n~~~\nAfter.", "After."),
        ("Before.\n````diff\n```\ncode\n```\n````\nAfter.", "Before.\n\nAfter."),
        ("Before.\n```diff\ncode that never ends", "Before."),
        ("## Patch\n```diff\ncode\n```", ""),
        ("Only words, `inline code` too.", "Only words, `inline code` too."),
        ("", ""),
    ],
)
def test_a_description_is_what_a_patch_says_beside_its_code(patch: str, words: str) -> None:
    assert description(patch) == words


def press(house: House, patch: Answer, *, by: str = ANN) -> Request:
    return house.request(None, verb=Verb.TO_CONTENT, entrance=Entrance.BUTTON, target_id=patch.id, person=by)


async def prompt_of(house: House, stage: str, work: Work, **more: str | Entrance) -> str:
    await house.asks(stage, work=work, **more)
    await house.runs_all()
    return house.models.asked[-1][1].user


@pytest.fixture
async def both(house: House) -> tuple[Work, Answer, Answer]:
    """A thread with a text and a patch that know nothing of each other."""
    house.models.scripts = {"quick": ["textcanary", PATCH, "more"], "careful": [READY]}
    text = await made(house, "draft", BRIEF)
    work = await house.work(text.work_id)
    patch = await made(house, "implement", work=work, person=SAM)
    return work, text, patch


async def test_nothing_crosses_by_being_the_newest(house: House, both: tuple[Work, Answer, Answer]) -> None:
    work, _, patch = both
    assert "textcanary" not in house.models.asked[-1][1].user
    for stage in ("critique", "polish", "final", "implement"):
        assert "textcanary" not in await prompt_of(house, stage, work, target_id=patch.id, entrance=Entrance.BUTTON)
    await made(house, "draft", work=work)
    for stage in ("critique", "polish", "final"):
        seen = await prompt_of(house, stage, work)
        assert not any(words in seen for words in ("planwords", "testwords", "codecanary"))


async def test_to_code_hands_over_exactly_the_text_under_which_it_was_pressed(
    house: House, both: tuple[Work, Answer, Answer]
) -> None:
    work, text, _ = both
    await made(house, "draft", work=work)  # a newer text, which nobody pointed at
    await house.takes(house.request("implement", entrance=Entrance.BUTTON, target_id=text.id, thread_ts=work.thread_ts))
    await house.runs_all()
    assert "textcanary" in (seen := house.models.asked[-1][1].user)
    assert "more" not in seen
    *_, patch = await house.answers(work.id)
    assert (patch.lane, patch.about_id) == (Lane.CODE, text.id)


async def test_to_content_hands_over_the_words_of_the_patch_and_no_code(
    house: House, both: tuple[Work, Answer, Answer]
) -> None:
    work, _, patch = both
    await house.takes(press(house, patch, by=STAN))
    await house.posts()
    *_, words = await house.answers(work.id)
    assert (words.text, words.sha256, words.lane, words.about_id) == (WORDS, digest(WORDS), Lane.CONTENT, patch.id)
    notice, part = (await house.said(work.id))[-2:]
    assert (notice.kind, part.kind) == (Kind.NOTICE, Kind.ANSWER)
    assert words_of(notice) == f"@{STAN} handed the words of patch 1 over to the content lane, without its code:"
    assert [button.action for button in Body.from_json(part.body).buttons] == ["critique", "revise", "final", "to_code"]
    for stage in ("critique", "polish", "final"):
        seen = await prompt_of(house, stage, work, target_id=words.id, entrance=Entrance.BUTTON)
        assert "planwords" in seen
        assert "codecanary" not in seen
    assert [entry.what for entry in await house.ledger()].count("to_content") == 1


async def test_whoever_had_a_hand_in_the_patch_has_one_in_its_words(
    house: House, both: tuple[Work, Answer, Answer]
) -> None:
    house.rules(reviewers=(RAE, SAM, TAO))
    work, *_ = both
    patch = await made(house, "implement", "mind the hinges", work=work, person=SAM)
    await house.takes(press(house, patch, by=STAN))
    *_, words = await house.answers(work.id)
    final = await made(house, "final", work=work, target_id=words.id, entrance=Entrance.BUTTON, person=TAO)
    for who in (SAM, TAO):
        await house.reacts(who, final)
    assert await house.state(final) == "awaiting"
    await house.reacts(RAE, final)
    assert await house.state(final) == "approved"


async def test_it_is_done_once_and_for_patches_that_say_something(
    house: House, both: tuple[Work, Answer, Answer]
) -> None:
    work, text, patch = both
    await house.takes(press(house, patch))
    with pytest.raises(Refusal, match="The words of patch 1 are in the content lane already"):
        await house.takes(press(house, patch))
    with pytest.raises(Refusal, match="Only the words of a patch can be handed over"):
        await house.takes(press(house, text))
    house.models.scripts["quick"] = ["```diff\n+code\n```"]
    bare = await made(house, "implement", work=work)
    with pytest.raises(Refusal, match="patch 2 says nothing beside its code"):
        await house.takes(press(house, bare))


async def test_again_stays_in_the_lane_it_was_asked_in(house: House, both: tuple[Work, Answer, Answer]) -> None:
    work, text, _ = both
    asked: Run = await house.asks("critique", work=work, target_id=text.id, entrance=Entrance.BUTTON)
    assert asked.lane is Lane.CONTENT
    command = house.request("final", "x", thread_ts=work.thread_ts)  # a command with a link to the thread
    await house.takes(command)
    await house.takes(house.request(None, verb=Verb.AGAIN, entrance=Entrance.MENTION, thread_ts=work.thread_ts))
    *_, first, again = await house.runs(work.id)
    assert (first.stage, first.lane) == (again.stage, again.lane) == ("final", Lane.CONTENT)


async def test_again_with_a_link_belongs_where_the_link_leads(house: House, both: tuple[Work, Answer, Answer]) -> None:
    work, text, patch = both
    await house.asks("critique", work=work, target_id=text.id, entrance=Entrance.BUTTON)
    asked: dict[str, Any] = {"verb": Verb.AGAIN, "entrance": Entrance.MENTION, "thread_ts": work.thread_ts}
    await house.takes(house.request(None, target_ts=(await house.message_of(patch)).ts, **asked))
    *_, run = await house.runs(work.id)
    assert (run.lane, run.target_id) == (Lane.CODE, patch.id)


async def test_a_draft_from_the_brief_is_content_wherever_it_is_asked(
    house: House, both: tuple[Work, Answer, Answer]
) -> None:
    work, *_ = both
    assert (await house.asks("draft", work=work)).lane is Lane.CONTENT
    assert (await house.asks("draft", work=work, revises=True)).lane is Lane.CODE
