from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from bot import logs
from bot.settings import read_settings
from handlers.stack import Stack

CANARIES = {
    "SLACK_BOT_TOKEN": "xoxb-rosebud-1941-sledge",
    "SLACK_SIGNING_SECRET": "c0ffee5wordf1sh",
    "HARE_API_KEY": 'tricky "quoted" \\back\\ key',
    "OWL_CREDENTIAL_BY_ANOTHER_NAME": "schlüssel/für+eulen=",
    "DATABASE_URL": "postgresql://ann:mell%2Fon-friend@moria.example/doors",
}
SECRETS = [*(value for name, value in CANARIES.items() if name != "DATABASE_URL"), "mell/on-friend", "mell%2Fon-friend"]
STACK = Stack.model_validate(
    {
        "models": {
            "owl": {
                "wire": "openai",
                "id": "owl-1",
                "base_url": "https://owl.example",
                "key_env": "OWL_CREDENTIAL_BY_ANOTHER_NAME",
            }
        }
    }
)


class Log:
    """What was written, line by line."""

    def __init__(self, form: str, level: str = "debug") -> None:
        self.stream = io.StringIO()
        settings = read_settings({**CANARIES, "LOG_FORMAT": form, "LOG_LEVEL": level})
        logs.set_up_logging(settings, stack=STACK, stream=self.stream)
        # pytest's own handlers raise on records that cannot be formatted.
        root = logging.getLogger()
        root.handlers[:] = [handler for handler in root.handlers if isinstance(handler, logs._Handler)]

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")[:-1]

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture(autouse=True)
def _nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logs, "_redactor", logs.Redactor())
    root, levels = logging.getLogger(), {name: logging.getLogger(name).level for name in logs.QUIETEST}
    level = root.level
    yield
    for handler in [handler for handler in root.handlers if isinstance(handler, logs._Handler)]:
        root.removeHandler(handler)
    root.setLevel(level)
    for name, quietest in levels.items():
        logging.getLogger(name).setLevel(quietest)
    structlog.reset_defaults()


def fail(error: Exception) -> None:
    raise error


def offset(secret: str, by: int) -> str:
    return base64.b64encode(b"x" * by + secret.encode() + b"yy").decode()


ENCODINGS: dict[str, Callable[[str], Any]] = {
    "raw": str,
    "in a sentence": lambda secret: f"key={secret}, and more",
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64 for URLs": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    "base64 after one byte": lambda secret: offset(secret, 1),
    "base64 after two bytes": lambda secret: offset(secret, 2),
    "in a URL": lambda secret: f"https://x.example/?q={urllib.parse.quote(secret, safe='')}",
    "in a form": lambda secret: urllib.parse.urlencode({"q": secret}),
    "in JSON": lambda secret: json.dumps({"q": secret}),
    "in JSON as UTF-8": lambda secret: json.dumps({"q": secret}, ensure_ascii=False),
    "in a dictionary": lambda secret: {"deep": [{"er": secret}]},
    "shown by repr": lambda secret: repr({"q": secret}),
    "as bytes": lambda secret: secret.encode().hex(),
}


def traces(secret: str) -> set[str]:
    """The secret's own words, and its base64 at all offsets: what must not be found."""
    data = secret.encode()
    whole = base64.b64encode(data).decode()
    return {
        secret,
        json.dumps(secret)[1:-1],
        urllib.parse.quote(secret, safe=""),
        data.hex(),
        whole[:-4],
        offset(secret, 1)[4:-8],
    }


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_known_secret_is_written_whatever_its_encoding(form: str, encoding: str) -> None:
    log = Log(form)
    ours, theirs = structlog.stdlib.get_logger("bot.hut"), logging.getLogger("a.library")
    for secret in SECRETS:
        hidden = ENCODINGS[encoding](secret)
        ours.warning("Seen.", value=hidden)
        ours.info(f"Seen {hidden}")
        theirs.error("Seen %s", hidden)
        theirs.error(hidden)
        theirs.debug("Seen", extra={"value": hidden})
        try:
            fail(RuntimeError(hidden))
        except RuntimeError:
            ours.exception("It broke.")
            theirs.exception("It broke.")
    assert len(log.lines) == 7 * len(SECRETS)
    assert not {trace for secret in SECRETS for trace in traces(secret) if trace in log.text}
    assert "[secret]" in log.text


