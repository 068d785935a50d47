"""Schedules: physical time becomes vector steps."""

import re
from types import SimpleNamespace

import pytest

from rlkit.options import ConfigError
from rlkit.schedule import (
    BlockSchedule,
    Plateau,
    Stage,
    WindowLengths,
    chunk_length,
    stage_ends,
    ticks_of,
)


def options(schedule: str, **changes):
    values = {
        "schedule": schedule,
        "block_seconds": 0.1,
        "updates_per_second": 500,
        "store_every_seconds": 0.02,
        "block_steps": 10,
        "updates_per_block": 50,
    }
    return SimpleNamespace(**{**values, **changes})


@pytest.mark.parametrize(
    ("dt", "block_steps", "updates_per_step", "store_every_steps"),
    [
        (0.05, 2, 25, 1),
        (0.02, 5, 10, 1),
        (0.01, 10, 5, 2),
        (0.002, 50, 1, 10),
        (0.3, 1, 150, 1),
        (0.003, 33, 1.5, 7),
    ],
)
def test_physical(dt, block_steps, updates_per_step, store_every_steps):
    schedule = BlockSchedule.of(options("physical"), dt)
    assert schedule.block_steps == block_steps
    assert schedule.updates_per_step == pytest.approx(updates_per_step, rel=1e-14)
    assert schedule.store_every_steps == store_every_steps


@pytest.mark.parametrize("dt", [0.05, 0.002])
def test_steps_count_the_same_at_every_dt(dt):
    schedule = BlockSchedule.of(options("steps", store_every_seconds=0.0), dt)
    assert schedule == BlockSchedule(10, 5.0, 1)


@pytest.mark.parametrize("dt", [0.05, 0.02, 0.01, 0.005, 0.002, 0.0005])
def test_a_second_of_simulation_costs_the_same_updates_at_every_dt(dt):
    schedule = BlockSchedule.of(options("physical"), dt)
    assert [schedule.updates_due(round(s / dt)) for s in (1, 7, 16)] == [500, 3500, 8000]


def test_fractions_of_an_update_wait():
    schedule = BlockSchedule(1, 0.3, 1)
    assert [schedule.updates_due(n) for n in range(11)] == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3]


def test_the_credit_of_the_stage_before_is_paid_out():
    schedule = BlockSchedule(1, 0.3, 1, credit=0.8)
    assert [schedule.updates_due(n) for n in range(6)] == [0, 1, 1, 1, 2, 2]


def test_of_rollouts():
    assert BlockSchedule.of_rollouts(16, 3, 4) == BlockSchedule(16, 0.75, 1)


def test_ticks():
    assert ticks_of([0.05, 0.01, 0.002]) == [25, 5, 1]
    assert ticks_of([0.3, 0.1]) == [3, 1]


@pytest.mark.parametrize(
    ("dts", "message"),
    [
        ([0.05], "dt_schedule is [0.05], but must be at least two numbers, each smaller than"),
        ([0.05, 0.05], "each smaller than the one before (s)"),
        ([0.01, 0.05], "each smaller than the one before (s)"),
        (
            [0.05, 0.02],
            "dt_schedule holds 0.05, but must hold whole multiples of its last, 0.02 s"
            " (nearest: 0.04)",
        ),
    ],
)
def test_impossible_schedules_of_dt(dts, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        ticks_of(dts)


@pytest.mark.parametrize(
    ("total", "blocks", "kept", "ends"),
    [
        (8000, [50, 50, 50], [], [2700, 5350, 8000]),
        (8000, [3200, 640, 128], [], [3200, 5760, 8064]),
        (90, [30, 10], [], [60, 90]),
        (34, [10], [], [40]),
        (9000, [50, 50, 50], [2700, 5350], [2700, 5350, 9000]),
    ],
)
def test_stages_end_with_whole_blocks_after_equal_shares(total, blocks, kept, ends):
    assert stage_ends(total, blocks, kept) == ends


def test_steps_of_a_stage():
    assert Stage(1, 0.01, ticks=5, start=100, end=200).steps == 20


@pytest.mark.parametrize(
    ("rollout_steps", "chunk_steps", "num_envs", "minibatches", "L"),
    [(128, None, 16, 4, 128), (128, 16, 1, 8, 16), (6, 6, 4, 4, 6), (6, 1, 1, 6, 1)],
)
def test_chunks_that_divide(rollout_steps, chunk_steps, num_envs, minibatches, L):
    assert chunk_length(rollout_steps, chunk_steps, num_envs, minibatches) == L


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((128, 24, 16, 4), "agent.chunk_steps is 24, but must divide agent.rollout_steps=128"),
        ((128, 256, 16, 4), "agent.chunk_steps is 256, but must divide agent.rollout_steps=128"),
        (
            (128, 32, 3, 8),
            "agent.minibatches is 8, but must divide the 12 sequences of a rollout"
            " (num_envs=3, 4 chunks each)",
        ),
        (
            (128, None, 2, 4),
            "agent.minibatches is 4, but must divide the 2 sequences of a rollout"
            " (num_envs=2, 1 chunks each)",
        ),
    ],
)
def test_chunks_that_do_not_divide(shape, message):
    with pytest.raises(ConfigError) as error:
        chunk_length(*shape)
    assert str(error.value) == message


