"""One attempt: send the request, read the answer within its time, and name whatever goes wrong."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Generator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx
from pydantic import SecretStr

from bot.models.body import MOST_KEPT, MOST_STREAMED, BoundedBody, events
from bot.models.errors import AttemptFailed, Code
from bot.models.provider_errors import ProviderError, read_error, too_long
from bot.models.waiting import asked_wait
from bot.models.wire import Reading, Wire, malformed
from handlers.ports import ModelAnswer
from storage.crashpoints import crashpoint

_HEADERS = {"Accept": "text/event-stream, application/json", "Accept-Encoding": "identity", "User-Agent": "countersign"}
_MOST_ERROR = 64 * 1024
_ERROR_SECONDS = 5.0
_END_SECONDS = 0.25
_MENDABLE = {400, 422}
_RETRYABLE = {408, 409, 429}
_NAMES = {529: "overloaded"}
_NOT_TAKEN_UP = {503, 529}
_EXPLAINED = {
    400: "it does not accept the request",
    402: "the account cannot pay",
    403: "the key may not do this",
    404: "there is no such model or address",
    413: "the request is too large",
    422: "it cannot process the request",
}


class Key(httpx.Auth):
    """Puts an API key on a request at the last moment, so that it stands in no value that could be printed."""

    def __init__(self, wire: Wire, secret: SecretStr) -> None:
        self._wire = wire
        self._secret = secret

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        name, value = self._wire.key_header(self._secret.get_secret_value())
        request.headers[name] = value
        yield request


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One request and the limits of its answer.

    Attributes:
        seconds: the whole time this attempt may take.
        silence: how long the answer may pause once its first words have come. Before them a model may think for
            as long as the attempt lasts; many send nothing while they do.
        key_named: the variable its key comes from, for the sentence about a key that is not accepted.
    """

    wire: Wire
    url: httpx.URL
    body: dict[str, Any]
    key: Key | None
    key_named: str | None
    seconds: float
    silence: float

    async def over(self, client: httpx.AsyncClient) -> ModelAnswer:
        """The whole answer. Raises AttemptFailed; cancelling closes the connection."""
        reading = self.wire.reading()
        try:
            async with asyncio.timeout(self.seconds):
                return await self._ask(client, reading)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, AttemptFailed) as error:
            failed = error if isinstance(error, AttemptFailed) else self._explain(error, reading)
            if reading.is_whole and failed.code in {Code.CUT, Code.STALLED, Code.TIMEOUT}:
                return reading.answer()  # nothing but the end marker and the usage was lost
            raise failed from None

    async def _ask(self, client: httpx.AsyncClient, reading: Reading) -> ModelAnswer:
        headers = _HEADERS | self.wire.headers()
        async with client.stream(
            "POST", self.url, json=self.body, headers=headers, auth=self.key, follow_redirects=False
        ) as response:
            if response.status_code != HTTPStatus.OK:
                refused = await self._refused(response)
                refused.is_free = _does_nothing(response.status_code)
                raise refused
            crashpoint("cp08")
            kind = response.headers.get("content-type", "").lower()
            if "json" in kind and "event-stream" not in kind:
                return self.wire.read_json(await BoundedBody(response, most=MOST_KEPT).whole())
            if "html" in kind:
                raise malformed("answered with a web page instead of an answer")
            return await self._listen(response, reading)

    async def _listen(self, response: httpx.Response, reading: Reading) -> ModelAnswer:
        body = BoundedBody(response, most=MOST_STREAMED, silence=lambda: self.silence if reading.has_text else None)
        async with aclosing(events(body)) as heard:
            async for data in heard:
                if reading.take(data):
                    await _to_the_end(heard)
                    break
                crashpoint("cp09")
        return reading.answer()

    async def _refused(self, response: httpx.Response) -> AttemptFailed:
        status = response.status_code
        if response.is_redirect or 300 <= status < 400:  # noqa: PLR2004  the redirects
            what = f"answered with a redirect to another address (HTTP {status}), which is not followed"
            return AttemptFailed(Code.REDIRECTED, what)
        error = await _error_in(response)
        if error.context_too_long:
            return too_long(error)
        return AttemptFailed(
            f"http_{status}",
            f"answered HTTP {status} ({self._meaning(status)})",
            retryable=status >= 500 or (status in _RETRYABLE and not error.spent_quota),  # noqa: PLR2004
            retry_after=asked_wait(response.headers),
            said=error.words,
            without=error.stumbled_over if status in _MENDABLE else None,
        )

    def _meaning(self, status: int) -> str:
        if status == HTTPStatus.UNAUTHORIZED:
            return f"the key in {self.key_named} is not accepted" if self.key_named else "it wants a key"
        if status in _EXPLAINED:
            return _EXPLAINED[status]
        try:
            return _NAMES.get(status) or HTTPStatus(status).phrase.lower()
        except ValueError:
            return "a status nobody knows"

    def _explain(self, error: Exception, reading: Reading) -> AttemptFailed:
        match error:
            case TimeoutError():
                return AttemptFailed(Code.TIMEOUT, f"did not finish within {round(self.seconds, 1):g} s")
            case httpx.ConnectTimeout():
                return AttemptFailed(Code.UNREACHABLE, "could not be reached in time", retryable=True)
            case httpx.ConnectError():
                return _unreachable(error)
            case httpx.PoolTimeout():
                return AttemptFailed(Code.UNREACHABLE, "could not be asked: no connection was free", retryable=True)
            case httpx.LocalProtocolError() | httpx.UnsupportedProtocol() | httpx.InvalidURL():
                return AttemptFailed(Code.BAD_ADDRESS, "could not be asked: the request cannot be sent to its address")
            case _:
                where = "in the middle of its answer" if reading.has_text else "before it answered"
                return AttemptFailed(Code.CUT, f"broke the connection {where}", retryable=True)


def _does_nothing(status: int) -> bool:
    """Whether a status says that the request was not carried out, so that nobody bills it.

    Of the server's own errors those that come before any work; behind another one a model may have written.
    """
    return HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.INTERNAL_SERVER_ERROR or status in _NOT_TAKEN_UP


async def _to_the_end(heard: Any) -> None:
    """Read the little that follows the end marker, so that the connection can be used again."""
    try:
        async with asyncio.timeout(_END_SECONDS):
            async for _ in heard:
                pass
    except (TimeoutError, httpx.HTTPError, AttemptFailed):
        return  # the answer is whole; only the connection is lost


async def _error_in(response: httpx.Response) -> ProviderError:
    """What an error's body says. It is a courtesy, so that a bad body never hides the status."""
    try:
        async with asyncio.timeout(_ERROR_SECONDS):
            return read_error(await BoundedBody(response, most=_MOST_ERROR).whole())
    except (TimeoutError, httpx.HTTPError, AttemptFailed):
        return ProviderError()


def _unreachable(error: httpx.ConnectError) -> AttemptFailed:
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        lasting = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes)
        what = "could not be asked: its certificate is not accepted" if lasting else "could not agree on encryption"
        return AttemptFailed(Code.TLS, what, retryable=not lasting)
    why = ""
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        why = " (its host name is not known)"
    elif any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        why = " (connection refused)"
    return AttemptFailed(Code.UNREACHABLE, f"could not be reached{why}", retryable=True)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from _causes(each)
        error = error.__cause__ or error.__context__
