"""RMSprop: the first steps have the size of later ones."""

import pytest
import torch

from rlkit.optim.rmsprop import RMSprop


def moved(gradients: list[list[float]], lr: float, alpha: float, eps: float = 0.0) -> list:
    p = torch.nn.Parameter(torch.zeros(len(gradients[0]), dtype=torch.float64))
    optimizer = RMSprop(p, lr, alpha, eps)
    path = []
    for g in gradients:
        p.grad = torch.tensor(g, dtype=torch.float64)
        optimizer.step()
        path.append(p.detach().clone())
    return path


def test_the_first_step_has_the_size_lr_whatever_the_gradient():
    (p,) = moved([[1e-3, -5.0, 700.0]], lr=0.1, alpha=0.998)
    torch.testing.assert_close(p, torch.tensor([-0.1, 0.1, -0.1], dtype=torch.float64))


def test_three_steps_by_hand():
    # v: 4, (4 + 16)/2 = 10, then alpha = 0.6 < 1 - 1/3: 0.6·10 + 0.4·1 = 6.4
    path = moved([[2.0], [-4.0], [1.0]], lr=1.0, alpha=0.6)
    steps = [2 / 4**0.5, -4 / 10**0.5, 1 / 6.4**0.5]
    want = -torch.tensor(steps, dtype=torch.float64).cumsum(0)
    torch.testing.assert_close(torch.stack(path)[:, 0], want, rtol=1e-14, atol=0)


def test_eps_is_outside_the_root():
    (p,) = moved([[3.0]], lr=1.0, alpha=0.9, eps=2.0)
    assert p.item() == pytest.approx(-3 / 5, rel=1e-14)


def test_later_it_is_torch_rmsprop():
    """After many horizons the start is forgotten: the same steps as torch's from then on."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(5, dtype=torch.float64, generator=generator)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    optimizers = [RMSprop(ours, 0.01, 0.8, 1e-8), torch.optim.RMSprop([theirs], 0.01, 0.8, 1e-8)]
    for step in range(200):
        if step == 180:  # 0.8^180 = 4e-18
            theirs.data.copy_(ours.data)
        g = torch.randn(5, dtype=torch.float64, generator=generator)
        for p, optimizer in zip((ours, theirs), optimizers, strict=True):
            p.grad = g
            optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)


def test_a_step_without_gradient_is_a_mistake():
    with pytest.raises(AssertionError, match="needs a gradient"):
        RMSprop(torch.nn.Parameter(torch.ones(2)), 0.1, 0.9).step()
