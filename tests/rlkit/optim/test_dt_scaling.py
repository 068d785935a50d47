"""The scaling laws as a table."""

import pytest

from rlkit.optim.dt_scaling import TimeScaling


@pytest.mark.parametrize(
    ("scaling", "dt", "updates_per_second", "step_seconds", "step_size", "horizon"),
    [  # rate 0.1 per second, horizon 0.2 s, dt0 = 0.01 s
        ("continuous_time", 0.05, 500, 0.05, 0.1 * 5 / 500, 100),
        ("continuous_time", 0.002, 500, 0.002, 0.1 * 5 / 500, 100),
        ("continuous_time", 0.002, 250, 0.002, 0.1 * 5 / 250, 50),
        ("continuous_time", 0.05, 5 / 0.05, 0.05, 0.1 * 0.05, 1 / 0.05),  # the thesis: U = 5/dt
        ("continuous_time", 0.002, 5 / 0.002, 0.002, 0.1 * 0.002, 1 / 0.002),
        ("stock", 0.05, 500, 0.01, 0.1 * 0.01, 100),
        ("stock", 0.002, 500, 0.01, 0.1 * 0.01, 100),
        ("stock", 0.002, 5 / 0.002, 0.01, 0.1 * 0.01, 100),
    ],
)
def test_law(scaling, dt, updates_per_second, step_seconds, step_size, horizon):
    law = TimeScaling(scaling, dt, 0.01, updates_per_second)
    assert law.step_seconds == step_seconds
    assert law.step_size(0.1) == pytest.approx(step_size, rel=1e-14)
    assert law.horizon_updates(0.2) == pytest.approx(horizon, rel=1e-14)


@pytest.mark.parametrize("updates_per_second", [100, 500, 2500])
def test_in_continuous_time_a_second_moves_parameters_equally_far(updates_per_second):
    law = TimeScaling("continuous_time", 0.01, 0.01, updates_per_second)
    assert law.step_size(0.02) * updates_per_second == pytest.approx(5 * 0.02, rel=1e-14)