@pytest.mark.parametrize(
    "token",
    [
        "xoxb-1234-unknown-to-us",
        "xapp-1-A0-unknown",
        "sk-ant-api03-unknown-to-us-1234",
        "Bearer abcdefghijklmnop.unknown",
        "ghp_abcdefghijklmnopqrstuvwx",
        "https://hooks.slack.com/services/T0/B0/unknown1234",
        "wss://wss.slack.com/link/?ticket=unknown-1234-5678&app_id=1",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIunknown\nunknown==\n-----END RSA PRIVATE KEY-----",
    ],
)
@pytest.mark.parametrize("form", ["json", "console"])
def test_whatever_is_shaped_like_a_token_is_removed_although_nobody_knows_it(form: str, token: str) -> None:
    log = Log(form)
    logging.getLogger("a.library").warning("Got %s.", token)
    assert "unknown" not in log.text
    assert "[secret]" in log.text
    assert len(log.lines) == 1


def test_a_swapped_models_key_is_learnt_too() -> None:
    log = Log("json")
    settings = read_settings({"MOLE_CODE": "digging-deeper"})
    model = {"wire": "openai", "id": "m", "base_url": "https://m.example", "key_env": "MOLE_CODE"}
    logs.learn_secrets(settings, Stack.model_validate({"models": {"mole": model}}))
    structlog.stdlib.get_logger("bot").info("digging-deeper")
    assert [record["event"] for record in log.records] == ["[secret]"]


