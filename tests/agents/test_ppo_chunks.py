"""PPO on chunks: how far gradients reach, and the states that chunks begin with."""

import pytest
import torch

from envs import make_vector_env
from rlkit.loops.on_policy import OnPolicyLoop
from rlkit.runner import VectorRunner
from rlkit.types import Spaces
from tests.agents.factory import make_ppo, small_ppo
from tests.agents.rollouts import loop_of, made_up


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("memory", ["gru", "lstm", "elman"])
def test_no_gradient_crosses_a_start_or_the_end_of_a_chunk(memory, shared):
    agent, given = small_ppo(True, memory, B=2, chunk_steps=4, shared_memory=shared)
    rollout = made_up(agent, given)
    rollout.start[:] = False
    rollout.start[6, 1] = True  # inside the second chunk of copy 1
    rollout.obs.requires_grad_()

    def reached(t, column):
        """Steps of that column's copy whose observation moves policy and value at step t."""
        p, v, _, _ = agent.evaluate(rollout.sequences())
        sequence = t // 4 * 2 + column
        out = p[t % 4, sequence].square().sum() + v[t % 4, sequence]
        (grad,) = torch.autograd.grad(out, rollout.obs)
        others = grad[:, 1 - column].abs().sum().item()
        assert others == 0
        return [i for i in range(8) if grad[i, column].abs().sum() > 0]

    assert reached(3, 0) == [0, 1, 2, 3]
    assert reached(4, 0) == [4]
    assert reached(7, 0) == [4, 5, 6, 7]
    assert reached(5, 1) == [4, 5]
    assert reached(6, 1) == [6]
    assert reached(7, 1) == [6, 7]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("memory", ["gru", "lstm", "gatel0rd"])
def test_refreshed_states_are_those_of_a_fresh_pass(memory, shared):
    agent, given = small_ppo(
        False, memory, B=4, normalize=True, chunk_steps=2, shared_memory=shared
    )
    loop = loop_of(agent, given)
    loop.block()
    rollout = loop.collect()
    stored = list(rollout.carries)
    agent.update(rollout, 0.0)
    for before, after in zip(stored, rollout.carries, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    agent.refresh(rollout)
    state = stored[0]
    with torch.no_grad():
        for t in range(8):
            if t % 2 == 0:
                for got, want in zip(rollout.carries[t // 2], state, strict=True):
                    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)
            state = agent.step(rollout.obs[t], state, rollout.start[t])[2]
    assert not torch.allclose(rollout.carries[3][0], stored[3][0], atol=1e-3)


@pytest.mark.parametrize(("refresh", "times"), [("never", 0), ("epoch", 2)])
def test_states_are_refreshed_before_every_epoch_but_the_first(refresh, times, monkeypatch):
    agent, given = small_ppo(True, B=4, chunk_steps=2, epochs=3, refresh_states=refresh)
    calls, updates = [], []
    monkeypatch.setattr(agent, "refresh", lambda rollout: calls.append(len(updates)))
    descend = agent.descend
    monkeypatch.setattr(agent, "descend", lambda *a: updates.append(1) or descend(*a))
    loop_of(agent, given).block()
    assert calls == [2, 4][:times]


def test_views_of_a_grid_are_stored_as_bytes_and_evaluated_as_they_were_acted_on():
    """Acting encodes every view, learning each distinct one once."""
    envs = make_vector_env("minigrid_doorkey", {"size": 5}, num_envs=16)
    given = Spaces((7, 7, 3), 7, True, 1.0, 16, obs_parts=envs.obs_parts, stock_dt=1.0)
    agent = make_ppo(given, "gru", {"hidden_size": 6}, rollout_steps=16, chunk_steps=8)
    before = agent.encoder.networks[0].linear.weight.clone()
    loop = OnPolicyLoop(VectorRunner(envs, agent, 0, staggered=False), agent, 16, 64)
    loop.block()
    assert not torch.equal(agent.encoder.networks[0].linear.weight, before)
    with torch.no_grad():
        agent.policy[-1].weight.mul_(100)
        b = loop.collect().sequences()
        p, v, _, _ = agent.evaluate(b)
    assert b.obs.dtype == torch.uint8
    log_prob = agent.distribution.log_prob(p, b.action)
    torch.testing.assert_close(log_prob, b.log_prob, rtol=0, atol=1e-5)
    torch.testing.assert_close(agent.value_scale.denormalize(v), b.value, rtol=1e-5, atol=1e-5)
    assert log_prob.std() > 0.01
