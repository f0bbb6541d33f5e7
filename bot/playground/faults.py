"""Scripted faults: what a network and a busy Slack do to single calls, on order."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, ClassVar

from bot.playground.shapes import Json


@dataclass(slots=True)
class Call:
    """One call of the Web API, as it arrived and as it was answered."""

    method: str
    args: dict[str, Any]
    at: float  # time.time()
    status: int = 0  # 0: not answered, or the connection was cut
    error: str = ""  # Slack's error; "" where it was done
    fault: str = ""  # the scripted fault that hit it
    done: bool = False  # whether the workspace changed, whatever the caller heard

    @property
    def ok(self) -> bool:
        return self.status == 200 and not self.error and self.done  # noqa: PLR2004  HTTP's OK


class Happening(Enum):
    LOSE_REPLY = auto()
    SERVER_ERROR_AFTER = auto()
    SERVER_ERROR_BEFORE = auto()
    RESET_BEFORE = auto()
    HANG = auto()
    HANG_AFTER = auto()
    RATE_LIMITED = auto()
    ERROR = auto()
    HTML = auto()
    DOWN = auto()
    SLOW = auto()
    SAYS = auto()
    TWISTED = auto()


DONE_FIRST = frozenset({
    Happening.LOSE_REPLY, Happening.SERVER_ERROR_AFTER, Happening.HANG_AFTER, Happening.SLOW, Happening.TWISTED,
})  # fmt: skip


def _as_it_is(body: Json) -> Json:
    return body


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls a call. Those named AFTER, LOSE_REPLY, SLOW and TWISTED come when the call is already done."""

    happening: Happening
    retry_after: int = 0
    error: str = ""
    seconds: float = 0.0
    status: int = 200
    twist: Callable[[Json], Json | str] = _as_it_is

    LOSE_REPLY: ClassVar["Fault"]
    SERVER_ERROR_AFTER: ClassVar["Fault"]
    SERVER_ERROR_BEFORE: ClassVar["Fault"]
    RESET_BEFORE: ClassVar["Fault"]
    HANG: ClassVar["Fault"]
    HANG_AFTER: ClassVar["Fault"]
    HTML: ClassVar["Fault"]
    DOWN: ClassVar["Fault"]

    @staticmethod
    def RATE_LIMITED(retry_after: int) -> "Fault":  # noqa: N802  reads like the constants beside it
        """429 with Retry-After in seconds; the call is not done."""
        return Fault(Happening.RATE_LIMITED, retry_after=retry_after)

    @staticmethod
    def ERROR(error: str) -> "Fault":  # noqa: N802  reads like the constants beside it
        """200 with `ok: false`; the call is not done."""
        return Fault(Happening.ERROR, error=error)

    @staticmethod
    def SLOW(seconds: float) -> "Fault":  # noqa: N802  reads like the constants beside it
        """Done at once, answered late."""
        return Fault(Happening.SLOW, seconds=seconds)

    @staticmethod
    def SAYS(status: int, page: str) -> "Fault":  # noqa: N802  reads like the constants beside it
        """This status and this page of HTML; the call is not done."""
        return Fault(Happening.SAYS, status=status, error=page)

    @staticmethod
    def TWISTED(twist: Callable[[Json], Json | str], *, status: int = 200) -> "Fault":  # noqa: N802  so
        """Done, and answered with what `twist` makes of the true answer: another one, or a page of HTML."""
        return Fault(Happening.TWISTED, status=status, twist=twist)


for _plain in Happening:
    if _plain not in {Happening.RATE_LIMITED, Happening.ERROR, Happening.SLOW, Happening.SAYS, Happening.TWISTED}:
        setattr(Fault, _plain.name, Fault(_plain))


@dataclass(slots=True)
class Scripted:
    method: str
    fault: Fault
    left: int
    when: Callable[[Call], bool]


@dataclass(slots=True)
class Faults:
    """The faults still to come, in the order they were added."""

    coming: list[Scripted] = field(default_factory=list)

    def add(
        self, method: str, fault: Fault, *, times: int = 1, when: Callable[[Call], bool] = lambda _call: True
    ) -> None:
        """The next `times` calls of `method` ("*": of any) that satisfy `when` meet this fault."""
        self.coming.append(Scripted(method, fault, times, when))

    def clear(self) -> None:
        self.coming.clear()

    def next_for(self, call: Call) -> Fault | None:
        for scripted in self.coming:
            if scripted.left and scripted.method in {"*", call.method} and scripted.when(call):
                scripted.left -= 1
                return scripted.fault
        return None