HOSTILE = [
    "two\nlines",
    'carriage\rreturn "level": "error"',
    "\x1b[2J\x1b[31mred",
    "\x9b31m",
    "null\x00",
    "bell\x07",
    "\u202egnp.exe",
    "\u2028separator",
    "zero\u200bwidth",
    "\ufeffmark",
    "lone \ud800 surrogate",
    "back\\slash \\n",
    '{"event": "forged"}',
    "naïve café 🙂",
    "%s %d %",
    "\t",
    "",
    " ",
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_json_line_parsed_again_equals_what_was_logged(text: str) -> None:
    log = Log("json")
    structlog.stdlib.get_logger("bot.hut").info("Said.", text=text, **{"odd key": text})
    logging.getLogger("a.library").info("%s", text)
    ours, theirs = log.records
    assert (ours["text"], ours["odd key"], theirs["event"]) == (text, text, text)
    assert log.text.isascii()


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("form", ["json", "console"])
def test_one_event_is_one_line_without_control_characters(form: str, text: str) -> None:
    log = Log(form)
    structlog.stdlib.get_logger("bot.hut").info(text, text=text, deep=[text])
    logging.getLogger("a.library").info(text)
    assert len(log.lines) == len(log.text.splitlines()) == 2
    assert all(line.isprintable() for line in log.lines)


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_stays_on_its_line(form: str) -> None:
    log = Log(form)
    try:
        fail(ValueError("menhir\nfell"))
    except ValueError:
        structlog.stdlib.get_logger("bot").exception("It broke.")
        logging.getLogger("a.library").exception("It broke.")
    assert len(log.lines) == 2
    assert all("Traceback" in line and "ValueError" in line for line in log.lines)


def test_a_line_for_people_reads_from_left_to_right() -> None:
    log = Log("console")
    structlog.stdlib.get_logger("bot.hut").warning("The menhir fell.", weight=3, on="a Roman")
    assert log.text[10:].partition(" ")[2] == 'warning bot.hut: The menhir fell. weight=3 on="a Roman"\n'


def test_a_json_line_names_its_time_level_and_logger() -> None:
    log = Log("json")
    structlog.stdlib.get_logger("bot.hut").warning("Fell.", weight=3)
    (record,) = log.records
    assert record.pop("time").endswith("Z")
    assert record == {"level": "warning", "logger": "bot.hut", "event": "Fell.", "weight": 3}


def test_what_is_below_the_level_is_not_written() -> None:
    log = Log("json", level="warning")
    structlog.stdlib.get_logger("bot").info("quiet")
    logging.getLogger("a.library").info("quiet")
    structlog.stdlib.get_logger("bot").warning("loud")
    assert [record["event"] for record in log.records] == ["loud"]


@pytest.mark.parametrize(
    ("name", "level", "written"),
    [
        ("slack_sdk.socket_mode.aiohttp", logging.DEBUG, False),
        ("slack_sdk.socket_mode.aiohttp", logging.INFO, True),
        ("slack_bolt.AsyncApp", logging.DEBUG, False),
        ("sqlalchemy.engine.Engine", logging.INFO, False),
        ("sqlalchemy.engine.Engine", logging.WARNING, True),
        ("httpx", logging.INFO, False),
        ("httpcore.http11", logging.DEBUG, False),
        ("aiosqlite", logging.DEBUG, False),
        ("apscheduler.scheduler", logging.INFO, False),
        ("slack_sdkish", logging.DEBUG, True),
        ("bot.models", logging.DEBUG, True),
    ],
)
def test_libraries_are_held_to_their_level_even_if_they_set_their_own(name: str, level: int, *, written: bool) -> None:
    log = Log("json", level="debug")
    library = logging.getLogger(name)
    library.setLevel(logging.DEBUG)
    try:
        library.log(level, "chat")
    finally:
        library.setLevel(logging.NOTSET)
    assert bool(log.lines) is written


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_record_that_cannot_be_formatted_is_not_printed_raw(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(form)
    logging.getLogger("a.library").info("%d menhirs", CANARIES["HARE_API_KEY"])
    captured = capsys.readouterr()
    assert "tricky" not in log.text + captured.err + captured.out
    assert "a.library could not be written: TypeError" in log.text


@pytest.mark.parametrize("name", ["bot", "procrastinate.worker"])
def test_a_line_that_is_written_once_a_minute_breaks_nobody_who_writes_it_twice(name: str) -> None:
    log = Log("json")
    for _ in range(3):
        try:
            fail(TimeoutError("no connection"))
        except TimeoutError:
            logging.getLogger(name).exception("a library's words")
            structlog.stdlib.get_logger(name).exception("our words")
    assert sorted(record["event"] for record in log.records) == ["a library's words", "our words"]


def test_a_failure_to_connect_to_slack_is_one_line_without_a_traceback() -> None:
    log = Log("json")
    try:
        fail(ConnectionError("nobody answers"))
    except ConnectionError:
        logging.getLogger("slack_sdk.socket_mode.aiohttp").exception("Failed to connect (error: %s)", "nobody answers")
    (line,) = log.records
    assert line["event"] == "Failed to connect (error: nobody answers) (ConnectionError)"
    assert "exception" not in line


class Grumpy:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_a_value_that_cannot_be_shown_costs_one_value() -> None:
    log = Log("json")
    structlog.stdlib.get_logger("bot").info("Seen.", value=Grumpy(), other=1)
    assert log.records[0]["other"] == 1


def test_setting_up_twice_writes_once() -> None:
    Log("json")
    log = Log("json")
    structlog.stdlib.get_logger("bot").info("once")
    assert len(log.lines) == 1


# What a line is about


def say(word: str) -> None:
    structlog.stdlib.get_logger("bot").info(word)


SUBJECTS = {"letter": "command/spirou", "work": "w-palombia", "run": "r-hop", "stage": "draft", "slot": "r-hop/card"}


@pytest.mark.parametrize("form", ["json", "console"])
def test_every_line_written_about_something_names_it(form: str) -> None:
    log = Log(form)
    with logs.about(**SUBJECTS):
        say("inside")
        logging.getLogger("a.library").warning("inside, too")
    say("outside")
    ours, theirs, outside = log.lines
    if form == "json":
        assert SUBJECTS.items() <= json.loads(ours).items()
        assert SUBJECTS.items() <= json.loads(theirs).items()
    for name, key in SUBJECTS.items():
        assert key in ours
        assert key in theirs
        assert name not in json.loads(outside) if form == "json" else key not in outside


async def test_a_task_begun_about_something_goes_on_naming_it_and_others_do_not() -> None:
    log, go_on = Log("json"), asyncio.Event()

    async def later(word: str) -> None:
        await go_on.wait()
        say(word)

    before = asyncio.create_task(later("begun before"))
    with logs.about(run="r-hop"):
        within = asyncio.create_task(later("begun within"))
    go_on.set()
    await asyncio.gather(before, within)
    assert {line["event"]: line.get("run") for line in log.records} == {"begun before": None, "begun within": "r-hop"}


def test_what_is_nested_adds_to_what_is_around_it_and_takes_its_own_away() -> None:
    log = Log("json")
    with logs.about(work="w-palombia"):
        with logs.about(slot="r-hop/card"):
            say("both")
        say("one")
    both, one = log.records
    assert (both["work"], both["slot"], one["work"], "slot" in one) == (
        "w-palombia",
        "r-hop/card",
        "w-palombia",
        False,
    )


def test_a_secret_in_what_a_line_is_about_is_taken_out_like_any_other() -> None:
    log = Log("json")
    with logs.about(letter=CANARIES["SLACK_BOT_TOKEN"]):
        say("inside")
    assert CANARIES["SLACK_BOT_TOKEN"] not in log.text
