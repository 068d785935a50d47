"""GateL0RD: the references' cell and training step, gates, penalties, nets around it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rlkit.memory.gatel0rd import GateL0RD
from rlkit.options import ConfigError

ORACLES = Path(__file__).parents[2] / "oracles"
NETS = {"g": "input_gates", "r": "r_function", "p": "output_function", "o": "output_gates"}


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def load(name: str, prefix: str, **options) -> tuple[GateL0RD, dict]:
    """The memory with an oracle's weights, and all its arrays as tensors."""
    file = np.load(ORACLES / f"{name}.npz", allow_pickle=False)
    data = {k: torch.tensor(file[k]) for k in file.files if file[k].dtype.kind in "fib"}
    H, wide = data[f"w.{prefix}input_gates.0.weight"].shape
    F = len(data[f"w.{prefix}output_function.0.bias"])
    memory = GateL0RD(wide - H, H, F, **options)
    for ours, theirs in NETS.items():
        for kind in ("weight", "bias"):
            value = data[f"w.{prefix}{theirs}.0.{kind}"]
            memory.get_parameter(f"{ours}.0.{kind}").data.copy_(value)
    return memory, data


def compare_gradients(memory: GateL0RD, data: dict, prefix: str) -> None:
    for ours, theirs in NETS.items():
        for kind in ("weight", "bias"):
            got = memory.get_parameter(f"{ours}.0.{kind}").grad
            torch.testing.assert_close(got, data[f"g.{prefix}{theirs}.0.{kind}"], rtol=1e-9, atol=0)


def test_one_step_of_the_papers_code():
    memory, data = load("gatel0rd_cell_retanh", "", penalty_coefficient=0.3)
    x, h0 = data["x"].requires_grad_(), data["h0"].requires_grad_()
    y, (h,), penalty = memory.eval().step(x, (h0,))
    torch.testing.assert_close(y, data["y"], rtol=1e-9, atol=0)
    torch.testing.assert_close(h, data["h"], rtol=1e-9, atol=0)
    assert torch.equal((memory.gate_openings(x, (h0,)) > 0).double(), data["theta"])
    loss = (data["coef_y"] * y).sum() + (data["coef_h"] * h).sum() + penalty.mean()
    torch.testing.assert_close(loss, data["loss"], rtol=1e-9, atol=0)
    loss.backward()
    torch.testing.assert_close(x.grad, data["grad.x"], rtol=1e-9, atol=0)
    torch.testing.assert_close(h0.grad, data["grad.h0"], rtol=1e-9, atol=0)
    compare_gradients(memory, data, "")


def test_a_training_sequence_with_the_stored_noise():
    memory, data = load("gatel0rd_train_L1", "cell.", penalty_coefficient=0.01)
    x, h0 = data["x"].requires_grad_(), data["h0"].requires_grad_()
    state, outputs, penalties = (h0,), [], []
    for t in range(7):
        y, state, penalty = memory.step(x[t], state, data["noise"][t])
        torch.testing.assert_close(state[0], data["h"][t], rtol=1e-9, atol=0)
        torch.testing.assert_close(penalty, 0.01 * data["theta"][t].mean(-1))
        outputs.append(y)
        penalties.append(penalty)
    y, penalty = torch.stack(outputs), torch.stack(penalties).mean()
    torch.testing.assert_close(y, data["y"], rtol=1e-9, atol=0)
    task = (y - data["target"]).square().mean()
    torch.testing.assert_close(task, data["loss_task"], rtol=1e-9, atol=0)
    torch.testing.assert_close(task + penalty, data["loss"], rtol=1e-9, atol=0)
    (task + penalty).backward()
    torch.testing.assert_close(x.grad, data["grad.x"], rtol=1e-9, atol=1e-18)
    torch.testing.assert_close(h0.grad, data["grad.h0"], rtol=1e-9, atol=1e-18)
    compare_gradients(memory, data, "cell.")


def test_noise_is_drawn_in_training_only_and_has_the_given_size():
    memory = GateL0RD(2, 4000, gate="sigmoid", penalty="L1", gate_noise_std=0.2)
    x, state = torch.zeros(1, 2), memory.initial_state(1)
    memory.r[0].weight.data.zero_()
    memory.r[0].bias.data.fill_(1)  # h' = Λ tanh 1
    (noisy,) = memory.step(x, state).state
    s = torch.logit(noisy / torch.tensor(1.0).tanh())
    noise = s - torch.logit(memory.gate_openings(x, state))
    assert noise.std().item() == pytest.approx(0.2, rel=0.05)
    assert abs(noise.mean().item()) < 0.02
    memory.eval()
    assert torch.equal(memory.step(x, state).y, memory.step(x, state).y)


@pytest.mark.parametrize("gate", ["retanh", "step"])
def test_steps_and_sequence_draw_the_same_noise(gate):
    memory = GateL0RD(3, 4, gate=gate)
    x, state = torch.randn(5, 2, 3), memory.initial_state(2)
    torch.manual_seed(8)
    whole = memory(x, state)
    torch.manual_seed(8)
    for t in range(5):
        y, state, penalty = memory.step(x[t], state)
        torch.testing.assert_close(y, whole.y[t])
        torch.testing.assert_close(penalty, whole.penalty[t])


@pytest.mark.parametrize("gate", ["retanh", "step"])
def test_a_closed_gate_keeps_its_unit_to_the_last_bit(gate):
    memory = GateL0RD(3, 4, gate=gate).eval()
    x, h = torch.randn(50, 3), torch.randn(50, 4)
    closed = memory.gate_openings(x, (h,)) == 0
    after = memory.step(x, (h,)).state[0]
    assert closed.any()
    assert torch.equal(after[closed], h[closed])
    assert (after[~closed] != h[~closed]).all()


