"""RT2-PPO: what is stored, refreshed and learnt from single steps is exact."""

import pytest
import torch
from torch.func import functional_call, jacrev

from rlkit.memory import make_memory, memories_with_traces
from rlkit.options import ConfigError
from tests.agents.factory import make_ppo, make_ppo_online, parameters, spaces
from tests.agents.rollouts import loop_of, made_up

each_kind = pytest.mark.parametrize("discrete", [False, True], ids=["continuous", "discrete"])
each_memory = pytest.mark.parametrize("memory", memories_with_traces())
shared_or_not = pytest.mark.parametrize("shared", [True, False], ids=["shared", "separate"])


def acted(agent, given, seed=0, carry=None):
    """A made-up rollout whose carries are those of acting; begins with no past if not given one."""
    rollout = made_up(agent, given, seed)
    state = carry or agent.initial_state(given.num_envs)
    with torch.no_grad():
        for t in range(rollout.T):
            rollout.carries[t] = state
            state = agent.step(rollout.obs[t], state, rollout.start[t])[2]
    assert rollout.start[1:].any()
    assert not rollout.start.all()
    return rollout, state


def reverse(agent, given, memory, **changes):
    """PPO with the same weights, which learns through sequences of T steps."""
    twin = make_ppo(given, memory, {"hidden_size": 6}, **changes)
    twin.load_state_dict(
        {k.replace("memory.memory.", "memory."): v for k, v in agent.state_dict().items()}
    )
    return twin


EXACT = {"encoder_sizes": (), "max_grad_norm": 1e9, "head_sizes": (5,)}


def gradient(agent, b):
    agent.descend(b, 0.03, measure=False)
    return agent.optimizers["all"].vector.grad.clone()


# --- what is stored --------------------------------------------------------------------------


@shared_or_not
@each_kind
@each_memory
def test_the_ratio_is_one_before_an_update(memory, discrete, shared):
    """With weights that have moved and episodes that go on: the second rollout."""
    given = spaces(discrete, num_envs=4, stock_dt=0.05)
    agent = make_ppo_online(given, memory, normalize=True, shared_memory=shared)
    with torch.no_grad():
        agent.policy[-1].weight.mul_(100)
    loop = loop_of(agent, given)
    loop.block()
    rollout = loop.collect()
    assert len(rollout.carries) == rollout.T
    for refreshed in (False, True):
        if refreshed:
            agent.refresh(rollout)
        b = rollout.sequences()
        with torch.no_grad():
            p, v, _, _ = agent.evaluate(b)
        ratio = (agent.distribution.log_prob(p, b.action) - b.log_prob).exp()
        torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=1e-5)
        torch.testing.assert_close(v, agent.value_scale.normalize(b.value), rtol=0, atol=2e-5)
    b = b._replace(state=tuple(torch.zeros_like(s) for s in b.state))
    with torch.no_grad():
        forgotten = agent.distribution.log_prob(agent.evaluate(b)[0], b.action)
    assert (forgotten - b.log_prob).abs().max() > 1e-3


@pytest.mark.usefixtures("double")
@shared_or_not
@each_memory
def test_a_refresh_with_the_same_parameters_changes_nothing(memory, shared):
    given = spaces(True, num_envs=3)
    agent = make_ppo_online(given, memory, shared_memory=shared)
    _, carry = acted(agent, given, seed=1)
    rollout, _ = acted(agent, given, carry=carry)
    stored = rollout.states()
    agent.refresh(rollout)
    for got, want in zip(rollout.states(), stored, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("double")
@each_memory
def test_a_refresh_runs_the_rollout_again_with_the_new_parameters(memory):
    given = spaces(True, num_envs=3)
    agent = make_ppo_online(given, memory, lr=0.1)
    _, carry = acted(agent, given, seed=1)
    rollout, _ = acted(agent, given, carry=carry)
    stale = rollout.states()
    agent.descend(rollout.sequences(), 0.0, measure=False)
    agent.refresh(rollout)
    again, _ = acted(agent, given, carry=carry)
    for got, want, old in zip(rollout.states(), again.states(), stale, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-11, atol=1e-11)
        assert not torch.allclose(got, old, atol=1e-3)


@pytest.mark.parametrize(("refresh", "times"), [("never", 0), ("epoch", 2)])
def test_refreshed_before_every_epoch_but_the_first(refresh, times, monkeypatch):
    given = spaces(True, num_envs=4)
    agent = make_ppo_online(given, "rtu", epochs=3, refresh=refresh)
    calls = []
    original = agent.refresh
    monkeypatch.setattr(agent, "refresh", lambda rollout: calls.append(1) or original(rollout))
    loop_of(agent, given).block()
    assert len(calls) == times


# --- gradients -------------------------------------------------------------------------------


@pytest.mark.usefixtures("double")
@shared_or_not
@each_kind
@each_memory
def test_a_pass_over_the_rollout_has_the_gradient_of_bptt(memory, discrete, shared):
    given = spaces(discrete, num_envs=3)
    agent = make_ppo_online(given, memory, shared_memory=shared, **EXACT)
    rollout, _ = acted(agent, given)
    twin = reverse(agent, given, memory, shared_memory=shared, **EXACT)
    got = gradient(agent, rollout.sequences())
    rollout.L, rollout.carries = rollout.T, [twin.initial_state(3)]
    want = gradient(twin, rollout.sequences())
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-11)


