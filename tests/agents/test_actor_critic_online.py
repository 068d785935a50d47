"""The online actor-critic: each step against its equations, and the traces against BPTT."""

import pytest
import torch

from configs.build import make_evaluator
from rlkit.loops.online import OnlineLoop
from rlkit.memory import make_memory, memories_with_traces
from rlkit.memory.base import select
from rlkit.optim.eligibility import Eligibility
from rlkit.options import ConfigError
from rlkit.runner import VectorRunner
from rlkit.seeding import generator
from rlkit.types import Spaces, Transition
from tests.agents.factory import make_ac, parameters, spaces
from tests.agents.rollouts import Whatever
from tests.probes import (
    ActionTimesObservation,
    Constant,
    Probe,
    Recall,
    TwoSteps,
    ValueFromObservation,
)

each_kind = pytest.mark.parametrize("discrete", [False, True], ids=["continuous", "discrete"])
each_memory = pytest.mark.parametrize("memory", memories_with_traces())


def stream(agent, given, steps: int, seed: int = 0):
    """Steps of made-up environments in the default type, as a runner would hand them on."""
    g, B = generator(seed), given.num_envs
    state, start = agent.initial_state(B), torch.ones(B, dtype=torch.bool)
    obs = torch.randn(B, *given.obs_shape, generator=g)
    for _ in range(steps):
        with torch.no_grad():
            action, after = agent.act(obs, state, start, explore=True)
        ends = torch.rand(B, generator=g)
        terminated, truncated = ends < 0.15, (ends > 0.15) & (ends < 0.3)
        next_obs, other = torch.randn(2, B, *given.obs_shape, generator=g)
        reward = torch.randn(B, generator=g)
        ended = terminated | truncated
        yield Transition(
            obs, action, reward, terminated.to(obs.dtype), next_obs, start, state, truncated, after
        )
        obs = torch.where(ended[:, None], other, next_obs)
        state, start = after, ended


def loop_of(agent, given, block_steps: int = 8) -> OnlineLoop:
    return OnlineLoop(VectorRunner(Whatever(given), agent, seed=5), agent, block_steps)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("B", [1, 3])
@each_kind
@each_memory
def test_with_parameters_that_stand_still_the_traces_are_those_of_bptt(memory, discrete, B):
    """z_T = Σ (γλ)^(T-k) ∇ f_k over the running episode, ∇ by reverse mode through all of it."""
    given = spaces(discrete, num_envs=B)
    agent = make_ac(given, memory, lr=0.0, entropy_coefficient=0.3, normalize_rewards=False)
    o, steps = agent.options, list(stream(agent, given, 12))
    signs = []
    for step in steps:
        signs.append(delta_of(agent, step).sign())
        agent.learn(step)
    assert any(s.start_B.any() for s in steps[1:])
    for b in range(B):
        firsts = [t for t, s in enumerate(steps) if s.start_B[b]]
        ended = bool(steps[-1].truncated_B[b]) or bool(steps[-1].terminated_B[b])
        own = [] if ended else steps[max(firsts) :]
        totals = [0.0, 0.0]
        states = [m.memory.initial_state(1) for m in agent.memories]
        for t, step in enumerate(own):
            x = agent.encoder(step.obs_BO[b : b + 1])
            features = []
            for k, m in enumerate(agent.memories):
                y, states[k], _ = m.memory.step(x, states[k])
                features.append(y)
            p, action = agent.policy(features[1]), step.action_BA[b : b + 1]
            log_prob, entropy = agent.distribution.log_prob_and_entropy(p, action)
            weight = agent.decay ** (len(own) - 1 - t)
            bonus = o.entropy_coefficient * signs[len(steps) - len(own) + t][b] * entropy
            totals[0] = totals[0] + weight * agent.critic(features[0]).sum()
            totals[1] = totals[1] + weight * (log_prob + bonus).sum()
        rows = agent.value_rows, agent.policy_rows
        for total, flat in zip(totals, rows, strict=True):
            want = torch.zeros_like(flat.vector)
            if own:
                grads = torch.autograd.grad(total, flat.parameters, materialize_grads=True)
                want = torch.cat([g.reshape(-1) for g in grads])
                assert want.abs().sum() > 0
            torch.testing.assert_close(flat.z_BP[b], want, rtol=1e-9, atol=1e-11)


