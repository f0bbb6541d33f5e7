"""The command line: what can be asked, and how a failure is told in one sentence."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from bot import price_list
from bot.leaving import run_to_the_end
from bot.logs import learn_secrets, set_up_logging
from bot.manifest import manifest
from bot.one_line import one_line
from bot.settings import Settings, SettingsError, read_settings
from bot.stack_file import Loaded, StackErrors, read_stack
from bot.stack_findings import Finding
from bot.token_shapes import TOKEN_SHAPES
from handlers.errors import Refusal
from handlers.remarks import Level, level_of

DEMO_PORT = 8030
INTERRUPTED = 130
LAST_PORT = 65_535
_PRESETS = {path.stem: path for path in sorted((Path(__file__).parent / "presets").glob("*.toml"))}
_FACTS = frozenset({"storage.schema.NewerSchema", "storage.schema.NoSuchSchema", "storage.moving.CannotMove"})
"""Exceptions of the storage that are sentences, by name: see _expected_elsewhere."""
_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What a command works with: its arguments and the environment it was started in."""

    args: argparse.Namespace
    environ: Mapping[str, str]

    @property
    def stack_path(self) -> Path:
        return Path(self.args.stack or self.environ.get("STACK_FILE", "").strip() or "stack.toml")

    def settings(self, *, log_level: str = "info") -> Settings:
        """The environment, and logs set up by it; SettingsError if it cannot be used.

        `log_level`: where the environment names none. What answers and ends logs no more than warnings.
        """
        settings = read_settings({"LOG_LEVEL": log_level} | dict(self.environ))
        if self.args.database:
            settings = settings.with_database(self.args.database)
        set_up_logging(settings)
        return settings


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run one command; the exit code. Anything that goes wrong is one sentence on stderr."""
    args = parser().parse_args(argv)
    do: Callable[[Given], int] = args.do
    try:
        code = do(Given(args=args, environ=os.environ if environ is None else environ))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as told:
        return _say(str(told.code)) if isinstance(told.code, str) else int(told.code or 0)
    except BrokenPipeError:
        # The reader of our output has gone; nothing is left to be said, and Python must not try at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as problem:  # noqa: BLE001  the last one to catch; nobody is shown a traceback
        sentence = _expected(problem)
        return _say(sentence) if sentence else _say_broken(problem)
    else:
        return code


def parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    whole = argparse.ArgumentParser(
        prog="python -m bot", description="Countersign: a routed stack of models in Slack, with a reviewer at the end."
    )
    commands = whole.add_subparsers(title="commands", metavar="<command>", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--stack", metavar="FILE", help="the routed stack; default: STACK_FILE, else stack.toml")
    common.add_argument("--database", metavar="URL", help="SQLAlchemy URL; default: DATABASE_URL")

    def command(name: str, do: Callable[[Given], int], told: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[common], help=told, description=f"{told[:1].upper()}{told[1:]}.")
        added.set_defaults(do=do)
        return added

    demo = command("demo", _demo, "a local workspace page with the real bot on it; needs no key")
    demo.add_argument("--scripted", action="store_true", help="canned answers in place of a model")
    demo.add_argument("--provider", choices=["openai", "anthropic"], help="real models, by that provider's API key")
    demo.add_argument("--port", type=_port, metavar="N", help=f"the page's port; default: PORT, else {DEMO_PORT}")
    demo.add_argument("--pace", type=float, metavar="SECONDS", help=argparse.SUPPRESS)  # of a scripted answer
    demo.add_argument("--folder", type=Path, metavar="DIR", help="where the demo keeps its database and stack")
    command("run", _run, "everything in one process: intake, work, timers")
    command("web", _web, "intake only; needs PostgreSQL")
    command("worker", _worker, "runs in line and timers; any number of them on one PostgreSQL")
    check = command("check", _check, "validate the stack and print errors and lints as path:line: CODE sentence")
    check.add_argument("--strict", action="store_true", help="exit 1 on warnings too")
    check.add_argument("--prices", action="store_true", help="and compare prices with a published list, offline")
    init = command("init", _init, "write a commented stack file")
    init.add_argument("--preset", choices=list(_PRESETS), default="solo", help="which one; default: solo")
    init.add_argument("--force", action="store_true", help="replace a file that is there")
    app = command("manifest", _manifest, "print the Slack app manifest (JSON) for this stack")
    app.add_argument("--http", metavar="URL", help="the bot's public address; without it: Socket Mode")
    verify = command("verify", _verify, "check the ledger's chain, and that texts and verdicts are what it says")
    verify.add_argument(
        "--head", action="append", default=[], metavar="DIGITS", help="as an approval in Slack shows it; any number"
    )
    verify.add_argument(
        "--with-slack", action="store_true", help="and compare with the approvals as they stand in Slack"
    )
    export = command("export", _export, "print one work whole: brief, answers, what each run saw, verdicts, costs")
    export.add_argument("work", metavar="WORK", help="its id, or a link to its thread")
    export.add_argument("--json", action="store_true", help="as data instead of Markdown")
    schema = command("migrate", _migrate, "bring the database to the newest schema")
    way = schema.add_mutually_exclusive_group()
    way.add_argument("--copy-from", metavar="URL", help="and all of a SQLite database to it; stop the bot first")
    way.add_argument("--move-back", action="store_true", help="work again on a file that --copy-from was used on")
    way.add_argument("--to", metavar="REVISION", help="to this revision instead, which may be an older one")
    return whole


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to {LAST_PORT}")
    return int(text)


def _demo(given: Given) -> int:
    if given.args.database:
        raise Refusal("The demo keeps its own database; `--folder DIR` says where. Leave `--database` out.")
    settings = given.settings(log_level="warning")
    if given.args.port is None:
        given.args.port = settings.port if settings.port_is_set else DEMO_PORT
    return _finish(_late("bot.playground.demo", "demo")(settings, given.args))


def _run(given: Given) -> int:
    return _serve(given, "run")


def _web(given: Given) -> int:
    return _serve(given, "web")


def _worker(given: Given) -> int:
    return _serve(given, "worker")


def _serve(given: Given, name: str) -> int:
    settings = given.settings()
    settings.slack(intake=name != "worker")
    loaded = read_stack(given.stack_path)
    learn_secrets(settings, loaded.stack)
    for finding in loaded.findings:
        if finding.level is Level.WARNING:
            _log.warning(str(finding))
    return _finish(_late("bot.process", name)(settings, given.stack_path))


def _migrate(given: Given) -> int:
    settings = given.settings(log_level="warning")
    if given.args.copy_from is not None:
        return _finish(_late("bot.moving", "copy_from")(settings, given.args.copy_from))
    if given.args.move_back:
        return _finish(_late("bot.moving", "reopen")(settings))
    if given.args.to is not None:
        return _finish(_late("bot.moving", "migrate_to")(settings, given.args.to))
    return _finish(_late("bot.process", "migrate")(settings))


def _verify(given: Given) -> int:
    found: Any = run_to_the_end(
        _late("bot.audit", "verify")(
            given.settings(log_level="warning"), given.args.head, with_slack=given.args.with_slack
        )
    )
    for line in found.lines:
        print(one_line(line))
    return int(not found.is_well)


def _export(given: Given) -> int:
    exported = _late("bot.audit", "export")(
        given.settings(log_level="warning"), given.args.work, stack_path=given.stack_path, as_json=given.args.json
    )
    print(run_to_the_end(exported), end="")
    return 0


def _check(given: Given) -> int:
    path = given.stack_path
    loaded: Loaded | None = None
    try:
        loaded = read_stack(path)
        findings: Sequence[Finding] = loaded.findings
    except StackErrors as problems:
        findings = problems.findings
    for finding in findings:
        print(finding)
    if given.args.prices:
        findings = [*findings, *_prices(loaded)]
    counted = {level: sum(finding.level is level for finding in findings) for level in Level}
    told = ", ".join(_count(number, level) for level, number in counted.items() if number)
    page = " docs/findings.md explains each code." if findings else ""
    print(one_line(f"{path}: {told or 'nothing to say'}.{page}"), file=sys.stderr)
    return int(counted[Level.ERROR] > 0 or (given.args.strict and counted[Level.WARNING] > 0))


def _prices(loaded: Loaded | None) -> Sequence[Finding]:
    """Print each model's price beside the published one; what differs is a finding."""
    if loaded is None:
        print("Prices are compared once the errors are mended.", file=sys.stderr)
        return ()
    try:
        name, compared = price_list.compared(loaded.stack)
    except price_list.NoList as why:
        print(one_line(str(why)), file=sys.stderr)
        return ()
    findings = []
    for price in compared:
        line = loaded.line(price.at)
        if price.code is None:
            print(one_line(f"{loaded.path}:{line}: {price.sentence}"))
        else:
            level = level_of(price.code)
            finding = Finding(path=loaded.path, line=line, code=price.code, sentence=price.sentence, level=level)
            print(finding)
            findings.append(finding)
    print(f"Prices in USD per million tokens, beside {name} as it was packaged; nobody was asked.", file=sys.stderr)
    return findings


