"""What a well-behaved endpoint sends on each of the two wires: events of a stream, or one JSON object."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from bot.playground.scripted_reply import ODD_USAGE, Recorded, Reply, WireName
from handlers.ports import StopReason, Usage

_STOPS: dict[WireName, dict[StopReason, str]] = {
    "openai": {
        StopReason.FINISHED: "stop",
        StopReason.LENGTH: "length",
        StopReason.REFUSAL: "stop",
        StopReason.CONTENT_FILTER: "content_filter",
    },
    "anthropic": {
        StopReason.FINISHED: "end_turn",
        StopReason.LENGTH: "max_tokens",
        StopReason.REFUSAL: "refusal",
        StopReason.CONTENT_FILTER: "refusal",  # this wire has no word of its own for it
    },
}


def chunks(text: str) -> list[str]:
    """The text in pieces of about three words, as a model's tokens arrive."""
    return re.findall(r"(?:\S+\s*){1,3}|\s+", text)


def event(data: Any, *, name: str | None = None) -> bytes:
    """One server-sent event; non-ASCII letters travel as UTF-8, so that they can be cut in two."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def delta(wire: WireName, text: str, *, model: str = "") -> bytes:
    """One event that adds text to the answer."""
    if wire == "openai":
        return _openai_chunk(model, {"content": text})
    body = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    return event(body, name="content_block_delta")


def stream(recorded: Recorded, reply: Reply) -> tuple[list[bytes], list[bytes], list[bytes], list[bytes]]:
    """The events before the text, of the text, of the stop reason, and of the end."""
    return _openai_stream(recorded, reply) if recorded.wire == "openai" else _anthropic_stream(recorded, reply)


def plain(recorded: Recorded, reply: Reply) -> dict[str, Any]:
    """The answer of an endpoint that does not stream."""
    model = reply.served_id or recorded.model
    used = tokens(recorded, reply)
    stop = _STOPS[recorded.wire][reply.stop]
    if recorded.wire == "openai":
        refused = reply.stop is StopReason.REFUSAL
        message = {"role": "assistant", "content": None if refused else reply.text}
        if refused:
            message["refusal"] = reply.text
        choice = {"index": 0, "message": message, "finish_reason": stop}
        usage = {"prompt_tokens": used[0], "completion_tokens": used[1]}
        return {"id": "chatcmpl-1", "object": "chat.completion", "model": model, "choices": [choice], "usage": usage}
    usage = {"input_tokens": used[0], "output_tokens": used[1]}
    content = [{"type": "text", "text": reply.text}]
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": model}
    return {**head, "content": content, "stop_reason": stop, "usage": usage}


def error(wire: WireName, kind: str, words: str) -> dict[str, Any]:
    """An error as each wire writes it."""
    if wire == "openai":
        return {"error": {"message": words, "type": kind, "param": None, "code": None}}
    return {"type": "error", "error": {"type": kind, "message": words}}


def tokens(recorded: Recorded, reply: Reply) -> tuple[Any, Any]:
    """What is said about tokens in and out."""
    if reply.raw_usage is not None:
        return ODD_USAGE[reply.raw_usage], ODD_USAGE[reply.raw_usage]
    usage = reply.usage or Usage(
        input_tokens=len(f"{recorded.system} {recorded.user}".split()), output_tokens=len(reply.text.split())
    )
    return usage.input_tokens, usage.output_tokens


def _openai_chunk(model: str, change: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": change, "finish_reason": finish}
    return event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": model, "choices": [choice]})


def _openai_stream(recorded: Recorded, reply: Reply) -> tuple[list[bytes], list[bytes], list[bytes], list[bytes]]:
    model = reply.served_id or recorded.model
    field = "refusal" if reply.stop is StopReason.REFUSAL else "content"
    before = [_openai_chunk(model, {"role": "assistant", "content": ""})]
    before += [_openai_chunk(model, {"reasoning_content": piece}) for piece in chunks(reply.thinking)]
    text = [_openai_chunk(model, {field: piece}) for piece in chunks(reply.text)]
    stop = [_openai_chunk(model, {}, _STOPS["openai"][reply.stop])]
    end = [b"data: [DONE]\n\n"]
    if recorded.body.get("stream_options") and reply.raw_usage != "missing":
        used = dict(zip(("prompt_tokens", "completion_tokens"), tokens(recorded, reply), strict=True))
        end.insert(0, event({"id": "chatcmpl-1", "model": model, "choices": [], "usage": used}))
    return before, text, stop, end


def _anthropic_stream(recorded: Recorded, reply: Reply) -> tuple[list[bytes], list[bytes], list[bytes], list[bytes]]:
    used = tokens(recorded, reply)
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": reply.served_id or recorded.model}
    counted = {"usage": {"input_tokens": used[0], "output_tokens": 1}} if reply.raw_usage != "missing" else {}
    before: Sequence[dict[str, Any]] = [
        {"type": "message_start", "message": {**start, "content": [], "stop_reason": None, **counted}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": piece}}
            for piece in chunks(reply.thinking)
        ),
    ]
    text = [delta("anthropic", piece) for piece in chunks(reply.text)]
    stop_reason = {"stop_reason": _STOPS["anthropic"][reply.stop], "stop_sequence": None}
    counted = {"usage": {"output_tokens": used[1]}} if reply.raw_usage != "missing" else {}
    stop = [
        event({"type": "content_block_stop", "index": 0}, name="content_block_stop"),
        event({"type": "message_delta", "delta": stop_reason, **counted}, name="message_delta"),
    ]
    end = [event({"type": "message_stop"}, name="message_stop")]
    return [event(each, name=each["type"]) for each in before], text, stop, end
