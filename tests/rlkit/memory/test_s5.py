"""S5: the dense continuous system it diagonalises, discretised by a matrix exponential."""

import math

import pytest
import torch

from rlkit.memory.hippo import hippo
from rlkit.memory.s5 import S5
from rlkit.options import ConfigError


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(2)
    yield
    torch.set_default_dtype(torch.float32)


def test_it_is_the_dense_state_space_held_over_a_step():
    T, I, O, N, step = 12, 3, 4, 8, 0.05
    memory = S5(I, O, state_size=N, activation="linear")
    lam, V = hippo(N, 1)
    A, B, C = 2 * (V * lam @ V.mH).real, torch.randn(N, I), torch.randn(O, N)
    memory.step_log.data.fill_(math.log(step))
    memory.B_re.data, memory.B_im.data = (V.mH @ B.to(V.dtype)).real, (V.mH @ B.to(V.dtype)).imag
    memory.C_re.data, memory.C_im.data = (C.to(V.dtype) @ V).real, (C.to(V.dtype) @ V).imag
    A_bar = torch.linalg.matrix_exp(A * step)
    B_bar = torch.linalg.solve(A, (A_bar - torch.eye(N)) @ B)
    x, h, expected = torch.randn(T, I), torch.zeros(N), []
    for x_t in x:
        h = A_bar @ h + B_bar @ x_t
        expected.append(C @ h + memory.D @ x_t)
    y = memory(x[:, None], memory.initial_state(1)).y[:, 0]
    torch.testing.assert_close(y, torch.stack(expected))


def test_initial_values():
    memory = S5(40, 30, state_size=400, blocks=8, step_min=0.01, step_max=0.2)
    assert memory.step_log.exp().min() > 0.01
    assert memory.step_log.exp().max() < 0.2
    torch.testing.assert_close(memory.rate_log.exp(), torch.full((200,), 0.5))
    power = (memory.B_re.square() + memory.B_im.square()).mean() * 40
    assert power.item() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("activation", ["half_glu", "gelu", "linear"])
def test_activations(activation):
    memory, x = S5(3, 2, state_size=4, activation=activation), torch.randn(5, 3)
    linear = S5(3, 2, state_size=4, activation="linear")
    linear.load_state_dict(memory.state_dict(), strict=False)
    state = memory.initial_state(5)
    y = linear.step(x, state).y
    if activation != "linear":
        y = torch.nn.functional.gelu(y)
    if activation == "half_glu":
        y = y * torch.sigmoid(memory.glu(y))
    torch.testing.assert_close(memory.step(x, state).y, y)


def test_sizes():
    memory = S5(3, 5, state_size=8)
    assert sum(s[0].numel() for s in memory.initial_state(2)) == 8
    linear = 3 * 4 + 2 * 4 * 3 + 2 * 5 * 4 + 5 * 3
    assert sum(p.numel() for p in memory.parameters()) == linear + 5 * 5 + 5


def test_time_constants():
    memory = S5(3, state_size=6, timescale_steps=(8.0, 8.0))
    h = torch.ones(1, 3)
    _, state, _ = memory(torch.zeros(8, 1, 3), (h, 0 * h))
    size = torch.complex(*state).abs()
    torch.testing.assert_close(size, torch.full_like(size, math.exp(-1)))


def test_small_steps_lose_no_digits():
    memory = S5(3, state_size=6, step_min=1e-6, step_max=1e-6).float()
    _, B_bar = memory.discretize()
    B = torch.complex(memory.B_re, memory.B_im)
    torch.testing.assert_close(B_bar / 1e-6, B, rtol=2e-5, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"state_size": 6, "blocks": 2}, r"state_size is 6, but must be a multiple of 2 x blocks"),
        ({"blocks": 0}, "blocks"),
        ({"step_min": 0.5}, "step_min, step_max are 0.5, 0.1, but must be 0 < min <= max"),
        ({"activation": "relu"}, "activation is 'relu', but must be half_glu, gelu or linear"),
    ],
)
def test_impossible_values_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        S5(3, **options)
