"""The two translations: what is sent, and that an answer is the same however its bytes arrive."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.models.anthropic import AnthropicWire
from bot.models.body import BoundedBody, events
from bot.models.errors import AttemptFailed, OptionalField
from bot.models.openai import OpenAIWire
from bot.models.wire import Wire
from bot.playground import scripted_wires
from bot.playground.scripted import Recorded, Reply
from handlers.ports import ModelAnswer, Prompt, StopReason, Usage
from tests.bot.models.conftest import PROMPT

WIRES: dict[str, Wire] = {"openai": OpenAIWire(), "anthropic": AnthropicWire()}
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=60)


class Arrives(httpx.AsyncByteStream):
    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


async def read(wire: Wire, pieces: Sequence[bytes]) -> ModelAnswer:
    reading = wire.reading()
    body = BoundedBody(httpx.Response(200, stream=Arrives(pieces)), most=1_000_000)
    async for data in events(body):
        if reading.take(data):
            break
    return reading.answer()


def sent(name: str, reply: Reply) -> list[bytes]:
    body = {"stream_options": {"include_usage": True}}
    at = datetime(2026, 11, 22, tzinfo=UTC)
    wire: Any = name
    recorded = Recorded(wire=wire, path="/", model="houba-1", system="s", user="u", headers={}, body=body, at=at)
    return [piece for part in scripted_wires.stream(recorded, reply) for piece in part]


def test_an_openai_request_holds_the_prompt_and_nothing_else() -> None:
    assert OpenAIWire().body("houba-1", PROMPT, frozenset()) == {
        "model": "houba-1",
        "messages": [
            {"role": "system", "content": "Stage: draft\nWrite."},
            {"role": "user", "content": "A note about marsupials"},
        ],
        "max_tokens": 300,
        "temperature": 0.4,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_an_openai_request_can_do_without_what_is_optional() -> None:
    body = OpenAIWire().body("houba-1", PROMPT, frozenset(OptionalField))

    assert body.keys() == {"model", "messages", "stream", "max_completion_tokens"}


def test_an_anthropic_request_holds_the_prompt_and_nothing_else() -> None:
    assert AnthropicWire().body("houba-1", PROMPT, frozenset()) == {
        "model": "houba-1",
        "system": "Stage: draft\nWrite.",
        "messages": [{"role": "user", "content": "A note about marsupials"}],
        "max_tokens": 300,
        "temperature": 0.4,
        "stream": True,
    }


def test_no_temperature_is_invented_and_none_is_hotter_than_the_wire_knows() -> None:
    cool = Prompt(system="s", user="u", max_output_tokens=9)
    hot = Prompt(system="s", user="u", max_output_tokens=9, temperature=1.7)

    assert "temperature" not in OpenAIWire().body("m", cool, frozenset())
    assert "temperature" not in AnthropicWire().body("m", cool, frozenset())
    assert AnthropicWire().body("m", hot, frozenset())["temperature"] == 1.0


@pytest.mark.parametrize("name", WIRES)
@given(text=WORDS.filter(str.strip), data=st.data())
@settings(max_examples=60, deadline=None)
async def test_chunk_borders_change_nothing(name: str, text: str, data: st.DataObject) -> None:
    stream = b"".join(sent(name, Reply(text=text, usage=Usage(input_tokens=7, output_tokens=9))))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=30)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    answer = await read(WIRES[name], pieces)

    assert answer == ModelAnswer(
        text=text,
        stop=StopReason.FINISHED,
        served_id="houba-1",
        usage=Usage(input_tokens=7, output_tokens=9),
    )


@pytest.mark.parametrize("name", WIRES)
@given(part=st.floats(0, 1))
@settings(max_examples=80, deadline=None)
async def test_a_stream_without_its_stop_reason_is_never_an_answer(name: str, part: float) -> None:
    before, text, stop, _ = _parts(name)
    unfinished = b"".join(before + text + stop)[:-1]

    with pytest.raises(AttemptFailed) as failed:
        await read(WIRES[name], [unfinished[: int(part * len(unfinished))]])

    assert failed.value.retryable


def _parts(name: str) -> tuple[list[bytes], list[bytes], list[bytes], list[bytes]]:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    wire: Any = name
    recorded = Recorded(wire=wire, path="/", model="houba-1", system="s", user="u", headers={}, body={}, at=at)
    return scripted_wires.stream(recorded, Reply(text="Houba, said the marsupilami, … and jumped."))


@pytest.mark.parametrize("name", WIRES)
@given(noise=st.lists(st.binary(max_size=60), max_size=6))
@settings(max_examples=150, deadline=None)
async def test_noise_is_a_failure_and_never_a_surprise(name: str, noise: list[bytes]) -> None:
    with pytest.raises(AttemptFailed):
        await read(WIRES[name], [b"data: " + piece + b"\n\n" for piece in noise])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "delta",
                    "content",
                    "message",
                    "type",
                    "usage",
                    "index",
                    "model",
                    "error",
                    "text",
                    "stop_reason",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", WIRES)
@given(body=JSON)
@settings(max_examples=200, deadline=None)
async def test_json_of_any_shape_is_an_answer_or_a_failure(name: str, body: Any) -> None:
    for whole in (True, False):
        try:
            if whole:
                WIRES[name].read_json(json.dumps(body).encode())
            else:
                await read(WIRES[name], [b"data: " + json.dumps(body).encode() + b"\n\n"])
        except AttemptFailed:
            pass


def test_parts_of_text_are_joined_and_parts_of_thinking_are_not() -> None:
    parts = [{"type": "thinking", "text": "Hmm"}, {"type": "text", "text": "Hou"}, {"type": "text", "text": "ba"}]
    body = {"choices": [{"message": {"content": parts}, "finish_reason": "stop"}]}

    assert OpenAIWire().read_json(json.dumps(body).encode()).text == "Houba"


def test_only_the_choice_that_was_asked_for_counts() -> None:
    choices = [
        {"index": 1, "message": {"content": "no"}, "finish_reason": "length"},
        {"index": 0, "message": {"content": "yes"}, "finish_reason": "stop"},
    ]

    answer = OpenAIWire().read_json(json.dumps({"choices": choices}).encode())

    assert (answer.text, answer.stop) == ("yes", StopReason.FINISHED)


def test_cached_input_counts_as_input() -> None:
    usage = {"input_tokens": 5, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 7, "output_tokens": 3}
    body = {"content": [{"type": "text", "text": "Houba"}], "stop_reason": "end_turn", "usage": usage}

    answer = AnthropicWire().read_json(json.dumps(body).encode())

    assert answer.usage == Usage(input_tokens=102, output_tokens=3)


@pytest.mark.parametrize("name", WIRES)
async def test_a_byte_order_mark_costs_no_word(name: str) -> None:
    _, text, stop, end = _parts(name)

    answer = await read(WIRES[name], [b"\xef\xbb", b"\xbf", *text, *stop, *end])

    assert answer.text == "Houba, said the marsupilami, … and jumped."


@pytest.mark.parametrize("name", WIRES)
async def test_words_after_the_stop_reason_make_the_answer_doubtful(name: str) -> None:
    before, text, stop, end = _parts(name)

    with pytest.raises(AttemptFailed, match="went on writing"):
        await read(WIRES[name], [*before, *text, *stop, *text, *end])


@pytest.mark.parametrize("name", WIRES)
async def test_an_error_of_the_request_in_the_middle_of_a_stream_is_not_tried_again(name: str) -> None:
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "no such houba"}}

    with pytest.raises(AttemptFailed) as failed:
        await read(WIRES[name], [b"event: error\ndata: " + json.dumps(error).encode() + b"\n\n"])

    assert (failed.value.code, failed.value.retryable, failed.value.said) == ("provider_error", False, "no such houba")


async def test_a_served_id_is_fit_to_be_shown() -> None:
    reply = Reply(text="Houba", served_id="houba\u202e\n\x1b[31m-" + "9" * 900)

    answer = await read(OpenAIWire(), sent("openai", reply))

    assert answer.served_id is not None
    assert answer.served_id.isprintable()
    assert len(answer.served_id) <= 200
