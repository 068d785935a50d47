"""DAU: each update equals a plain implementation; gradients stay O(1) as dt → 0; hand numbers."""

import math

import pytest
import torch
from torch import Tensor

from tests.agents.factory import PAPER, constant, make_agent, spaces, windows
from tests.reference import PlainRMSprop, flat, mix, sequential

DTS = [0.05, 0.02, 0.005, 0.002, 0.0005]


class PlainDAU:
    """Tallec 2019, equations 8.27 and 8.33 to 8.35, one transition at a time."""

    def __init__(self, agent, dt, gamma, lr, lr_policy, alpha, tau, bounds=None):
        self.discrete = agent.discrete
        names = ["value", "advantage"] + ["policy"] * (not self.discrete)
        self.nets = {n: sequential(getattr(agent, n)) for n in names}
        self.target = sequential(agent.value)
        rates = {"value": lr, "advantage": lr, "policy": lr_policy}
        self.rules = {n: PlainRMSprop(self.nets[n], rates[n], alpha) for n in names}
        self.dt, self.discount, self.tau, self.bounds = dt, gamma**dt, tau, bounds

    def state_value(self, s: Tensor) -> Tensor:
        return self.nets["value"](s)[0]

    def abar(self, s: Tensor, a: Tensor) -> Tensor:
        if self.discrete:
            return self.nets["advantage"](s)[a]
        return self.nets["advantage"](torch.cat((s, a)))[0]

    def pi(self, s: Tensor) -> Tensor:
        return self.nets["advantage"](s).argmax() if self.discrete else self.nets["policy"](s)

    def update(self, batch) -> None:
        value_cost = advantage_cost = policy_gain = 0.0
        B = batch.reward_TB.shape[1]
        net_of_target = self.target if self.tau > 0 else self.nets["value"]
        for b in range(B):
            s, s_next, a = batch.obs_TBO[0, b], batch.obs_TBO[1, b], batch.action_TBA[0, b]
            v_next = net_of_target(s_next)[0].item()
            if self.bounds:
                v_next = min(max(v_next, self.bounds[0]), self.bounds[1])
            if batch.terminated_TB[0, b]:
                v_next = 0.0
            best = self.pi(s).detach()
            A = self.abar(s, a) - self.abar(s, best)
            target = batch.reward_TB[0, b].item() * self.dt + self.discount * v_next
            delta = (self.state_value(s) + self.dt * A - target).item()
            value_cost = value_cost + delta / self.dt * self.state_value(s) / B
            advantage_cost = advantage_cost + delta / self.dt * A / B
            if not self.discrete:
                policy_gain = policy_gain + self.abar(s, self.pi(s)) / B
        costs = {"value": value_cost, "advantage": advantage_cost, "policy": -policy_gain}
        gradients = {
            n: torch.autograd.grad(costs[n], list(net.parameters()), retain_graph=True)
            for n, net in self.nets.items()
        }
        for n in self.nets:
            self.rules[n].step(gradients[n])
        mix(self.target, self.nets["value"], self.tau)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("bounds", [None, (-0.3, 0.2)])
@pytest.mark.parametrize("tau", [0.0, 0.9])
@pytest.mark.parametrize("discrete", [False, True])
def test_updates_equal_a_plain_implementation(discrete, tau, bounds):
    dt, gamma = 0.05, 0.8
    given = spaces(discrete, dt=dt, reward_bounds=bounds)
    agent = make_agent("dau", given, hidden_sizes=(7, 5), tau=tau)
    value_bounds = bounds and tuple(r * dt / (1 - gamma**dt) for r in bounds)
    plain = PlainDAU(agent, dt, gamma, 0.001, 0.0002, 1 - 1 / 500, tau, value_bounds)
    for i in range(5):
        batch = windows(given, seed=i)
        agent.update(batch)
        plain.update(batch)
    pairs = [(getattr(agent, n), net) for n, net in plain.nets.items()]
    for ours, theirs in [*pairs, (agent.target_value or agent.value, plain.target)]:
        want = flat(theirs.parameters())
        torch.testing.assert_close(ours.weights.detach(), want, rtol=0, atol=1e-10)


