"""Learning from windows: memories, spans, burn-in, against plain implementations step by step."""

import pytest
import torch
from torch import Tensor

from rlkit.memory import MEMORIES, make_memory
from rlkit.memory.base import select
from rlkit.observations import ObsPart
from rlkit.replay.sequences import SequenceReplay
from rlkit.replay.transitions import TransitionReplay
from rlkit.runner import VectorRunner
from rlkit.seeding import generator
from rlkit.types import Windows
from tests.agents.factory import SMALL, make_agent, parameters, spaces, windows
from tests.agents.rollouts import Whatever
from tests.contracts.memories import options_of

CASES = [("dau", False), ("dau", True), ("ddpg", False), ("dqn", True)]
each_agent = pytest.mark.parametrize(("name", "discrete"), CASES)
DT = 0.05
K = 4
"""Steps of a burn-in in these tests."""


def small_agent(name: str, given, memory: str = "gru", carries: int | None = None, **changes):
    def build(input_size: int):
        return make_memory(memory, input_size, carries=carries, **SMALL.get(memory, {}))

    changes = {"hidden_sizes": (7, 5), "carry_seconds": (carries or 0) * DT} | changes
    return make_agent(name, given, memory=build, **changes)


def random_windows(given, agent, T: int, B: int = 6, seed: int = 0) -> Windows:
    """Anything may happen; a final observation before every start, terminal or not."""
    g = generator(seed)
    one = windows(given, B=(T + 1) * B, seed=seed)
    start = torch.rand(T + 1, B, generator=g) < 0.25
    start[1:] &= ~start[:-1]  # an episode has a step at least
    fold = lambda x: x.unflatten(0, (T + 1, B))  # noqa: E731
    terminated = fold(one.terminated_TB[0])[:-1]
    ends = torch.zeros_like(terminated)
    ends[:-1] = start[2:].to(ends.dtype)  # step t leads to a final observation
    state = tuple(
        0.5 * torch.randn(s.shape, generator=g) if s.is_floating_point() else s + 7
        for s in agent.initial_state(B)
    )
    return Windows(
        fold(one.obs_TBO[0]),
        fold(one.action_TBA[0])[:-1],
        fold(one.reward_TB[0])[:-1],
        terminated * ends,
        state,
        start,
    )


# --- a window of one step is a transition ----------------------------------------------------


@each_agent
def test_one_step_windows_are_transitions_to_the_last_bit(name, discrete):
    given = spaces(discrete)
    plain, windowed = make_agent(name, given), make_agent(name, given, window_seconds=DT)
    for i in range(4):
        batch = windows(given, seed=i)
        plain.update(batch)
        nowhere = torch.zeros(batch.obs_TBO.shape[:2], dtype=torch.bool)
        windowed.update(batch._replace(start_TB=nowhere))
    assert torch.equal(parameters(plain), parameters(windowed))


@each_agent
def test_steps_of_another_dt_keep_their_own(name, discrete):
    """An update on steps of dt' is that of an agent at dt', with equal weights; rows do not mix."""
    given, other = spaces(discrete), spaces(discrete)._replace(dt=DT / 5)
    agent, finer = make_agent(name, given), make_agent(name, other)
    finer.load_state_dict(agent.state_dict())
    batch = windows(given, seed=3)
    B = batch.obs_TBO.shape[1]
    agent.update(batch._replace(dt_B=torch.full((B,), DT / 5)))
    finer.update(batch)
    for a, b in zip(agent.optimizers.values(), finer.optimizers.values(), strict=True):
        torch.testing.assert_close(a.vector.grad, b.vector.grad)
    half = torch.arange(B) < B // 2
    mixed, coarse, fine = (make_agent(name, g) for g in (given, given, other))
    mixed.update(batch._replace(dt_B=torch.where(half, DT, DT / 5)))
    coarse.update(_rows(batch, half))
    fine.update(_rows(batch, ~half))
    for key, o in mixed.optimizers.items():
        parts = [x.optimizers[key].vector.grad for x in (coarse, fine)]
        want = (parts[0] * half.sum() + parts[1] * (~half).sum()) / B
        torch.testing.assert_close(o.vector.grad, want, rtol=1e-4, atol=1e-6)


def _rows(batch: Windows, which: torch.Tensor) -> Windows:
    names = ("obs_TBO", "action_TBA", "reward_TB", "terminated_TB")
    return batch._replace(**{n: getattr(batch, n)[:, which] for n in names})


