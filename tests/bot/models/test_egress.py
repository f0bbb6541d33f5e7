"""Not one byte goes to a host that the channel bars, and no connection: not by any redirect, fallback, route or reload.

The real client asks (httpx, httpcore, the real `ask_in_order` or `run_stage`); under it a network of ours notes who is
reached.
What is barred is worked out here anew, from tables of the test's own.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest

from bot.models.assigned import AssignedModels
from bot.models.clients import open_client
from bot.models.egress import LockedTransport, Origin
from bot.models.errors import AttemptFailed
from bot.playground.scripted import Recorded, Reply, ScriptedModels
from handlers import run as running
from handlers.call import Question, ask_in_order
from handlers.context import Context
from handlers.errors import ModelFailed
from handlers.ports import Assignment
from handlers.purse import Purse
from handlers.result import Answered
from handlers.routing import NoRoute, Route, route
from handlers.run import prepare, run_stage
from handlers.stack import Model, Stack, StageName
from storage.records import Cooldown, Lane, Run, RunState, Work
from tests.bot.models.conftest import PROMPT, Asking
from tests.bot.models.recorder import Played, Recorder, answering, response
from tests.fakes import FakeClock, always, at_no_cost, fake_cut
from tests.handlers.house import House, open_house

# --- the world of the combinations --------------------------------------------------------------------------------

HERE = "C0GAUL"
SECRET = "the menhir is delivered on Thursday"


@dataclass(frozen=True, kw_only=True)
class Host:
    name: str
    port: int
    jurisdiction: str | None
    trust: int


HOSTS = {
    "alpha": Host(name="alpha.eu.example", port=443, jurisdiction="eu", trust=5),
    "beta": Host(name="beta.us.example", port=8443, jurisdiction="us", trust=3),
    "gamma": Host(name="gamma.cn.example", port=443, jurisdiction="cn", trust=4),
    "delta": Host(name="delta.example", port=443, jurisdiction=None, trust=5),
}
LURE = "lure.example"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a channel allows and a stage asks for."""

    allowed: tuple[str, ...] | None = None
    floor: int = 1


POLICIES = [
    Rules(allowed=("eu",)),
    Rules(allowed=("eu", "us")),
    Rules(allowed=("eu", "us"), floor=4),
    Rules(allowed=("us",)),
    Rules(allowed=()),
    Rules(floor=4),
]
CHAINS = [
    ("alpha", "beta", "gamma"),
    ("beta", "alpha", "delta"),
    ("gamma", "beta", "alpha"),
    ("delta", "gamma", "alpha"),
    ("beta", "gamma"),
    ("alpha", "delta"),
]
RELOADS = ["none", "narrowed", "floor raised", "corrected", "moved"]
FAULTS: dict[str, Played] = {
    "answers": answering("So be it."),
    "refused": httpcore.ConnectError("refused"),
    "reset": httpcore.ReadError("reset"),
    "nothing": b"",
    "cut": response(200, b"x" * 100, content_type="text/event-stream")[:-60],
    "a page": response(200, b"<html>", content_type="text/html"),
    "500": response(500),
    "429": response(429, retry_after="1"),
    "an odd field": response(400, b'{"error": {"message": "unknown field stream_options"}}'),
}
PLACES = [
    f"https://{LURE}/v1/chat/completions",
    f"http://{LURE}/v1/chat/completions",
    f"//{LURE}/v1/chat/completions",
    "/v1/elsewhere",
    "https://alpha.eu.example:8080/v1/chat/completions",
    f"https://alpha.eu.example@{LURE}/v1/chat/completions",
    f"https://alpha.eu.example:443%2F@{LURE}:443/",
]
REDIRECTS = {
    f"{status} to {place}": response(status, location=place) for status in (301, 302, 303, 307, 308) for place in PLACES
}
BEHAVIOURS = FAULTS | REDIRECTS


