"""Dynamics and dream, with every memory: steps equal windows, and dreams are predictions."""

import math
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from agents.world_models.dream import Dream
from agents.world_models.dynamics import (
    Dynamics,
    DynamicsTraining,
    Transitions,
    Window,
    loss_of,
    persistence_loss,
)
from rlkit.memory import MEMORIES, make_memory
from rlkit.networks.mdn import Prediction
from rlkit.optim.make import make_optimizer
from tests.contracts.memories import options_of

Z, A, K = 3, 2, 4


def dynamics(name="lstm", mixture="joint"):
    torch.manual_seed(0)
    options = options_of(name)
    options |= {"hidden_size": 8} if "hidden_size" in options else {}
    make = partial(make_memory, name, **options)
    return Dynamics(make, Z, A, K, mixture, 5).eval()


def window(T=5, B=4, discrete=False):
    z = torch.randn(T + 1, B, Z)
    action = torch.randint(A, (T, B)) if discrete else torch.rand(T, B, A) * 2 - 1
    start = torch.zeros(T, B, dtype=torch.bool)
    start[0], start[2, 1], start[4, 3] = True, True, True
    terminated = (torch.rand(T, B) < 0.3).float()
    return Window(z[:-1], z[1:], action, torch.randn(T, B), terminated, start)


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("name", MEMORIES.names())
def test_step_by_step_is_the_window(name, discrete):
    net, w = dynamics(name), window(discrete=discrete)
    p, _ = net(w.z, w.action, w.start)
    state = net.memory.initial_state(4)
    for t in range(5):
        y, state = net.step(w.z[t], w.action[t], state, w.start[t])
        for one, all_ in zip(net.mdn(y), p, strict=True):
            torch.testing.assert_close(one, all_[t], rtol=1e-4, atol=1e-5)


def test_loss_by_hand():
    w = Window(*(torch.zeros(1, 1, n) for n in (2, 2, 1)), *torch.tensor([[[0.5]], [[1.0]]]), None)
    p = Prediction(
        torch.zeros(1, 1, 1, 1),
        torch.tensor([[[[1.0, 0.0]]]]),
        torch.tensor([[[[0.0, math.log(2)]]]]),
        torch.tensor([[2.0]]),
        torch.tensor([[0.0]]),
    )
    code = 0.5 + math.log(2) + math.log(2 * math.pi)
    assert float(loss_of(p, w)) == pytest.approx((code + 1.5**2 + math.log(2)) / 4, rel=1e-6)


def test_persistence_is_the_best_of_its_kind():
    w, found = window(T=50), None
    found = float(persistence_loss(w))
    std = (w.z_next - w.z).square().mean((0, 1)).sqrt()
    share = w.terminated.mean()
    for factor, shift in ((1.05, 0.0), (0.95, 0.0), (1.0, 0.1), (1.0, -0.1)):
        p = Prediction(
            torch.zeros(50, 4, 1, 1),
            w.z.unsqueeze(-2),
            (std * factor).log().expand(50, 4, 1, Z),
            (w.reward.mean() + shift).expand(50, 4),
            (share / (1 - share)).log().expand(50, 4),
        )
        assert float(loss_of(p, w)) > found


def recorded(N=60):
    """Two episodes whose code counts the steps; 41 and 21 frames."""
    mean = torch.cat([torch.arange(41.0), torch.arange(21.0)])[:, None].expand(-1, Z) / 10
    frame = torch.cat([torch.arange(40), torch.arange(41, 61)])
    start = torch.zeros(N, dtype=torch.bool)
    start[0] = start[40] = True
    end = torch.zeros(N)
    end[39] = end[59] = 1
    std = torch.zeros_like(mean)
    return Transitions(mean, std, frame, torch.zeros(N, A), torch.ones(N), end, start)


def test_windows_cross_episodes_with_a_start_and_never_pair_their_frames():
    t = recorded()
    w = t.windows(torch.tensor([0, 37]), 6, torch.Generator())
    torch.testing.assert_close(w.z[:, 0, 0] * 10, torch.arange(6.0))
    torch.testing.assert_close(w.z[:, 1, 0] * 10, torch.tensor([37.0, 38, 39, 0, 1, 2]))
    torch.testing.assert_close(w.z_next - w.z, torch.full((6, 2, Z), 0.1))
    assert w.start.int().T.tolist() == [[1, 0, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0]]
    assert w.terminated.T.tolist() == [[0] * 6, [0, 0, 1, 0, 0, 0]]
    assert t.start.sum() == 2  # the windows' own starts were not written into it