@each_agent
def test_both_replays_hold_the_same_transitions(name, discrete):
    """Everything but the newest step, whose next observation is stored with the next."""
    given = spaces(discrete)
    agent = make_agent(name, given)
    runner = VectorRunner(Whatever(given), agent, seed=1)
    single, sequences = (
        TransitionReplay(1000, generator(0)),
        SequenceReplay(1000, 1, agent, generator(0)),
    )
    for _ in range(60):
        step = runner.step()
        single.add(step)
        sequences.add(step)
    rows = []
    for replay in (single, sequences):
        w = replay.sample(6000)
        acted = ~w.start_TB[1] if w.start_TB is not None else torch.ones(6000).bool()
        action = w.action_TBA[0].float().view(6000, -1)
        fields = [w.obs_TBO[0], w.obs_TBO[1], action, w.reward_TB[0, :, None]]
        table = torch.cat([*fields, w.terminated_TB[0, :, None]], 1)[acted]
        rows.append({tuple(r) for r in table.tolist()})
    assert rows[1] <= rows[0]
    assert 290 <= len(rows[1]) <= len(rows[0]) <= 300


# --- the updates, written out ----------------------------------------------------------------


def unrolled(agent, memory, batch: Windows, state, b: int, burn_in: int) -> list[Tensor]:
    """What a memory makes of row b, one step at a time; no gradient from before burn-in's end."""
    seen, state = [], tuple(s[b : b + 1] for s in state)
    for t, x in enumerate(agent.encoder(batch.obs_TBO[:, b : b + 1])):
        if t == burn_in:
            state = tuple(s.detach() for s in state)
        state = select(batch.start_TB[t, b : b + 1], memory.fresh_state(x), state)
        y, state, _ = memory.step(x, state)
        seen.append(y[0])
    return seen[burn_in:]


def costs_of(agent, name: str, batch: Windows, dt: float, gamma: float, n: int, burn_in: int):
    """Σ weight · output of the critics and of the policy; their gradients are the steps."""
    discrete, bound = not hasattr(agent, "policy"), lambda v: v
    if agent.bounds:
        bound = lambda v: v.clamp(*agent.bounds)  # noqa: E731
    q_of = lambda s, a: agent.q(s)[a] if discrete else agent.q(torch.cat((s, a)))[0]  # noqa: E731
    T, B = len(batch.obs_TBO) - 1 - burn_in, batch.reward_TB.shape[1]
    count, own = (T - n + 1) * B, agent.apart(batch.state)
    critic_cost = advantage_cost = policy_gain = 0.0
    action, reward, terminated = (v[burn_in:] for v in batch[1:4])
    start = batch.start_TB[burn_in:]
    for b in range(B):
        s = unrolled(agent, agent.memory, batch, own[0], b, burn_in)
        sight = [h.detach() for h in s]
        if agent.policy_memory is not None:
            sight = unrolled(agent, agent.policy_memory, batch, own[1], b, burn_in)

        def advantage(t, s=s, sight=sight, b=b):
            if discrete:
                abar = agent.advantage(s[t])
                return abar[action[t, b]] - abar.max()
            best = agent.policy(sight[t]).detach()
            taken = agent.advantage(torch.cat((s[t], action[t, b])))
            return (taken - agent.advantage(torch.cat((s[t], best))))[0]

        def value_after(t, s=s, sight=sight):
            if name == "dau":
                return (agent.target_value or agent.value)(s[t])[0]
            if discrete:
                return (agent.target_q or agent.q)(s[t]).max()
            best = (agent.target_policy or agent.policy)(sight[t])
            return (agent.target_q or agent.q)(torch.cat((s[t], best)))[0]

        for t in range(T):
            if not (discrete or start[t + 1, b]):
                critic = agent.advantage if name == "dau" else agent.q
                here = torch.cat((s[t].detach(), agent.policy(sight[t])))
                policy_gain = policy_gain + critic(here)[0] / (T * B)
            if t > T - n or start[t + 1, b]:
                continue
            earned, gained, k = 0.0, 0.0, 0
            while True:
                earned = earned + gamma ** (k * dt) * reward[t + k, b] * dt
                if name == "dau":
                    gained = gained + gamma ** (k * dt) * advantage(t + k)
                over = terminated[t + k, b] > 0
                k += 1
                final = t + k < T and start[t + k + 1, b]
                if over or final or k == n:
                    break
            if not over:
                earned = earned + gamma ** (k * dt) * bound(value_after(t + k))
            if name == "dau":
                value = agent.value(s[t])[0]
                weight = (value + dt * gained - earned).detach() / (n * dt) / count
                critic_cost = critic_cost + weight * value
                advantage_cost = advantage_cost + weight * gained / n
            else:
                q = q_of(s[t], action[t, b])
                critic_cost = critic_cost + (q - earned).detach() * q / count
    return critic_cost, advantage_cost, policy_gain