@dataclass(frozen=True, kw_only=True)
class Combination:
    rules: Rules
    chain: tuple[str, ...]
    behaviour: str
    reload: str
    forged: bool
    """The route names the whole chain, whatever the policy says of it."""

    @property
    def rules_after(self) -> Rules:
        match self.reload:
            case "narrowed":
                return replace(self.rules, allowed=("eu",))
            case "floor raised":
                return replace(self.rules, floor=5)
            case _:
                return self.rules

    def bars(self, host: str, port: int, *, reloaded: bool) -> bool:
        """Whether this host must not be reached at this moment."""
        known = next((one for one in HOSTS.values() if (one.name, one.port) == (host, port)), None)
        if known is None or known not in [HOSTS[key] for key in self.chain]:
            return True
        lands = {known.jurisdiction}
        if reloaded and self.reload == "corrected" and known is HOSTS["beta"]:
            lands.add("cn")
        rules = [self.rules, *([self.rules_after] if reloaded else [])]
        return any(
            known.trust < one.floor or (one.allowed is not None and not lands <= set(one.allowed)) for one in rules
        )


def combinations(rules: Rules) -> Iterator[Combination]:
    for chain, forged in itertools.product(CHAINS, (False, True)):
        for behaviour, reload in itertools.product(FAULTS, RELOADS):
            yield Combination(rules=rules, chain=chain, behaviour=behaviour, reload=reload, forged=forged)
        for behaviour in REDIRECTS:
            reload = "narrowed" if forged else "none"
            yield Combination(rules=rules, chain=chain, behaviour=behaviour, reload=reload, forged=forged)


def stack_of(rules: Rules, chain: tuple[str, ...], reload: str = "none") -> Stack:
    models = {}
    for key, host in HOSTS.items():
        jurisdiction = "cn" if (reload, key) == ("corrected", "beta") else host.jurisdiction
        address = f"{LURE}:{host.port}" if reload == "moved" else f"{host.name}:{host.port}"
        models[key] = Model(
            wire="openai", id=f"{key}-1", base_url=f"https://{address}/v1", trust=host.trust, jurisdiction=jurisdiction
        )
    return Stack.model_validate(
        {
            "models": models,
            "stages": {"draft": {"model": chain[0], "fallbacks": chain[1:], "min_trust": rules.floor}},
            "channels": {HERE: {"jurisdictions": rules.allowed}},
            "review": {"reviewers": ["U0OBELIX"]},
        }
    )


NOON = FakeClock()()
WORK = Work(id="w1", team="T0", channel=HERE, brief=SECRET, opened_by="U0ASTERIX", opened_at=NOON)
RUN = Run(
    id="r1",
    work_id="w1",
    request_key="k1",
    stage="draft",
    lane=Lane.CONTENT,
    state=RunState.RUNNING,
    asked_by="U0ASTERIX",
    entrance="command",
    asked_at=NOON,
)


class Wiretap:
    """The models over a recorder, the stack in use, and everything that should not have been reached."""

    def __init__(self) -> None:
        self.network = Recorder()
        self.stack: Stack | None = None
        self.reloaded = False
        self.reached_all_the_same: list[str] = []
        self.models = AssignedModels(
            environment={},
            sleep=self._no_pause,
            random=lambda: 0.5,
            client_factory=partial(open_client, network=self.network),
            stack=lambda: self.stack,
        )

    def taps(self, combination: Combination, now: Stack, then: Stack) -> None:
        self.stack, self.reloaded, self.network.played = now, False, BEHAVIOURS[combination.behaviour]

        def watch(host: str, port: int) -> None:
            if combination.bars(host, port, reloaded=self.reloaded):
                self.reached_all_the_same.append(f"{host}:{port} {combination}")

        def changes() -> None:
            if combination.reload != "none":
                self.stack, self.reloaded = then, True

        self.network.on_event, self.network.on_answer = watch, changes

    async def _no_pause(self, _: float) -> None:
        return


@pytest.fixture
async def tap(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Wiretap]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://{LURE}:3128")
    monkeypatch.setitem(sys.modules, "trio", None)  # httpcore looks for it at each request; that it fails is quick so
    wiretap = Wiretap()
    yield wiretap
    await wiretap.models.aclose()


