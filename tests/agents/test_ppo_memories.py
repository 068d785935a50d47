"""PPO with every registered memory: the stored states are the right ones, and it learns."""

import pytest
import torch

from rlkit.memory import MEMORIES
from tests.agents.factory import make_ppo, spaces
from tests.agents.rollouts import loop_of
from tests.contracts.memories import options_of

each_memory = pytest.mark.parametrize("name", MEMORIES.names())
each_kind = pytest.mark.parametrize("discrete", [False, True], ids=["continuous", "discrete"])
EMPTY_WHEN_STILL = {"vand": {"sigma_real"}}
"""Parameters of noise alone, which PPO switches off."""


def agent_of(name: str, discrete: bool, **changes):
    """Small, its policy as decided as a learnt one; eight steps of four copies."""
    options = options_of(name)
    small = {"hidden_size": 8, "window": 5, "mlp_size": 8, "state_size": 4, "memory_size": 4}
    options |= {k: v for k, v in small.items() if k in options}
    given = spaces(discrete, num_envs=4, stock_dt=0.05)
    agent = make_ppo(given, name, options, normalize=True, **changes)
    with torch.no_grad():
        agent.policy[-1].weight.mul_(100)
    return agent, loop_of(agent, given)


@torch.no_grad()
def ratio_and_value(agent, b):
    p, v, _, _ = agent.evaluate(b)
    return (agent.distribution.log_prob(p, b.action) - b.log_prob).exp(), v


@each_kind
@each_memory
def test_a_stored_rollout_evaluated_again_is_what_was_acted(name, discrete):
    """With weights that have moved and episodes that go on: the second rollout."""
    agent, loop = agent_of(name, discrete, chunk_steps=4)
    loop.block()
    rollout = loop.collect()
    assert rollout.start[1:4].any()
    assert rollout.start[5:].any()
    assert not rollout.start[[0, 4]].all(1).any()  # the stored states are needed
    assert rollout.log_prob.std() > 0.01  # the policy looks
    for L in (4, 8):
        rollout.L, rollout.carries = L, rollout.carries[: 8 // L]
        b = rollout.sequences()
        ratio, v = ratio_and_value(agent, b)
        torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=1e-5)
        want = agent.value_scale.normalize(b.value)
        torch.testing.assert_close(v, want, rtol=0, atol=2e-5)
        forgotten = b._replace(state=tuple(torch.zeros_like(s) for s in b.state))
        error = (ratio_and_value(agent, forgotten)[0] - 1).abs().max()
        assert error == 0 if name == "none" else error > 1e-4


@each_kind
@each_memory
def test_three_rollouts_are_learnt_from(name, discrete):
    agent, loop = agent_of(name, discrete, chunk_steps=4 if discrete else None, minibatches=2)
    before = {k: v.clone() for k, v in agent.named_parameters()}
    for _ in range(3):
        metrics = loop.block()
    assert loop.updates == 3 * 2 * 2
    assert all(v.isfinite().all() for v in metrics.values())
    assert not agent.training
    still = set()
    for key, value in agent.named_parameters():
        assert value.isfinite().all()
        if torch.equal(value, before[key]):
            still.add(key.removeprefix("memory."))
    assert still == EMPTY_WHEN_STILL.get(name, set())