@torch.no_grad()
def delta_of(agent, step: Transition) -> torch.Tensor:
    """r + γ V(o') - V(o), before any update; V(o') = 0 where the task ended, not the time."""
    fresh = select(step.start_B, agent.initial_state(len(step.start_B)), step.state)
    never = torch.zeros_like(step.start_B)
    v, v_next = (
        agent.critic(agent.features_step(obs, state, never)[0]).squeeze(-1)
        for obs, state in ((step.obs_BO, fresh), (step.next_obs_BO, step.next_state))
    )
    future = torch.where(step.terminated_B > 0, 0.0, v_next)
    return step.reward_B * agent.reward_scale + agent.discount * future - v


@pytest.mark.usefixtures("double")
@each_kind
def test_each_step_goes_along_the_traces_as_far_as_the_error_says(discrete, monkeypatch):
    given = spaces(discrete, num_envs=3)
    agent = make_ac(given, normalize_rewards=False)
    traces, forgotten, forget = [], [], Eligibility.forget

    def watched(flat, ended_B):
        traces.append(flat.z_BP)
        forgotten.append(ended_B)
        forget(flat, ended_B)

    monkeypatch.setattr(Eligibility, "forget", watched)
    for step in stream(agent, given, 12):
        delta, flats = delta_of(agent, step), (agent.value_rows, agent.policy_rows)
        before = [flat.vector.detach().clone() for flat in flats]
        metrics = agent.learn(step)
        torch.testing.assert_close(metrics["train/error"], delta.abs(), rtol=1e-12, atol=1e-12)
        ended = step.truncated_B | (step.terminated_B > 0)
        for flat, old, z in zip(flats, before, traces[-2:], strict=True):
            reach = flat.kappa * delta.abs().clamp(min=1) * z.abs().sum(1)
            want = old + ((1 / reach).clamp(max=1) * delta) @ z / 3
            torch.testing.assert_close(flat.vector.detach(), want, rtol=1e-12, atol=1e-12)
            assert not flat.z_BP[ended].any()
        assert all(torch.equal(e, ended) for e in forgotten[-2:])
    assert torch.stack(forgotten).any()


@pytest.mark.usefixtures("double")
def test_rewards_are_in_units_of_the_spread_of_their_discounted_sum():
    given = spaces(True, num_envs=2)
    agent, u, seen = make_ac(given), torch.zeros(2), []
    for step in stream(agent, given, 10):
        u = step.reward_B * agent.reward_scale + agent.discount * u
        seen.append(u)
        agent.learn(step)
        std = torch.cat(seen).var(unbiased=False).sqrt()
        assert agent.spread.item() == pytest.approx(max(std.item(), 0.1), rel=1e-6)
        u = u.masked_fill(step.truncated_B | (step.terminated_B > 0), 0)
    assert torch.equal(agent.return_B, u)


def test_gamma_and_lambda_are_per_stock_step():
    agent = make_ac(spaces(dt=0.025, stock_dt=0.05), gamma=0.9, trace_lambda=0.8)
    assert agent.discount**2 == pytest.approx(0.9, rel=1e-12)
    assert agent.decay**2 == pytest.approx(0.72, rel=1e-12)
    assert agent.reward_scale == 0.5


@each_kind
@each_memory
def test_every_memory_with_traces_learns(memory, discrete):
    given = spaces(discrete, num_envs=3)
    agent = make_ac(given, memory, normalize=True)
    before = {k: v.clone() for k, v in agent.named_parameters()}
    metrics = loop_of(agent, given).block()
    assert all(v.isfinite().all() and len(v) == 8 for v in metrics.values())
    assert parameters(agent).isfinite().all()
    assert [k for k, v in agent.named_parameters() if torch.equal(v, before[k])] == []


