"""Linear recurrences: loop, chunks and hand-written backward are one function."""

import itertools

import pytest
import torch

from rlkit.memory.scan import scan

T, B, H = 23, 3, 4
CASES = list(itertools.product((torch.float64, torch.complex128), (False, True), (False, True)))


def plain(a, b, h, start):
    states = []
    for t in range(len(b)):
        if start is not None:
            h = torch.where(start[t].view(-1, *[1] * (h.dim() - 1)), 0, h)
        h = (a[t] if a.dim() == b.dim() else a) * h + b[t]
        states.append(h)
    return torch.stack(states)


def inputs(kind, varying, flags):
    torch.manual_seed(3)
    a = 0.6 * torch.randn(*((T, B) if varying else ()), H, dtype=kind)
    start = torch.rand(T, B) < 0.2 if flags else None
    leaves = a, torch.randn(T, B, H, dtype=kind), torch.randn(B, H, dtype=kind)
    return [x.requires_grad_() for x in leaves], start


@pytest.mark.parametrize("chunks", [1, 2, 5, 11, 23, None])
@pytest.mark.parametrize(("kind", "varying", "flags"), CASES)
def test_values_and_gradients_are_those_of_the_loop(kind, varying, flags, chunks):
    (a, b, h), start = inputs(kind, varying, flags)
    got, expected = scan(a, b, h, start, chunks), plain(a, b, h, start)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    weight = torch.randn_like(got)
    pairs = (torch.autograd.grad((y * weight).sum().real, (a, b, h)) for y in (got, expected))
    for fast, slow in zip(*pairs, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("chunks", [1, 4])
def test_numerical_derivatives(chunks):
    torch.manual_seed(0)
    start = torch.rand(7, 2) < 0.3
    leaves = [torch.randn(*s, dtype=torch.complex128) for s in ((7, 2, 3), (7, 2, 3), (2, 3))]
    for x in leaves:
        x.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b, h: scan(a, b, h, start, chunks), leaves)


@pytest.mark.parametrize("chunks", [1, 4, None])
@pytest.mark.parametrize("varying", [False, True])
def test_nan_does_not_cross_a_start(varying, chunks):
    (a, b, h), start = inputs(torch.float64, varying, True)
    start[:] = False
    start[0, 1] = start[9, 2] = True
    with torch.no_grad():
        h[1] = float("nan")
        b[8, 2] = float("nan")
        if varying:
            a[8, 2] = float("nan")
    y = scan(a, b, h, start, chunks)
    assert y[:, :2].isfinite().all()
    assert y[9:, 2].isfinite().all()
    grads = torch.autograd.grad(y[9:].sum() + y[:, 1].sum(), (a, b, h))
    assert all(g[..., 1, :].isfinite().all() for g in grads[1:])
    assert grads[1][9:].isfinite().all()
    assert varying or grads[0].isfinite().all()


@pytest.mark.parametrize("chunks", [1, 3, None])
@pytest.mark.parametrize("varying", [False, True])
def test_any_number_of_trailing_axes(varying, chunks):
    torch.manual_seed(1)
    a = torch.rand(*((T, B) if varying else ()), 2, 3)
    b, h, start = torch.randn(T, B, 2, 3), torch.randn(B, 2, 3), torch.rand(T, B) < 0.2
    torch.testing.assert_close(scan(a, b, h, start, chunks), plain(a, b, h, start))


@pytest.mark.parametrize("chunks", [1, 2, None])
def test_one_step_and_two(chunks):
    a, b, h = torch.tensor([0.5]), torch.tensor([[[1.0]], [[4.0]]]), torch.tensor([[6.0]])
    assert scan(a, b[:1], h, None, chunks).flatten().tolist() == [4.0]
    assert scan(a, b, h, None, chunks).flatten().tolist() == [4.0, 6.0]
    start = torch.tensor([[False], [True]])
    assert scan(a, b, h, start, chunks).flatten().tolist() == [4.0, 4.0]
