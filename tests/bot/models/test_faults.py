"""Whatever an endpoint does wrong, the thread reads one true sentence, and half an answer is never one."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from bot.playground.scripted import Fault, Reply
from bot.playground.scripted_reply import WireName
from handlers.errors import ModelFailed
from handlers.ports import ModelAnswer, StopReason
from tests.bot.models.conftest import Asking

TEXT = "The marsupilami jumps over the lazy fence … twice, and once more for luck."
WIRES: tuple[WireName, ...] = ("openai", "anthropic")


@dataclass(frozen=True)
class Fails:
    code: str
    what: str
    tried: int = 3
    seconds: float = 60

    @property
    def sentence(self) -> str:
        tried = "tried once" if self.tried == 1 else f"tried {self.tried} times"
        what, _, said = self.what.partition(" | ")
        quoted = f"; its endpoint says “{said}”" if said else ""
        return f"fast {what}, {tried}{quoted}."


@dataclass(frozen=True)
class Answers:
    text: str = TEXT
    has_usage: bool = True


BROKEN = Fails("cut", "broke the connection in the middle of its answer")
BROKEN_BEFORE = Fails("cut", "broke the connection before it answered")
STOPPED = Fails("incomplete", "stopped in the middle of its answer")
NOTHING = Fails("empty", "answered with nothing")
NO_WORD = Fails("empty", "answered without a word")
ODD = Fails("malformed", "answered in a form that is not its wire's")
NO_TEXT = Fails("malformed", "sent bytes that are no text")
HUGE = Fails("too_large", "sent more than an answer may hold", tried=1)
LATE = Fails("timeout", "did not finish within 0.4 s", tried=1, seconds=0.4)
DOUBLED = Answers(text="The marsupilami jumps " + TEXT)
NO_USAGE = Answers(has_usage=False)

# Each fault with what becomes of it on the openai wire, and on the anthropic one where that differs.
TABLE: dict[Fault, tuple[Fails | Answers, ...]] = {
    Fault.CUT_MID_EVENT: (BROKEN,),
    Fault.CUT_MID_CODEPOINT: (BROKEN,),
    Fault.CUT_BEFORE_FINISH: (BROKEN,),
    Fault.CUT_AFTER_FINISH: (NO_USAGE, BROKEN),
    Fault.NO_STOP_REASON: (STOPPED,),
    Fault.MARKER_ONLY: (STOPPED,),
    Fault.NO_END_MARKER: (NO_USAGE, STOPPED),
    Fault.ERROR_EVENT: (Fails("provider_error", "sent an error in place of its answer | Overloaded"),),
    Fault.MALFORMED_CHUNK: (ODD,),
    Fault.WRONG_SCHEMA: (ODD,),
    Fault.EMPTY_BODY: (NOTHING,),
    Fault.HTML: (Fails("malformed", "answered with a web page instead of an answer"),),
    Fault.HANG_BEFORE_BYTES: (LATE,),
    Fault.HANG_MID_STREAM: (Fails("stalled", "fell silent in the middle of its answer"),),
    Fault.HANG_AFTER_END: (Answers(),),
    Fault.SLOW_DRIP: (LATE,),
    Fault.RESET: (BROKEN_BEFORE,),
    Fault.RESET_MID_STREAM: (BROKEN,),
    Fault.REDIRECT: (
        Fails("redirected", "answered with a redirect to another address (HTTP 307), which is not followed", tried=1),
    ),
    Fault.HUGE_BODY: (Fails("too_large", "wrote more than an answer may hold", tried=1),),
    Fault.GZIP_BOMB: (HUGE,),
    Fault.HUGE_LINE: (HUGE,),
    Fault.BAD_UTF8: (NO_TEXT,),
    Fault.BOM: (Answers(),),
    Fault.CARRIAGE_RETURNS: (Answers(),),
    # Neither wire numbers its deltas, so a doubled one cannot be told from a model that repeats itself.
    Fault.DUPLICATE_DELTA: (DOUBLED,),
    Fault.COMMENTS_ONLY: (LATE,),
    Fault.TOOL_CALL: (Fails("tool_call", "called a tool instead of answering, and it was offered none", tried=1),),
    Fault.NULL_CONTENT: (NO_WORD,),
    Fault.UNKNOWN_STOP: (Fails("unknown_stop", "stopped for a reason this bot does not know | zenith", tried=1),),
    Fault.WRONG_LENGTH: (BROKEN,),
    Fault.PLAIN_JSON: (Answers(),),
    Fault.TRUNCATED_JSON: (ODD,),
    Fault.JSON_NO_CHOICES: (NOTHING,),
    Fault.DEEP_JSON: (ODD,),
    Fault.ODD_ENCODING: (Fails("malformed", "sent its answer in an encoding it was not asked for"),),
}

CASES = [
    pytest.param(wire, fault, outcomes[min(nth, len(outcomes) - 1)], id=f"{wire}-{fault.name}")
    for nth, wire in enumerate(WIRES)
    for fault, outcomes in TABLE.items()
]


def test_every_fault_has_its_line_in_the_table() -> None:
    assert set(TABLE) == set(Fault)


@pytest.mark.parametrize(("wire", "fault", "expected"), CASES)
async def test_a_fault_becomes_a_whole_answer_or_one_sentence(
    asking: Asking, wire: WireName, fault: Fault, expected: Fails | Answers
) -> None:
    asking.endpoint.answers = lambda _: Reply(text=TEXT, fault=fault)
    seconds = expected.seconds if isinstance(expected, Fails) else 60
    if fault == Fault.HANG_MID_STREAM:
        asking.no_pause_beyond(0.2)

    outcome = await asking.outcome(asking.assignment(wire, seconds=seconds))

    match expected:
        case Answers():
            assert isinstance(outcome, ModelAnswer), outcome
            assert (outcome.text, outcome.stop, outcome.attempts) == (expected.text, StopReason.FINISHED, 1)
            assert (outcome.usage.output_tokens is not None) == expected.has_usage or wire == "anthropic"
            assert len(asking.endpoint.requests) == 1
        case Fails():
            assert isinstance(outcome, ModelFailed), outcome
            assert (outcome.code, outcome.sentence) == (expected.code, expected.sentence)
            assert len(asking.endpoint.requests) == expected.tried
            assert outcome.retryable == (expected.tried == 3)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("status", "meaning", "tried"),
    [
        (400, "it does not accept the request", 1),
        (401, "the key in MARSU_KEY is not accepted", 1),
        (402, "the account cannot pay", 1),
        (403, "the key may not do this", 1),
        (404, "there is no such model or address", 1),
        (408, "request timeout", 3),
        (409, "conflict", 3),
        (413, "the request is too large", 1),
        (418, None, 1),
        (422, "it cannot process the request", 1),
        (429, "too many requests", 3),
        (500, "internal server error", 3),
        (502, "bad gateway", 3),
        (503, "service unavailable", 3),
        (504, "gateway timeout", 3),
        (529, "overloaded", 3),
        (599, "a status nobody knows", 3),
    ],
)
async def test_a_status_is_named_and_tried_again_where_that_may_help(
    asking: Asking, wire: WireName, status: int, meaning: str | None, tried: int
) -> None:
    asking.endpoint.answers = lambda _: Reply(status=status, error="houba!")

    outcome = await asking.outcome(asking.assignment(wire))

    assert isinstance(outcome, ModelFailed)
    times = "once" if tried == 1 else "3 times"
    expected = (
        rf"fast answered HTTP {status} \({re.escape(meaning or '')}.*\), tried {times}; its endpoint says “houba!”\."
    )
    assert re.fullmatch(expected, outcome.sentence), outcome.sentence
    assert outcome.code == f"http_{status}"
    assert len(asking.endpoint.requests) == tried


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>Bad gateway</html>", b"\xff\xfe", b"[]", b"17", b'{"error": 7}', b"{" * 20_000],
    ids=["nothing", "html", "no text", "list", "number", "odd error", "deep"],
)
async def test_a_bad_error_body_never_hides_the_status(asking: Asking, body: bytes) -> None:
    asking.endpoint.answers = lambda _: Reply(status=502, body=body)

    outcome = await asking.outcome(asking.assignment())

    assert isinstance(outcome, ModelFailed)
    assert outcome.sentence.startswith("fast answered HTTP 502 (bad gateway), tried 3 times")
    assert "html" not in outcome.sentence


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("wire", WIRES)
async def test_no_redirect_is_followed(asking: Asking, wire: WireName, status: int) -> None:
    from bot.playground.scripted import ScriptedModels

    async with ScriptedModels() as elsewhere:
        asking.endpoint.answers = lambda recorded: Reply(
            status=status, body=b"", headers={"Location": f"{elsewhere.anthropic_url}{recorded.path}"}
        )

        outcome = await asking.outcome(asking.assignment(wire))

        assert elsewhere.requests == []
    assert isinstance(outcome, ModelFailed)
    assert (outcome.code, len(asking.endpoint.requests)) == ("redirected", 1)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("raw", ["missing", "negative", "huge", "text", "fraction"])
async def test_an_absurd_count_of_tokens_is_an_unknown_one(asking: Asking, wire: WireName, raw: str) -> None:
    asking.endpoint.answers = lambda _: Reply(text=TEXT, raw_usage=raw)

    outcome = await asking.outcome(asking.assignment(wire))

    assert isinstance(outcome, ModelAnswer)
    assert (outcome.usage.input_tokens, outcome.usage.output_tokens) == (None, None)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stop", StopReason)
async def test_why_a_model_stopped_is_said(asking: Asking, wire: WireName, stop: StopReason) -> None:
    asking.endpoint.answers = lambda _: Reply(text=TEXT, stop=stop)

    outcome = await asking.outcome(asking.assignment(wire))

    assert isinstance(outcome, ModelAnswer)
    expected = StopReason.REFUSAL if (wire, stop) == ("anthropic", StopReason.CONTENT_FILTER) else stop
    assert (outcome.stop, outcome.text) == (expected, TEXT)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("fault", [None, Fault.PLAIN_JSON])
async def test_the_model_that_was_served_is_told(asking: Asking, wire: WireName, fault: Fault | None) -> None:
    asking.endpoint.answers = lambda _: Reply(text=TEXT, served_id="houba-1-2026-11", fault=fault)

    outcome = await asking.outcome(asking.assignment(wire))

    assert isinstance(outcome, ModelAnswer)
    assert outcome.served_id == "houba-1-2026-11"


@pytest.mark.parametrize("wire", WIRES)
async def test_thinking_is_no_part_of_the_answer(asking: Asking, wire: WireName) -> None:
    asking.endpoint.answers = lambda _: Reply(text=TEXT, thinking="Hmm, what would Spirou do?")

    outcome = await asking.outcome(asking.assignment(wire))

    assert isinstance(outcome, ModelAnswer)
    assert outcome.text == TEXT


@pytest.mark.parametrize("wire", WIRES)
async def test_an_output_limit_used_up_by_thinking_is_said_and_not_paid_for_again(
    asking: Asking, wire: WireName
) -> None:
    asking.endpoint.answers = lambda _: Reply(text="", thinking="Hmm. " * 20, stop=StopReason.LENGTH)

    outcome = await asking.outcome(asking.assignment(wire))

    assert isinstance(outcome, ModelFailed)
    assert outcome.sentence == "fast used up its output limit before it wrote a word, tried once."


@pytest.mark.parametrize("status", [400, 413, 500])
@pytest.mark.parametrize(
    "spelling",
    [
        "This model's maximum context length is 8192 tokens. However, you requested 9001 tokens",
        "prompt is too long: 208310 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        "request (6021 tokens) exceeds the available context size (4096 tokens), try increasing it",
        "litellm.ContextWindowExceededError: too long for houba-1",
        "The input token count (1300000) exceeds the maximum number of tokens allowed (1048576).",
        "'max_tokens' is too large: 5000. This model's maximum context length is 4096 tokens",
        "Please reduce the length of the messages or completion.",
    ],
)
async def test_a_context_too_long_has_its_own_code_however_it_is_spelt(
    asking: Asking, spelling: str, status: int
) -> None:
    asking.endpoint.answers = lambda _: Reply(status=status, error=spelling)

    outcome = await asking.outcome(asking.assignment())

    assert isinstance(outcome, ModelFailed)
    assert outcome.code == "context_too_long"
    assert outcome.sentence.startswith("fast cannot take a text this long: it exceeds the model's context, tried once")
    assert len(asking.endpoint.requests) == 1