def _init(given: Given) -> int:
    path, preset = given.stack_path, given.args.preset
    try:
        with path.open("w" if given.args.force else "x", encoding="utf-8") as file:
            file.write(_PRESETS[preset].read_text(encoding="utf-8"))
    except FileExistsError:
        raise Refusal(f"{path} is there already; --force replaces it.") from None
    print(one_line(f"Wrote {path} ({preset})."))
    if preset == "regulated":
        print(
            "It allows nothing yet. First have in place: providers and jurisdictions that were signed off, two people"
        )
        print("with the time to review, and a rule for which channel may hold what. Then fill in what check names.")
    else:
        print('Fill in what begins with "replace", then: python -m bot check')
    return 0


def _manifest(given: Given) -> int:
    loaded: Loaded = read_stack(given.stack_path)
    print(json.dumps(manifest(loaded.stack, http=given.args.http), indent=2))
    return 0


def _late(module: str, name: str) -> Callable[..., Awaitable[Any]]:
    """A function of the running bot, imported only now: `check` and `init` need no Slack and no database."""
    found: Callable[..., Awaitable[Any]] | None = getattr(importlib.import_module(module), name, None)
    if found is None:
        raise Refusal(f"`{name}` is not part of this version.")
    return found


def _finish(work: Awaitable[Any]) -> int:
    """Run to the end; a text that comes back is what the command has to say, a number its exit code."""
    said = run_to_the_end(work)
    for line in said.splitlines() if isinstance(said, str) else ():
        print(one_line(line))
    return said if isinstance(said, int) else 0


