"""The values of a routed stack: models, stages, review rules, channel policies, budgets, pipelines."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from ipaddress import ip_address
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    Strict,
    TypeAdapter,
    ValidatorFunctionWrapHandler,
    WrapSerializer,
    WrapValidator,
)

from handlers.hours import read_hours

V = TypeVar("V")
STALE_AFTER = timedelta(days=60)
"""So long after somebody looked a price may be another by now."""
_DURATION_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def _read_duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and (found := _DURATION.fullmatch(value.strip())):
        return timedelta(seconds=int(found[1]) * _DURATION_UNITS[found[2]])
    raise ValueError('must be a whole number and a unit, such as "4h", "30m" or "7d"')


def _read_day(value: Any) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            value = None
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError("must be a day, such as 2026-11-01")


def is_loopback(host: str) -> bool:
    """Whether a URL's host can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _web_address(value: str) -> str:
    """The value, if it is a URL fit to be sent secrets; the ValueError never repeats it."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("must be a URL such as https://api.example.com/v1") from None
    if parts.scheme not in {"http", "https"} or not host or re.search(r"[\s\x00-\x1f\x7f\\]", value):
        raise ValueError("must be a URL such as https://api.example.com/v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry a user name or a password; keys belong in the environment")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("must be https; http is for this machine only (localhost, 127.0.0.1, [::1])")
    return value


def _endpoint(value: str) -> str:
    if "?" in value or "#" in value:
        raise ValueError("must end with its path: no query, no fragment")
    return _web_address(value).rstrip("/")


def _environment_name(value: str) -> str:
    if not _ENVIRONMENT_NAME.fullmatch(value):
        raise ValueError("must be the name of an environment variable, such as FAST_API_KEY")
    return value


def _business_hours(value: str) -> str:
    read_hours(value)
    return value


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError('must be a time zone by its place, such as "Europe/Berlin"') from None
    return value


def _freeze(value: Mapping[str, V]) -> Mapping[str, V]:
    return MappingProxyType(dict(value))


def _thaw(value: Mapping[str, V], serialise: SerializerFunctionWrapHandler) -> Any:
    return serialise(dict(value))


# Strict, for TOML knows its types: `solo = "no"` or `quorum = true` is a mistake, not a value to guess from.
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
YesNo = Annotated[bool, Strict()]
Day = Annotated[date, BeforeValidator(_read_day)]
Duration = Annotated[
    timedelta,
    BeforeValidator(_read_duration),
    PlainSerializer(lambda value: f"{int(value.total_seconds())}s", return_type=str),
]
BusinessHours = Annotated[str, AfterValidator(_business_hours)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
EndpointUrl = Annotated[str, AfterValidator(_endpoint)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
EnvironmentName = Annotated[str, AfterValidator(_environment_name)]
Jurisdiction = Annotated[str, Field(min_length=1, max_length=40), AfterValidator(str.lower)]
Named = Annotated[Mapping[str, V], AfterValidator(_freeze), WrapSerializer(_thaw)]
"""A table of the file, by name, that nobody can change afterwards."""


class StageName(StrEnum):
    """A kind of job; the file and the commands use these words."""

    SCOUT = "scout"
    DRAFT = "draft"
    CRITIQUE = "critique"
    IMPLEMENT = "implement"
    POLISH = "polish"
    FINAL = "final"


class Priority(StrEnum):
    """What matters most at a stage: the second of the four routing questions."""

    SPEED = "speed"
    BREADTH = "breadth"
    COST = "cost"
    SKEPTICISM = "skepticism"
    STRUCTURE = "structure"
    FIT = "fit"
    TRUST = "trust"
    CLARITY = "clarity"
    CAUTION = "caution"


class Posture(StrEnum):
    """Final owner or fast pass: the third of the four routing questions."""

    FAST_PASS = "fast-pass"  # noqa: S105  a pass, not a password
    FINAL_OWNER = "final-owner"


class Gate(StrEnum):
    """Whether an answer counts only after a reviewer's reaction."""

    NONE = "none"
    REVIEW = "review"


class _Value(BaseModel):
    # Errors never repeat the input: it may be a secret in the wrong place.
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)


class Price(_Value):
    """USD per million tokens, and the day somebody looked."""

    input: Number = Field(ge=0, allow_inf_nan=False)
    output: Number = Field(ge=0, allow_inf_nan=False)
    checked: Day

    def is_stale(self, today: date) -> bool:
        """Whether nobody has looked for so long that it is said wherever the price counts."""
        return today - self.checked > STALE_AFTER


class Model(_Value):
    """One model behind one endpoint."""

    wire: Literal["openai", "anthropic"]
    id: str = Field(min_length=1)
    base_url: EndpointUrl
    key_env: EnvironmentName | None = None
    trust: Whole = Field(default=3, ge=1, le=5)
    family: str | None = None
    jurisdiction: Jurisdiction | None = None
    context_tokens: Whole = Field(default=32_000, ge=256)
    concurrency: Whole = Field(default=4, ge=1, le=1_000)
    price: Price | None = None

    @property
    def host(self) -> str:
        """Where it is asked, as [hosts] names it: the name, and the port if the address has one."""
        return urlsplit(self.base_url).netloc.lower()

    @property
    def endpoint(self) -> str:
        """What answers or fails, whatever the stack calls it: an address, and the name sent there."""
        return f"{self.base_url}#{self.id}"


class Host(_Value):
    """What holds for all models behind one host together."""

    concurrency: Whole = Field(default=1_000, ge=1, le=10_000)