class Forgetful:
    """Remembers of no endpoint that it failed, so that every combination begins anew."""

    def __init__(self) -> None:
        self.cooldowns = self

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Forgetful]:
        yield self

    transaction = reading

    async def current(self, _: object) -> dict[str, Cooldown]:
        return {}

    async def all(self) -> dict[str, Cooldown]:
        return {}

    async def note(self, _: Cooldown) -> None:
        return


async def asked(decided: Route, context: Context, stack: Stack, models: AssignedModels) -> Answered | ModelFailed:
    try:
        question = Question(run=RUN, channel=HERE, decided=decided, context=context, stack=stack)
        storage: Any = Forgetful()  # all it is asked for
        purse = Purse(RUN, WORK, stack, storage=storage, now=lambda: NOON)
        return await ask_in_order(question, models=models, purse=purse, storage=storage, now=lambda: NOON, may=always)
    except ModelFailed as failed:
        return failed


def routed(combination: Combination, stack: Stack) -> Route | NoRoute:
    if not combination.forged:
        return route(stack, StageName.DRAFT, HERE)
    found = route(stack_of(Rules(), combination.chain), StageName.DRAFT, HERE)
    assert isinstance(found, Route)
    return found


@pytest.mark.parametrize("rules", POLICIES, ids=lambda rules: f"{rules.allowed}-{rules.floor}")
async def test_nobody_who_is_barred_is_reached(tap: Wiretap, rules: Rules) -> None:
    answers = redirects = 0
    unlimited = stack_of(Rules(), CHAINS[0])
    context, _ = prepare(RUN, WORK, [], route(unlimited, StageName.DRAFT, HERE), unlimited, marker="marker-of-gaul")  # type: ignore[arg-type]  # there is one
    for chain, several in itertools.groupby(combinations(rules), key=lambda one: one.chain):
        stacks = {reload: stack_of(rules, chain, reload) for reload in RELOADS}
        stacks["narrowed"] = stack_of(replace(rules, allowed=("eu",)), chain)
        stacks["floor raised"] = stack_of(replace(rules, floor=5), chain)
        for combination in several:
            tap.taps(combination, stacks["none"], stacks[combination.reload])
            decided = routed(combination, stacks["none"])
            expected = [key for key in chain if not combination.bars(HOSTS[key].name, HOSTS[key].port, reloaded=False)]
            if isinstance(decided, NoRoute):
                assert expected == [], combination
                continue
            came = await asked(decided, context, stacks["none"], tap.models)
            if combination.behaviour == "answers" and expected:
                assert isinstance(came, Answered), combination
                assert came.key == expected[0], combination
                answers += 1
            else:
                assert isinstance(came, ModelFailed), combination
            if isinstance(came, ModelFailed) and expected and combination.behaviour in REDIRECTS:
                assert "redirect to another address" in came.sentence
                redirects += 1
    assert tap.reached_all_the_same == []
    heard = {host for host, sent in tap.network.heard.items() if SECRET.encode() in sent}
    assert heard == {one.name for one in HOSTS.values() if one.trust >= rules.floor and _may(one, rules)}
    assert (answers > 20 and redirects > 100) is bool(heard)


def _may(host: Host, rules: Rules) -> bool:
    return rules.allowed is None or host.jurisdiction in rules.allowed


def test_there_are_enough_combinations() -> None:
    assert sum(1 for rules in POLICIES for _ in combinations(rules)) >= 5_000


# --- the whole run ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def a_run(folder: Path, chain: tuple[str, ...]) -> AsyncIterator[tuple[House, Run]]:
    """A draft in line, asked for while everything was allowed."""
    async with open_house(folder, stack_of(Rules(), chain)) as house:
        house.slack.places[HERE] = house.slack.places["C0LAUNCH"]
        queued = await house.asks("draft", SECRET, channel=HERE)
        async with house.storage.transaction() as saved:
            begun = await saved.runs.begin(queued.id, at=house.now())
        assert begun is not None
        yield house, begun


