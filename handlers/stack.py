"""The values of a routed stack: models, stages, review rules, channel policies, budgets, pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

V = TypeVar("V")
_DURATION_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _read_duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and value[:-1].isdigit() and value[-1] in _DURATION_UNITS:
        return timedelta(seconds=int(value[:-1]) * _DURATION_UNITS[value[-1]])
    raise ValueError('must be a whole number and a unit, such as "4h", "30m" or "7d"')


def _freeze(value: Mapping[str, V]) -> Mapping[str, V]:
    return MappingProxyType(dict(value))


Duration = Annotated[timedelta, BeforeValidator(_read_duration)]
Named = Annotated[Mapping[str, V], AfterValidator(_freeze)]
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

    FAST_PASS = "fast-pass"
    FINAL_OWNER = "final-owner"


class Gate(StrEnum):
    """Whether an answer counts only after a reviewer's reaction."""

    NONE = "none"
    REVIEW = "review"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Price(_Value):
    """USD per million tokens, and the day somebody looked."""

    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    checked: date


class Model(_Value):
    """One model behind one endpoint."""

    wire: Literal["openai", "anthropic"]
    id: str = Field(min_length=1)
    base_url: str
    key_env: str | None = None
    trust: int = Field(default=3, ge=1, le=5)
    family: str | None = None
    jurisdiction: str | None = None
    context_tokens: int = Field(default=32_000, ge=256)
    concurrency: int = Field(default=4, ge=1, le=1_000)
    price: Price | None = None


class StageRules(_Value):
    """What the operator says of a stage; None stands for the contract's default."""

    model: str | None = None
    fallbacks: tuple[str, ...] = ()
    priority: tuple[Priority, ...] = ()
    min_trust: int = Field(default=1, ge=1, le=5)
    max_output_tokens: int = Field(default=4_000, ge=16)
    timeout_seconds: int = Field(default=300, ge=1, le=3_600)
    temperature: float | None = Field(default=None, ge=0, le=2)
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
    quorum: int = Field(default=1, ge=1)
    solo: bool = False
    approve: tuple[str, ...] = ("white_check_mark", "heavy_check_mark")
    send_back: tuple[str, ...] = ("x", "leftwards_arrow_with_hook")
    remind_after: Duration = timedelta(hours=4)
    expire_after: Duration = timedelta(days=7)
    webhook_url: str | None = None
    webhook_secret_env: str | None = None


class ChannelPolicy(_Value):
    """What may happen in a channel. No jurisdictions means any."""

    jurisdictions: tuple[str, ...] | None = None
    external: bool = False
    reviewers: tuple[str, ...] | None = None


class Budgets(_Value):
    """Limits in USD; None is no limit."""

    run_usd: float | None = Field(default=None, ge=0)
    thread_usd: float | None = Field(default=None, ge=0)
    day_usd: float | None = Field(default=None, ge=0)


class Repository(_Value):
    """One of the implementer's benches."""

    path: str = Field(min_length=1)
    test: tuple[str, ...] = ()


class Commands(_Value):
    """How the slash commands are called; names are shared by all apps of a workspace."""

    prefix: str = Field(default="", pattern=r"^[a-z0-9_-]{0,20}$")


class Stack(_Value):
    """The whole of `stack.toml`."""

    models: Named[Model] = Field(default_factory=dict)
    stages: Annotated[Mapping[StageName, StageRules], AfterValidator(_freeze)] = Field(default_factory=dict)
    review: ReviewRules = ReviewRules()
    channels: Named[ChannelPolicy] = Field(default_factory=dict)
    budgets: Budgets = Budgets()
    pipelines: Named[tuple[StageName, ...]] = Field(default_factory=dict)
    repositories: Named[Repository] = Field(default_factory=dict)
    commands: Commands = Commands()

    def rules(self, stage: StageName) -> StageRules:
        return self.stages.get(stage, StageRules())

    def policy(self, channel: str) -> ChannelPolicy:
        """The policy of a channel by its id; `default` for the rest."""
        return self.channels.get(channel) or self.channels.get("default") or ChannelPolicy()
