"""An API key goes to its endpoint and appears nowhere else, however the endpoint repeats it."""

from __future__ import annotations

import base64
import json
import logging
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.models.provider_errors import clean
from bot.playground.scripted import Fault, Reply
from bot.playground.scripted_reply import WireName
from handlers.errors import ModelFailed
from tests.bot.models.conftest import CANARY, Asking

SPELLINGS = {
    "raw": CANARY,
    "with its scheme": f"Bearer {CANARY}",
    "base64": base64.b64encode(CANARY.encode()).decode(),
    "base64 after a user": base64.b64encode(f"user:{CANARY}".encode()).decode(),
    "base64 with its scheme": base64.b64encode(f"Bearer {CANARY}".encode()).decode(),
    "in a URL": quote(CANARY, safe=""),
    "in JSON": json.dumps(CANARY),
    "in two lines": f"{CANARY[:12]}\n{CANARY[12:]}",
    "spaced out": " ".join(CANARY),
    "masked in the middle": f"{CANARY[:9]}*****{CANARY[-4:]}",
    "its end": f"...{CANARY[-10:]}",
}


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("status", [200, 400, 401, 500])
async def test_a_key_is_in_no_sentence_and_no_log(
    asking: Asking, caplog: pytest.LogCaptureFixture, wire: WireName, spelling: str, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    words = f"Incorrect API key provided: {SPELLINGS[spelling]}."
    body = json.dumps({"error": {"message": words, "type": "authentication_error"}}).encode()
    asking.endpoint.answers = lambda _: Reply(status=status, body=body, headers={"Content-Type": "application/json"})

    outcome = await asking.outcome(asking.assignment(wire))

    assert isinstance(outcome, ModelFailed)
    sent = asking.endpoint.requests[0].headers
    assert CANARY in (sent["authorization"] if wire == "openai" else sent["x-api-key"])
    told = "".join(f"{outcome.sentence}{outcome!r}{caplog.text}".split())
    assert not any("".join(shown.split()) in told for shown in SPELLINGS.values())
    assert "Incorrect" not in outcome.sentence


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
@pytest.mark.parametrize("fault", [f for f in Fault if "HANG" not in f.name and f != Fault.HUGE_BODY])
async def test_no_fault_brings_the_key_to_light(
    asking: Asking, caplog: pytest.LogCaptureFixture, wire: WireName, fault: Fault
) -> None:
    caplog.set_level(logging.DEBUG)
    asking.endpoint.answers = lambda _: Reply(text="Houba", fault=fault, served_id="houba")

    outcome = await asking.outcome(asking.assignment(wire, seconds=0.3))

    assert CANARY not in f"{outcome!r}{caplog.text}"


def test_other_peoples_keys_are_taken_out_too() -> None:
    told = clean("upstream said: Incorrect API key provided: sk-proj-9f8e7d6c5b4a39281706 (see docs)", secret="")

    assert told == "upstream said: Incorrect API key provided: [removed] (see docs)"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("The model `houba-2` does not exist.", "The model houba-2 does not exist"),
        ("line one\r\n\tline two\x00\x1b[31m", "line one line two [31m"),
        ("turned \u202eround\u202c and \u200bhidden", "turned round and hidden"),
        ("<!channel> <@U0ANN> <https://evil.example|click>", "!channel @U0ANN https://evil.example|click"),
        ("“houba” again", "houba again"),
        ("x" * 500, "x" * 199 + "…"),
        ("", ""),
    ],
)
def test_a_providers_words_are_one_short_harmless_line(words: str, shown: str) -> None:
    assert clean(words, secret="") == shown


@given(st.text(), st.text(max_size=30))
def test_cleaned_words_stay_short_and_on_one_line(words: str, secret: str) -> None:
    told = clean(words, secret=secret)

    assert len(told) <= 200
    assert told.isprintable()
