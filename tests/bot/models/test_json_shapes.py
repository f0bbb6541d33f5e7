"""A provider's JSON: characters cut in half survive as U+FFFD, nothing else is forgiven."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from bot.models.errors import AttemptFailed
from bot.models.json_shapes import parse


class _Said(BaseModel):
    text: str


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (r'{"text": "plain"}', "plain"),
        (r'{"text": "\ud83d\ude00"}', "😀"),
        (r'{"text": "half \ud83d"}', "half \ufffd"),
        (r'{"text": "\ude00 half"}', "\ufffd half"),
        (r'{"text": "\ude00\ud83d"}', "\ufffd\ufffd"),
        (r'{"text": "\ud83d\ud83d\ude00"}', "\ufffd😀"),
        (r'{"text": "C:\\ud83d, \ud83d"}', r"C:\ud83d, " + "\ufffd"),
        (b'{"text": "bytes \\uD83D"}', "bytes \ufffd"),
    ],
)
def test_half_a_character_is_not_the_end_of_an_answer(told: str | bytes, text: str) -> None:
    assert parse(_Said, told).text == text


@pytest.mark.parametrize("told", ["", "[]", '{"text": 1}', '{"text": "\\ud83d"', "\\ud83d", b"\xff\\ud83d"])
def test_what_is_no_json_of_its_shape_is_malformed(told: str | bytes) -> None:
    with pytest.raises(AttemptFailed):
        parse(_Said, told)
