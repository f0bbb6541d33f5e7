"""When a thread has become long: said once, on the card of the run that made it so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handlers.context import estimate_tokens
from handlers.swamp import MOST_ANSWERS, MOST_TOKENS, becomes_swampy, in_words, is_swampy
from handlers.words import Body
from storage.records import Answer, Run
from tests.handlers.house import House
from tests.handlers.test_material import run, thread
from tests.handlers.test_second_opinion import BRIEF, made

LONG = "houba" * (MOST_TOKENS // estimate_tokens("houba" * 2) * 2 + 2)
assert MOST_TOKENS <= estimate_tokens(LONG) < 1.01 * MOST_TOKENS


def answers(count: int, *, text: str = "short", notes: str = "") -> list[Answer]:
    return [replace(one, text=text, notes=notes) for one in thread(*["draft"] * count)]


def note(words: str, seq: int = 1) -> Run:
    return replace(run("draft", note=words), seq=seq)


@pytest.mark.parametrize(
    ("there", "runs", "swampy"),
    [
        ([], [], False),
        (answers(MOST_ANSWERS - 1), [], False),
        (answers(MOST_ANSWERS), [], True),
        ([replace(one, run_id=None) for one in answers(MOST_ANSWERS)], [], False),  # what nobody had to be asked for
        (answers(1, text=LONG), [], True),
        (answers(1, notes=LONG), [], True),
        (answers(1), [note(LONG)], True),
        (answers(2, text=LONG[: len(LONG) // 3]), [], False),
        (answers(2, text=LONG[: len(LONG) // 3]), [note(LONG[: len(LONG) // 2])], True),
    ],
)
def test_a_thread_is_swampy_by_its_answers_or_by_its_words(
    there: list[Answer], runs: list[Run], *, swampy: bool
) -> None:
    assert is_swampy(there, runs) is swampy


@pytest.mark.parametrize(
    "words",
    [["short"] * 20, [LONG[: len(LONG) // 3]] * 9, [LONG, "short", "short"]],
    ids=["many", "wordy", "at once"],
)
def test_exactly_one_answer_crosses_the_line(words: list[str]) -> None:
    there = [replace(one, text=text) for one, text in zip(answers(len(words)), words, strict=True)]
    runs = [note("", seq) for seq in range(1, len(words) + 1)]
    crossing = [becomes_swampy(runs[at], there[:at], runs, there[at]) for at in range(len(words))]
    assert crossing.count(True) == 1
    at = crossing.index(True)
    assert is_swampy(there[: at + 1], runs)
    assert not is_swampy(there[:at], runs)


def test_a_long_note_crosses_the_line_with_the_answer_of_its_own_run() -> None:
    runs = [note(LONG, 1), note("", 2)]
    first, second = answers(2)
    assert becomes_swampy(runs[0], [], runs, first)
    assert not becomes_swampy(runs[1], [first], runs, second)


def test_a_note_that_waits_in_line_counts_with_its_own_run() -> None:
    runs = [note("", 1), note(LONG, 2)]
    first, second = answers(2)
    assert not becomes_swampy(runs[0], [], runs, first)
    assert becomes_swampy(runs[1], [first], runs, second)


def test_how_much_it_is_is_said_in_numbers() -> None:
    assert in_words(answers(11), [], answers(1)[0]) == "12 answers, about 25 tokens"


async def test_it_is_said_on_one_card_alone_with_a_button(house: House) -> None:
    first = await made(house, "draft", BRIEF)
    work = await house.work(first.work_id)
    for _ in range(MOST_ANSWERS + 1):
        await house.asks("draft", work=work)
    await house.runs_all()
    runs = await house.runs(work.id)
    cards = [await house.card_of(one) for one in runs]
    told = [at for at, card in enumerate(cards, 1) if "This thread has become long (12 answers, about " in card]
    assert told == [MOST_ANSWERS]
    assert cards[MOST_ANSWERS - 1].endswith("`@Countersign fresh` goes on in a new one, with the brief and a text.")
    async with house.storage.reading() as saved:
        found = [await saved.outbox.get(f"{work.id}/{one.id}/card") for one in runs]
    buttons = [[button.action for button in Body.from_json(card.body).buttons] for card in found if card]
    assert buttons == [["fresh"] if at == MOST_ANSWERS else [] for at in range(1, len(runs) + 1)]
