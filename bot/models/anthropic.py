"""The messages wire: what Anthropic and the gateways that imitate it speak."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from bot.models.errors import OptionalField
from bot.models.json_shapes import parse
from bot.models.provider_errors import error_instead, error_of
from bot.models.wire import Words, called_a_tool, checked, incomplete, malformed, served, tokens, unknown_stop
from handlers.ports import ModelAnswer, Prompt, StopReason, Usage

T = TypeVar("T", bound=BaseModel)
_VERSION = "2023-06-01"
_HOTTEST = 1.0  # this wire's temperature ends where OpenAI's is half-way
_STOPS = {
    "end_turn": StopReason.FINISHED,
    "stop_sequence": StopReason.FINISHED,
    "max_tokens": StopReason.LENGTH,
    "model_context_window_exceeded": StopReason.LENGTH,
    "refusal": StopReason.REFUSAL,
}
_TOOLS = {"tool_use", "pause_turn"}


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Used(_Lenient):
    input_tokens: Any = None
    output_tokens: Any = None
    cache_creation_input_tokens: Any = None
    cache_read_input_tokens: Any = None

    @property
    def taken_in(self) -> int | None:
        """All input, cached or not; unknown when the main count is."""
        plain = tokens(self.input_tokens)
        cached = (tokens(self.cache_creation_input_tokens) or 0) + (tokens(self.cache_read_input_tokens) or 0)
        return None if plain is None else plain + cached


class _Block(_Lenient):
    """A content block or a change of one; thinking and its signatures are left unread on purpose."""

    type: str | None = None
    text: str | None = None
    stop_reason: str | None = None


class _Message(_Lenient):
    model: str | None = None
    content: list[_Block] = Field(default_factory=list)
    stop_reason: str | None = None
    usage: _Used | None = None
    type: str | None = None
    error: Any = None


class _Event(_Lenient):
    type: str = ""
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Block | None = None
    usage: _Used | None = None
    error: Any = None


class AnthropicReading:
    """An answer in the making: text blocks in order, stop reason, usage."""

    def __init__(self) -> None:
        self._text = Words()
        self._stop: str | None = None
        self._served: str | None = None
        self._input: int | None = None
        self._output: int | None = None
        self._ended = False

    @property
    def has_text(self) -> bool:
        return bool(self._text)

    @property
    def is_whole(self) -> bool:
        return self._ended and self._stop is not None

    def take(self, data: str) -> bool:
        event = parse(_Event, data)
        if event.error:
            raise error_instead(error_of(event.error))
        match event.type:
            case "message_start" if event.message is not None:
                self._served = self._served or served(event.message.model)
                self._count(event.message.usage, final=False)
            case "content_block_start" if event.content_block is not None:
                self._add(event.content_block, kind="text")
            case "content_block_delta" if event.delta is not None:
                self._add(event.delta, kind="text_delta")
            case "message_delta":
                self._stop = self._stop or (event.delta.stop_reason if event.delta else None)
                self._count(event.usage, final=True)
            case "message_stop":
                self._ended = True
            case "error":
                raise error_instead(error_of(event.error))
            case _:
                pass  # ping, content_block_stop, and what may be invented later
        return self._ended

    def take_message(self, message: _Message) -> None:
        """A whole message at once, from a server that does not stream."""
        if message.error:
            raise error_instead(error_of(message.error))
        self._served = served(message.model)
        self._count(message.usage, final=True)
        for block in message.content:
            self._add(block, kind="text")
        self._stop = message.stop_reason
        self._ended = True

    def answer(self) -> ModelAnswer:
        if self._stop in _TOOLS:
            raise called_a_tool()
        if self._stop is None or not self._ended:
            raise incomplete(begun=self.has_text)
        stop = _STOPS.get(self._stop)
        if stop is None:
            raise unknown_stop(self._stop)
        usage = Usage(input_tokens=self._input, output_tokens=self._output)
        return checked(str(self._text), stop, served_id=self._served, usage=usage)

    def _add(self, block: _Block, *, kind: str) -> None:
        if block.type == "tool_use":
            raise called_a_tool()
        if block.type == kind and block.text:
            if self._stop is not None:
                raise malformed("went on writing after it had said that it stopped")
            self._text.add(block.text)

    def _count(self, used: _Used | None, *, final: bool) -> None:
        if used is None:
            return
        self._input = used.taken_in if used.taken_in is not None else self._input
        if final:  # the count in message_start is of the answer's first token only
            self._output = tokens(used.output_tokens)


class AnthropicWire:
    """Requests and answers of `POST {base_url}/v1/messages`."""

    path = "/v1/messages"

    def headers(self) -> dict[str, str]:
        return {"anthropic-version": _VERSION}

    def key_header(self, key: str) -> tuple[str, str]:
        return "x-api-key", key

    def body(self, model_id: str, prompt: Prompt, without: frozenset[OptionalField]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": model_id,
            "system": prompt.system,
            "messages": [{"role": "user", "content": prompt.user}],
            "max_tokens": prompt.max_output_tokens,
            "stream": True,
        }
        if prompt.temperature is not None and OptionalField.TEMPERATURE not in without:
            body["temperature"] = min(prompt.temperature, _HOTTEST)
        return body

    def reading(self) -> AnthropicReading:
        return AnthropicReading()

    def read_json(self, body: bytes) -> ModelAnswer:
        """The answer of a server that does not stream."""
        reading = AnthropicReading()
        reading.take_message(parse(_Message, body))
        return reading.answer()
