"""Clocks in seconds and the rules that set dt."""

import gymnasium
import pytest

from envs import ConfigError
from envs.wrappers.time_discretization import SET_DT, PhysicalTimeLimit, discretise, steps_of


@pytest.mark.parametrize(
    ("seconds", "dt", "steps"), [(10, 0.05, 200), (10, 0.0005, 20000), (1, 1, 1)]
)
def test_steps_of(seconds, dt, steps):
    assert steps_of(seconds, dt) == steps


@pytest.mark.parametrize(("seconds", "dt"), [(10, 0.03), (10, 0.0501), (0.01, 1)])
def test_a_dt_that_does_not_divide_is_refused(seconds, dt):
    with pytest.raises(ConfigError, match="does not divide the time limit"):
        steps_of(seconds, dt)


@pytest.mark.parametrize(("env_id", "name"), [("CartPole-v1", "tau"), ("Pendulum-v1", "dt")])
def test_rules_set_the_clock(env_id, name):
    env = gymnasium.make(env_id)
    discretise(env, env_id, 0.004, 0.02)
    assert getattr(env.unwrapped, name) == 0.004


def test_every_rule_names_a_registered_environment():
    assert set(SET_DT) <= set(gymnasium.registry)


def test_an_unknown_environment_keeps_its_dt():
    env = gymnasium.make("MountainCar-v0")
    discretise(env, "MountainCar-v0", 0.5, 0.5)
    with pytest.raises(ConfigError, match=r"dt=0\.25 is not possible for MountainCar-v0"):
        discretise(env, "MountainCar-v0", 0.25, 0.5)


def test_the_limit_truncates_and_its_clock_may_start_late():
    env = PhysicalTimeLimit(gymnasium.make("Pendulum-v1"), seconds=0.5, dt=0.05)
    env.reset(seed=0, options={"elapsed_steps": 7})
    assert [env.step([0.0])[3] for _ in range(3)] == [False, False, True]