def options(**changes):
    values = {
        "patience": 5,
        "stop_after": 30,
        "dynamics_sequences": 64,
        "dynamics_validate_sequences": 32,
        "dynamics_batch": 8,
        "sequence_steps": 6,
        "max_grad_norm": 1.0,
    }
    return SimpleNamespace(**(values | changes))


def training(net, **changes):
    optimizer = make_optimizer({"name": "rmsprop", "eps": 1e-8}, 1e-2, 10)
    return DynamicsTraining(
        {"seed": 1}, net, lambda: (recorded(), recorded()), optimizer, options(**changes)
    )


@pytest.mark.parametrize("mixture", ["joint", "per_dim"])
@pytest.mark.parametrize("name", MEMORIES.names())
def test_every_memory_learns(name, mixture):
    stage = training(dynamics(name, mixture))
    records = []
    while stage.progress < 1:
        records.append(stage.advance())
    before = training(dynamics(name, mixture)).validate(recorded())[0]
    assert records[-1]["dynamics/validation_loss"] < before
    assert records[-1]["dynamics/terminals"] == 2
    bank = stage.dynamics.bank_mean
    assert torch.equal(bank, torch.zeros(5, Z))  # both episodes begin with zero


def test_a_stage_taken_up_again_ends_as_if_it_had_not_been_left():
    whole = training(dynamics())
    left = training(dynamics())
    whole.advance()
    left.advance()
    taken = training(dynamics())
    taken.set_state(left.get_state())
    assert taken.advance() == whole.advance()
    for a, b in zip(whole.dynamics.parameters(), taken.dynamics.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_stage_stops_without_gain():
    stage = training(dynamics(), stop_after=1, patience=1, dynamics_sequences=6400)
    stage.plateau.best = -100.0
    stage.advance()
    assert stage.progress == 1
    assert stage.plateau.factor == 0.5


# ---- dream ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lstm", "gatel0rd", "rtu", "none"])
@pytest.mark.parametrize("mixture", ["joint", "per_dim"])
@torch.no_grad()
def test_a_dream_is_the_dynamics_own_prediction(name, mixture):
    net = dynamics(name, mixture)
    net.bank_mean.copy_(torch.randn(5, Z))
    dream = Dream(net, temperature=1e-6, noise=False)
    z, y = dream.reset(range(16))
    rows = {tuple(row) for row in net.bank_mean.tolist()}
    assert {tuple(row) for row in z.tolist()} <= rows
    assert torch.equal(y, torch.zeros_like(y))
    state, start = net.memory.initial_state(16), torch.ones(16, dtype=torch.bool)
    for _ in range(4):
        action = torch.rand(16, A)
        expected_y, state = net.step(z, action, state, start)
        p = net.mdn(expected_y)
        likeliest = p.log_weight.argmax(-2, keepdim=True).expand(16, 1, Z)
        z, y, reward, ends = dream.step(action)
        assert torch.equal(y, expected_y)
        assert torch.equal(z, p.mean.gather(-2, likeliest).squeeze(-2))
        assert torch.equal(reward, p.reward)
        assert torch.equal(ends, p.terminal > 0)
        start = torch.zeros(16, dtype=torch.bool)


@torch.no_grad()
def test_a_dream_is_the_same_whatever_is_dreamt_beside_it():
    net = dynamics()
    net.bank_mean.copy_(torch.randn(5, Z))
    net.bank_std.fill_(0.5)

    def codes(seeds):
        dream = Dream(net, temperature=1.0, noise=True)
        rows = [dream.reset(seeds)[0]]
        rows += [dream.step(torch.full((len(seeds), A), 0.1))[0] for _ in range(70)]
        return torch.stack(rows)

    a, b = codes(range(16)), codes([*range(31, 15, -1), *range(16)])
    assert torch.equal(a, b[:, 16:])
    assert len(torch.unique(a[0], dim=0)) == 16