class StageRules(_Value):
    """What the operator says of a stage; None stands for the contract's default.

    `job`, `priority`, `posture` and `context` answer the four routing questions. Once a file is read, the text of
    `instructions_file` stands in `instructions`.
    """

    model: str | None = None
    fallbacks: tuple[str, ...] = ()
    priority: tuple[Priority, ...] = ()
    min_trust: Whole = Field(default=1, ge=1, le=5)
    max_output_tokens: Whole = Field(default=4_000, ge=16)
    timeout_seconds: Whole = Field(default=300, ge=1, le=3_600)
    temperature: Number | None = Field(default=None, ge=0, le=2)
    posture: Posture | None = None
    gate: Gate | None = None
    job: str | None = None
    context: str | None = None
    instructions: str | None = None
    instructions_file: str | None = None


class ReviewRules(_Value):
    """Who may approve a final text, how, and how long it waits."""

    reviewers: tuple[str, ...] = ()
    backup_reviewers: tuple[str, ...] = ()
    quorum: Whole = Field(default=1, ge=1)
    solo: YesNo = False
    approve: tuple[str, ...] = ("white_check_mark", "heavy_check_mark")
    send_back: tuple[str, ...] = ("x", "leftwards_arrow_with_hook")
    buttons: YesNo = True
    remind_after: Duration = timedelta(hours=4)
    business_hours: BusinessHours | None = None
    time_zone: TimeZone = "UTC"
    expire_after: Duration = timedelta(days=7)
    webhook_url: WebAddress | None = None
    webhook_secret_env: EnvironmentName | None = None

    def at_work(self, at: datetime) -> datetime:
        """The moment itself, if people may be reminded then, else when they next may."""
        if self.business_hours is None:
            return at
        return read_hours(self.business_hours).next_open(at, ZoneInfo(self.time_zone))


class ChannelPolicy(_Value):
    """What may happen in a channel. No jurisdictions means any."""

    jurisdictions: tuple[Jurisdiction, ...] | None = None
    external: YesNo = False
    reviewers: tuple[str, ...] | None = None


class Budgets(_Value):
    """Limits in USD; None is no limit.

    `may_raise`: who may let a thread go over a limit once; None stands for the reviewers.
    """

    run_usd: Number | None = Field(default=None, ge=0, allow_inf_nan=False)
    thread_usd: Number | None = Field(default=None, ge=0, allow_inf_nan=False)
    day_usd: Number | None = Field(default=None, ge=0, allow_inf_nan=False)
    may_raise: tuple[str, ...] | None = None


class Pipeline(_Value):
    """Stages that are walked one after the other, once somebody asks for it.

    `revise_rounds`: so often is a text revised and criticised anew while its critic's verdict is to revise it; with
    none the walk goes on whatever the verdict.
    """

    stages: tuple[StageName, ...]
    revise_rounds: Whole = Field(default=0, ge=0, le=5)


_STAGES_ALONE = TypeAdapter(tuple[StageName, ...])


def _read_pipeline(value: Any, read: ValidatorFunctionWrapHandler) -> Pipeline:
    """A table, or its stages alone."""
    if not isinstance(value, dict | Pipeline):
        value = Pipeline(stages=_STAGES_ALONE.validate_python(value))
    pipeline: Pipeline = read(value)
    return pipeline


class Repository(_Value):
    """One of the implementer's benches."""

    path: str = Field(min_length=1)
    test: tuple[str, ...] = ()


class Commands(_Value):
    """How the slash commands are called; names are shared by all apps of a workspace."""

    prefix: str = Field(default="", pattern=r"^[a-z0-9_-]{0,20}$")


class Policy(_Value):
    """Rules about the stack itself. A regulated one must say where, who, and at what price before it may run."""

    regulated: YesNo = False


class Stack(_Value):
    """The whole of `stack.toml`."""

    models: Named[Model] = Field(default_factory=dict)
    hosts: Named[Host] = Field(default_factory=dict)
    stages: Annotated[Mapping[StageName, StageRules], AfterValidator(_freeze), WrapSerializer(_thaw)] = Field(
        default_factory=dict
    )
    review: ReviewRules = ReviewRules()
    channels: Named[ChannelPolicy] = Field(default_factory=dict)
    budgets: Budgets = Budgets()
    pipelines: Named[Annotated[Pipeline, WrapValidator(_read_pipeline)]] = Field(default_factory=dict)
    repositories: Named[Repository] = Field(default_factory=dict)
    commands: Commands = Commands()
    policy_rules: Policy = Field(default=Policy(), alias="policy")

    @cached_property
    def digest(self) -> str:
        """sha256 of the values; comments and the order of keys do not change it, the order of models does."""
        return sha256(json.dumps(self.model_dump(mode="json", by_alias=True)).encode()).hexdigest()

    def rules(self, stage: StageName) -> StageRules:
        return self.stages.get(stage, StageRules())

    def policy(self, channel: str) -> ChannelPolicy:
        """The policy of a channel by its id; `default` for the rest."""
        return self.channels.get(channel) or self.channels.get("default") or ChannelPolicy()

    def posture(self, stage: StageName) -> Posture:
        """Final owner or fast pass; only `final` is a final owner unless the file says otherwise."""
        return self.rules(stage).posture or (Posture.FINAL_OWNER if stage is StageName.FINAL else Posture.FAST_PASS)

    def gate(self, stage: StageName) -> Gate:
        """Whether the stage's answers wait for a reviewer; only `final`'s do unless the file says otherwise."""
        return self.rules(stage).gate or (Gate.REVIEW if stage is StageName.FINAL else Gate.NONE)
