"""PPO: losses and whole updates equal a plain implementation; what its options do."""

import math

import pytest
import torch

from rlkit.memory.base import select
from rlkit.rollout import minibatches
from tests.agents.factory import SMALL, make_ppo, parameters, small_ppo, spaces
from tests.agents.plain_ppo import PlainAdam, gradient_of, loss_of
from tests.agents.rollouts import loop_of, made_up

each_kind = pytest.mark.parametrize("discrete", [False, True], ids=["continuous", "discrete"])


# --- the loss --------------------------------------------------------------------------------


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("norm", [1e9, 0.05], ids=["whole", "clipped"])
@pytest.mark.parametrize(
    ("memory", "changes"),
    [
        ("gru", {}),
        ("gru", {"clip_value": True}),
        ("gru", {"shared_memory": False, "value_coefficient": 2.0}),
        ("gatel0rd", {"clip": 0.05}),
        ("gatel0rd", {"shared_memory": False, "clip_value": True}),
        ("gru", {"normalize_advantages": False}),
        ("none", {"encoder_sizes": (), "head_sizes": ()}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value) or "plain",
)
@each_kind
def test_a_step_goes_down_the_loss(discrete, memory, changes, norm):
    """Random starts inside the sequences, ratios on both sides of the clip."""
    changes |= {"chunk_steps": 4, "max_grad_norm": norm}
    agent, given = small_ppo(discrete, memory, B=3, **changes)
    b = made_up(agent, given).sequences()
    want = loss_of(agent, b, 0.03)
    gradient = torch.cat([g.reshape(-1) for g in gradient_of(agent, want["loss"])])
    metrics = agent.descend(b, 0.03, measure=True)
    for name in ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction"):
        assert metrics[f"train/{name}"].item() == pytest.approx(want[name].item(), rel=1e-6), name
    assert 0 < want["clip_fraction"] < 1
    length = gradient.norm()
    assert metrics["train/gradient_norm"].item() == pytest.approx(length.item(), rel=1e-9)
    got = agent.optimizers["all"].vector.grad
    torch.testing.assert_close(
        got, gradient * min(1, norm / (length + 1e-6)), rtol=1e-9, atol=1e-12
    )


@pytest.mark.usefixtures("double")
def test_a_penalty_of_the_memory_is_a_part_of_the_loss():
    gradients = []
    for coefficient in (0.0, 1.0):
        options = {"hidden_size": 6, "penalty_coefficient": coefficient}
        given = spaces(True, num_envs=3)
        agent = make_ppo(given, "gatel0rd", options, max_grad_norm=1e9)
        agent.descend(made_up(agent, given).sequences(), 0.0, measure=False)
        gradients.append(agent.optimizers["all"].vector.grad.clone())
    b = made_up(agent, given).sequences()
    agent = make_ppo(given, "gatel0rd", options)
    penalty = agent.evaluate(b)[3].mean()
    want = torch.cat([g.reshape(-1) for g in gradient_of(agent, penalty)])
    assert want.norm() > 0
    torch.testing.assert_close(gradients[1] - gradients[0], want, rtol=1e-9, atol=1e-12)


# --- whole updates ---------------------------------------------------------------------------


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize("memory", ["none", "gru"])
@each_kind
def test_updates_equal_a_plain_implementation(discrete, memory, rate):
    """PopArt, three epochs of two minibatches, clipped gradients, Adam; two rollouts."""
    changes = {
        "chunk_steps": 4,
        "epochs": 3,
        "normalize_value_rate": rate,
        "clip_value": True,
        "lr_final_ratio": 0.0,
        "entropy_final_ratio": 3.0,
    }
    agent, given = small_ppo(discrete, memory, B=2, **changes)
    plain, _ = small_ppo(discrete, memory, B=2, **changes)
    adam, mean, square = PlainAdam(plain), 0.0, 1.0
    plain.noise.set_state(agent.noise.get_state())
    for i, progress in enumerate((0.0, 0.25)):
        rollout = made_up(agent, given, seed=i)
        if rate:  # the moments, and a last layer that means the same as before
            beta = max(rate, 1 / (i + 1))
            old_mean, old_std = mean, math.sqrt(square - mean**2)
            mean += beta * (rollout.target.mean().item() - mean)
            square += beta * (rollout.target.square().mean().item() - square)
            std = math.sqrt(square - mean**2)
            with torch.no_grad():
                last = plain.critic[-1]
                last.weight.mul_(old_std / std)
                last.bias.copy_((last.bias * old_std + old_mean - mean) / std)
        std = math.sqrt(square - mean**2)
        for _ in range(3):
            data = rollout.sequences()
            data = data._replace(value=(data.value - mean) / std, target=(data.target - mean) / std)
            for b in minibatches(data, 2, plain.noise.generator):
                loss = loss_of(plain, b, 0.01 * (1 + 2 * progress))["loss"]
                adam.step(gradient_of(plain, loss), 0.003 * (1 - progress), 0.5)
        metrics, updates = agent.update(rollout, progress)
        assert updates == len(metrics["train/kl"]) == 6
    for (name, got), want in zip(agent.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-9, msg=name)
    assert agent.value_scale.mean.item() == pytest.approx(mean)


@each_kind
def test_minibatches_of_one_step_keep_the_weights_finite(discrete):
    agent, given = small_ppo(discrete, B=2, chunk_steps=1, minibatches=16)
    metrics = loop_of(agent, given).block()
    assert len(metrics["train/kl"]) == 32
    assert parameters(agent).isfinite().all()


@each_kind
def test_the_same_seed_gives_the_same_parameters(discrete):
    found = []
    for seed in (3, 3, 4):
        given = spaces(discrete, num_envs=4)
        agent = make_ppo(given, "gru", SMALL["gru"], seed=seed, normalize=True)
        loop = loop_of(agent, given)
        loop.block()
        loop.block()
        found.append(parameters(agent))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


# --- options ---------------------------------------------------------------------------------


def test_separate_memories_learn_from_their_own_loss():
    agent, given = small_ppo(True, B=4, shared_memory=False)
    assert len(agent.initial_state(3)) == 2
    b = made_up(agent, given).sequences()
    p, v, _, _ = agent.evaluate(b)
    for out, mine, other in (
        (p, agent.memory, agent.critic_memory),
        (v, agent.critic_memory, agent.memory),
    ):
        for memory, reached in ((mine, True), (other, False)):
            grads = torch.autograd.grad(
                out.square().sum(), list(memory.parameters()), retain_graph=True, allow_unused=True
            )
            assert all((g is not None and bool(g.any())) == reached for g in grads)


def test_no_epoch_follows_one_that_moved_too_far():
    for target_kl, epochs in ((None, 5), (1e9, 5), (1e-12, 1)):
        agent, given = small_ppo(True, B=4, epochs=5, target_kl=target_kl)
        loop = loop_of(agent, given)
        metrics = loop.block()
        assert loop.updates == len(metrics["train/kl"]) == 2 * epochs


def test_the_divergence_of_an_epoch_is_its_own():
    """Small in the first epoch, too large in the second: the third does not happen."""
    agent, given = small_ppo(True, B=4, epochs=5, minibatches=2, target_kl=0.5)
    divergences = iter([0.1, 0.2, 0.9, 0.3, 9.9])
    agent.descend = lambda *a: {"train/kl": torch.tensor(next(divergences))}
    assert agent.update(made_up(agent, given), 0.0)[1] == 4


@pytest.mark.parametrize("progress", [0.0, 0.25, 1.0])
def test_schedules_are_straight_lines_over_the_run(progress):
    agent, given = small_ppo(True, B=4, entropy_final_ratio=0.2, lr_final_ratio=0.0)
    seen = []

    def descend(b, entropy_coefficient, measure):
        rate = agent.optimizers["all"].optimizer.param_groups[0]["lr"]
        seen.append((entropy_coefficient, rate, measure))
        return {"train/kl": torch.zeros(())}

    agent.descend = descend
    agent.update(made_up(agent, given), progress)
    want = (0.01 * (1 - 0.8 * progress), 0.003 * (1 - progress))
    assert [s[:2] for s in seen] == [pytest.approx(want)] * 4
    assert [s[2] for s in seen] == [True, False, False, False]


def test_gamma_and_lambda_are_per_stock_step():
    agent = make_ppo(spaces(dt=0.025, stock_dt=0.05))
    assert agent.discount**2 == pytest.approx(0.99, rel=1e-12)
    assert agent.lambda_**2 == pytest.approx(0.95, rel=1e-12)
    assert agent.reward_scale == 0.5
    agent = make_ppo(spaces(dt=0.025))
    assert (agent.discount, agent.lambda_, agent.reward_scale) == (0.99, 0.95, 1.0)


def test_observations_are_taken_into_the_moments_after_the_updates():
    """The ratio would not be 1 at first if they moved between acting and learning."""
    agent, given = small_ppo(True, B=4, normalize=True)
    loop, (normalizer,) = loop_of(agent, given), agent.encoder.normalizers
    counts, descend = [], agent.descend
    agent.descend = lambda *a: counts.append(int(normalizer.count)) or descend(*a)
    for block in (1, 2):
        before = normalizer.mean.clone()
        loop.block()
        share = 1 / block
        want = before + share * (loop.rollout.obs.double().mean((0, 1)) - before)
        torch.testing.assert_close(normalizer.mean, want)
    assert counts == [0] * 4 + [32] * 4
    assert normalizer.count == 64


def test_openings_of_the_memorys_gates_are_reported():
    agent, given = small_ppo(True, "gatel0rd", B=4, chunk_steps=4)
    rollout = made_up(agent, given)
    metrics, _ = agent.update(rollout, 0.0)
    gates = []
    for c, state in enumerate(rollout.carries):
        x, start = agent.encoder(rollout.obs[4 * c]), rollout.start[4 * c]
        state = select(start, agent.memory.fresh_state(x), state)
        gates.append(agent.memory.gate_openings(x, state).detach())
    gates = torch.stack(gates)
    torch.testing.assert_close(metrics["memory/gates_mean"][0], gates.mean())
    torch.testing.assert_close(metrics["memory/gates_open"][0], (gates > 0).float().mean())
    assert 0 < metrics["memory/gates_open"][0] < 1
    agent, given = small_ppo(True, "gru", B=4)
    metrics, _ = agent.update(made_up(agent, given), 0.0)
    assert not any(name.startswith("memory/") for name in metrics)


def test_a_budget_in_updates_is_counted_in_rollouts():
    agent, _ = small_ppo(True, B=4, epochs=3)
    assert agent.schedule.block_steps == 8
    assert agent.schedule.updates_per_step == pytest.approx(3 * 2 / 8)


# --- acting ----------------------------------------------------------------------------------


@each_kind
@torch.no_grad()
def test_acting(discrete):
    agent, _ = small_ppo(discrete, B=6)
    agent.value_scale.observe(torch.tensor([3.0, 9.0]))
    obs, state = torch.randn(6, 3), tuple(torch.randn_like(s) for s in agent.initial_state(6))
    start = torch.tensor([True, False] * 3)
    noise = agent.noise.get_state()
    p, v, after = agent.step(obs, state, start)
    restarted = select(start, agent.initial_state(6), state)
    again = agent.step(obs, restarted, torch.zeros(6, dtype=torch.bool))
    for got, want in zip((*again[:2], *again[2]), (p, v, *after), strict=True):
        assert torch.equal(got, want)
    greedy, _ = agent.act(obs, state, start, explore=False)
    assert torch.equal(greedy, agent.distribution.mode(p))
    assert torch.equal(agent.noise.get_state(), noise)
    sample = agent.sample(obs, state, start)
    assert not torch.equal(agent.noise.get_state(), noise)
    agent.noise.set_state(noise)
    explored, _ = agent.act(obs, state, start, explore=True)
    assert torch.equal(explored, sample.action_BA)
    assert sample.action_BA.dtype == (torch.int64 if discrete else torch.float32)
    assert sample.action_BA.shape == ((6,) if discrete else (6, 2))
    assert torch.equal(sample.log_prob_B, agent.distribution.log_prob(p, sample.action_BA))
    torch.testing.assert_close(sample.value_B, 3 * v + 6)  # mean 6, deviation 3
    assert torch.equal(agent.value(obs, state, start), sample.value_B)


@each_kind
def test_inspect_is_a_fresh_greedy_step(discrete):
    agent, _ = small_ppo(discrete)
    agent.value_scale.observe(torch.tensor([3.0, 9.0]))
    obs, fresh = torch.randn(6, 3), torch.ones(6, dtype=torch.bool)
    value, action = agent.inspect(obs)
    with torch.no_grad():
        want = agent.value(obs, agent.initial_state(6), fresh)
        best, _ = agent.act(obs, agent.initial_state(6), fresh, explore=False)
    assert torch.equal(value, want)
    levels = torch.tensor([-1, -1 / 3, 1 / 3, 1])[best] if discrete else best[:, 0]
    torch.testing.assert_close(action, levels)