def _expected(problem: Exception) -> str | None:
    """What went wrong, if it is a thing that happens and not a fault of ours."""
    match problem:
        case Refusal():
            return problem.sentence
        case SettingsError():
            return str(problem)
        case StackErrors():
            first, more = problem.errors[0], len(problem.errors) - 1
            return f"{first}" + (f" `check` shows {more} more." if more else "")
        case OSError():
            where = f"{problem.filename}: " if problem.filename else ""
            return f"{where}{problem.strerror or str(problem) or type(problem).__name__}."
        case _:
            return _expected_elsewhere(problem)


def _expected_elsewhere(problem: Exception) -> str | None:
    # Looked up by name: whoever raised one has imported its module, and `check` must not have to.
    kind = type(problem)
    name = f"{kind.__module__}.{kind.__name__}"
    if name == "slack_sdk.errors.SlackApiError":
        return f"Slack refused: {getattr(problem, 'response', {}).get('error', 'no reason given')}."
    if name in _FACTS:
        return str(problem)
    if kind.__module__.startswith("sqlalchemy."):
        cause = getattr(problem, "orig", None)
        told = str(cause or kind.__name__).strip().splitlines()[0].rstrip(".")
        return f"The database cannot be used: {told}. See that DATABASE_URL (or --database) is right and that it runs."
    return None


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _say(sentence: str) -> int:
    print(TOKEN_SHAPES.sub("[secret]", one_line(sentence)), file=sys.stderr)
    return 1


def _say_broken(problem: Exception) -> int:
    reference = secrets.token_hex(4)
    if not structlog.is_configured():
        set_up_logging(Settings())
    _log.error("The command broke.", reference=reference, exc_info=problem)
    return _say(f"Something broke; the log tells more under {reference}.")