@pytest.mark.parametrize("discrete", [False, True])
def test_metrics_are_those_of_the_batch_before_the_step(discrete):
    given = spaces(discrete)
    agent = make_agent("dau", given)
    batch = windows(given)
    s = batch.obs_TBO[0]
    with torch.no_grad():
        value = agent.value(s).mean()
        if discrete:
            a = agent.advantage(s)
            advantage = (a.gather(1, batch.action_TBA.view(-1, 1))[:, 0] - a.amax(1)).mean()
        else:
            taken = agent.advantage(torch.cat((s, batch.action_TBA[0]), 1))
            advantage = (taken - agent.advantage(torch.cat((s, agent.policy(s)), 1))).mean()
    metrics = agent.update(batch)
    torch.testing.assert_close(metrics["train/value"].mean(), value)
    torch.testing.assert_close(metrics["train/advantage"].mean(), advantage)
    assert not any(m.requires_grad for m in metrics.values())


# --- dt → 0 ----------------------------------------------------------------------------------


def ode_windows(dt: float, discrete: bool, pushed: float = 0.0, B: int = 400):
    """Transitions of one length dt from ṡ = f(s, a): the same states and actions at every dt."""
    given = spaces(discrete, dt=dt)
    batch = windows(given, B=B, seed=8, ended=0.0)
    s, a = batch.obs_TBO[0], batch.action_TBA[0]
    force = a.to(s.dtype) - 1.5 if discrete else a.sum(-1)
    force = force + pushed
    velocity = torch.stack((s[:, 1], force - s[:, 0].sin(), -s[:, 2]), -1)
    reward = 1 + 0.5 * force - s.square().sum(-1)
    return batch._replace(
        obs_TBO=torch.stack((s, s + dt * velocity)), reward_TB=reward.unsqueeze(0)
    )


def gradients(name: str, dt: float, discrete: bool = False, pushed: float = 0.0, **changes):
    """What one update hands to each optimiser; the networks are the same at every dt."""
    agent = make_agent(name, spaces(discrete, dt=dt), **changes)
    agent.update(ode_windows(dt, discrete, pushed))
    return {n: o.vector.grad for n, o in agent.optimizers.items()}


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("network", ["value", "advantage"])
@pytest.mark.parametrize("discrete", [False, True])
def test_gradients_do_not_depend_on_dt(discrete, network):
    norms = [gradients("dau", dt, discrete)[network].norm().item() for dt in DTS]
    assert max(norms) / min(norms) < 1.2


@pytest.mark.usefixtures("double")
def test_what_an_action_did_stays_visible_in_dau_and_fades_in_ddpg():
    """The change of the gradient when every action has a stronger effect on ṡ and r."""

    def signal(name: str, network: str, dt: float) -> float:
        plain, pushed = (gradients(name, dt, pushed=p)[network] for p in (0.0, 1.0))
        return (pushed - plain).norm().item()

    dau = [signal("dau", "advantage", dt) for dt in DTS]
    ddpg = [signal("ddpg", "q", dt) for dt in DTS]
    assert max(dau) / min(dau) < 1.2
    ratios = [s / dt for s, dt in zip(ddpg, DTS, strict=True)]
    assert max(ratios) / min(ratios) < 1.2  # proportional to dt
    assert ddpg[0] / ddpg[-1] > 80  # a hundredth at a hundredth of dt


# --- hand numbers ----------------------------------------------------------------------------


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize(
    ("terminated", "residual"),
    [  # V = 3 everywhere, A = 0, r = 2 per second, dt = 0.1, gamma = 0.8
        (1.0, (3 - 2 * 0.1) / 0.1),
        (0.0, (3 - 2 * 0.1 - 0.8**0.1 * 3) / 0.1),
    ],
)
def test_termination_cuts_the_bootstrap_and_only_termination(discrete, terminated, residual):
    given = spaces(discrete, dt=0.1)
    agent = make_agent("dau", given)
    constant(agent.value, 3.0)
    batch = windows(given)
    batch = batch._replace(
        reward_TB=torch.full_like(batch.reward_TB, 2.0),
        terminated_TB=torch.full_like(batch.terminated_TB, terminated),
    )
    constant(agent.advantage, *([1.0] * 4 if discrete else [1.0]))
    metrics = agent.update(batch)
    assert metrics["train/residual_per_second"].mean().item() == pytest.approx(
        abs(residual), rel=1e-12
    )


