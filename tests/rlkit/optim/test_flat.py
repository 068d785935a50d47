"""FlatParameters: one vector under the module's own names."""

import pytest
import torch
from torch import nn

from rlkit.networks.mlp import MLP
from rlkit.optim.flat import FlatParameters, blend, descend
from rlkit.optim.make import make_optimizer
from rlkit.optim.rmsprop import RMSprop
from tests.reference import PlainRMSprop, flat


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


MODULES = {
    "one parameter": lambda: MLP(3, (5, 4), 2),
    "several": lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)),
    "one matrix": lambda: nn.Linear(3, 2, bias=False),
}
each_module = pytest.mark.parametrize("kind", MODULES)


def build(kind: str, seed: int = 0, make=lambda p, _: RMSprop(p, 0.1, 0.9)):
    torch.manual_seed(seed)
    module = MODULES[kind]()
    return module, FlatParameters(module, make)


def points() -> torch.Tensor:
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(1))


def learn(module, parameters, n):
    for _ in range(n):
        loss = module(points()).square().mean()
        descend([(parameters, loss, torch.ones(()))])


@each_module
def test_names_shapes_and_values_stay(kind):
    torch.manual_seed(0)
    plain = MODULES[kind]().state_dict()
    module, parameters = build(kind)
    state = module.state_dict()
    assert list(state) == list(plain)
    for name in plain:
        assert torch.equal(state[name], plain[name])
    assert torch.equal(parameters.vector.detach(), flat(plain.values()))
    assert parameters.vector.dim() == 1


@each_module
def test_the_module_sees_what_the_vector_holds_and_back(kind):
    module, parameters = build(kind)
    with torch.no_grad():
        parameters.vector.fill_(0.25)
    assert all((p == 0.25).all() for p in module.parameters())
    other, _ = build(kind, seed=9)
    module.load_state_dict(other.state_dict())
    assert torch.equal(parameters.vector.detach(), flat(other.parameters()))


@each_module
def test_a_step_is_the_step_of_each_parameter(kind):
    module, parameters = build(kind)
    torch.manual_seed(0)
    plain = MODULES[kind]()
    rule = PlainRMSprop(plain, 0.1, 0.9)
    for _ in range(3):
        loss = plain(points()).square().mean()
        rule.step(torch.autograd.grad(loss, list(plain.parameters())))
    learn(module, parameters, 3)
    torch.testing.assert_close(
        flat(module.parameters()), flat(plain.parameters()), rtol=0, atol=1e-12
    )


@each_module
def test_weights_of_outputs_are_a_loss(kind):
    module, parameters = build(kind)
    weight = torch.linspace(-1, 1, 12).view(6, 2)
    want = torch.autograd.grad((weight * module(points())).sum(), list(module.parameters()))
    descend([(parameters, module(points()), weight)])
    torch.testing.assert_close(parameters.vector.grad, flat(want), rtol=1e-13, atol=1e-13)


@each_module
def test_several_networks_move_from_the_same_point(kind):
    """Each output sees the other network unmoved, though both move."""
    (a, flat_a), (b, flat_b) = build(kind, seed=1), build(kind, seed=2)
    x = points()
    wanted = []
    for mine, other in ((a, b), (b, a)):
        loss = (mine(x) * other(x).detach()).mean()
        wanted.append(flat(torch.autograd.grad(loss, list(mine.parameters()))))
    before = [flat(m.parameters()) for m in (a, b)]
    descend([(flat_a, a(x), b(x).detach() / 12), (flat_b, b(x), a(x).detach() / 12)])
    for module, parameters, want, start in zip(
        (a, b), (flat_a, flat_b), wanted, before, strict=True
    ):
        torch.testing.assert_close(parameters.vector.grad, want, rtol=1e-12, atol=1e-14)
        assert not torch.equal(flat(module.parameters()), start)


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("one parameter", lambda p, _: RMSprop(p, 0.1, 0.9)),
        ("several", lambda p, _: RMSprop(p, 0.1, 0.9)),
        ("several", lambda p, _: torch.optim.Adam([p], 0.1)),
    ],
)
def test_a_loaded_state_continues_apart_from_its_source(kind, make):
    (a, flat_a), (b, flat_b) = build(kind, 1, make), build(kind, 2, make)
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


# --- one step down one loss ------------------------------------------------------------------


@each_module
@pytest.mark.parametrize("share", [0.25, 4.0])
def test_a_gradient_is_scaled_down_to_the_norm_and_never_up(kind, share):
    module, parameters = build(kind)
    loss = 3 * module(points()).square().mean()
    want = flat(torch.autograd.grad(loss, list(module.parameters())))
    before = parameters.vector.detach().clone()
    norm = parameters.step_down(3 * module(points()).square().mean(), share * want.norm().item())
    torch.testing.assert_close(norm, want.norm())
    got = parameters.vector.grad
    torch.testing.assert_close(got, want * min(share, 1.0), rtol=2e-6, atol=0)  # 1e-6 + norm
    torch.testing.assert_close(got.norm(), want.norm() * min(share, 1.0), rtol=2e-6, atol=0)
    # RMSprop's first step is its step size times the gradient's sign
    torch.testing.assert_close(
        parameters.vector.detach(), before - 0.1 * want.sign(), rtol=0, atol=1e-6
    )


def test_unused_parameters_have_no_gradient_and_stay():
    torch.manual_seed(0)
    module = nn.ModuleDict({"used": nn.Linear(3, 2), "unused": nn.Linear(4, 5)})
    parameters = FlatParameters(module, lambda p, _: RMSprop(p, 0.1, 0.9))
    kept = {k: v.clone() for k, v in module.state_dict().items()}
    for _ in range(3):
        parameters.step_down(module["used"](points()).square().mean(), 1.0)
    assert (parameters.vector.grad[-25:] == 0).all()
    for name, value in module.state_dict().items():
        assert torch.equal(value, kept[name]) == name.startswith("unused")


OPTIMIZERS = {
    "rmsprop": {"eps": 1e-8},
    "adam": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    "adaterm": {"beta1": 0.9, "beta2": 0.9, "beta_nu": 0.9, "eps": 1e-5, "k": 1.0},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_scaled_step_is_a_share_of_the_first_step_size(name):
    """Not of the one before: scaling twice by a half is scaling once."""

    def step(*factors):
        options = {"name": name, **OPTIMIZERS[name]}
        module, parameters = build("several", make=make_optimizer(options, 0.05, 10))
        learn(module, parameters, 2)
        before = parameters.vector.detach().clone()
        for factor in factors:
            parameters.scale_step(factor)
        parameters.step_down(module(points()).square().mean(), 1e6)
        return parameters.vector.detach() - before

    whole = step()
    assert whole.abs().min() > 0
    for factors, share in {(0.5,): 0.5, (0.5, 0.5): 0.5, (0.1, 1.0): 1.0, (0.0,): 0.0}.items():
        torch.testing.assert_close(step(*factors), share * whole, rtol=1e-9, atol=1e-15)
