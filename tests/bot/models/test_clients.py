"""Whom the bot talks to: the configured endpoint, directly, with as many calls at once as the stack allows."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from asyncio.subprocess import DEVNULL
from pathlib import Path

import httpx
import pytest

from bot.models.assigned import AssignedModels
from bot.models.clients import CONNECTIONS, Clients, OnlyTo, open_client
from bot.models.egress import Origin, origin_of
from bot.models.errors import AttemptFailed
from bot.models.gate import Gate
from bot.playground.scripted import Fault, Recorded, Reply, ScriptedModels
from bot.playground.scripted_reply import WireName
from handlers.errors import ModelFailed
from handlers.ports import Assignment, ModelAnswer
from handlers.stack import Model
from tests.bot.models.conftest import CANARY, PROMPT, Asking
from tests.fakes import at_no_cost

OWN = Origin(scheme="https", host="houba.example", port=443)


@pytest.mark.parametrize(
    "url",
    [
        "http://houba.example/v1",
        "https://houba.example:8443/v1",
        "https://houba.example.evil/v1",
        "https://evil/houba.example",
        "https://houba.example@evil/v1",
        "https://127.0.0.1/v1",
        "http://houba.example:443/v1",
    ],
)
async def test_a_client_reaches_nobody_but_its_own_endpoint(url: str) -> None:
    reached: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        reached.append(request.url.host)
        return httpx.Response(200)

    async with httpx.AsyncClient(transport=OnlyTo(OWN, httpx.MockTransport(answer))) as client:
        await client.get("https://HOUBA.example/v1")
        with pytest.raises(AttemptFailed):
            await client.get(url)

    assert reached == ["houba.example"]


async def test_the_clients_that_are_used_are_locked_to_their_origin(endpoint: ScriptedModels) -> None:
    async with open_client(OWN, ssl.create_default_context()) as client:
        with pytest.raises(AttemptFailed):
            await client.get(endpoint.anthropic_url)

        assert client.follow_redirects is False
        assert client.trust_env is False


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_proxy_in_the_environment_sees_nothing(
    asking: Asking, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with ScriptedModels() as proxy:
        monkeypatch.setenv(name, proxy.anthropic_url)
        asking.endpoint.answers = lambda _: "straight"

        outcome = await asking.outcome(asking.assignment())

        assert proxy.requests == []
    assert isinstance(outcome, ModelAnswer)


async def test_a_certificate_nobody_signed_is_not_accepted(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    made = await asyncio.create_subprocess_exec(*command, "-keyout", key, "-out", certificate, stderr=DEVNULL)
    assert await made.wait() == 0
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1_000))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    model = Model(wire="openai", id="houba-1", base_url=f"https://127.0.0.1:{port}/v1", key_env="MARSU_KEY")
    models = AssignedModels(environment={"MARSU_KEY": CANARY})

    with pytest.raises(ModelFailed) as failed:
        await models.ask(Assignment(key="fast", model=model, timeout_seconds=10), PROMPT, before=at_no_cost)

    await models.aclose()
    server.close()
    await server.wait_closed()
    assert failed.value.code == "tls"
    assert b"".join(heard) == b""


async def test_two_hundred_calls_are_in_flight_at_once(asking: Asking) -> None:
    everybody, inside = asyncio.Event(), 0

    async def answer(_: Recorded) -> str:
        nonlocal inside
        inside += 1
        if inside == 200:
            everybody.set()
        await everybody.wait()
        return "together"

    asking.endpoint.answers = answer
    wires: list[WireName] = ["openai", "anthropic"]
    assignments = [asking.assignment(wires[nth % 2], concurrency=200) for nth in range(200)]

    answers = await asyncio.gather(*(asking.models.ask(each, PROMPT, before=at_no_cost) for each in assignments))

    assert [answer.attempts for answer in answers] == [1] * 200


async def test_no_client_holds_more_connections_than_it_looks_through_quickly() -> None:
    opened: list[httpx.AsyncClient] = []

    def opens(origin: Origin, tls: ssl.SSLContext) -> httpx.AsyncClient:
        opened.append(open_client(origin, tls))
        return opened[-1]

    clients = Clients(opens)
    calls = [clients.to(OWN) for _ in range(2 * CONNECTIONS + 1)]
    used = [call.__enter__() for call in calls]
    for call in calls:
        call.__exit__(None, None, None)
    with clients.to(OWN):
        pass

    assert len(opened) == 3
    assert max(used.count(client) for client in opened) == CONNECTIONS
    await clients.aclose()
    assert all(client.is_closed for client in opened)


async def test_a_model_is_asked_by_no_more_at_once_than_its_concurrency(asking: Asking) -> None:
    inside, most = 0, 0

    async def answer(_: Recorded) -> str:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.01)
        inside -= 1
        return "one of few"

    asking.endpoint.answers = answer

    await asyncio.gather(
        *(asking.models.ask(asking.assignment(concurrency=3), PROMPT, before=at_no_cost) for _ in range(12))
    )

    assert most == 3


async def test_a_limit_changed_by_a_reload_holds_from_the_next_call_on() -> None:
    gate, leave = Gate(), asyncio.Event()
    inside: list[int] = []

    async def call(limit: int) -> None:
        async with gate.within(limit):
            inside.append(limit)
            await leave.wait()

    calls = [asyncio.create_task(call(1)) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert inside == [1]

    calls.append(asyncio.create_task(call(3)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(inside) == 3

    leave.set()
    await asyncio.gather(*calls)
    assert len(inside) == 4


async def test_a_lowered_limit_lets_nobody_in_until_enough_have_left() -> None:
    gate, entered = Gate(), asyncio.Event()

    async def call() -> None:
        async with gate.within(1):
            entered.set()

    async with gate.within(3):
        async with gate.within(3):
            late = asyncio.create_task(call())
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        assert not entered.is_set()

    await late
    assert entered.is_set()


async def test_a_place_given_to_somebody_just_called_off_goes_to_the_next() -> None:
    gate = Gate()

    async def call() -> None:
        async with gate.within(1):
            pytest.fail("it was called off")

    async with gate.within(1):
        late = asyncio.create_task(call())
        await asyncio.sleep(0)
    late.cancel()  # its place is free already, and it has not heard yet
    await asyncio.gather(late, return_exceptions=True)

    async with asyncio.timeout(1), gate.within(1):
        assert late.cancelled()


@pytest.mark.parametrize("seed", range(20))
async def test_whoever_is_called_off_takes_no_place_with_them(seed: int) -> None:
    gate, inside, most = Gate(), 0, 0

    async def call() -> None:
        nonlocal inside, most
        async with gate.within(2):
            inside += 1
            most = max(most, inside)
            try:
                await asyncio.sleep(0.001)
            finally:
                inside -= 1

    calls = [asyncio.create_task(call()) for _ in range(20)]
    for nth, each in enumerate(calls):
        if (nth * 7 + seed) % 3 == 0:
            await asyncio.sleep(0)
            each.cancel()
    await asyncio.gather(*calls, return_exceptions=True)

    assert most == 2
    async with asyncio.timeout(1), gate.within(1):
        assert inside == 0


@pytest.mark.parametrize("fault", [Fault.HANG_BEFORE_BYTES, Fault.SLOW_DRIP])
async def test_calling_off_a_run_ends_its_call_at_once(asking: Asking, fault: Fault) -> None:
    asked = asyncio.Event()
    ended = asyncio.Event()

    async def answer(_: Recorded) -> Reply:
        asked.set()
        if fault is Fault.SLOW_DRIP:
            return Reply(text="drip, drip", fault=fault)
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return Reply()

    asking.endpoint.answers = answer
    call = asyncio.create_task(asking.models.ask(asking.assignment(concurrency=1), PROMPT, before=at_no_cost))
    await asked.wait()
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    if fault is Fault.HANG_BEFORE_BYTES:
        async with asyncio.timeout(5):
            await ended.wait()  # the endpoint saw the connection go
    asking.endpoint.answers = lambda _: "the place is free again"
    assert isinstance(await asking.outcome(asking.assignment(concurrency=1)), ModelAnswer)


async def test_a_connection_is_used_again_after_a_whole_answer(asking: Asking) -> None:
    asking.endpoint.answers = lambda _: "again"
    client_ports: set[str] = set()
    for _ in range(3):
        await asking.outcome(asking.assignment())
        client_ports.update(recorded.peer for recorded in asking.endpoint.requests)

    assert len(client_ports) == 1


def test_an_origin_is_scheme_host_and_port() -> None:
    assert origin_of(httpx.URL("https://Houba.example/v1/x")) == OWN
    assert origin_of(httpx.URL("http://127.0.0.1:8080/v1")) == Origin(scheme="http", host="127.0.0.1", port=8080)
