"""GTrXL: attention by hand, its window, its gates."""

import math

import pytest
import torch

from rlkit.memory.gtrxl import Gate, GTrXL
from rlkit.options import ConfigError


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def small(**options) -> GTrXL:
    memory = GTrXL(3, 4, 2, window=3, mlp_size=5, **options)
    for p in (memory.u, memory.v):
        p.data.normal_()
    return memory


def by_hand(memory: GTrXL, past: list[torch.Tensor]) -> torch.Tensor:
    """The output for the last of `past` (embedded inputs of one row, H), head by head."""
    normed = [memory.norm(e) for e in past]
    heads = []
    for n in range(2):
        part = slice(2 * n, 2 * n + 2)
        q = memory.to_q(normed[-1])[part]
        logits, values = [], []
        for distance, e in enumerate(reversed(normed)):
            rates = [distance / 1e4 ** (i / 4) for i in (0, 2)]
            R = torch.tensor([*map(math.sin, rates), *map(math.cos, rates)])
            k, v = memory.to_kv(e).chunk(2)
            logit = (q + memory.u[n]) @ k[part] + (q + memory.v[n]) @ memory.to_r(R)[part]
            logits.append(logit / math.sqrt(2))
            values.append(v[part])
        weights = torch.stack(logits).softmax(0)
        heads.append(weights @ torch.stack(values))
    u = memory.gate(past[-1], torch.relu(memory.merge(torch.cat(heads))))
    return memory.gate_mlp(u, torch.relu(memory.mlp(memory.norm_mlp(u))))


def test_attention_to_a_window_that_fills_and_slides():
    memory = small()
    x = torch.randn(6, 1, 3)
    y = memory(x, memory.initial_state(1)).y
    e = list(memory.embed(x[:, 0]))
    for t in range(6):
        torch.testing.assert_close(y[t, 0], by_hand(memory, e[max(0, t - 3) : t + 1]))


def test_a_start_empties_the_window():
    memory = small()
    x, start = torch.randn(6, 1, 3), torch.zeros(6, 1, dtype=torch.bool)
    start[4] = True
    y, (window, valid), _ = memory(x, memory.initial_state(1), start)
    e = memory.embed(x[:, 0])
    torch.testing.assert_close(y[5, 0], by_hand(memory, [e[4], e[5]]))
    assert valid.tolist() == [[0, 1, 1]]
    torch.testing.assert_close(window[0], torch.stack((torch.zeros(4), e[4], e[5])))


def test_an_input_is_forgotten_after_the_window():
    memory = small()
    x = torch.randn(6, 20, 3, requires_grad=True)
    (grad,) = torch.autograd.grad(memory(x, memory.initial_state(20)).y[-1].sum(), x)
    assert not grad[:2].any()
    assert all(g.any() for g in grad[2:])


def test_the_gate_by_hand():
    gate = Gate(2, 1.5)
    x, y = torch.randn(2), torch.randn(2)
    W_r, W_z, W_g = gate.from_y.weight.chunk(3)
    U_r, U_z = gate.from_x.weight.chunk(2)
    r, z = torch.sigmoid(W_r @ y + U_r @ x), torch.sigmoid(W_z @ y + U_z @ x - 1.5)
    h = torch.tanh(W_g @ y + gate.from_rx.weight @ (r * x))
    torch.testing.assert_close(gate(x, y), (1 - z) * x + z * h)


def test_a_large_bias_is_the_identity():
    memory = GTrXL(4, 4, 2, gate_bias=50.0)
    x = torch.randn(5, 2, 4)
    torch.testing.assert_close(memory(x, memory.initial_state(2)).y, x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window is 0, but must be at least 1"),
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"hidden_size": 6, "heads": 4}, "hidden_size is 6, but must be a multiple of 4 heads"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ConfigError, match=message):
        GTrXL(3, **options)