@pytest.mark.parametrize("behaviour", ["500", f"307 to {PLACES[0]}", "answers"])
@pytest.mark.parametrize("rules", POLICIES, ids=lambda rules: f"{rules.allowed}-{rules.floor}")
async def test_a_whole_run_with_a_wrong_route_reaches_nobody_who_is_barred(
    tap: Wiretap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: Rules, behaviour: str
) -> None:
    chain = CHAINS[2]
    combination = Combination(rules=rules, chain=chain, behaviour=behaviour, reload="narrowed", forged=True)
    stack = stack_of(rules, chain)
    tap.taps(combination, stack, stack_of(combination.rules_after, chain))
    wrong = routed(combination, stack)
    monkeypatch.setattr(running, "route", lambda *_, **__: wrong)
    async with a_run(tmp_path, chain) as (house, run):
        await run_stage(
            run,
            storage=house.storage,
            slack=house.slack,
            models=tap.models,
            sources=house.sources,
            heartbeats=house.heartbeats,
            stack=stack,
            cut=fake_cut,
            now=house.now,
            new_id=house.new_id,
        )
        ended = await house.run(run)
    open_to = [key for key in chain if not combination.bars(HOSTS[key].name, HOSTS[key].port, reloaded=False)]
    assert tap.reached_all_the_same == []
    assert (ended.state is RunState.ANSWERED) is (behaviour == "answers" and bool(open_to))
    assert ended.state in {RunState.ANSWERED, RunState.FAILED}
    if not open_to:
        assert "gamma was not asked: gamma is operated in cn and this channel allows none." in (ended.error or "")


# --- the choke point ----------------------------------------------------------------------------------------------


def gamma(**more: object) -> Assignment:
    model = stack_of(Rules(), CHAINS[0]).models["gamma"]
    return replace(Assignment(key="gamma", model=model, timeout_seconds=5), **more)  # type: ignore[arg-type]  # its fields


@pytest.mark.parametrize(
    ("assignment", "why"),
    [
        (gamma(jurisdictions=("eu", "us")), "gamma is operated in cn and this channel allows eu and us"),
        (gamma(jurisdictions=()), "gamma is operated in cn and this channel allows none"),
        (gamma(min_trust=5), "gamma has trust 4, below the stage's floor of 5"),
    ],
    ids=["elsewhere", "nowhere", "below the floor"],
)
async def test_a_barred_model_is_not_asked_and_the_sentence_names_the_rule(
    tap: Wiretap, assignment: Assignment, why: str
) -> None:
    with pytest.raises(ModelFailed) as failed:
        await tap.models.ask(assignment, PROMPT, before=at_no_cost)
    assert (failed.value.code, failed.value.sentence) == ("barred", f"gamma was not asked: {why}.")
    assert failed.value.retryable is False
    assert tap.network.reached == []


async def test_a_model_that_is_barred_between_two_attempts_is_not_asked_again(tap: Wiretap) -> None:
    tap.network.played = response(503)
    tap.network.on_answer = lambda: setattr(tap, "stack", stack_of(Rules(allowed=("eu",)), CHAINS[0]))
    with pytest.raises(ModelFailed) as failed:
        await tap.models.ask(gamma(channel=HERE, stage="draft"), PROMPT, before=at_no_cost)
    assert failed.value.sentence == ("gamma was not asked again: gamma is operated in cn and this channel allows eu.")
    assert len(tap.network.reached) == 1


# --- the socket layer ---------------------------------------------------------------------------------------------

BUECHER = Origin(scheme="https", host="bücher.example", port=8443)
V6 = Origin(scheme="http", host="::1", port=8080)


async def fetched(
    origin: Origin, url: str, *, played: Played = b"", **request: object
) -> tuple[Recorder, Exception | None]:
    """A client that follows redirects, asked for a URL, over the lock alone; who was reached."""
    network = Recorder(played)
    transport = LockedTransport(origin, ssl.create_default_context(), most=2, network=network)
    async with httpx.AsyncClient(transport=transport, follow_redirects=True) as client:
        try:
            await client.post(url, content=b"text", **request)  # type: ignore[arg-type]  # httpx's own
        except (AttemptFailed, httpx.HTTPError) as refused:
            return network, refused
    return network, None


