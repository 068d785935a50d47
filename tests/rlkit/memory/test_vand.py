"""VAND: the closed forms on a GRU, modes, masks of other memories, the score function."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from rlkit.memory.vand import VAND
from rlkit.options import ConfigError

ORACLE = Path(__file__).parents[2] / "oracles" / "vand_gru.npz"
MODES = ("vanilla", "c-noise", "v-noise", "c-dropout", "v-dropout", "vand")


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def small(inner: str = "gru", **options) -> VAND:
    return VAND(4, inner, {"hidden_size": 5}, **options)


def carried(memory: VAND, B: int) -> tuple:
    """A random state in the middle of an episode."""
    *inner, flag = memory.initial_state(B)
    return (*(torch.randn_like(s) for s in inner), torch.ones_like(flag))


@pytest.fixture
def oracle():
    file = np.load(ORACLE, allow_pickle=False)
    data = {k: torch.tensor(file[k]) for k in file.files if file[k].dtype.kind == "f"}
    memory = small()
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        memory.inner.get_parameter(name).data.copy_(data[f"w.{name}"])
    memory.sigma_real.data.copy_(data["sigma_real"])
    memory.beta_real.data.copy_(data["beta_real"])
    return memory, data


def test_a_training_sequence_with_the_stored_noise(oracle):
    memory, data = oracle
    h0 = data["h0"].requires_grad_()
    state, outputs = (h0, torch.ones(3, 1)), []
    for t in range(6):
        y, state, _ = memory.step(data["x"][t], state, (data["u"][t], data["z"][t]))
        torch.testing.assert_close(state[0], data["h"][t], rtol=1e-9, atol=1e-15)
        torch.testing.assert_close(y, data["y"][t], rtol=1e-9, atol=1e-15)
        outputs.append(y)
    loss = 0.5 * (torch.stack(outputs) @ data["readout"] - data["target"]).square().sum()
    torch.testing.assert_close(loss, data["loss"], rtol=1e-9, atol=0)
    loss.backward()
    torch.testing.assert_close(h0.grad, data["grad.h0"], rtol=1e-9, atol=1e-14)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        got = memory.inner.get_parameter(name).grad
        torch.testing.assert_close(got, data[f"grad.{name}"], rtol=1e-9, atol=1e-14)
    for name in ("sigma_real", "beta_real"):
        got = memory.get_parameter(name).grad
        torch.testing.assert_close(got, data[f"grad.{name}"], rtol=1e-9, atol=1e-14)


def test_evaluation_shrinks_by_the_mean_mask(oracle):
    memory, data = oracle
    y, (h, _), _ = memory.eval()(data["x"], (data["h0"], torch.ones(3, 1)))
    torch.testing.assert_close(y, data["h_eval"], rtol=1e-9, atol=0)
    assert torch.equal(h, y[-1])


@pytest.mark.parametrize("mode", MODES)
def test_modes(mode):
    memory = small(mode=mode)
    learnt = {n for n, _ in memory.named_parameters() if not n.startswith("inner")}
    noise = {"v-noise": {"sigma_real"}, "v-dropout": {"beta_real"}}
    assert learnt == ({"sigma_real", "beta_real"} if mode == "vand" else noise.get(mode, set()))
    x, state = torch.randn(3, 4), carried(memory, 3)
    u, z = torch.full((3, 5), 0.009), torch.ones(3, 5)
    y, (h, _), _ = memory.step(x, state, (u, z))
    drops, noisy = "dropout" in mode or mode == "vand", "noise" in mode or mode == "vand"
    inner = memory.inner.step(x, (state[0] * (0 if drops else 1),)).y
    torch.testing.assert_close(h, inner)
    sigma = torch.tensor(2.0).log() if mode in ("v-noise", "vand") else torch.tensor(0.01)
    torch.testing.assert_close(y - inner, sigma.expand(3, 5) if noisy else torch.zeros(3, 5))
    kept = memory.step(x, state, (torch.full((3, 5), 0.5), z)).state[0]
    torch.testing.assert_close(kept, memory.inner.step(x, state[:1]).y)


def test_learnt_sizes_are_bounded_but_keep_their_derivative():
    memory = small()
    for raw, sigma, beta in ((-50.0, 0.01, 0.01), (50.0, 50.0, 0.99)):
        memory.sigma_real.data.fill_(raw)
        memory.beta_real.data.fill_(raw)
        torch.testing.assert_close(memory.sigma(), torch.full((5,), sigma))
        torch.testing.assert_close(memory.beta(), torch.full((5,), beta))
        for size, raw_size in ((memory.sigma(), "sigma_real"), (memory.beta(), "beta_real")):
            (grad,) = torch.autograd.grad(size.sum(), memory.get_parameter(raw_size))
            assert torch.equal(grad, torch.ones(5))


def test_drawn_masks_and_noise_have_the_learnt_sizes():
    memory = small()
    memory.beta_real.data.fill_(-1.0)
    memory.inner.weight_hh.data.zero_()  # h' = (1 - z) n + z h̃: linear in the masked state
    h = torch.ones(4000, 5)
    x = torch.randn(1, 4).expand(4000, 4)
    y, (after, _), _ = memory.step(x, (h, torch.ones(4000, 1)))
    on, off = (memory.inner.step(x[:1], (k * h[:1],)).y for k in (1, 0))
    dropped = (after - on).abs() > 0.5 * (on - off).abs()
    assert dropped.double().mean().item() == pytest.approx(1 / (1 + np.e), abs=0.02)
    assert (y - after).std().item() == pytest.approx(np.log(2), rel=0.02)


def test_a_fresh_state_is_not_masked_and_a_carried_one_is():
    memory = VAND(4, "gatel0rd", {"hidden_size": 5, "f_init": 1})
    x = torch.randn(2, 4)
    noise = (torch.zeros(2, 5), torch.zeros(2, 5))  # everything is dropped
    fresh = memory.fresh_state(x)
    memory.eval()
    torch.testing.assert_close(memory.step(x, fresh, noise).y, memory.inner.step(x, fresh[:1]).y)
    after = memory.step(x, fresh, noise).state
    assert torch.equal(after[1], torch.ones(2, 1))
    empty = (torch.zeros(2, 5),)
    torch.testing.assert_close(memory.step(x, after, noise).y, memory.inner.step(x, empty).y)


@pytest.mark.parametrize("mask_cell", [True, False])
def test_the_mask_of_an_lstm_state(mask_cell):
    memory = small("lstm", mask_cell=mask_cell).eval()
    x, (h, c, flag) = torch.randn(2, 4), carried(memory, 2)
    u = torch.rand(2, 5)
    mask = (u >= 0.5).double()
    want = memory.inner.step(x, (h * mask, c * mask if mask_cell else c))
    got = memory.step(x, (h, c, flag), (u, torch.zeros(2, 5)))
    torch.testing.assert_close(got.y, want.y)
    torch.testing.assert_close(got.state[1], want.state[1])


def test_a_state_of_another_shape_is_left_alone():
    memory = VAND(4, "linear_attention", {"hidden_size": 4, "heads": 1}).eval()
    x, (S, n, flag) = torch.randn(2, 4), carried(memory, 2)
    u = torch.zeros_like(S)
    got = memory.step(x, (S, n, flag), (u, torch.zeros(2, 4)))
    torch.testing.assert_close(got.state[:2], memory.inner.step(x, (0 * S, n)).state)


def test_it_hands_on_penalty_and_time_constants():
    memory = VAND(4, "gatel0rd", {"hidden_size": 5}, timescale_steps=(9.0, 9.0)).eval()
    assert memory.step(torch.zeros(2, 4), memory.initial_state(2)).penalty.shape == (2,)
    torch.testing.assert_close(memory.inner.g[0].bias.tanh(), torch.full((5,), 1 - np.exp(-1 / 9)))


def test_the_score_function_is_the_exact_gradient_and_st_is_close():
    """All masks of 3 units in one step, enumerated: expected loss Σ P(m) L(m)."""
    loss_of = lambda y: (y.sum(-1) - 0.3).square()  # noqa: E731
    x, h = torch.randn(1, 4), torch.randn(1, 3)
    state = (h, torch.ones(1, 1))
    gradients = {}
    for kind in ("score_function", "st"):
        torch.manual_seed(1)
        memory = VAND(4, "gru", {"hidden_size": 3}, "v-dropout", kind)
        memory.beta_real.data.copy_(torch.tensor([0.3, -0.5, 0.1]))
        beta, z = memory.beta(), torch.zeros(1, 3)
        total, expected = 0.0, 0.0
        for bits in itertools.product((0.0, 1.0), repeat=3):
            u = 1 - torch.tensor([bits])  # u = 0: dropped
            m = torch.tensor(bits)
            p = torch.where(m == 1, beta, 1 - beta).prod()
            loss = loss_of(memory.step(x, state, (u * 0.999, z)).y).sum()
            if kind == "score_function":
                loss = loss + loss.detach() * memory.log_prob(u * 0.999, state).sum()
                torch.testing.assert_close(memory.log_prob(u * 0.999, state)[0], p.log())
            total = total + p.detach() * loss
            expected = expected + p * loss_of(memory.inner.step(x, ((1 - m) * h,)).y).sum()
        (got,) = torch.autograd.grad(total, memory.beta_real, retain_graph=True)
        (want,) = torch.autograd.grad(expected, memory.beta_real)
        gradients[kind] = (got, want)
    torch.testing.assert_close(*gradients["score_function"], rtol=1e-10, atol=1e-14)
    assert torch.cosine_similarity(*gradients["st"], dim=0) > 0.9


def test_fresh_rows_have_no_log_probability():
    memory = small()
    u = torch.rand(2, 5)
    assert torch.equal(memory.log_prob(u, memory.initial_state(2)), torch.zeros(2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inner": "none"}, "inner is 'none', but must be a memory with a state"),
        ({"inner": "grv"}, "unknown memory 'grv'; did you mean 'gru'"),
        ({"inner_options": {"hiden_size": 3}}, "hiden_size; did you mean 'hidden_size'"),
        ({"inner_options": {"layers": 2}}, "inner_options.layers is not allowed"),
        ({"inner": "framestack", "timescale_steps": (2.0, 9.0)}, "no time constants"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ConfigError, match=message):
        VAND(4, **options)
