"""How the scripted endpoint answers one request: well, or with one thing wrong."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from bot.playground import scripted_wires as wires
from bot.playground.scripted_reply import Fault, Recorded, Reply

_EVENTS = "text/event-stream; charset=utf-8"
_PAGE = b"<!doctype html><title>Bad gateway</title><h1>Bad gateway</h1>"
_FOREVER = 3_600.0


class Player:
    """Plays one reply to one request."""

    def __init__(self, request: web.Request, recorded: Recorded, reply: Reply, *, pace: float) -> None:
        self._request = request
        self._recorded = recorded
        self._reply = reply
        self._pace = pace if reply.pace is None else reply.pace
        self._response = web.StreamResponse(status=reply.status, headers={"Content-Type": _EVENTS, **reply.headers})
        self._before, self._text, self._stop, self._end = wires.stream(recorded, reply)

    async def play(self) -> web.StreamResponse:
        reply = self._reply
        if reply.fault is not None:
            return await self._play_fault(reply.fault)
        if reply.body is not None:
            return web.Response(status=reply.status, body=reply.body, headers=reply.headers)
        if reply.status != web.HTTPOk.status_code:
            return self._json(wires.error(self._recorded.wire, "invalid_request_error", reply.error))
        if not self._recorded.body.get("stream"):
            await asyncio.sleep(self._pace)
            return self._json(wires.plain(self._recorded, reply))
        return await self._send(self._before, self._text, self._stop, self._end)

    async def _play_fault(self, fault: Fault) -> web.StreamResponse:  # noqa: C901, PLR0912, PLR0915  one case a fault
        before, text, stop, end = self._before, self._text, self._stop, self._end
        half = text[: max(1, len(text) // 2)]
        match fault:
            case Fault.CUT_MID_EVENT:
                return await self._send(before, half, [stop[-1][:20]], cut=True)
            case Fault.CUT_MID_CODEPOINT:
                piece = wires.delta(self._recorded.wire, "…")
                return await self._send(before, half, [piece[: piece.index("…".encode()) + 1]], cut=True)
            case Fault.CUT_BEFORE_FINISH:
                return await self._send(before, text, cut=True)
            case Fault.CUT_AFTER_FINISH:
                return await self._send(before, text, stop, cut=True)
            case Fault.NO_STOP_REASON:
                return await self._send(before, text)
            case Fault.MARKER_ONLY:
                return await self._send(before, text, end[-1:])
            case Fault.NO_END_MARKER:
                return await self._send(before, text, stop)
            case Fault.ERROR_EVENT:
                words = wires.error(self._recorded.wire, "overloaded_error", "Overloaded")
                return await self._send(before, half, [wires.event(words, name="error")])
            case Fault.MALFORMED_CHUNK:
                return await self._send(before, half, [wires.event("{not json", name="content_block_delta")], stop, end)
            case Fault.WRONG_SCHEMA:
                odd = {"type": "content_block_delta", "choices": "none", "delta": 7}
                return await self._send(before, half, [wires.event(odd)], stop, end)
            case Fault.EMPTY_BODY:
                return await self._send()
            case Fault.HTML:
                return web.Response(status=self._reply.status, body=_PAGE, content_type="text/html")
            case Fault.HANG_BEFORE_BYTES:
                await asyncio.sleep(_FOREVER)
                return web.Response(status=500)
            case Fault.HANG_MID_STREAM:
                return await self._send(before, half, hang=True)
            case Fault.HANG_AFTER_END:
                return await self._send(before, text, stop, end, hang=True)
            case Fault.SLOW_DRIP:
                return await self._drip(b"".join(before + text))
            case Fault.RESET:
                self._reset()
                return web.Response()
            case Fault.RESET_MID_STREAM:
                await self._send(before, half, cut=True, reset=True)
                return self._response
            case Fault.REDIRECT:
                return web.Response(status=307, headers={"Location": self._reply.redirect})
            case Fault.HUGE_BODY:
                piece = wires.delta(self._recorded.wire, "x" * 50_000)
                return await self._send(before, (piece for _ in range(1_000)), stop, end)
            case Fault.GZIP_BOMB:
                headers = {"Content-Type": _EVENTS, "Content-Encoding": "gzip"}
                return web.Response(body=await asyncio.to_thread(_bomb), headers=headers)
            case Fault.HUGE_LINE:
                return await self._send(before, [wires.delta(self._recorded.wire, "x" * 2_000_000)], stop, end)
            case Fault.BAD_UTF8:
                piece = wires.delta(self._recorded.wire, "…").replace("…".encode(), b"\xff\xfe")
                return await self._send(before, half, [piece], stop, end)
            case Fault.BOM:
                return await self._send([b"\xef\xbb\xbf"], before, text, stop, end)
            case Fault.CARRIAGE_RETURNS:
                lines = [part.replace(b"\n", b"\r\n") for part in before + text]
                return await self._send(lines, [part.replace(b"\n", b"\r") for part in stop + end])
            case Fault.DUPLICATE_DELTA:
                return await self._send(before, text[:1], text, stop, end)
            case Fault.COMMENTS_ONLY:
                return await self._send([b": still here\n\n"] * 3, hang=True)
            case Fault.TOOL_CALL:
                return await self._send(before, half, self._tool_call(), end)
            case Fault.NULL_CONTENT:
                return await self._send(self._nothing(), stop, end)
            case Fault.UNKNOWN_STOP:
                known = (b'"stop"', b'"end_turn"')
                odd_stop = [part.replace(known[0], b'"zenith"').replace(known[1], b'"zenith"') for part in stop]
                return await self._send(before, text, odd_stop, end)
            case Fault.WRONG_LENGTH:
                self._response.content_length = len(b"".join(before + text)) + 10_000
                return await self._send(before, text, cut=True)
            case Fault.PLAIN_JSON:
                return self._json(wires.plain(self._recorded, self._reply))
            case Fault.TRUNCATED_JSON:
                whole = json.dumps(wires.plain(self._recorded, self._reply))
                return web.Response(body=whole[: len(whole) // 2].encode(), content_type="application/json")
            case Fault.JSON_NO_CHOICES:
                return self._json({"model": self._recorded.model, "choices": [], "content": []})
            case Fault.DEEP_JSON:
                deep = b'{"choices":' + b"[" * 10_000 + b"]" * 10_000 + b',"content":' + b"[" * 10_000 + b"]" * 10_000
                return web.Response(body=deep + b"}", content_type="application/json")
            case Fault.ODD_ENCODING:
                self._response.headers["Content-Encoding"] = "br"
                return await self._send(before, text, stop, end)

    async def _send(
        self, *parts: Sequence[bytes] | Any, cut: bool = False, hang: bool = False, reset: bool = False
    ) -> web.StreamResponse:
        response = self._response
        await response.prepare(self._request)
        pause = self._pace / max(1, len(self._text))
        for part in parts:
            for piece in part:
                await response.write(piece)
                if self._pace and part is self._text:
                    await asyncio.sleep(pause)
        if hang:
            await asyncio.sleep(_FOREVER)
        if cut:
            # Let what was written leave first: a cut comes after the words, not instead of them.
            await asyncio.sleep(0.01)
            self._reset() if reset else self._close()
            return response
        await response.write_eof()
        return response

    async def _drip(self, body: bytes) -> web.StreamResponse:
        await self._response.prepare(self._request)
        for byte in body:
            await self._response.write(bytes([byte]))
            await asyncio.sleep(0.05)
        return self._response

    def _close(self) -> None:
        if self._request.transport is not None:
            self._request.transport.close()

    def _reset(self) -> None:
        transport = self._request.transport
        if transport is not None:
            # Lingering for no time at all makes the kernel send RST instead of a polite end.
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()

    def _json(self, body: Any) -> web.Response:
        return web.json_response(body, status=self._reply.status, headers=self._reply.headers)

    def _tool_call(self) -> list[bytes]:
        if self._recorded.wire == "openai":
            call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "send", "arguments": "{}"}}
            return [
                wires.event({"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]}),
                wires.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
            ]
        block = {"type": "tool_use", "id": "toolu_1", "name": "send", "input": {}}
        events: list[dict[str, Any]] = [
            {"type": "content_block_start", "index": 1, "content_block": block},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 3}},
        ]
        return [wires.event(each, name=each["type"]) for each in events]

    def _nothing(self) -> list[bytes]:
        if self._recorded.wire == "openai":
            choice = {"index": 0, "delta": {"role": "assistant", "content": None}, "finish_reason": None}
            return [wires.event({"model": self._recorded.model, "choices": [choice]})]
        return self._before


def _bomb() -> bytes:
    """512 MB of one letter as half a megabyte; members of a gzip may follow one another."""
    return gzip.compress(b"x" * 16 * 1024 * 1024) * 32
