"""FlatParameters: one vector under the module's own names."""

import pytest
import torch
from torch import nn

from rlkit.networks.mlp import MLP
from rlkit.optim.flat import FlatParameters, blend
from rlkit.optim.rmsprop import RMSprop
from tests.reference import PlainRMSprop, sequential, weights_of


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def build(seed: int = 0, make=lambda p: RMSprop(p, 0.1, 0.9)) -> tuple[MLP, FlatParameters]:
    torch.manual_seed(seed)
    mlp = MLP(3, (5, 4), 2)
    return mlp, FlatParameters(mlp, make)


def test_names_shapes_and_values_stay():
    torch.manual_seed(0)
    plain = MLP(3, (5, 4), 2).state_dict()
    mlp, flat = build()
    state = mlp.state_dict()
    assert list(state) == list(plain)
    for name in plain:
        assert torch.equal(state[name], plain[name])
    assert flat.vector.numel() == sum(p.numel() for p in mlp.parameters())


def test_the_module_sees_what_the_vector_holds_and_back():
    mlp, flat = build()
    with torch.no_grad():
        flat.vector.fill_(0.25)
    assert all((p == 0.25).all() for p in mlp.parameters())
    other, _ = build(seed=9)
    mlp.load_state_dict(other.state_dict())
    want = torch.cat([p.detach().reshape(-1) for p in other.parameters()])
    assert torch.equal(flat.vector.detach(), want)


def test_a_step_is_the_step_of_each_parameter():
    mlp, flat = build()
    plain = sequential(mlp)
    optimizer = PlainRMSprop(plain, 0.1, 0.9)
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    for _ in range(3):
        flat.differentiate(mlp(x).square().mean())
        flat.step()
        optimizer.step(torch.autograd.grad(plain(x).square().mean(), weights_of(plain)))
    for p, q in zip(mlp.parameters(), weights_of(plain), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-12)


def test_several_networks_move_from_the_same_point():
    """`differentiate` of a second network sees the first one unmoved."""
    (a, flat_a), (b, flat_b) = build(seed=1), build(seed=2)
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    before = flat_a.vector.detach().clone()
    loss = (a(x) * b(x)).mean()
    want_a = torch.autograd.grad(loss, list(a.parameters()), retain_graph=True)
    want_b = torch.autograd.grad(loss, list(b.parameters()))
    flat_a.differentiate((a(x) * b(x)).mean())
    assert torch.equal(flat_a.vector.detach(), before)
    flat_b.differentiate((a(x) * b(x)).mean())
    for flat, want in ((flat_a, want_a), (flat_b, want_b)):
        assert torch.equal(flat.vector.grad, torch.cat([g.reshape(-1) for g in want]))
        flat.step()
    assert not torch.equal(flat_a.vector.detach(), before)


@pytest.mark.parametrize(
    "make",
    [lambda p: RMSprop(p, 0.1, 0.9), lambda p: torch.optim.Adam([p], 0.1)],
    ids=["rmsprop", "adam"],
)
def test_a_loaded_state_continues_apart_from_its_source(make):
    (a, flat_a), (b, flat_b) = build(1, make), build(2, make)
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))

    def learn(mlp, flat, n):
        for _ in range(n):
            flat.differentiate(mlp(x).square().mean())
            flat.step()

    learn(a, flat_a, 3)
    b.load_state_dict(a.state_dict())
    flat_b.set_state(flat_a.get_state())
    learn(a, flat_a, 2)
    learn(b, flat_b, 2)
    assert torch.equal(flat_a.vector, flat_b.vector)


@pytest.mark.parametrize(("tau", "want"), [(0.0, 3.0), (1.0, 1.0), (0.9, 1.2)])
def test_blend(tau, want):
    target, source = nn.Linear(2, 3), nn.Linear(2, 3)
    for module, value in ((target, 1.0), (source, 3.0)):
        for p in module.parameters():
            nn.init.constant_(p, value)
    blend(target, source, tau)
    for p in target.parameters():
        torch.testing.assert_close(p.detach(), torch.full_like(p, want))
    assert all((p == 3).all() for p in source.parameters())
