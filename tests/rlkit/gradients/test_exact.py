"""Estimators that are exact equal reverse mode, in double precision, with starts inside."""

import pytest
import torch

from rlkit.gradients import GRADIENTS
from rlkit.memory import MEMORIES, memories_with_traces
from tests.rlkit.gradients.estimating import build, problem, reverse_mode, small, total

T = 9
WITH_STATE = [n for n in MEMORIES.names() if n != "none"]
KINDS = {name: {} for name in memories_with_traces()}
KINDS |= {
    f"{n} {f}": {"kind": "nonlinear", "f": f}
    for n in ("rtu", "block_diagonal")
    for f in ("relu", "tanh")
}
KINDS["leaky scalar"] = {"alpha": "scalar"}


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def assert_equal(found, wanted, N=1):
    loss, grads = found
    torch.testing.assert_close(loss, wanted[0].expand(N), rtol=1e-9, atol=1e-11)
    for name, g in wanted[1].items():
        torch.testing.assert_close(grads[name], g.expand(N, -1), rtol=1e-9, atol=1e-10)


def test_mingru_is_among_those_with_traces():
    assert memories_with_traces() == ["block_diagonal", "leaky", "lru", "mingru", "rtu"]


@pytest.mark.parametrize(("N", "B"), [(1, 1), (1, 2), (3, 2)])
@pytest.mark.parametrize("name", MEMORIES.names())
def test_bptt_is_reverse_mode(name, N, B):
    memory = small(name)
    given = problem(memory, T, N, B)
    assert_equal(total(build("bptt", memory), *given), reverse_mode(memory, *given), N)


@pytest.mark.parametrize(("N", "B"), [(1, 1), (2, 2)])
@pytest.mark.parametrize("name", WITH_STATE)
def test_rtrl_is_reverse_mode(name, N, B):
    memory = small(name, **({"k": 3} if name == "framestack" else {}))
    given = problem(memory, T, N, B)
    assert_equal(total(build("rtrl", memory), *given), reverse_mode(memory, *given), N)


@pytest.mark.parametrize(("N", "B"), [(1, 2), (3, 1), (2, 2)])
@pytest.mark.parametrize("form", KINDS)
def test_rt2_is_rtrl_is_reverse_mode(form, N, B):
    memory = small(form.split()[0], **KINDS[form])
    given = problem(memory, T, N, B)
    assert given[2][1:].any()
    exact = reverse_mode(memory, *given)
    assert_equal(total(build("rt2", memory), *given), exact, N)
    assert_equal(total(build("rtrl", memory), *given), exact, N)


@pytest.mark.parametrize("window", ["disjoint", "sliding"])
def test_a_truncation_as_long_as_the_sequence_is_reverse_mode(window):
    memory = small("gru")
    given = problem(memory, T, 2, 2)
    found = total(build("tbptt", memory, length=T, window=window), *given)
    assert_equal(found, reverse_mode(memory, *given), 2)


def test_segments_pass_the_state_on_and_no_credit():
    """The sum over segments is the gradient of a loss whose state is detached between them."""
    memory = small("gru")
    params, x, start, loss_of = problem(memory, 10, 1, 2, starts=0.0)
    found = total(build("tbptt", memory, length=4), params, x, start, loss_of)
    theta = {k: p.clone().requires_grad_() for k, p in params.items()}
    cell = build("bptt", memory).cell
    state, loss = cell.initial_state(1, 2), 0
    for t in (0, 4, 8):
        state = tuple(s.detach() for s in state)
        step = cell.run(cell.tensors(theta["memory"]), x[t : t + 4], state, start[t : t + 4])
        state, loss = step.state, loss + loss_of(t)(theta, step.y, None)
    grads = torch.autograd.grad(loss.sum(), list(theta.values()))
    assert_equal(found, (loss.detach(), dict(zip(theta, grads, strict=True))))
    exact = reverse_mode(memory, params, x, start, loss_of)[1]["memory"]
    assert (found[1]["memory"] - exact).norm() > 0.01 * exact.norm()


def test_a_sliding_window_is_each_loss_through_the_last_inputs():
    memory, L = small("elman"), 3
    params, x, start, loss_of = problem(memory, 7, 1, 2)
    found = total(build("tbptt", memory, length=L, window="sliding"), params, x, start, loss_of)
    cell, sums = build("bptt", memory).cell, 0
    for t in range(7):
        theta = {k: p.clone().requires_grad_() for k, p in params.items()}
        first = max(0, t - L + 1)
        with torch.no_grad():
            state = cell.initial_state(1, 2)
            if first:
                own = cell.tensors(params["memory"])
                state = cell.run(own, x[:first], state, start[:first]).state
        part = slice(first, t + 1)
        y = cell.run(cell.tensors(theta["memory"]), x[part], state, start[part]).y[-1:]
        sums = sums + torch.autograd.grad(loss_of(t)(theta, y, None).sum(), theta["memory"])[0]
    torch.testing.assert_close(found[1]["memory"], sums, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", ["gatel0rd", "vand"])
def test_noise_of_a_step_is_drawn_once(name):
    """RTRL differentiates the very step whose loss it reports."""
    memory = small(name, **({"gate_noise_std": 0.5} if name == "gatel0rd" else {"mode": "v-noise"}))
    given = problem(memory, 1, starts=0.0)
    torch.manual_seed(3)
    found = total(build("rtrl", memory), *given)
    torch.manual_seed(3)
    assert_equal(found, reverse_mode(memory, *given))


def test_every_estimator_is_here():
    assert GRADIENTS.names() == ["artbp", "bptt", "rt2", "rtrl", "tbptt", "uoro"]
