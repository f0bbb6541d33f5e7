"""What became of a text since the version before it."""

from __future__ import annotations

import pytest

from handlers.changes import changes

OLD = "Spip jumps. He likes nuts.\n\n- Nuts are round\n- Trees are tall"


def test_each_passage_that_left_or_came_is_shown() -> None:
    new = "Spip jumps. He loves nuts!\n\n- Nuts are round\n- Trees are tall\n- Rivers are wet"
    assert changes(OLD, new) == (
        "1 passage taken out, 2 passages put in:\n\n```\n- He likes nuts.\n+ He loves nuts!\n…\n+ - Rivers are wet\n```"
    )


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (OLD, "The text is the same, sign for sign."),
        (OLD.replace("\n\n", "\n").replace(" He", "   He"), "The words are the same."),
        ("word\n" * 2_001, "Too long to be compared here."),
    ],
)
def test_what_is_no_difference_to_be_shown_is_said(new: str, said: str) -> None:
    assert changes(OLD, new) == said


def test_no_text_gets_out_of_its_fence() -> None:
    said = changes("a", "```\n<@U0RAE> ````` b\n```")
    head, fence, *lines = said.split("\n")[1:]
    assert (head, fence) == ("", "``````")
    assert [line for line in lines if line.startswith(fence)] == [fence]
    assert lines[-1] == fence


def test_much_is_cut_and_the_cut_is_said() -> None:
    said = changes("", "\n".join(f"{number} " + "x" * 500 for number in range(200)))
    assert said.startswith("200 passages put in; the first 80 lines of them:\n\n```\n+ 0 x")
    assert len(said.splitlines()) == 80 + 4
    assert max(map(len, said.splitlines())) == 2 + 400


def test_many_passages_that_are_alike_are_compared_in_a_moment() -> None:
    assert changes("yes\nno\n" * 900, "no\nyes\n" * 900).endswith("```")