VARIANTS = {
    "one step": {},
    "span": {"td_span_seconds": 3 * DT},
    "burn-in": {"burn_in_seconds": K * DT, "td_span_seconds": 2 * DT},
    "interleaved": {"carries": 3, "td_span_seconds": 3 * DT},
    "own memory": {"shared_memory": False, "carries": 2, "tau": 0.9},
    "bounded": {"td_span_seconds": 8 * DT},
    "none": {"memory": "none", "td_span_seconds": 8 * DT},
}


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("variant", VARIANTS)
@each_agent
def test_updates_equal_a_plain_implementation(name, discrete, variant):
    changes = dict(VARIANTS[variant])
    if discrete:
        changes.pop("shared_memory", None)
    bounds = (-0.3, 0.2) if variant == "bounded" else None
    given = spaces(discrete, reward_bounds=bounds)
    agent = small_agent(name, given, window_seconds=8 * DT, **changes)
    assert agent.discrete == discrete if name == "dau" else True
    n, burn_in = agent.lengths.span, agent.lengths.burn_in
    batch = random_windows(given, agent, 8 + burn_in)
    critic, advantage, gain = costs_of(agent, name, batch, DT, 0.8, n, burn_in)
    heads = {"value": critic, "q": critic, "advantage": advantage, "policy": -gain}
    want = {}
    for key, o in agent.optimizers.items():
        cost = heads.get(key, critic + advantage if key == "memory" else -gain)
        grads = torch.autograd.grad(cost, o.parameters, retain_graph=True, materialize_grads=True)
        want[key] = torch.cat([g.reshape(-1) for g in grads])
    assert ("memory" in want) == (variant != "none")
    assert ("policy_memory" in want) == (agent.policy_memory is not None)
    agent.update(batch)
    for key, o in agent.optimizers.items():
        torch.testing.assert_close(o.vector.grad, want[key], rtol=0, atol=1e-10)
        assert o.vector.grad.abs().max() > 1e-6


@pytest.mark.usefixtures("double")
def test_importance_weights_weigh_the_critics_residuals_alone():
    given = spaces()
    agents = [small_agent("dau", given) for _ in range(2)]
    batch = random_windows(given, agents[0], 16)
    agents[0].update(batch)
    agents[1].update(batch._replace(weight_B=torch.full((6,), 0.5)))
    for name in agents[0].optimizers:
        one, half = (a.optimizers[name].vector.grad for a in agents)
        torch.testing.assert_close(half, one if name == "policy" else one / 2)


@pytest.mark.usefixtures("double")
def test_the_penalty_of_a_memory_is_added():
    given = spaces()
    agents = [small_agent("dau", given, "gatel0rd") for _ in range(2)]
    agents[1].memory.penalty_coefficient = 0.0
    batch = random_windows(given, agents[0], 16)
    x, start = agents[0].encoder(batch.obs_TBO), batch.start_TB
    penalty = agents[0].memory(x, batch.state, start).penalty.mean()
    weights = agents[0].optimizers["memory"].parameters
    grads = torch.autograd.grad(penalty, weights, materialize_grads=True)
    own = torch.cat([g.reshape(-1) for g in grads])
    for agent in agents:
        agent.update(batch)
    with_penalty, without = (a.optimizers["memory"].vector.grad for a in agents)
    torch.testing.assert_close(with_penalty - without, own)
    assert own.abs().max() > 0


# --- acting and windows ----------------------------------------------------------------------


@pytest.mark.parametrize("carries", [1, 3])
@pytest.mark.parametrize("shared_memory", [True, False])
def test_windows_see_what_was_seen_in_acting(shared_memory, carries, monkeypatch):
    """Stored carries are the states of acting: from any step, with starts and ends inside."""
    given = spaces()
    agent = small_agent(
        "dau",
        given,
        carries=carries,
        shared_memory=shared_memory,
        window_seconds=8 * DT,
        burn_in_seconds=2 * DT,
    )
    seen, original = {}, agent.features_step

    def watched(obs, state, start):
        out = original(obs, state, start)
        for b in range(len(obs)):
            seen[tuple(obs[b].tolist())] = out[0][b], out[1][b]
        return out

    monkeypatch.setattr(agent, "features_step", watched)
    runner = VectorRunner(Whatever(given), agent, seed=3)
    replay = SequenceReplay(500, agent.lengths.steps, agent, generator(0))
    for _ in range(120):  # the ring has been round
        replay.add(runner.step())
    batch = replay.sample(400)
    assert batch.start_TB[1:].any(0).float().mean() > 0.7
    with torch.no_grad():
        look = agent.look(batch)
    found = 0
    for t in range(8):
        for n in range(400):
            key = tuple(look.batch.obs_TBO[t, n].tolist())
            if key in seen:  # final observations are not acted on
                found += 1
                torch.testing.assert_close(look.s[t, n], seen[key][0], rtol=0, atol=2e-6)
                torch.testing.assert_close(look.s_policy[t, n], seen[key][1], rtol=0, atol=2e-6)
    assert found > 0.7 * 8 * 400