@pytest.mark.usefixtures("double")
def test_the_clamp_is_the_discounted_sum_of_the_extreme_rewards():
    low = -(math.pi**2 + 0.1 * 64 + 0.001 * 4)  # the pendulum: -16.27 per second
    agent = make_agent("dau", spaces(dt=0.05, reward_bounds=(low, 0.0)))
    assert agent.bounds == pytest.approx((-73.336, 0.0), abs=1e-3)  # -16.2736·0.05/(1 - 0.8^0.05)
    constant(agent.value, 11.0)  # impossible
    constant(agent.advantage, 0.0)
    batch = windows(spaces(), ended=0.0)
    batch = batch._replace(reward_TB=torch.zeros_like(batch.reward_TB))
    residual = agent.update(batch)["train/residual_per_second"].mean().item()
    assert residual == pytest.approx(11 / 0.05, rel=1e-12)


@pytest.mark.parametrize(
    ("bounds", "want"),
    [((1.0, 1.0), (0.0, 4.5065)), ((-2.0, -1.0), (-9.013, 0.0)), ((-1.0, 1.0), (-4.5065, 4.5065))],
)
def test_an_episode_may_end_so_that_zero_is_always_possible(bounds, want):
    """Cartpole earns 1 per second until it falls: values lie in [0, 4.5], not at 4.5."""
    agent = make_agent("dau", spaces(dt=0.05, reward_bounds=bounds))
    assert agent.bounds == pytest.approx(want, abs=1e-3)


def test_no_clamp_without_bounds_or_when_switched_off():
    assert make_agent("dau", spaces()).bounds is None
    off = make_agent("dau", spaces(reward_bounds=(-1.0, 0.0)), clamp_bootstrap=False)
    assert off.bounds is None


@pytest.mark.parametrize(
    ("dt", "changes", "lr", "lr_policy", "alpha", "seconds"),
    [
        (0.05, {}, 0.1 * 5 / 500, 0.02 * 5 / 500, 1 - 1 / 500, 0.05),
        (0.002, {}, 0.1 * 5 / 500, 0.02 * 5 / 500, 1 - 1 / 500, 0.002),
        (0.05, {"preset": PAPER}, 0.1 * 0.05, 0.02 * 0.05, 1 - 0.05, 0.05),
        (0.002, {"preset": PAPER}, 0.1 * 0.002, 0.02 * 0.002, 1 - 0.002, 0.002),
        (0.05, {"scaling": "stock"}, 0.1 * 0.01, 0.02 * 0.01, 1 - 0.01, 0.01),
        (0.002, {"scaling": "stock"}, 0.1 * 0.01, 0.02 * 0.01, 1 - 0.01, 0.01),
    ],
)
def test_scaling(dt, changes, lr, lr_policy, alpha, seconds):
    agent = make_agent("dau", spaces(dt=dt), **changes)
    rules = {n: o.optimizer for n, o in agent.optimizers.items()}
    assert rules["value"].lr == pytest.approx(lr, rel=1e-12)
    assert rules["advantage"].lr == pytest.approx(lr, rel=1e-12)
    assert rules["policy"].lr == pytest.approx(lr_policy, rel=1e-12)
    assert rules["value"].alpha == pytest.approx(alpha, rel=1e-12)
    assert agent.dt == seconds
    assert agent.discount == pytest.approx(0.8**dt, rel=1e-14)  # also in stock


def test_only_a_positive_tau_makes_a_target_network():
    agent = make_agent("dau", spaces())
    assert agent.target_value is None
    agent = make_agent("dau", spaces(), tau=0.9)
    assert agent.target_value is not None
    x = torch.randn(4, 3)
    assert torch.equal(agent.target_value(x), agent.value(x))


# --- pictures --------------------------------------------------------------------------------


def test_inspect_gives_values_and_greedy_actions_in_one():
    obs = torch.randn(6, 3)
    agent = make_agent("dau", spaces())
    value, action = agent.inspect(obs)
    assert torch.equal(value, agent.value(obs)[:, 0].detach())
    assert torch.equal(action, agent.policy(obs)[:, 0].detach())
    agent = make_agent("dau", spaces(discrete=True))
    levels = agent.inspect(obs)[1]
    index = agent.advantage(obs).argmax(-1)
    torch.testing.assert_close(levels, torch.tensor([-1, -1 / 3, 1 / 3, 1])[index])
