"""A parameter whose early influence has the wrong sign: what truncation makes of it."""

import pytest
import torch

from benchmarks.influence_balancing import InfluenceBalancing, follow, loss_of
from rlkit.gradients.base import make_gradient
from rlkit.gradients.cell import Cell


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def settled(N=1):
    """The state that θ = 1/2 leads to: s_1 = -6 θ."""
    cell = Cell(InfluenceBalancing())
    state, theta = cell.initial_state(N, 1), cell.tensors(torch.full((N, 1), 0.5))
    with torch.no_grad():
        state = cell.run(theta, torch.zeros(3000, N, 1, 1), state, None).state
    return cell, state


@pytest.mark.parametrize("length", [60, 100, 120, 200])
def test_the_gradient_of_a_segment_changes_sign_near_110(length):
    cell, state = settled()
    torch.testing.assert_close(state[0][0, 0, 0].item(), -3.0)
    found = make_gradient(
        "tbptt", cell, torch.Generator(), {"length": length, "window": "disjoint"}
    ).observe(
        {"memory": torch.tensor([[0.5]])},
        {"state": state},
        torch.zeros(length, 1, 1, 1),
        torch.zeros(length, 1, 1, dtype=torch.bool),
        loss_of,
    )
    slope = found.grads["memory"].item() / -4  # (s_1 - 1) times the sum of influences
    assert slope == pytest.approx(658 - 6 * length, abs=0.5)


def test_a_sliding_window_of_50_has_the_right_sign():
    cell, state = settled()
    options = {"length": 50, "window": "sliding"}
    estimator = make_gradient("tbptt", cell, torch.Generator(), options)
    carry = {"state": state}
    for _ in range(60):
        estimate = estimator.observe(
            {"memory": torch.tensor([[0.5]])},
            carry,
            torch.zeros(1, 1, 1, 1),
            torch.zeros(1, 1, 1, dtype=torch.bool),
            loss_of,
        )
        carry = estimate.carry
    assert estimate.grads["memory"].item() > 0  # θ must fall to -1/6


def test_uoro_of_two_seeds_goes_down_where_truncation_goes_up():
    cell = Cell(InfluenceBalancing())
    for name, options, falls in (
        ("uoro", {"rank": 1, "memory_steps": 1, "tangent": "exact"}, True),
        ("tbptt", {"length": 10, "window": "disjoint"}, False),
    ):
        estimator = make_gradient(name, cell, torch.Generator().manual_seed(0), options)
        rows = follow(estimator, 2, 3000)
        last = [float(r["theta"]) for r in rows if r["step"] >= 3000]
        assert len(last) == 2
        assert all((theta < 0.5) == falls for theta in last)
