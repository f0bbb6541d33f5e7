"""The simulation agrees with what queueing theory says where it says it exactly, and with itself."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from statistics import mean

import pytest

from tests.bench.capacity import MEASURED, Clock, Course, Seats, main, poisson, simulate


@pytest.mark.parametrize("load", [0.3, 0.5, 0.8])
def test_one_server_with_a_constant_service_time_keeps_people_waiting_as_pollaczek_and_khinchine_say(
    load: float,
) -> None:
    clock, server, waits = Clock(), Seats(1), list[float]()

    def course() -> Course:
        yield (server,), 1.0

    def begin(moment: float) -> None:
        clock.follow(course(), lambda: waits.append(clock.now - moment))

    for moment in poisson(load, 30_000, seed=7):
        clock.later(moment, partial(begin, moment))
    clock.run()
    assert mean(waits) == pytest.approx(1 + load / (2 * (1 - load)), rel=0.06)


def test_who_holds_the_writers_lock_bounds_what_any_number_of_workers_carry() -> None:
    place = replace(MEASURED, cores=1_000, workers=500)
    bound = 1 / (place.writes * place.locked)
    crowd = simulate(place, [0.0] * 1_000)
    assert 0.9 * bound < crowd.runs_per_second < 1.05 * bound


def test_a_channel_gets_one_post_a_second_however_many_processes_there_are() -> None:
    place = replace(MEASURED, cores=1_000, workers=100, channels=1)
    crowd = simulate(place, [0.0] * 100)
    assert crowd.seconds == pytest.approx(100 * place.posts - 6, rel=0.02)


def test_the_same_seed_lives_the_same_day() -> None:
    one, again, other = (simulate(MEASURED, poisson(5, 20, seed=seed), seed=seed).waits for seed in (1, 1, 2))
    assert one == again != other


def test_it_tells_what_larger_places_carry(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 9
