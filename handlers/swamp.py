"""When a thread has become so long that starting fresh serves the next run better (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.context import estimate_tokens
from handlers.figures import count, tokens
from storage.records import Answer, Run

MOST_ANSWERS = 12
"""Two rounds through all six stages. Whoever reads on by then searches: which text holds, which findings are stale?"""
MOST_TOKENS = 30_000
"""Some 50 pages of texts, remarks and notes: a quarter of the room of today's large models, and nearly all of a small
one's, although a run sees only the part of it that its stage reads."""


def is_swampy(answers: Sequence[Answer], runs: Sequence[Run]) -> bool:
    """Whether a thread holds more than anybody keeps in view: by its answers, or by all the words in it."""
    made = [answer for answer in answers if answer.run_id]
    return len(made) >= MOST_ANSWERS or _tokens(answers, runs) >= MOST_TOKENS


def becomes_swampy(run: Run, answers: Sequence[Answer], runs: Sequence[Run], new: Answer) -> bool:
    """Whether a run's new answer is the one with which its thread crosses the line; true once in a thread's life."""
    before = [earlier for earlier in runs if earlier.seq < run.seq]
    return not is_swampy(answers, before) and is_swampy([*answers, new], [*before, run])


def in_words(answers: Sequence[Answer], runs: Sequence[Run], new: Answer) -> str:
    """How much a thread holds by now: "12 answers, about 9,100 tokens"."""
    everything = [*answers, new]
    made = sum(answer.run_id is not None for answer in everything)
    return f"{count(made, 'answer')}, {tokens(_tokens(everything, runs), estimated=True)}"


def _tokens(answers: Sequence[Answer], runs: Sequence[Run]) -> int:
    said = [text for answer in answers for text in (answer.text, answer.notes)]
    return estimate_tokens("\n".join([*said, *(run.note for run in runs)]))
