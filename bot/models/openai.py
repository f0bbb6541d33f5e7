"""The chat-completions wire: what OpenAI, most gateways, vLLM, Ollama and llama.cpp's server speak."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.models.errors import OptionalField
from bot.models.json_shapes import parse
from bot.models.provider_errors import error_instead, error_of
from bot.models.wire import (
    Words,
    called_a_tool,
    checked,
    incomplete,
    malformed,
    served,
    tokens,
    unknown_stop,
)
from handlers.ports import ModelAnswer, Prompt, StopReason, Usage

# Beside the wire's own words, those that gateways in front of other models let through.
_STOPS = {
    "stop": StopReason.FINISHED,
    "eos": StopReason.FINISHED,
    "end_turn": StopReason.FINISHED,
    "stop_sequence": StopReason.FINISHED,
    "length": StopReason.LENGTH,
    "max_tokens": StopReason.LENGTH,
    "content_filter": StopReason.CONTENT_FILTER,
    "safety": StopReason.CONTENT_FILTER,
    "refusal": StopReason.REFUSAL,
}
_TOOLS = {"tool_calls", "function_call", "tool_use"}


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Part(_Lenient):
    type: str = "text"
    text: str | None = None


class _Message(_Lenient):
    """A delta or a whole message; `reasoning` and `reasoning_content` are left unread on purpose."""

    content: str | list[_Part] | None = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None
    function_call: Any = None

    @property
    def words(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text or "" for part in self.content if part.type == "text")
        return self.content or ""


class _Choice(_Lenient):
    index: int = 0
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: str | None = None


class _Used(_Lenient):
    prompt_tokens: Any = None
    completion_tokens: Any = None


class _Chunk(_Lenient):
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: _Used | None = None
    error: Any = None


class OpenAIReading:
    """An answer in the making: text, refusal, stop reason, usage."""

    def __init__(self) -> None:
        self._text = Words()
        self._refusal = Words()
        self._stop: str | None = None
        self._served: str | None = None
        self._usage = Usage()

    @property
    def has_text(self) -> bool:
        return bool(self._text) or bool(self._refusal)

    @property
    def is_whole(self) -> bool:
        return self._stop is not None

    def take(self, data: str) -> bool:
        if data.strip() == "[DONE]":
            return True
        self.take_chunk(parse(_Chunk, data))
        return False

    def take_chunk(self, chunk: _Chunk) -> None:
        if chunk.error:
            raise error_instead(error_of(chunk.error))
        self._served = self._served or served(chunk.model)
        if chunk.usage is not None:
            used = chunk.usage
            self._usage = Usage(input_tokens=tokens(used.prompt_tokens), output_tokens=tokens(used.completion_tokens))
        for choice in chunk.choices or ():
            if choice.index == 0:  # one was asked for
                self._take_choice(choice)

    def answer(self) -> ModelAnswer:
        if self._stop is None:
            raise incomplete(begun=self.has_text)
        stop = StopReason.REFUSAL if self._refusal else _STOPS.get(self._stop)
        if stop is None:
            raise unknown_stop(self._stop)
        text = "".join((str(self._text), str(self._refusal)))
        return checked(text, stop, served_id=self._served, usage=self._usage)

    def _take_choice(self, choice: _Choice) -> None:
        message = choice.delta or choice.message or _Message()
        reason = choice.finish_reason.lower() if choice.finish_reason else None
        if message.tool_calls or message.function_call or reason in _TOOLS:
            raise called_a_tool()
        if message.words and self._stop is not None:
            raise malformed("went on writing after it had said that it stopped")
        self._text.add(message.words)
        self._refusal.add(message.refusal or "")
        self._stop = self._stop or reason


class OpenAIWire:
    """Requests and answers of `POST {base_url}/chat/completions`."""

    path = "/chat/completions"

    def headers(self) -> dict[str, str]:
        return {}

    def key_header(self, key: str) -> tuple[str, str]:
        return "Authorization", f"Bearer {key}"

    def body(self, model_id: str, prompt: Prompt, without: frozenset[OptionalField]) -> dict[str, Any]:
        limit = "max_completion_tokens" if OptionalField.MAX_TOKENS in without else "max_tokens"
        messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]
        body: dict[str, Any] = {
            "model": model_id,
            "messages": messages,
            "stream": True,
            limit: prompt.max_output_tokens,
        }
        if OptionalField.STREAM_OPTIONS not in without:
            body["stream_options"] = {"include_usage": True}
        if prompt.temperature is not None and OptionalField.TEMPERATURE not in without:
            body["temperature"] = prompt.temperature
        return body

    def reading(self) -> OpenAIReading:
        return OpenAIReading()

    def read_json(self, body: bytes) -> ModelAnswer:
        """The answer of a server that does not stream."""
        reading = OpenAIReading()
        reading.take_chunk(parse(_Chunk, body))
        return reading.answer()
