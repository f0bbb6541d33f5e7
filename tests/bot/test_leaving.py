"""A process ends, whatever still goes on in it."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

LONG = 600.0  # seconds that nobody waits


def ended(source: str) -> subprocess.CompletedProcess[str]:
    """What a process of this source said, which is to end by itself."""
    program = textwrap.dedent(source).replace("LONG", str(LONG))
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=LONG / 5, check=False
    )


def test_a_call_that_no_thread_comes_back_from_keeps_nothing_from_ending() -> None:
    done = ended(
        """
        import asyncio, time
        from bot.leaving import leave, run_to_the_end

        async def work():
            asyncio.get_running_loop().run_in_executor(None, time.sleep, LONG)
            await asyncio.sleep(0.1)
            print("done")
            return 7

        leave(run_to_the_end(work()))
        """
    )

    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout.startswith("done\n")
    assert "something does not end" in done.stdout


def test_a_task_that_heeds_no_word_keeps_nothing_from_ending() -> None:
    done = ended(
        """
        import asyncio
        from bot.leaving import leave, run_to_the_end

        async def deaf():
            while True:
                try:
                    await asyncio.sleep(LONG)
                except asyncio.CancelledError:
                    pass

        async def work():
            task = asyncio.create_task(deaf())
            await asyncio.sleep(0)
            return 3

        leave(run_to_the_end(work()))
        """
    )

    assert done.returncode == 3
    assert "something does not end" in done.stdout
    assert "deaf()" in done.stdout


def test_a_task_that_loses_the_word_once_is_called_off_again() -> None:
    done = ended(
        """
        import asyncio
        from bot.leaving import leave, run_to_the_end

        async def hard_of_hearing():
            try:
                await asyncio.sleep(LONG)
            except asyncio.CancelledError:
                print("what?")
            await asyncio.sleep(LONG)

        async def work():
            task = asyncio.create_task(hard_of_hearing())
            await asyncio.sleep(0)
            return 0

        leave(run_to_the_end(work()))
        """
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "what?\n", "")


@pytest.mark.parametrize("problem", ["ValueError('houba')", "KeyboardInterrupt()"])
def test_a_failure_comes_out_as_it_is(problem: str) -> None:
    done = ended(
        f"""
        import asyncio
        from bot.leaving import run_to_the_end

        async def work():
            raise {problem}

        try:
            run_to_the_end(work())
        except BaseException as caught:
            print(repr(caught))
        """
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, f"{problem}\n", "")
