"""The environment, read once into a frozen value; secrets are wrapped so that they cannot be printed by accident."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, PrivateAttr, SecretStr

from handlers.stack import is_loopback

SLACK_API = "https://slack.com/api/"
VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "SLACK_BOT_TOKEN": "xoxb token; required by run, web, worker",
        "SLACK_APP_TOKEN": "xapp token: Socket Mode",
        "SLACK_SIGNING_SECRET": "required in HTTP mode",
        "SLACK_API_URL": f"base of the Web API; default {SLACK_API}",
        "DATABASE_URL": "SQLAlchemy URL; default sqlite:///countersign.db",
        "STACK_FILE": "the routed stack; default stack.toml",
        "PORT": "HTTP port; default 3000",
        "LOG_LEVEL": "debug, info, warning or error; default info",
        "LOG_FORMAT": "console or json; default console",
    }
)


class SettingsError(Exception):
    """The environment cannot be used: one sentence a problem, none of which repeats a secret."""

    def __init__(self, *problems: str) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


class LogFormat(StrEnum):
    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SlackAccess(_Frozen):
    """What it takes to be in a workspace. With an app token intake is Socket Mode, else signed HTTP."""

    bot_token: SecretStr
    app_token: SecretStr | None
    signing_secret: SecretStr | None
    api_url: str

    @property
    def socket_mode(self) -> bool:
        return self.app_token is not None


class Settings(_Frozen):
    """Everything the environment says. SLACK_CLIENT_ID and SLACK_CLIENT_SECRET are not read, on purpose:
    Bolt takes them for a sign to forget the bot token and to keep installations in files.
    """  # noqa: D205  the second sentence is part of the first fact

    slack_bot_token: SecretStr | None = None
    slack_app_token: SecretStr | None = None
    slack_signing_secret: SecretStr | None = None
    slack_api_url: str = SLACK_API
    database_url: SecretStr = SecretStr("sqlite+aiosqlite:///countersign.db")
    stack_file: Path = Path("stack.toml")
    port: int = 3000
    port_is_set: bool = False
    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.CONSOLE
    _environment: Mapping[str, SecretStr] = PrivateAttr(default_factory=dict)

    def secret(self, name: str | None) -> SecretStr | None:
        """The value of an environment variable that the stack names (`key_env`); None when unset or empty."""
        return self._environment.get(name) if name else None

    def names(self) -> frozenset[str]:
        """The names of all variables that are set."""
        return frozenset(self._environment)

    def slack(self, *, intake: bool = True) -> SlackAccess:
        """What run, web and (without intake) worker need; SettingsError names all that is missing at once."""
        problems = []
        if self.slack_bot_token is None:
            problems.append("SLACK_BOT_TOKEN is not set: it is the xoxb token of the installed Slack app.")
        if intake and self.slack_app_token is None and self.slack_signing_secret is None:
            problems.append("Set SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for HTTP.")
        if problems or self.slack_bot_token is None:
            raise SettingsError(*problems)
        return SlackAccess(
            bot_token=self.slack_bot_token,
            app_token=self.slack_app_token,
            signing_secret=self.slack_signing_secret,
            api_url=self.slack_api_url,
        )

    def with_database(self, url: str) -> Settings:
        """The same settings with another database."""
        return self.model_copy(update={"database_url": SecretStr(async_database_url(url))})


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the environment; SettingsError carries one sentence a problem. Empty variables count as unset."""
    given = {name: value.strip() for name, value in environ.items() if value.strip()}
    problems: list[str] = []
    values: dict[str, Any] = {}
    for name, read in _READERS.items():
        if name in given:
            try:
                values[name.lower()] = read(given[name])
            except ValueError as problem:
                problems.append(f"{name} {problem}.")
            except SettingsError as problem:
                problems.extend(problem.problems)
    if problems:
        raise SettingsError(*problems)
    settings = Settings(**values, port_is_set="PORT" in given)
    settings._environment = MappingProxyType({name: SecretStr(value) for name, value in given.items()})  # noqa: SLF001  our own, set once before anybody sees it
    return settings


def async_database_url(url: str) -> str:
    """A SQLAlchemy URL with the async driver we ship; SettingsError for anything else, without repeating it."""
    scheme, separator, rest = url.strip().partition("://")
    match scheme if separator else "":
        case "sqlite" | "sqlite+aiosqlite":
            path = rest.partition("?")[0]
            if path in {"", "/", "/:memory:"}:
                raise SettingsError("DATABASE_URL names no file: a database in memory would forget accepted requests.")
            if not rest.startswith("/") or "?" in rest or rest.startswith("/file:"):
                raise SettingsError("DATABASE_URL is sqlite:/// and a path, with nothing behind it.")
            return f"sqlite+aiosqlite://{rest}"
        case "postgres" | "postgresql" | "postgresql+psycopg":
            _must_be_readable(rest)
            return f"postgresql+psycopg://{rest}"
        case _:
            raise SettingsError("DATABASE_URL must begin with sqlite:///, postgresql:// or postgres://.")


def _must_be_readable(rest: str) -> None:
    """A password with signs of the address itself in it would be taken for a host, and be shown as one."""
    try:
        parts = urlsplit(f"//{rest}")
        _ = parts.hostname, parts.port
        is_sound = parts.netloc.count("@") <= 1
    except ValueError:
        is_sound = False
    if not is_sound:
        raise SettingsError(
            "DATABASE_URL cannot be read: write the signs @ : / ? # [ ] % of a user name or password as %40 %3A %2F "
            "%3F %23 %5B %5D %25, and a port as a number."
        )


def _slack_token(prefix: str, kind: str) -> Callable[[str], SecretStr]:
    def read(value: str) -> SecretStr:
        # With token rotation the same kinds of token begin with xoxe.
        if not value.removeprefix("xoxe.").startswith(prefix):
            raise ValueError(f"must be {kind}, which begins with {prefix}")
        return SecretStr(value)

    return read


def _api_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"must be a URL such as {SLACK_API}")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be https: the bot token is sent there")
    return value if value.endswith("/") else f"{value}/"


def _port(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 5 and 0 <= int(value) <= 65_535):  # noqa: PLR2004  the range of a port, and its digits
        raise ValueError("must be a port number, 0 to 65535")
    return int(value)


def _log_level(value: str) -> LogLevel:
    try:
        return LogLevel(value.lower())
    except ValueError:
        raise ValueError("must be debug, info, warning or error") from None


def _log_format(value: str) -> LogFormat:
    try:
        return LogFormat(value.lower())
    except ValueError:
        raise ValueError("must be console or json") from None


_READERS: Mapping[str, Callable[[str], Any]] = {
    "SLACK_BOT_TOKEN": _slack_token("xoxb-", "a bot token"),
    "SLACK_APP_TOKEN": _slack_token("xapp-", "an app-level token"),
    "SLACK_SIGNING_SECRET": SecretStr,
    "SLACK_API_URL": _api_url,
    "DATABASE_URL": lambda value: SecretStr(async_database_url(value)),
    "STACK_FILE": Path,
    "PORT": _port,
    "LOG_LEVEL": _log_level,
    "LOG_FORMAT": _log_format,
}
