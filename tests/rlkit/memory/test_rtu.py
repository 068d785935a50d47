"""RTU: stored arrays of both kinds, their traces with the published code's error undone."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from rlkit.memory.rtu import RTU

FOLDER = Path(__file__).parents[2] / "oracles"
NAMES = {"nu_log": "r_param", "theta_log": "theta_param", "W1": "wx1", "W2": "wx2"}


def loaded(kind: str, f: str) -> tuple[RTU, dict[str, torch.Tensor]]:
    with np.load(FOLDER / f"rtu_{kind}_{f}_f64.npz", allow_pickle=False) as file:
        o = {k: torch.tensor(file[k]) for k in file.files if file[k].dtype.kind == "f"}
    memory = RTU(4, 5, kind=kind, f=f).double()
    for name, theirs in NAMES.items():
        getattr(memory, name).data = o[f"w.{theirs}"].view_as(getattr(memory, name))
    return memory, o


@pytest.mark.parametrize(("kind", "f"), [("linear", "tanh"), ("nonlinear", "relu")])
def test_stored_arrays(kind, f):
    memory, o = loaded(kind, f)
    x = o["x"].requires_grad_()
    y, state, _ = memory(x, memory.initial_state(3))
    loss = 0.5 * (y @ o["readout"] - o["target"]).square().sum()
    grads = torch.autograd.grad(loss, [x, *(getattr(memory, n) for n in NAMES)])
    torch.testing.assert_close(y, o["y"], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(state[0], o["h_c1"][-1], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(state[1], o["h_c2"][-1], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(loss, o["loss"], rtol=1e-6, atol=0)
    for name, g in zip(("x", *NAMES.values()), grads, strict=True):
        torch.testing.assert_close(g, o[f"bptt_grad.{name}"].view_as(g), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("kind", "f"), [("linear", "tanh"), ("nonlinear", "relu")])
def test_stored_gradient_with_the_past_cut_off_from_the_input(kind, f):
    memory, o = loaded(kind, f)
    state, traces = memory.initial_state(3), memory.initial_traces(3)
    x, loss = o["x"].requires_grad_(), torch.zeros((), dtype=torch.float64)
    for t in range(len(x)):
        out, traces = memory.trace_step(x[t], state, traces)
        state = out.state
        loss = loss + 0.5 * (out.y @ o["readout"] - o["target"][t]).square().sum()
    gx, g_theta = torch.autograd.grad(loss, [x, memory.theta_log])
    torch.testing.assert_close(gx, o["official_rtrl_grad.x"], rtol=1e-6, atol=1e-6)
    official = o["official_rtrl_grad.theta_param"][0] * memory.theta_log.exp()
    torch.testing.assert_close(g_theta, official, rtol=1e-6, atol=1e-6)


def test_stored_traces_of_the_nonlinear_kind():
    memory, o = loaded("nonlinear", "relu")
    state, traces = memory.initial_state(3), memory.initial_traces(3)
    for t in range(8):
        out, traces = memory.trace_step(o["x"][t], state, traces)
        state, (E,) = out.state, traces
        for i, c in enumerate(("hc1", "hc2")):
            get = lambda name, c=c: o[f"official_trace.d_{c}_d_{name}"][t]  # noqa: E731, B023
            close = {"rtol": 1e-6, "atol": 1e-6}
            torch.testing.assert_close(E[:, 0, i], get("r"), **close)
            theta = get("theta") * memory.theta_log.exp()
            torch.testing.assert_close(E[:, 1, i], theta, **close)
            torch.testing.assert_close(E[:, 2:6, i], get("wx1"), **close)
            torch.testing.assert_close(E[:, 6:, i], get("wx2"), **close)


def test_stored_traces_of_the_linear_kind():
    memory, o = loaded("linear", "tanh")
    state, traces = memory.initial_state(3), memory.initial_traces(3)
    lam, gamma = (c.detach() for c in memory.coefficients())
    nu = memory.nu_log.exp()
    for t in range(8):
        out, traces = memory.trace_step(o["x"][t], state, traces)
        state = out.state
        E = torch.view_as_complex(traces[0])
        get = lambda n: torch.complex(  # noqa: E731
            o[f"official_trace.d_hc1_d_{n}"][t],  # noqa: B023
            o[f"official_trace.d_hc2_d_{n}"][t],  # noqa: B023
        )
        # E holds derivatives by λ and γ: ∂λ/∂nu_log = -ν λ, ∂γ/∂nu_log = ν r²/γ, ∂λ/∂θ = i λ
        by_nu = -nu * lam * E[:, 0] + nu * lam.abs() ** 2 / gamma * E[:, 1]
        torch.testing.assert_close(by_nu, get("r"), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(1j * lam * E[:, 0], get("theta"), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(E[:, 2:], get("wx1"), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(1j * E[:, 2:], get("wx2"), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("kind", "kept"), [("linear", -1.2), ("nonlinear", 0.0)])
def test_one_step_by_hand(kind, kept):
    memory = RTU(1, 1, kind=kind)
    r = 0.6  # γ = 0.8
    memory.nu_log.data.fill_(math.log(-math.log(r)))
    memory.theta_log.data.fill_(math.log(math.pi / 2))
    memory.W1.data.fill_(0.0)
    memory.W2.data.fill_(1.0)
    # a1 = -0.6 · 2 = -1.2;  a2 = 0.6 · 3 + 0.8 · 1 · 5 = 5.8
    state = torch.tensor([[3.0]]), torch.tensor([[2.0]])
    y, (c1, c2), _ = memory.step(torch.tensor([[5.0]]), state)
    assert c1.item() == pytest.approx(kept)
    assert c2.item() == pytest.approx(5.8)
    assert y[0].tolist() == pytest.approx([0, 5.8])


def test_sizes():
    memory = RTU(4, 5)
    assert memory.output_size == 10
    assert sum(p.numel() for p in memory.parameters()) == 2 * 5 + 2 * 5 * 4


def test_weights_are_lecun_normal():
    torch.manual_seed(0)
    W = RTU(25, 2000).W1
    assert W.std().item() == pytest.approx(1 / 5, rel=0.02)
    assert W.abs().max() <= 2 / 5 / 0.8796


@pytest.mark.parametrize("kind", ["linear", "nonlinear"])
def test_time_constants_where_the_activation_is_straight(kind):
    memory = RTU(3, 6, kind=kind, f="tanh", timescale_steps=(8.0, 8.0)).double()
    c = memory.initial_state(1)[0] + 1e-6
    _, state, _ = memory(torch.zeros(8, 1, 3, dtype=c.dtype), (c, 0 * c))
    size = torch.complex(*state).abs() / 1e-6
    torch.testing.assert_close(size, torch.full_like(size, math.exp(-1)), rtol=1e-5, atol=0)
