from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot import cli
from bot.cli import _finish, main, parser
from bot.settings import Settings
from bot.stack_file import read_stack
from handlers.errors import Refusal
from tests.bot.test_stack_file import written_out

COMMANDS = {"demo", "run", "export", "verify", "web", "worker", "check", "init", "manifest", "migrate"}
SLACK = {"SLACK_BOT_TOKEN": "xoxb-rosebud", "SLACK_APP_TOKEN": "xapp-sledge"}


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "set_up_logging", lambda _settings: None)
    monkeypatch.setattr(cli, "learn_secrets", lambda _settings, _stack: None)


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    (tmp_path / "stack.toml").write_text(written_out("%SWORN\n%TWO\n"))
    return tmp_path / "stack.toml"


def ran(capsys: pytest.CaptureFixture[str], *argv: str, **environ: str) -> tuple[int, str, str]:
    code = main(argv, environ)
    return code, *capsys.readouterr()


def dispatched(monkeypatch: pytest.MonkeyPatch, result: Any = None) -> list[tuple[str, str, tuple[Any, ...]]]:
    calls: list[tuple[str, str, tuple[Any, ...]]] = []

    def late(module: str, name: str) -> Callable[..., Awaitable[Any]]:
        async def work(*given: Any) -> Any:
            calls.append((module, name, given))
            if isinstance(result, BaseException):
                raise result
            return result

        return work

    monkeypatch.setattr(cli, "_late", late)
    return calls


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"], {})
    assert left.value.code == 0
    assert set(re.findall(r"^    ([a-z]+) ", capsys.readouterr().out, re.MULTILINE)) == COMMANDS


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_takes_a_stack_and_a_database_and_has_help(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    what = ["w1"] if command == "export" else []
    args = parser().parse_args([command, *what, "--stack", "gaul.toml", "--database", "sqlite:///gaul.db"])
    assert (args.stack, args.database) == ("gaul.toml", "sqlite:///gaul.db")
    with pytest.raises(SystemExit) as left:
        parser().parse_args([command, "--help"])
    assert left.value.code == 0
    assert "--stack FILE" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv", [[], ["conquer"], ["check", "--fast"], ["init", "--preset", "roman"], ["demo", "--port", "x"]], ids=str
)
def test_what_is_not_understood_exits_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(argv, {})
    assert left.value.code == 2
    assert "usage" in capsys.readouterr().err


# check