def test_penalised_openings():
    x, state = torch.randn(6, 3), (torch.randn(6, 4),)
    for options, theta in [
        ({}, lambda s: (s > 0).double()),
        ({"gate": "step"}, lambda s: (s > 0).double()),
        ({"gate": "sigmoid", "penalty": "L1"}, torch.sigmoid),
        (
            {"gate": "sigmoid", "penalty": "L1", "concat_gates": True},
            lambda s: s.sigmoid().sigmoid(),
        ),
    ]:
        memory = GateL0RD(3, 4, penalty_coefficient=0.5, **options).eval()
        s = memory.g(torch.cat((x, state[0]), -1))
        torch.testing.assert_close(memory.step(x, state).penalty, 0.5 * theta(s).mean(-1))
    memory = GateL0RD(3, 4, gate="sigmoid", penalty="L2", penalty_coefficient=0.5).eval()
    mean = memory.gate_openings(x, state).mean(-1)
    torch.testing.assert_close(memory.step(x, state).penalty, 0.5 * mean**2)


@pytest.mark.parametrize(
    ("options", "slope"),
    [
        ({}, lambda s: (1 - s.tanh() ** 2) * (s > 0)),
        ({"straight_through": "relu"}, lambda s: (1 - s.tanh() ** 2) * (s > 0)),
        ({"concat_gates": False}, lambda s: (s > 0).double()),
        ({"concat_gates": False, "straight_through": "identity"}, torch.ones_like),
        ({"gate": "step"}, torch.ones_like),
        ({"gate": "step", "straight_through": "relu"}, lambda s: (s > 0).double()),
    ],
)
def test_who_is_pushed_to_close(options, slope):
    memory = GateL0RD(3, 4, penalty_coefficient=1.0, **options).eval()
    x, state = torch.randn(1, 3), memory.initial_state(1)
    memory.step(x, state).penalty.sum().backward()
    s = memory.g(torch.cat((x, state[0]), -1)).detach()[0]
    torch.testing.assert_close(memory.g[0].bias.grad, slope(s) / 4)


def test_widths_of_all_nets():
    memory = GateL0RD(7, 6, 5, gate_layers=3, f_pre=3, f_post=2, f_init=3)
    widths = {
        name: [m.out_features for m in getattr(memory, name) if hasattr(m, "out_features")]
        for name in ("f_pre", "g", "r", "p", "o", "f_post", "f_init")
    }
    assert widths == {
        "f_pre": [20, 10, 5],
        "g": [24, 12, 6],
        "r": [24, 12, 6],
        "p": [5],
        "o": [5],
        "f_post": [5, 5],
        "f_init": [20, 10, 6],
    }
    assert memory.output_size == 5
    assert isinstance(memory.f_pre[-1], torch.nn.Tanh)
    assert isinstance(memory.f_init[-1], torch.nn.Tanh)
    x = torch.randn(4, 3, 7)
    assert memory(x, memory.fresh_state(x[0])).y.shape == (4, 3, 5)
    assert len(GateL0RD(7, 6, 5, f_post=1).f_post) == 2  # one linear layer and the identity


def test_parameters_of_the_plain_cell():
    memory = GateL0RD(3, 5, 6)
    assert sum(p.numel() for p in memory.parameters()) == 2 * (5 + 6) * (3 + 5 + 1)


def test_f_init_learns_through_a_start():
    memory = GateL0RD(3, 4, f_init=1).eval()
    x, start = torch.randn(5, 2, 3), torch.zeros(5, 2, dtype=torch.bool)
    start[2, 1] = True
    (h,) = memory.fresh_state(x[2])
    torch.testing.assert_close(
        h, torch.tanh(x[2] @ memory.f_init[0].weight.T + memory.f_init[0].bias)
    )
    y = memory(x, memory.initial_state(2), start).y
    assert (torch.autograd.grad(y[4, 1].sum(), memory.f_init[0].bias)[0] != 0).any()
    y = memory(x, memory.initial_state(2), start).y
    assert not torch.autograd.grad(y[4, 0].sum(), memory.f_init[0].bias)[0].any()


def test_without_output_gate():
    memory = GateL0RD(3, 4, output_gate=False).eval()
    y, (h,), _ = memory.step(x := torch.randn(2, 3), memory.initial_state(2))
    torch.testing.assert_close(y, memory.p(torch.cat((x, h), -1)))


@pytest.mark.parametrize("gate", ["retanh", "sigmoid"])
@pytest.mark.parametrize("layers", [1, 3])
def test_time_constants(gate, layers):
    penalty = "L0" if gate == "retanh" else "L1"
    memory = GateL0RD(
        2, 5, gate_layers=layers, gate=gate, penalty=penalty, timescale_steps=(30, 30)
    )
    keep = 1 - memory.gate_openings(torch.zeros(1, 2), memory.initial_state(1))
    torch.testing.assert_close(keep, torch.full((1, 5), -1 / 30).exp())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 0}, "hidden_size is 0, but must be at least 1"),
        ({"feature_size": 0}, "feature_size is 0"),
        ({"gate_layers": 0}, "gate_layers is 0"),
        ({"f_post": -1}, "f_post is -1, but must be at least 0"),
        ({"gate_noise_std": -0.1}, "gate_noise_std is -0.1"),
        ({"gate": "sigmoid"}, "gate sigmoid has no L0 penalty"),
        ({"penalty": "L2"}, "gate retanh has no L2 penalty"),
        ({"gate": "step", "timescale_steps": (2.0, 9.0)}, "no time constants"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ConfigError, match=message):
        GateL0RD(3, **options)
