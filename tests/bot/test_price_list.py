"""`check --prices`: the stack beside the packaged list, offline, and never broken by what stands in the list."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.cli import main
from bot.price_list import NOT_KNOWN, look_up
from handlers.published import Published
from handlers.stack import Model
from tests.bot.test_cli import process

GATEWAY = "https://gateway.gaul.example/v1"


def a_model(name: str, base_url: str = GATEWAY) -> Model:
    return Model(wire="openai", id=name, base_url=base_url)


class Provider:
    """One that serves a model under its exact name."""

    def __init__(self, name: str, pattern: str, **prices: Any) -> None:
        self.id, self.pattern = name, pattern
        self.prices = prices

    def find_model(self, name: str, *, all_providers: object) -> Any:
        assert all_providers
        if name not in self.prices:
            return None
        return SimpleNamespace(id=name, get_prices=lambda _: SimpleNamespace(**self.prices[name]))


class Snapshot:
    def __init__(self, *providers: Provider) -> None:
        self.providers = providers

    def find_provider(self, name: str | None, provider_id: None, url: str | None) -> Provider:
        assert provider_id is None
        for provider in self.providers:
            if (url and url.startswith(provider.pattern)) or (name and name.startswith(provider.id)):
                return provider
        raise LookupError(name)


def per_million(taken: Any, given: Any) -> dict[str, Any]:
    return {"input_mtok": taken, "output_mtok": given}


FAIR = per_million(Decimal("0.15"), Decimal("0.6"))
TIERED = SimpleNamespace(base=Decimal(1), tiers=[SimpleNamespace(start=200_000, price=Decimal(2))])
MAKERS = Snapshot(
    Provider("lepus", "https://api.lepus.example/", **{"hare-1": FAIR, "lepus-2": FAIR}),
    Provider("openrouter", "https://openrouter.example/", **{"strix/owl-1": per_million(Decimal(3), Decimal(15))}),
)


@pytest.mark.parametrize(
    ("model", "by", "at_its_host"),
    [
        (a_model("hare-1", "https://api.lepus.example/v1"), "lepus", True),
        (a_model("hare-1", "https://api.lepus.example"), "lepus", True),
        (a_model("strix/owl-1", "https://openrouter.example/api/v1"), "openrouter", True),
        (a_model("lepus/hare-1"), "lepus", False),
        (a_model("Lepus/hare-1"), "lepus", False),
        (a_model("strix/owl-1"), "openrouter", False),
        (a_model("lepus-2"), "lepus", False),
    ],
)
def test_a_model_is_known_by_its_host_its_makers_name_or_its_id(model: Model, by: str, *, at_its_host: bool) -> None:
    found = look_up(model, MAKERS)
    assert isinstance(found, Published)
    assert (found.by, found.at_its_host) == (by, at_its_host)


@pytest.mark.parametrize(
    "model",
    [
        a_model("owl-1"),
        a_model("nobody/hare-1"),
        a_model("lepus/"),
        a_model("owl-1", "https://api.lepus.example/v1"),
        a_model("lepus/hare-1", "https://api.lepus.example/v1"),
    ],
)
def test_what_the_list_does_not_have_is_not_known_there(model: Model) -> None:
    assert look_up(model, MAKERS) == NOT_KNOWN


def test_a_price_in_tiers_is_its_first_and_says_where_the_next_begins() -> None:
    found = look_up(a_model("lepus/x"), Snapshot(Provider("lepus", "https://l/", x=per_million(TIERED, TIERED))))
    assert isinstance(found, Published)
    assert (found.input, found.output, found.steps_at) == (1.0, 1.0, 200_000)


@pytest.mark.parametrize(
    "prices",
    [
        per_million("dear", "dearer"),
        per_million(Decimal("NaN"), Decimal(1)),
        per_million(Decimal(-1), Decimal(1)),
        per_million(Decimal("1e40"), Decimal(1)),
        per_million([], {}),
        per_million(SimpleNamespace(base=1, tiers=[object()]), Decimal(1)),
        per_million(SimpleNamespace(base=None, tiers=3), Decimal(1)),
    ],
)
def test_bad_data_in_the_list_is_said_and_breaks_nothing(prices: dict[str, Any]) -> None:
    told = look_up(a_model("lepus/x"), Snapshot(Provider("lepus", "https://l/", x=prices)))
    assert told == "its entry there cannot be read"


@pytest.mark.parametrize("prices", [{}, per_million(None, None), per_million(Decimal(1), None)])
def test_a_price_that_is_not_by_the_token_is_said(prices: dict[str, Any]) -> None:
    told = look_up(a_model("lepus/x"), Snapshot(Provider("lepus", "https://l/", x=prices)))
    assert told == "it has no price by the token there"


@pytest.mark.parametrize("snapshot", [None, SimpleNamespace(providers=[object()]), SimpleNamespace(providers=7)])
def test_a_list_of_another_shape_breaks_nothing(snapshot: object) -> None:
    assert look_up(a_model("hare-1"), snapshot) == "its entry there cannot be read"


# --- the command --------------------------------------------------------------------------------------------------

STACK = """[models.fast]
wire = "openai"
id = "gpt-4o-mini"
base_url = "https://api.openai.com/v1"
trust = 2
price = { input = 0.10, output = 0.60, checked = 2026-11-01 }
[models.trusted]
wire = "anthropic"
id = "claude-opus-4-5"
base_url = "https://api.anthropic.com"
trust = 5
price = { input = 5, output = 25, checked = 2026-11-01 }
[models.odd]
wire = "openai"
id = "nobodys-model"
base_url = "https://gateway.gaul.example/v1"
trust = 3
price = { input = 1, output = 2, checked = 2026-11-01 }
[stages]
implement.model = "odd"
[review]
reviewers = ["U0OBELIX", "U0ASTERIX"]
"""


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    file = tmp_path / "stack.toml"
    file.write_text(STACK)
    return file


def test_each_model_is_one_line_and_what_differs_has_a_code(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--prices", "--stack", str(stack)]) == 0
    out, err = capsys.readouterr()
    prices = [line.removeprefix(f"{stack}:") for line in out.splitlines() if " here; " in line]
    listed = "$0.10 in, $0.60 out here; gpt-4o-mini at openai: $0.15 in, $0.60 out"
    assert prices == [
        f"6: W432 fast: {listed}: input costs 50% more there; look at the provider's page, and set checked.",
        "12: trusted: $5.00 in, $25.00 out here; the same there (claude-opus-4-5 at anthropic: $5.00 in, $25.00 out).",
        "13: odd: $1.00 in, $2.00 out here; not known there.",
    ]
    assert "as it was packaged; nobody was asked" in err


def test_a_difference_counts_only_when_it_is_strict(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fresh = STACK.replace("2026-11-01", datetime.now(UTC).date().isoformat())
    stack.write_text(fresh)
    assert main(["check", "--strict", "--stack", str(stack)]) == 0
    assert main(["check", "--prices", "--stack", str(stack)]) == 0
    assert main(["check", "--prices", "--strict", "--stack", str(stack)]) == 1
    stack.write_text(fresh.replace("input = 0.10", "input = 0.15"))
    assert main(["check", "--prices", "--strict", "--stack", str(stack)]) == 0
    capsys.readouterr()


def test_a_stack_with_errors_has_them_told_first(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack.write_text(STACK + "quorum = 5\n")
    assert main(["check", "--prices", "--stack", str(stack)]) == 1
    out, err = capsys.readouterr()
    assert "E204" in out
    assert "Prices are compared once the errors are mended." in err


def test_without_the_package_everything_else_is_checked(
    stack: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)
    assert main(["check", "--prices", "--stack", str(stack)]) == 0
    assert "Prices were not compared: genai-prices cannot be read (ModuleNotFoundError)." in capsys.readouterr().err


def test_nobody_is_asked_and_nothing_goes_on_in_the_background(tmp_path: Path, stack: Path) -> None:
    program = (
        "import socket, sys, threading\n"
        "def used(*_, **__): raise SystemExit('the network was used')\n"
        "socket.socket.connect = socket.getaddrinfo = socket.create_connection = used\n"
        "import bot.cli as c\n"
        "c.main(['check']); print('genai_prices' in sys.modules)\n"
        "c.main(['check', '--prices']); print('genai_prices' in sys.modules, threading.active_count())\n"
    )
    told = process(tmp_path, "-c", program)
    assert told.returncode == 0
    assert [line for line in told.stdout.splitlines() if not line.startswith("stack.toml")] == ["False", "True 1"]
