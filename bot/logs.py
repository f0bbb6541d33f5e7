"""Logs: one event, one line, for people or for machines; no secret, no control character, no chatty library."""

from __future__ import annotations

import base64
import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any, TextIO
from urllib.parse import quote, quote_plus, unquote, urlsplit

import structlog
from structlog.typing import EventDict, Processor

from bot.one_line import one_line
from bot.repeats import Repeats
from bot.settings import LogFormat, Settings
from bot.token_shapes import TOKEN_SHAPES, names_a_secret
from handlers.stack import Stack

_SHORTEST_SECRET = 6  # shorter ones would take half the words out of a log

QUIETEST: Mapping[str, int] = MappingProxyType(
    {
        # At DEBUG slack_sdk writes tickets and whole messages, and SQLAlchemy's engine at INFO every parameter.
        "slack_sdk": logging.INFO,
        "slack_bolt": logging.ERROR,  # it warns of what it does not handle with the whole payload
        "sqlalchemy": logging.WARNING,
        "aiosqlite": logging.WARNING,
        "httpx": logging.WARNING,
        "httpcore": logging.WARNING,
        "psycopg": logging.WARNING,
        "psycopg.pool": logging.ERROR,  # it warns of each attempt while the database is away, which is told of already
        "alembic": logging.WARNING,
        "apscheduler": logging.WARNING,
        "aiohttp.access": logging.WARNING,
        "uvicorn.access": logging.WARNING,
        "uvicorn": logging.INFO,
        "asyncio": logging.INFO,
        "markdown_it": logging.INFO,
    }
)
"""The least severe level each library may write at, whatever LOG_LEVEL says."""


class Redactor:
    """Takes known secrets, in the usual encodings, and everything token-shaped out of a line."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def learn(self, secrets: Iterable[str]) -> None:
        """Know these from now on; those too short to be told from a word are passed over."""
        new = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET} - self._known
        if not new:
            return
        self._known |= new
        forms = {form for secret in self._known for form in _encodings(secret) if len(form) >= _SHORTEST_SECRET}
        self._pattern = re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True))))

    def __call__(self, line: str) -> str:
        if self._pattern is not None:
            line = self._pattern.sub("[secret]", line)
        return TOKEN_SHAPES.sub("[secret]", line)


def _encodings(secret: str) -> Iterator[str]:
    """How a secret may look inside a line: as it is, quoted for JSON, Python or a URL, in base64 or hex."""
    data = secret.encode("utf-8", "surrogatepass")
    for plain in (secret, one_line(secret), quote(secret, safe=""), quote_plus(secret)):
        yield plain
        for quoted in (json.dumps(plain)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1], repr(plain)[1:-1]):
            yield quoted
            yield json.dumps(quoted)[1:-1]  # a quoted text inside a JSON line
    yield from (data.hex(), data.hex().upper())
    for shift in range(3):  # base64 of a longer text around it: the whole characters at each of the three offsets
        code = base64.b64encode(b"\0" * shift + data)
        start, end = (shift * 4 + 2) // 3, len(code) - (0 if (shift + len(data)) % 3 == 0 else 4)
        inner = code[start:end].decode()
        yield from (inner, inner.replace("+", "-").replace("/", "_"))
    whole = base64.b64encode(data).decode().rstrip("=")
    yield from (whole, whole.replace("+", "-").replace("/", "_"))


_redactor = Redactor()


def learn_secrets(settings: Settings, stack: Stack | None = None) -> None:
    """Keep the secrets of the environment and of a stack's models out of the logs; call it for each new stack."""
    _redactor.learn(_secrets_of(settings, stack))


def _secrets_of(settings: Settings, stack: Stack | None) -> Iterator[str]:
    names = {name for name in settings.names() if names_a_secret(name)}
    if stack is not None:
        names |= {model.key_env for model in stack.models.values() if model.key_env}
        names |= {stack.review.webhook_secret_env} if stack.review.webhook_secret_env else set()
    for secret in (settings.slack_bot_token, settings.slack_app_token, settings.slack_signing_secret):
        if secret is not None:
            yield secret.get_secret_value()
    for name in names:
        if (value := settings.secret(name)) is not None:
            yield value.get_secret_value()
    password = urlsplit(settings.database_url.get_secret_value()).password
    yield from (password, unquote(password)) if password else ()


def set_up_logging(settings: Settings, *, stack: Stack | None = None, stream: TextIO | None = None) -> None:
    """Send every logger of the process through one handler, to stderr unless told otherwise."""
    learn_secrets(settings, stack)
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    render = _json_line if settings.log_format is LogFormat.JSON else _console_line
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        Repeats(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    handler = _Handler(stream or sys.stderr)
    handler.addFilter(_quiet_enough)
    handler.addFilter(_in_one_line)
    handler.setFormatter(_Formatter(shared, render))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name, quietest in QUIETEST.items():
        logging.getLogger(name).setLevel(max(level, quietest))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


@contextmanager
def about(
    *,
    letter: str | None = None,
    work: str | None = None,
    run: str | None = None,
    stage: str | None = None,
    slot: str | None = None,
) -> Iterator[None]:
    """Every line written inside, and in tasks begun inside, names these; whoever takes a subject up says so once."""
    named = {"letter": letter, "work": work, "run": run, "stage": stage, "slot": slot}
    with structlog.contextvars.bound_contextvars(**{name: key for name, key in named.items() if key is not None}):
        yield


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """The last stop of every record, ours and the libraries': rendered, then redacted as a whole line."""

    def __init__(self, shared: list[Processor], render: Callable[[Any, str, EventDict], str]) -> None:
        super().__init__(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )

    def format(self, record: logging.LogRecord) -> str:
        return _redactor(super().format(record))


class _Handler(logging.StreamHandler[TextIO]):
    """Like any stream handler; but a record that cannot be written is not printed raw."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(structlog.DropEvent):  # only structlog's own loggers expect it; others would die of it
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        kind = sys.exc_info()[0]
        text = f"A log record of {record.name} could not be written: {kind.__name__ if kind else 'unknown'}."
        try:
            self.stream.write(json.dumps({"level": "error", "event": _redactor(one_line(text))}) + "\n")
        except (OSError, ValueError):
            return  # nobody is left to be told


def _quiet_enough(record: logging.LogRecord) -> bool:
    """Libraries that set their own loggers' levels are held to theirs all the same."""
    name = record.name
    while name:
        if name in QUIETEST:
            return record.levelno >= QUIETEST[name]
        name = name.rpartition(".")[0]
    return True


def _in_one_line(record: logging.LogRecord) -> bool:
    """Slack's libraries tell each failure to connect with its traceback, which says nothing that its name does not."""
    if record.name.partition(".")[0] in {"slack_sdk", "slack_bolt"} and record.exc_info:
        problem = record.exc_info[1]
        record.msg, record.args = f"{record.getMessage()} ({type(problem).__name__})", ()
        record.exc_info = record.exc_text = None
    return True


def _json_line(_logger: Any, _method: str, event: EventDict) -> str:
    first = {key: event.pop(key) for key in ("time", "level", "logger") if key in event}
    return json.dumps({**first, **event}, default=_odd)


def _odd(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001  somebody else's __repr__
        return f"<{type(value).__name__} that cannot be shown>"


def _console_line(_logger: Any, _method: str, event: EventDict) -> str:
    time, level, logger = (event.pop(key, "") for key in ("time", "level", "logger"))
    rest = "".join(f" {key}={_shown(value)}" for key, value in event.items() if key != "event")
    return one_line(f"{str(time)[:19]} {level:<7} {logger}: {event.get('event', '')}{rest}")


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and " " in value else str(value)
