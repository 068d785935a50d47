"""Held actions on a single environment; the batched form is in `tests/envs/test_batched.py`."""

import numpy as np
import pytest

from envs import ConfigError, make_env
from envs.wrappers.action_repeat import ActionRepeat


def test_reward_times_dt_is_the_sum_over_the_short_steps():
    k = 7
    plain, slow = make_env("cartpole"), ActionRepeat(make_env("cartpole"), k)
    plain.reset(seed=0)
    slow.reset(seed=0)
    ended = False
    while not ended:
        obs, reward, ended, *_ = slow.step(1)
        total = 0.0
        for _ in range(k):
            want, r, over, *_ = plain.step(1)
            total += r
            if over:
                break
        np.testing.assert_array_equal(obs, want)
        assert over == ended
        assert reward * slow.dt == pytest.approx(total * plain.dt)
    assert total < k  # the end fell inside a step


def test_repeats_are_counted_from_one():
    with pytest.raises(ConfigError, match="action_repeat is 0"):
        ActionRepeat(make_env("cartpole"), 0)
