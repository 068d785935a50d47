"""DDPG: each update equals a plain implementation; hand numbers."""

import pytest
import torch

from tests.agents.factory import PAPER, constant, make_agent, spaces, windows
from tests.reference import PlainRMSprop, flat, mix, sequential


class PlainDDPG:
    """Tallec 2019, Algorithm 6, one transition at a time."""

    def __init__(self, agent, dt, gamma, lr, lr_policy, alpha, tau):
        self.q, self.policy = sequential(agent.q), sequential(agent.policy)
        self.target_q, self.target_policy = sequential(agent.q), sequential(agent.policy)
        self.q_rule = PlainRMSprop(self.q, lr, alpha)
        self.policy_rule = PlainRMSprop(self.policy, lr_policy, alpha)
        self.dt, self.discount, self.tau = dt, gamma**dt, tau

    def update(self, batch) -> None:
        q_cost = policy_gain = 0.0
        B = batch.reward_TB.shape[1]
        for b in range(B):
            s, s_next, a = batch.obs_TBO[0, b], batch.obs_TBO[1, b], batch.action_TBA[0, b]
            q_next = self.target_q(torch.cat((s_next, self.target_policy(s_next)))).item()
            live = 1 - batch.terminated_TB[0, b].item()
            y = batch.reward_TB[0, b].item() * self.dt + live * self.discount * q_next
            q_cost = q_cost + (self.q(torch.cat((s, a)))[0] - y) ** 2 / 2 / B
            policy_gain = policy_gain + self.q(torch.cat((s, self.policy(s))))[0] / B
        dq = torch.autograd.grad(q_cost, list(self.q.parameters()))
        dpi = torch.autograd.grad(-policy_gain, list(self.policy.parameters()))
        self.q_rule.step(dq)
        self.policy_rule.step(dpi)
        mix(self.target_q, self.q, self.tau)
        mix(self.target_policy, self.policy, self.tau)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("tau", [0.0, 0.9])
def test_updates_equal_a_plain_implementation(tau):
    given = spaces(dt=0.05)
    agent = make_agent("ddpg", given, hidden_sizes=(7, 5), tau=tau)
    plain = PlainDDPG(agent, 0.05, 0.8, 0.001, 0.0002, 1 - 1 / 500, tau)
    for i in range(5):
        batch = windows(given, seed=i)
        agent.update(batch)
        plain.update(batch)
    for name in ("q", "policy", "target_q", "target_policy"):
        want = flat(getattr(plain, name).parameters())
        network = getattr(agent, name) or getattr(agent, name.removeprefix("target_"))
        got = network.weights.detach()
        torch.testing.assert_close(got, want, rtol=0, atol=1e-10)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("terminated", "y"),
    [(1.0, 2 * 0.1), (0.0, 2 * 0.1 + 0.8**0.1 * 3)],  # Q = 3, r = 2 per second, dt = 0.1
)
@pytest.mark.parametrize("tau", [0.0, 0.9])
def test_termination_cuts_the_bootstrap_and_only_termination(terminated, y, tau):
    given = spaces(dt=0.1)
    agent = make_agent("ddpg", given, tau=tau)
    constant(agent.q, 3.0)
    constant(agent.target_q or agent.q, 3.0)
    batch = windows(given)
    batch = batch._replace(
        reward_TB=torch.full_like(batch.reward_TB, 2.0),
        terminated_TB=torch.full_like(batch.terminated_TB, terminated),
    )
    metrics = agent.update(batch)
    want = abs(3 - y) / 0.1
    assert metrics["train/residual_per_second"].mean().item() == pytest.approx(want, rel=1e-12)
    assert metrics["train/value"].mean().item() == pytest.approx(3)


@pytest.mark.usefixtures("double")
def test_an_impossible_bootstrap_is_clamped():
    agent = make_agent("ddpg", spaces(dt=0.05, reward_bounds=(-16.0, 0.0)))
    assert agent.bounds == pytest.approx((-16 * 0.05 / (1 - 0.8**0.05), 0))
    constant(agent.q, 11.0)
    batch = windows(spaces(), ended=0.0)
    batch = batch._replace(reward_TB=torch.zeros_like(batch.reward_TB))
    residual = agent.update(batch)["train/residual_per_second"].mean().item()
    assert residual == pytest.approx(11 / 0.05, rel=1e-12)


@pytest.mark.usefixtures("double")
def test_stock_counts_rewards_at_the_reference_dt():
    given = spaces(dt=0.002)
    agent = make_agent("ddpg", given, scaling="stock")
    constant(agent.q, 3.0)
    batch = windows(given)
    batch = batch._replace(reward_TB=torch.full_like(batch.reward_TB, 2.0))
    batch = batch._replace(terminated_TB=torch.ones_like(batch.terminated_TB))
    residual = agent.update(batch)["train/residual_per_second"].mean().item()
    assert residual == pytest.approx((3 - 2 * 0.01) / 0.01, rel=1e-12)


@pytest.mark.parametrize(
    ("dt", "changes", "lr", "lr_policy", "alpha", "seconds"),
    [
        (0.002, {}, 0.001, 0.0002, 1 - 1 / 500, 0.002),
        (0.002, {"preset": PAPER}, 0.1 * 0.002, 0.02 * 0.002, 1 - 0.002, 0.002),
        (0.002, {"scaling": "stock"}, 0.001, 0.0002, 0.99, 0.01),
        (0.05, {"scaling": "stock"}, 0.001, 0.0002, 0.99, 0.01),
    ],
)
def test_scaling(dt, changes, lr, lr_policy, alpha, seconds):
    agent = make_agent("ddpg", spaces(dt=dt), **changes)
    rules = {n: o.optimizer for n, o in agent.optimizers.items()}
    assert rules["q"].lr == pytest.approx(lr, rel=1e-12)
    assert rules["policy"].lr == pytest.approx(lr_policy, rel=1e-12)
    assert rules["q"].alpha == pytest.approx(alpha, rel=1e-12)
    assert agent.dt == seconds
    assert agent.discount == pytest.approx(0.8**dt, rel=1e-14)


def test_inspect_is_q_of_the_greedy_action():
    agent, obs = make_agent("ddpg", spaces()), torch.randn(6, 3)
    value, action = agent.inspect(obs)
    greedy = agent.policy(obs)
    torch.testing.assert_close(value, agent.q(torch.cat((obs, greedy), -1))[:, 0].detach())
    assert torch.equal(action, greedy[:, 0].detach())
