"""DQN: each update equals a plain implementation; hand numbers."""

import pytest
import torch

from tests.agents.factory import PAPER, constant, make_agent, spaces, windows
from tests.reference import PlainRMSprop, flat, mix, sequential


class PlainDQN:
    """Tallec 2019, Algorithm 7, one transition at a time."""

    def __init__(self, agent, dt, gamma, lr, alpha, tau):
        self.q, self.target_q = sequential(agent.q), sequential(agent.q)
        self.rule = PlainRMSprop(self.q, lr, alpha)
        self.dt, self.discount, self.tau = dt, gamma**dt, tau

    def update(self, batch) -> None:
        cost = 0.0
        B = batch.reward_TB.shape[1]
        for b in range(B):
            s, s_next, a = batch.obs_TBO[0, b], batch.obs_TBO[1, b], batch.action_TBA[0, b]
            live = 1 - batch.terminated_TB[0, b].item()
            best = max(self.target_q(s_next).tolist())
            y = batch.reward_TB[0, b].item() * self.dt + live * self.discount * best
            cost = cost + (self.q(s)[a] - y) ** 2 / 2 / B
        self.rule.step(torch.autograd.grad(cost, list(self.q.parameters())))
        mix(self.target_q, self.q, self.tau)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("tau", [0.0, 0.9])
def test_updates_equal_a_plain_implementation(tau):
    given = spaces(discrete=True, dt=0.05)
    agent = make_agent("dqn", given, hidden_sizes=(7, 5), tau=tau)
    plain = PlainDQN(agent, 0.05, 0.8, 0.001, 1 - 1 / 500, tau)
    for i in range(5):
        batch = windows(given, seed=i)
        agent.update(batch)
        plain.update(batch)
    for name in ("q", "target_q"):
        want = flat(getattr(plain, name).parameters())
        got = (getattr(agent, name) or agent.q).weights.detach()
        torch.testing.assert_close(got, want, rtol=0, atol=1e-10)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("tau", [0.0, 0.9])
@pytest.mark.parametrize(
    ("terminated", "y"),
    [(1.0, 2 * 0.1), (0.0, 2 * 0.1 + 0.8**0.1 * 4)],  # max Q = 4, r = 2 per second, dt = 0.1
)
def test_termination_cuts_the_bootstrap_and_only_termination(terminated, y, tau):
    given = spaces(discrete=True, dt=0.1)
    agent = make_agent("dqn", given, tau=tau)
    for network in (agent.q, agent.target_q or agent.q):
        constant(network, 1.0, 4.0, -2.0, 0.0)
    batch = windows(given)
    batch = batch._replace(
        action_TBA=torch.full_like(batch.action_TBA, 2),  # Q = -2
        reward_TB=torch.full_like(batch.reward_TB, 2.0),
        terminated_TB=torch.full_like(batch.terminated_TB, terminated),
    )
    metrics = agent.update(batch)
    want = abs(-2 - y) / 0.1
    assert metrics["train/residual_per_second"].mean().item() == pytest.approx(want, rel=1e-12)
    assert metrics["train/value"].mean().item() == pytest.approx(-2)


@pytest.mark.usefixtures("double")
def test_an_impossible_bootstrap_is_clamped():
    given = spaces(discrete=True, dt=0.05, reward_bounds=(-16.0, 0.0))
    agent = make_agent("dqn", given)
    constant(agent.q, 11.0, 11.0, 11.0, 11.0)
    batch = windows(given, ended=0.0)
    batch = batch._replace(reward_TB=torch.zeros_like(batch.reward_TB))
    residual = agent.update(batch)["train/residual_per_second"].mean().item()
    assert residual == pytest.approx(11 / 0.05, rel=1e-12)


@pytest.mark.parametrize(
    ("dt", "changes", "lr", "alpha", "seconds"),
    [
        (0.002, {}, 0.001, 1 - 1 / 500, 0.002),
        (0.002, {"preset": PAPER}, 0.1 * 0.002, 1 - 0.002, 0.002),
        (0.002, {"scaling": "stock"}, 0.001, 0.99, 0.01),
        (0.05, {"scaling": "stock"}, 0.001, 0.99, 0.01),
    ],
)
def test_scaling(dt, changes, lr, alpha, seconds):
    agent = make_agent("dqn", spaces(discrete=True, dt=dt), **changes)
    rule = agent.optimizers["q"].optimizer
    assert rule.lr == pytest.approx(lr, rel=1e-12)
    assert rule.alpha == pytest.approx(alpha, rel=1e-12)
    assert agent.dt == seconds
    assert agent.discount == pytest.approx(0.8**dt, rel=1e-14)


def test_inspect_is_the_best_q():
    agent, obs = make_agent("dqn", spaces(discrete=True)), torch.randn(6, 3)
    value, action = agent.inspect(obs)
    q = agent.q(obs).detach()
    assert torch.equal(value, q.amax(-1))
    torch.testing.assert_close(action, torch.tensor([-1, -1 / 3, 1 / 3, 1])[q.argmax(-1)])