# --- windows ---------------------------------------------------------------------------------


def window_options(window=None, burn_in=0.0, carry=0.0, span=0.0):
    return SimpleNamespace(
        window_seconds=window, burn_in_seconds=burn_in, carry_seconds=carry, td_span_seconds=span
    )


def test_without_memory_a_window_is_one_step():
    assert WindowLengths.of(window_options(), 0.05, remembers=False) == WindowLengths()
    assert WindowLengths().steps == 1


@pytest.mark.parametrize(
    ("dt", "given", "remembers", "want"),
    [
        (0.05, {}, True, WindowLengths(0, 16, 1, 1)),
        (0.01, {"carry": 0.05}, True, WindowLengths(0, 80, 1, 5)),
        (0.01, {"carry": 0.05, "span": 0.05}, False, WindowLengths(0, 5, 5, 1)),
        (0.05, {"carry": 0.05, "span": 0.05, "window": 0.5}, True, WindowLengths(0, 10, 1, 1)),
        (0.01, {"carry": 0.05, "span": 0.05, "window": 0.5}, True, WindowLengths(0, 50, 5, 5)),
        (0.02, {"carry": 0.05, "window": 0.5, "burn_in": 0.1}, True, WindowLengths(5, 25, 1, 3)),
        (0.02, {"window": 0.5, "burn_in": 0.1}, False, WindowLengths()),
        (0.04, {"window": 0.5, "burn_in": 0.01}, True, WindowLengths(0, 13, 1, 1)),
        (0.5, {"window": 0.01}, True, WindowLengths(0, 1, 1, 1)),
        (1.0, {"carry": 0.05, "span": 0.05}, True, WindowLengths(0, 16, 1, 1)),
    ],
)
def test_windows(dt, given, remembers, want):
    assert WindowLengths.of(window_options(**given), dt, remembers) == want


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"window": 0.1, "span": 0.2}, "span_seconds is 0.2, 4 steps, but must fit into the 2"),
        ({"window": 0.5, "carry": 1e6}, r"carry_seconds is 1e\+06, 20000000 steps, but must fit"),
    ],
)
def test_lengths_that_do_not_fit(given, message):
    with pytest.raises(ConfigError, match=message):
        WindowLengths.of(window_options(**given), 0.05, remembers=True)


def test_a_replay_holds_a_window_of_every_copy():
    WindowLengths(2, 8).check_capacity(44, 4, single=False)
    with pytest.raises(ConfigError, match="must hold one window of 10 steps of num_envs=4: at le"):
        WindowLengths(2, 8).check_capacity(43, 4, single=False)
    WindowLengths().check_capacity(4, 4, single=True)
    with pytest.raises(ConfigError, match="must hold one step of num_envs=4: at least 4"):
        WindowLengths().check_capacity(3, 4, single=True)


def test_a_plateau_halves_and_stops():
    p = Plateau(patience=2, stop_after=5)
    seen = []
    for loss in (3.0, 2.0, 2.0, 2.5, 1.0, 1.5, 1.5, 1.5, 1.0, float("nan")):
        taken = Plateau(patience=2, stop_after=5)
        taken.set_state(p.get_state())
        p = taken
        p.see(loss)
        seen.append((p.factor, p.stopped))
    halves = [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    assert seen == [(f, i == 9) for i, f in enumerate(halves)]
    never = Plateau(patience=0, stop_after=0)
    for _ in range(50):
        never.see(1.0)
    assert (never.factor, never.stopped) == (1.0, False)