@pytest.mark.parametrize(
    ("origin", "url", "reached"),
    [
        (BUECHER, "https://bücher.example:8443/v1", ("xn--bcher-kva.example", 8443)),
        (BUECHER, "https://XN--BCHER-KVA.example:8443/v1", ("xn--bcher-kva.example", 8443)),
        (V6, "http://[::1]:8080/v1", ("::1", 8080)),
    ],
)
async def test_its_own_host_is_reached_however_it_is_written(
    origin: Origin, url: str, reached: tuple[str, int]
) -> None:
    network, refused = await fetched(origin, url, played=response(200))
    assert refused is None
    assert network.reached == [reached]


@pytest.mark.parametrize(
    "url",
    [
        "https://bücher.example/v1",
        "http://bücher.example/v1",
        "https://bucher.example:8443/v1",
        "https://bücher.example:8444/v1",
        "https://bücher.example.lure.example:8443/v1",
        f"https://bücher.example:8443@{LURE}:8443/v1",
        "https://127.0.0.1:8443/v1",
        "https://[::1]:8443/v1",
    ],
)
async def test_no_other_host_or_port_is_reached(url: str) -> None:
    network, refused = await fetched(BUECHER, url, headers={"Host": "bücher.example:8443".encode("idna").decode()})
    assert isinstance(refused, AttemptFailed)
    assert refused.what == "would have been asked at another address than its own"
    assert network.reached == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_that_were_followed_would_still_end_at_the_socket(status: int) -> None:
    network, refused = await fetched(
        BUECHER, "https://bücher.example:8443/", played=response(status, location=PLACES[0])
    )
    assert isinstance(refused, AttemptFailed)
    assert network.reached == [("xn--bcher-kva.example", 8443)]


async def test_without_the_lock_the_same_redirect_is_heard_by_the_recorder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorder hears what the other tests say is never sent."""
    monkeypatch.setattr("bot.models.egress.OnlyAt", lambda _, network: network)
    network, _ = await fetched(BUECHER, "https://bücher.example:8443/", played=response(307, location=PLACES[0]))
    assert network.heard[LURE].endswith(b"text")


def test_no_other_module_of_the_bot_opens_an_http_client_of_its_own() -> None:
    makes = re.compile(
        r"httpx\.(Async)?(Client|HTTPTransport)\(|httpx\.(get|post|stream|request)\(|import requests|urlopen\("
    )
    root = Path(__file__).parents[3] / "bot"
    found = {str(file.relative_to(root)) for file in root.rglob("*.py") if makes.search(file.read_text("utf-8"))}
    assert found == {"models/clients.py", "sources/pinned.py"}


async def test_a_unix_socket_is_no_way_out() -> None:
    transport = LockedTransport(BUECHER, ssl.create_default_context(), most=2, network=Recorder())
    with pytest.raises(AttemptFailed):
        await transport._pool._network_backend.connect_unix_socket("/run/lure.sock")
    await transport.aclose()


# --- real sockets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_over_real_sockets_nobody_even_connects_to_where_a_redirect_points(asking: Asking, status: int) -> None:
    connections: list[object] = []

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer.get_extra_info("peername"))
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as lure, ScriptedModels() as other:
        port = lure.sockets[0].getsockname()[1]
        own = asking.endpoint.port
        places = [
            f"http://127.0.0.1:{port}/v1/chat/completions",
            f"http://localhost:{port}/v1/chat/completions",
            f"//127.0.0.1:{port}/",
            f"http://127.0.0.1:{own}@localhost:{port}/",
            "/v1/messages",
            other.openai_url,
            f"http://localhost:{own}/v1/chat/completions",
        ]
        for place in places:
            reply = Reply(status=status, headers={"Location": place})
            asking.endpoint.answers = partial(_always, reply)
            outcome = await asking.outcome(asking.assignment())
            assert isinstance(outcome, ModelFailed)
            assert outcome.sentence == (
                f"fast answered with a redirect to another address (HTTP {status}), which is not followed, tried once."
            )
            assert len(asking.endpoint.requests) == 1
        assert connections == []
        assert other.requests == []


def _always(reply: Reply, _: Recorded) -> Reply:
    return reply
