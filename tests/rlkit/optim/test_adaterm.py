"""AdaTerm: the authors' trajectories, one ν per tensor, refusals."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from rlkit.optim.adaterm import AdaTerm
from rlkit.options import ConfigError

ORACLE = Path(__file__).parents[2] / "oracles" / "adaterm.npz"
OURS = {
    "adabias_corr": "adaptive_bias",
    "beta_dof": "beta_nu",
    "ini_dof": "initial_nu",
}
CONFIGURATIONS = ("default", "lr_wd", "uncentered", "adabias", "amsgrad", "fixed_dof")


def vector(values) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.as_tensor(values, dtype=torch.float64).reshape(-1))


def follow(optimizer: AdaTerm, gradients: torch.Tensor) -> list[torch.Tensor]:
    path = []
    for g in gradients:
        optimizer.parameter.grad = g
        optimizer.step()
        path.append(optimizer.parameter.detach().clone())
    return path


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_authors_trajectory(name):
    data = np.load(ORACLE, allow_pickle=False)
    prefix = f"{name}.cfg."
    given = {k.removeprefix(prefix): data[k].item() for k in data.files if k.startswith(prefix)}
    options = {OURS.get(k, k): v for k, v in given.items()}
    p = vector(np.concatenate([data["p0_0"].reshape(-1), data["p0_1"]]))
    optimizer = AdaTerm(p, **options, sizes=[12, 5])
    for t in range(300):
        g = np.concatenate([data["grads_0"][t].reshape(-1), data["grads_1"][t]])
        follow(optimizer, torch.as_tensor(g)[None])
        if (t + 1) % 10 == 0:
            row = t // 10
            want = [data[f"{name}.params_{i}"][row].reshape(-1) for i in (0, 1)]
            np.testing.assert_allclose(p.detach().numpy(), np.concatenate(want), rtol=1e-9)
            nu = [data[f"{name}.dof_{i}"][row] for i in (0, 1)]
            np.testing.assert_allclose(optimizer.nu.numpy(), nu, rtol=1e-9)


def test_every_configuration_of_the_oracle_is_followed():
    data = np.load(ORACLE, allow_pickle=False)
    assert {k.split(".")[0] for k in data.files if "." in k} == set(CONFIGURATIONS)


def test_the_first_step_by_hand():
    # m = c = 0, e = ε² = 1/4, ν = k + ε = 3/2, G = 1: s = 1, D = s/e = 4,
    # w/w̄ = 1/(1 + 8/3) = 3/11, τ = 3/22; m = c = 3/22;
    # e: the gap (1 - 4/4)/ν = 0 is raised to ε² = 1/4, so e stays; p = -m/½ / √((c + e)/½)
    p = vector([0.0])
    follow(AdaTerm(p, lr=1.0, beta1=0.5, beta2=0.5, beta_nu=1.0, eps=0.5), vector([1.0]).data[None])
    assert p.item() == pytest.approx(-(3 / 11) / math.sqrt(2 * (3 / 22 + 1 / 4)), rel=1e-12)


def test_infinitely_many_degrees_are_exponential_means():
    p = vector([0.0, 1.0])
    optimizer = AdaTerm(p, beta1=0.8, beta2=0.9, beta_nu=1.0, initial_nu=math.inf)
    gradients = torch.randn(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    m, c = torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for t, g in enumerate(gradients, 1):
        before = p.detach().clone()
        follow(optimizer, g[None])
        c = 0.9 * c + 0.1 * (g - m) ** 2
        m = 0.8 * m + 0.2 * g
        step = 1e-3 * m / (1 - 0.8**t) / ((c + 1e-10) / (1 - 0.9**t)).sqrt()
        torch.testing.assert_close(p.detach(), before - step, rtol=1e-12, atol=0)


def test_an_outlier_in_one_tensor_leaves_the_other_alone():
    gradients = torch.randn(200, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    spiked = gradients.clone()
    spiked[150, :4] = 1e3
    ends = []
    for g in (gradients, spiked):
        p = vector(torch.zeros(7))
        follow(AdaTerm(p, sizes=[4, 3]), g)
        ends.append(p.detach())
    assert torch.equal(ends[0][4:], ends[1][4:])
    assert (ends[0][:4] != ends[1][:4]).all()


def test_it_continues_from_its_state():
    gradients = torch.randn(40, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    options = {"uncentered": True, "amsgrad": 0.9, "adaptive_bias": True, "sizes": [2, 3]}
    p, q = vector(torch.zeros(5)), vector(torch.zeros(5))
    first, second = AdaTerm(p, **options), AdaTerm(q, **options)
    follow(first, gradients[:20])
    q.data.copy_(p)
    second.load_state_dict({k: torch.as_tensor(v).clone() for k, v in first.state_dict().items()})
    a, b = follow(first, gradients[20:]), follow(second, gradients[20:])
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": [2, 2]}, r"sizes \[2, 2\] do not add up to 5"),
        ({"beta2": 1.0}, r"beta2 is 1.0, but must be a number in \[0, 1\)"),
        ({"beta_nu": -0.1}, r"beta_nu is -0.1, but must be a number in \[0, 1\]"),
        ({"k": 0.0}, "k is 0.0, but must be a number above 0"),
        ({"initial_nu": math.inf}, "may only be infinite if beta_nu is 1"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ConfigError, match=message):
        AdaTerm(vector(torch.zeros(5)), **options)


def test_a_step_without_gradient_is_a_mistake():
    with pytest.raises(AssertionError, match="needs a gradient"):
        AdaTerm(vector([1.0])).step()