def test_final_observations_are_seen_by_the_memory_of_their_episode():
    """What is bootstrapped at a time limit is V(memory after the whole episode)."""
    given = spaces()
    agent = small_agent("dau", given, window_seconds=8 * DT)
    runner = VectorRunner(Whatever(given), agent, seed=3)
    replay, after = SequenceReplay(5000, 8, agent, generator(0)), {}
    for _ in range(60):
        step = runner.step()
        replay.add(step)
        with torch.no_grad():
            y, _, _ = agent.memory.step(step.next_obs_BO, step.next_state)
        for b in step.truncated_B.nonzero()[:, 0].tolist():
            after[tuple(step.next_obs_BO[b].tolist())] = y[b]
    batch = replay.sample(300)
    with torch.no_grad():
        h = agent.look(batch).s_next
    checked = 0
    for t in range(8):
        for n in range(300):
            want = after.get(tuple(batch.obs_TBO[t + 1, n].tolist()))
            if want is not None:
                checked += 1
                torch.testing.assert_close(h[t, n], want, rtol=0, atol=2e-6)
    assert checked > 50


def test_burn_in_refreshes_the_state_without_gradient():
    given = spaces()
    agent = small_agent("dqn", spaces(True), window_seconds=8 * DT, burn_in_seconds=K * DT)
    batch = random_windows(given, agent, 8 + K)
    batch.obs_TBO.requires_grad_(True)
    seen = agent.look(batch)
    whole = agent.memory(agent.encoder(batch.obs_TBO), batch.state, batch.start_TB).y
    torch.testing.assert_close(seen.s, whole[K:-1])
    (grad,) = torch.autograd.grad(seen.s.square().sum(), batch.obs_TBO)
    assert not grad[:K].any()
    assert grad[K:].any()
    assert seen.batch.reward_TB.shape == (8, 6)


# --- every memory ----------------------------------------------------------------------------


@pytest.mark.parametrize("memory", MEMORIES.names())
@each_agent
def test_every_memory_trains(name, discrete, memory):
    options = options_of(memory) if memory != "none" else {}
    if "hidden_size" in options:
        options["hidden_size"] = 6
    given = spaces(discrete)
    build = lambda size: make_memory(memory, size, carries=2, **options)  # noqa: E731
    agent = make_agent(
        name,
        given,
        memory=build,
        carry_seconds=2 * DT,
        window_seconds=6 * DT,
        td_span_seconds=2 * DT,
        batch_size=8,
        hidden_sizes=(7,),
    )
    runner = VectorRunner(Whatever(given), agent, seed=3)
    replay = SequenceReplay(500, agent.lengths.steps, agent, generator(0))
    before = {k: v.clone() for k, v in agent.named_parameters()}
    for _ in range(14):
        replay.add(runner.step())
    for _ in range(3):
        agent.update(replay.sample(agent.batch_size))
        runner.step()
    assert parameters(agent).isfinite().all()
    trained = [k for k, v in agent.named_parameters() if not torch.equal(v, before[k])]
    assert any(k.startswith("memory.") for k in trained) == any(
        k.startswith("memory.") for k in before
    )


@each_agent
def test_encoders_learn_with_the_critic(name, discrete):
    given = spaces(discrete)
    agent = make_agent(name, given, encoder_sizes=(6,))
    before = [p.clone() for p in agent.encoder.parameters()]
    agent.update(windows(given))
    assert all(
        not torch.equal(p, q) for p, q in zip(agent.encoder.parameters(), before, strict=True)
    )


def test_pixels_are_kept_as_bytes_and_their_encoder_learns():
    part = ObsPart("obs", "image", (9, 9, 3))
    given = spaces(True, obs_shape=part.shape, obs_parts=(part,))
    agent = small_agent("dqn", given, window_seconds=2 * DT, hidden_sizes=(7,))
    g = generator(0)
    batch = random_windows(given._replace(obs_shape=(1,)), agent, 2)
    pixels = torch.randint(256, (*batch.obs_TBO.shape[:2], *part.shape), generator=g)
    before = [p.clone() for p in agent.encoder.parameters()]
    agent.update(batch._replace(obs_TBO=pixels.byte()))
    after = list(agent.encoder.parameters())
    assert len(after) > 0
    assert all(not torch.equal(p, q) for p, q in zip(after, before, strict=True))