@pytest.mark.usefixtures("double")
@each_memory
def test_a_pass_over_the_rollout_has_the_gradient_of_rtrl(memory):
    """The dense Jacobian of the state, carried forward through every step without any shortcut."""
    given = spaces(True, num_envs=2)
    agent = make_ppo_online(given, memory, **EXACT)
    rollout, _ = acted(agent, given)
    twin = reverse(agent, given, memory, **EXACT)
    got = gradient(agent, rollout.sequences())
    rollout.L, rollout.carries = rollout.T, [twin.initial_state(2)]
    b, evaluate, by_output = rollout.sequences(), twin.evaluate, []

    def watched(b):
        p, v, h, penalty = evaluate(b)
        h.register_hook(by_output.append)
        return p, v, h, penalty

    weights = torch.cat([p.detach().reshape(-1).clone() for p in twin.memory.parameters()])
    twin.evaluate = watched
    reference = make_memory(memory, 3, hidden_size=6)
    gradient(twin, b)
    (dL_TBH,) = by_output
    want = rtrl(reference, weights, b.obs, b.start, dL_TBH)
    first = sum(p.numel() for p in agent.encoder.parameters())
    torch.testing.assert_close(got[first : first + len(want)], want, rtol=1e-9, atol=1e-11)


def rtrl(memory, weights, x_TBI, start_TB, dL_TBH):
    """Σ ∂L/∂y_t dy_t/dθ with ds'/dθ = ∂s'/∂θ + ∂s'/∂s ds/dθ, for every row on its own."""
    named = dict(memory.named_parameters())
    sizes = [p.numel() for p in named.values()]

    def step(theta, s, x):
        pieces = zip(named.items(), theta.split(sizes), strict=True)
        own = {f"memory.{k}": piece.view_as(p) for (k, p), piece in pieces}
        state = s.view(1, len(memory.initial_state(1)), -1).unbind(1)
        y, state, _ = functional_call(Stepping(memory), own, (x[None], state))
        return y[0], torch.cat(state, -1)[0]

    slopes, total = jacrev(step, argnums=(0, 1)), torch.zeros_like(weights)
    for b in range(x_TBI.shape[1]):
        s = torch.cat(memory.initial_state(1), -1)[0]
        J = s.new_zeros(len(s), len(weights))
        for x, start, dL in zip(x_TBI[:, b], start_TB[:, b], dL_TBH[:, b], strict=True):
            s, J = torch.where(start, 0, s), torch.where(start, 0, J)
            (y_theta, y_s), (s_theta, s_s) = slopes(weights, s, x)
            total += dL @ (y_theta + y_s @ J)
            s, J = step(weights, s, x)[1].detach(), s_theta + s_s @ J
    return total.detach()


class Stepping(torch.nn.Module):
    """A memory called by its `step`."""

    def __init__(self, memory):
        super().__init__()
        self.memory = memory

    def forward(self, x, state):
        return self.memory.step(x, state)


@pytest.mark.usefixtures("double")
@each_memory
def test_the_gradient_reaches_into_rollouts_before(memory):
    """A second rollout is learnt from as if the first were there still; BPTT forgets it."""
    given = spaces(True, num_envs=3)
    agent = make_ppo_online(given, memory, normalize_advantages=False, **EXACT)
    first, carry = acted(agent, given, seed=1)
    second, _ = acted(agent, given, carry=carry)
    changes = {"normalize_advantages": False, **EXACT}
    twin, forgetful = (reverse(agent, given, memory, **changes) for _ in range(2))
    got, evaluate = gradient(agent, second.sequences()), twin.evaluate

    def through_both(b):
        obs, start = torch.cat((first.obs, b.obs)), torch.cat((first.start, b.start))
        p, v, h, _ = evaluate(b._replace(obs=obs, start=start))
        return p[first.T :], v[first.T :], h[first.T :], None

    second.L, second.carries = second.T, [twin.initial_state(3)]
    short = gradient(forgetful, second.sequences())
    twin.evaluate = through_both
    want = gradient(twin, second.sequences())
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-11)
    assert not torch.allclose(got, short, rtol=1e-3, atol=1e-6)


# --- learning --------------------------------------------------------------------------------


@pytest.mark.parametrize("refresh", ["never", "epoch"])
@each_kind
@each_memory
def test_three_rollouts_are_learnt_from(memory, discrete, refresh):
    given = spaces(discrete, num_envs=4)
    agent = make_ppo_online(
        given, memory, normalize=True, shared_memory=discrete, refresh=refresh, minibatches=4
    )
    before = {k: v.clone() for k, v in agent.named_parameters()}
    loop = loop_of(agent, given)
    for _ in range(3):
        metrics = loop.block()
    assert loop.updates == 3 * 2 * 4
    assert all(v.isfinite().all() for v in metrics.values())
    assert parameters(agent).isfinite().all()
    assert [k for k, v in agent.named_parameters() if torch.equal(v, before[k])] == []


@pytest.mark.parametrize("T", [1, 5])
def test_short_rollouts(T):
    given = spaces(True, num_envs=4)
    agent = make_ppo_online(given, "rtu", rollout_steps=T)
    loop = loop_of(agent, given)
    loop.block()
    assert loop.updates == 2 * 2


def test_a_memory_without_traces_is_refused():
    with pytest.raises(ConfigError, match="has no real-time traces"):
        make_ppo_online(spaces(True), "gru")
    stacked = {"hidden_size": 4, "layers": 2}
    with pytest.raises(ConfigError, match="one layer"):
        make_ppo_online(spaces(True), "rtu", stacked)
    assert make_memory("rtu", 3).has_traces
