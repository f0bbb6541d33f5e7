"""Signed HTTP: payloads POSTed to the app's request URL, as Slack signs them."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from urllib.parse import urlencode

import aiohttp

from bot.playground.delivery import Ack, Kind, Retry
from bot.playground.shapes import Json

OK = range(200, 300)


@dataclass(kw_only=True)
class SignedHttp:
    """Delivers to one address."""

    address: str
    signing_secret: str
    session: aiohttp.ClientSession
    ack_seconds: float = 3.0

    async def attempt(self, kind: Kind, payload: Json, retry: Retry) -> Ack:
        body, content_type = _written(kind, payload)
        headers = {"Content-Type": content_type, **self.signature(body)}
        if retry.attempt:
            headers |= {"x-slack-retry-num": str(retry.attempt), "x-slack-retry-reason": retry.reason}
        limit = aiohttp.ClientTimeout(total=self.ack_seconds)
        try:
            async with self.session.post(
                self.address, data=body, headers=headers, timeout=limit, allow_redirects=False
            ) as answer:
                return _ack(answer, await answer.text())
        except TimeoutError:
            return Ack(problem="operation_timeout", reason="http_timeout")
        except aiohttp.ClientError:
            return Ack(problem="dispatch_failed", reason="connection_failed")

    def signature(self, body: bytes) -> dict[str, str]:
        """The headers that prove a raw body comes from here, now."""
        at = str(int(time.time()))
        digest = hmac.new(self.signing_secret.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={digest}"}


def _written(kind: Kind, payload: Json) -> tuple[bytes, str]:
    match kind:
        case Kind.EVENT:
            return json.dumps(payload).encode(), "application/json"
        case Kind.COMMAND:
            fields = {name: str(value).lower() if isinstance(value, bool) else value for name, value in payload.items()}
            return urlencode(fields).encode(), "application/x-www-form-urlencoded"
        case Kind.INTERACTION:
            return urlencode({"payload": json.dumps(payload)}).encode(), "application/x-www-form-urlencoded"


def _ack(answer: aiohttp.ClientResponse, text: str) -> Ack:
    no_retry = answer.headers.get("x-slack-no-retry") == "1"
    if answer.status not in OK:
        return Ack(problem="dispatch_failed", reason="http_error", no_retry=no_retry)
    try:
        body = json.loads(text) if text else {}
    except ValueError:
        body = {"text": text}
    return Ack(body=body if isinstance(body, dict) else {"text": text}, no_retry=no_retry)