def test_check_exits_0_on_a_sound_stack(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ran(capsys, "check")
    assert code == 0
    assert re.fullmatch(r"stack\.toml:1: N405 [^\n]+\n", out)
    assert err == "stack.toml: 1 note. docs/findings.md explains each code.\n"


def test_check_exits_1_on_errors_and_prints_them_all(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack.write_text(written_out("%SWORN\nmagic = 1\ntrust = 9\n%TWO\nquorum = 3\n"))
    code, out, err = ran(capsys, "check", "--stack", str(stack))
    assert code == 1
    assert [line.split(" ")[1] for line in out.splitlines()] == ["E101", "E102", "E204"]
    assert all(re.fullmatch(rf"{re.escape(str(stack))}:\d+: [EWN]\d{{3}} .+\.", line) for line in out.splitlines())
    assert err == f"{stack}: 3 errors. docs/findings.md explains each code.\n"


def test_check_exits_0_with_warnings_and_strict_makes_it_1(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack.write_text(written_out('%SWORN\n%TWO\n[stages.final]\ngate = "none"\n'))
    assert ran(capsys, "check")[0] == 0
    assert ran(capsys, "check", "--strict")[0] == 1


def test_check_on_a_missing_file_is_one_finding(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ran(capsys, "check", STACK_FILE="gaul.toml")
    assert (code, out) == (1, "gaul.toml:1: E001 There is no such file; `init` writes one.\n")


def test_check_needs_nothing_but_the_file(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(capsys, "check", PORT="nonsense", DATABASE_URL="nonsense")[0] == 0


# init


@pytest.mark.parametrize("preset", ["solo", "team"])
def test_a_fresh_preset_has_no_errors_and_says_what_to_replace(preset: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(capsys, "init", "--preset", preset)[0] == 0
    code, out, _ = ran(capsys, "check")
    assert code == 0
    assert "W419" in out
    assert ran(capsys, "check", "--strict")[0] == 1


def test_solo_is_what_init_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(capsys, "init")[0] == 0
    loaded = read_stack(tmp_path / "stack.toml")
    assert list(loaded.stack.models) == ["fast", "trusted"]
    assert loaded.stack.review.solo


@pytest.mark.parametrize("preset", ["solo", "team", "regulated"])
def test_every_table_and_model_of_a_preset_has_a_comment(preset: str) -> None:
    text = cli._PRESETS[preset].read_text()
    assert text.count("#") > 15
    assert "xoxb" not in text


def test_the_regulated_preset_allows_nothing_until_it_is_filled_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = ran(capsys, "init", "--preset", "regulated")
    assert code == 0
    assert "signed off" in out
    code, out, _ = ran(capsys, "check")
    assert code == 1
    assert {line.split(" ")[1] for line in out.splitlines()} >= {"E203", "E207", "E302", "E303", "E305"}
    text = (tmp_path / "stack.toml").read_text()
    for before, after in (
        ('# jurisdiction = "eu"', 'jurisdiction = "eu"'),
        ("# price =", "price ="),
        ("reviewers = []", 'reviewers = ["U0OBELIX", "U0ASTERIX"]'),
        ("jurisdictions = []", 'jurisdictions = ["eu"]'),
    ):
        text = text.replace(before, after)
    (tmp_path / "stack.toml").write_text(text)
    assert ran(capsys, "check")[0] == 0


def test_init_does_not_overwrite_unless_forced(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = stack.read_text()
    assert ran(capsys, "init") == (1, "", "stack.toml is there already; --force replaces it.\n")
    assert stack.read_text() == before
    assert ran(capsys, "init", "--force")[0] == 0
    assert stack.read_text() != before


def test_init_into_a_folder_that_is_not_there_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(capsys, "init", "--stack", "no/such/stack.toml") == (
        1,
        "",
        "no/such/stack.toml: No such file or directory.\n",
    )


# manifest


def test_manifest_prints_json_for_socket_mode_or_http(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ran(capsys, "manifest")
    assert (code, err) == (0, "")
    assert json.loads(out)["settings"]["socket_mode_enabled"] is True
    out = ran(capsys, "manifest", "--http", "https://bot.example.com")[1]
    assert json.loads(out)["settings"]["interactivity"]["request_url"] == "https://bot.example.com/slack/events"


def test_manifest_with_a_bad_address_is_one_sentence(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ran(capsys, "manifest", "--http", "ftp://x")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1


# the running bot


@pytest.mark.parametrize("command", ["run", "web", "worker"])
def test_a_serving_command_gets_the_settings_and_the_stacks_path(
    command: str, stack: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = dispatched(monkeypatch)
    code, out, err = ran(capsys, command, "--database", "sqlite:///gaul.db", **SLACK)
    assert (code, out, err) == (0, "", "")
    ((module, name, (settings, path)),) = calls
    assert (module, name, path) == ("bot.process", command, Path("stack.toml"))
    assert isinstance(settings, Settings)
    assert settings.database_url.get_secret_value() == "sqlite+aiosqlite:///gaul.db"


def test_the_demo_keeps_a_database_of_its_own_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ran(capsys, "demo", "--database", "sqlite:///gaul.db")
    assert (code, out) == (1, "")
    assert err == "The demo keeps its own database; `--folder DIR` says where. Leave `--database` out.\n"


@pytest.mark.parametrize("command", ["run", "web", "worker"])
def test_the_keys_of_the_stacks_models_are_kept_out_of_the_logs(
    command: str, stack: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    learnt: list[Any] = []
    monkeypatch.setattr(cli, "learn_secrets", lambda _settings, stack: learnt.append(stack))
    dispatched(monkeypatch)
    assert ran(capsys, command, **SLACK)[0] == 0
    assert learnt == [read_stack(stack).stack]


def test_nothing_starts_without_tokens_or_with_a_bad_stack(
    stack: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = dispatched(monkeypatch)
    code, _, err = ran(capsys, "run")
    assert (code, err.split()[0], err.count("\n")) == (1, "SLACK_BOT_TOKEN", 1)
    stack.write_text("models = 3\nmagic = 1\n")
    code, _, err = ran(capsys, "run", **SLACK)
    assert (code, err) == (1, "stack.toml:1: E102 models must be a table, such as [models]. `check` shows 2 more.\n")
    assert not calls


def test_warnings_of_the_stack_are_logged_at_the_start(
    stack: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.write_text(written_out('%SWORN\n%TWO\n[stages.final]\ngate = "none"\n'))
    dispatched(monkeypatch)
    with capture_logs() as logs:
        assert ran(capsys, "run", **SLACK)[0] == 0
    assert [record["event"].split(" ")[1] for record in logs] == ["W407"]


@pytest.mark.parametrize(
    ("argv", "environ", "port"),
    [([], {}, 8030), ([], {"PORT": "9000"}, 9000), (["--port", "9001"], {"PORT": "9000"}, 9001)],
    ids=str,
)
def test_demo_honours_port(
    argv: list[str],
    environ: dict[str, str],
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls = dispatched(monkeypatch)
    assert ran(capsys, "demo", "--scripted", "--folder", "hut", *argv, **environ)[0] == 0
    ((module, name, (_, args)),) = calls
    assert (module, name) == ("bot.playground.demo", "demo")
    assert isinstance(args, argparse.Namespace)
    assert (args.scripted, args.folder, args.port) == (True, Path("hut"), port)


def test_migrate_prints_what_it_did(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    dispatched(monkeypatch, "The schema is 0007.")
    assert ran(capsys, "migrate") == (0, "The schema is 0007.\n", "")


@pytest.mark.parametrize(
    ("argv", "environ", "level"),
    [
        (["migrate"], {}, "warning"),
        (["migrate", "--copy-from", "sqlite:///gaul.db"], {}, "warning"),
        (["migrate"], {"LOG_LEVEL": "debug"}, "debug"),
        (["run"], SLACK, "info"),
    ],
)
def test_a_command_that_answers_and_ends_logs_no_more_than_warnings(
    argv: list[str], environ: dict[str, str], level: str, stack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels: list[str] = []
    monkeypatch.setattr(cli, "set_up_logging", lambda settings: levels.append(settings.log_level))
    dispatched(monkeypatch)
    assert main(argv, environ) == 0
    assert levels == [level]


class OperationalError(Exception):
    """Stands for SQLAlchemy's, whose text is long and repeats the statement."""

    __module__ = "sqlalchemy.exc"
    orig = OSError("unable to open database file")


class SlackApiError(Exception):
    __module__ = "slack_sdk.errors"
    response = {"ok": False, "error": "invalid_auth"}  # noqa: RUF012  as the original has it


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (Refusal("Not here."), "Not here."),
        (OSError(98, "Address already in use"), "Address already in use."),
        (FileNotFoundError(2, "No such file or directory", "menhir"), "menhir: No such file or directory."),
        (ConnectionRefusedError(), "ConnectionRefusedError."),
        (SystemExit("Another process works on this database."), "Another process works on this database."),
        (
            OperationalError("(sqlite3...)\n[SQL: ...]"),
            (
                "The database cannot be used: unable to open database file. "
                "See that DATABASE_URL (or --database) is right and that it runs."
            ),
        ),
        (SlackApiError("The request failed"), "Slack refused: invalid_auth."),
        (Refusal("two\nlines \x1b[2J xoxb-rosebud-1941"), "two\\u000alines \\u001b[2J [secret]"),
    ],
    ids=ascii,
)
def test_what_can_happen_is_one_sentence(
    problem: BaseException, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dispatched(monkeypatch, problem)
    with capture_logs() as logs:
        assert ran(capsys, "migrate") == (1, "", f"{sentence}\n")
    assert not logs


def test_a_fault_of_ours_is_one_sentence_with_an_id_that_the_log_knows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dispatched(monkeypatch, ZeroDivisionError("menhir"))
    with capture_logs() as logs:
        code, out, err = ran(capsys, "migrate")
    reference = re.fullmatch(r"Something broke; the log tells more under ([0-9a-f]{8})\.\n", err)
    assert (code, out) == (1, "")
    assert reference is not None
    assert [record["reference"] for record in logs] == [reference[1]]


def test_an_interrupt_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_module: str, _name: str) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_late", interrupted)
    assert ran(capsys, "migrate") == (130, "", "")


def test_a_part_that_is_not_there_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.import_module", lambda _name: SimpleNamespace())
    assert ran(capsys, "migrate") == (1, "", "`migrate` is not part of this version.\n")


# as a process

HERE = Path(__file__).parents[2]


def process(folder: Path, *argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    surroundings = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HERE), **environ}
    return subprocess.run(
        [sys.executable, *argv], cwd=folder, env=surroundings, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_process_ends_with_its_code_and_no_traceback(tmp_path: Path) -> None:
    done = process(tmp_path, "-m", "bot", "run", PORT="x", LOG_LEVEL="x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "PORT must be a port number, 0 to 65535. LOG_LEVEL must be debug, info, warning or error.\n"


def test_a_broken_command_logs_one_line_and_says_one(tmp_path: Path) -> None:
    program = "import bot.cli as c; c._init = None; c.read_stack = lambda p: 1 / 0; raise SystemExit(c.main(['check']))"
    done = process(tmp_path, "-c", program)
    assert done.returncode == 1
    log, sentence = done.stderr.splitlines()
    assert "ZeroDivisionError" in log
    assert sentence.startswith("Something broke")


def test_check_asks_neither_for_slack_nor_for_a_database(tmp_path: Path, stack: Path) -> None:
    program = "import sys, bot.cli as c; c.main(['check']); print(*sys.modules)"
    loaded = set(process(tmp_path, "-c", program).stdout.split())
    assert not loaded & {"slack_bolt", "slack_sdk", "sqlalchemy", "httpx", "aiohttp", "apscheduler"}


@pytest.mark.parametrize("command", ["run", "web", "worker", "verify", "migrate"])
def test_a_database_that_does_not_answer_is_one_sentence(
    command: str, stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = ran(capsys, command, "--database", "postgres://ann:secret@/gaul?host=/nowhere", **SLACK)
    assert (code, out) == (1, "")
    assert err.startswith("The database cannot be used: ")
    assert "secret" not in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("argv", [["run"], ["migrate"], ["migrate", "--to", "0001"]], ids=str)
def test_a_mistyped_path_is_one_sentence_and_makes_nothing(
    argv: list[str], stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = set(tmp_path.iterdir())
    code, out, err = ran(capsys, *argv, "--database", "sqlite:///no/such/gaul.db", **SLACK)
    assert (code, out) == (1, "")
    assert err.startswith("There is no folder ")
    code, out, err = ran(capsys, *argv, "--database", f"sqlite:///{stack}", **SLACK)
    assert (code, out, err) == (1, "", f"{stack} is no SQLite database: mend the path. Nothing was changed there.\n")
    assert set(tmp_path.iterdir()) == there


def test_a_revision_that_is_none_leaves_no_database_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ran(capsys, "migrate", "--to", "nonsense", "--database", "sqlite:///gaul.db")
    assert (code, out) == (1, "")
    assert err.startswith("This Countersign knows no such revision; it knows 0001")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["web", "worker"])
def test_several_processes_on_a_file_are_refused(command: str, stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ran(capsys, command, **SLACK)
    assert (code, out) == (1, "")
    assert err.startswith(f"`{command}` is one of several processes on one PostgreSQL")


def test_what_loses_a_cancellation_is_called_off_again() -> None:
    """As asyncio.wait_for may, before Python 3.12: asyncio.run alone would wait for it for ever."""
    lost: list[int] = []
    kept = set()

    async def deaf() -> None:
        while len(lost) < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost.append(1)
        await asyncio.Event().wait()

    async def work() -> int:
        kept.add(asyncio.create_task(deaf()))
        await asyncio.sleep(0)
        return 3

    assert _finish(work()) == 3
    assert len(lost) == 2