@pytest.mark.parametrize("B", [1, 3])
def test_saved_and_loaded_learning_is_learning_on(B):
    given = spaces(True, num_envs=B)
    straight, resumed = (make_ac(given, seed=s, normalize=True) for s in (1, 2))
    one, other = loop_of(straight, given), loop_of(resumed, given)
    one.block()
    resumed.load_state_dict(straight.get_state())
    resumed.set_training_state(straight.get_training_state())
    other.runner = one.runner
    for step in stream(straight, given, 5):
        straight.learn(step)
        resumed.learn(step)
    assert torch.equal(parameters(straight), parameters(resumed))
    assert torch.equal(straight.policy_rows.z_BP, resumed.policy_rows.z_BP)


def test_who_takes_over_begins_new_episodes():
    """Weights and the rewards' spread are kept, credit and the running return are not."""
    before, after = (make_ac(spaces(True, num_envs=3, dt=dt), seed=4) for dt in (0.05, 0.025))
    for step in stream(before, spaces(True, num_envs=3), 2):
        before.learn(step)
    assert before.value_rows.z_BP.any()
    assert before.policy_rows.z_BP.any()
    assert before.return_B.any()
    after.take_over(before, 0.5)
    assert torch.equal(after.critic[0].weight, before.critic[0].weight)
    assert torch.equal(after.spread, before.spread)
    for forgotten in (after.value_rows.z_BP, after.policy_rows.z_BP, after.return_B):
        assert not forgotten.any()
    assert before.return_B.any()


def test_a_policy_is_played_with_any_number_of_copies():
    many, one = (make_ac(spaces(True, num_envs=n), seed=n) for n in (4, 1))
    one.load_state_dict(many.get_state())
    assert torch.equal(parameters(one), parameters(many))


def test_a_memory_without_traces_is_refused():
    with pytest.raises(ConfigError, match="has no real-time traces"):
        make_ac(spaces(True), "gru")
    assert make_memory("rtu", 3).has_traces


# --- probes ----------------------------------------------------------------------------------

GAMMA = 0.45


def learn(probe: Probe, steps: int, **changes):
    given = Spaces(
        (probe.obs_size,), 2 if probe.discrete else 1, probe.discrete, probe.dt, probe.num_envs
    )._replace(stock_dt=probe.stock_dt)
    agent = make_ac(given, "rtu", {"hidden_size": 16}, **changes)
    OnlineLoop(VectorRunner(probe, agent, 2), agent, steps).block()
    return agent


@pytest.mark.parametrize(
    ("probe", "discrete", "obs", "value", "action"),
    [
        (Constant, True, [0.0], [1 / (1 - GAMMA)], None),
        (ValueFromObservation, True, [-1.0, 1.0], [-1.0, 1.0], None),
        (TwoSteps, True, [-1.0], [GAMMA], None),
        (ActionTimesObservation, True, [-1.0, 1.0], [1.0, 1.0], [-1.0, 1.0]),
        (ActionTimesObservation, False, [-1.0, 1.0], [1.0, 1.0], [-0.4, 0.4]),
    ],
)
def test_one_environment_is_enough(probe, discrete, obs, value, action):
    agent = learn(probe(1, discrete), 800, gamma=GAMMA, entropy_coefficient=0.0)
    got, greedy = agent.inspect(torch.tensor(obs).view(-1, 1))
    assert got.tolist() == pytest.approx(value, abs=0.05)
    if action is not None:
        assert greedy.tolist() == pytest.approx(action, abs=0.1)


def test_a_memory_solves_what_asks_for_one():
    agent = learn(Recall(1, True), 3000)
    returns = make_evaluator(agent, Recall(128, True), 128, seed=10_000)().returns
    assert (returns > 0).mean() >= 0.95  # one half without memory, whatever the policy
    value, _ = agent.inspect(torch.tensor([[1.0], [-1.0]]))
    assert value.tolist() == pytest.approx([0.9**Recall.blank_steps] * 2, abs=0.1)
