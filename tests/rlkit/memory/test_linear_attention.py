"""Linear attention: the weighted mean it is, decays, refusals."""

import pytest
import torch
from torch.nn.functional import elu

from rlkit.memory.linear_attention import LinearAttention
from rlkit.options import ConfigError


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("decay", ["none", "learnt", "gated"])
def test_it_is_attention_over_the_past(decay):
    """y_t = Σ_j w_tj v_j / Σ_j w_tj, w_tj = Σ_d φ(q_t)_d φ(k_j)_d Π_{j<i≤t} f_id, per head."""
    T, B, N, D = 6, 2, 2, 3
    memory = LinearAttention(4, N * D, N, decay)
    x = torch.randn(T, B, 4)
    split = lambda a: a.view(T, B, N, D)  # noqa: E731
    k, v = (split(a) for a in memory.to_kv(x).chunk(2, -1))
    k, q = elu(k) + 1, elu(split(memory.to_q(x))) + 1
    f = torch.ones(T, B, N, D)
    if decay != "none":
        logit = memory.keep_bias.expand(T, B, -1)
        f = split(torch.sigmoid(logit if decay == "learnt" else logit + memory.to_f(x)))
    want = []
    for t in range(T):
        w = torch.stack([(q[t] * k[j] * f[j + 1 : t + 1].prod(0)).sum(-1) for j in range(t + 1)])
        mean = (w[..., None] * v[: t + 1]).sum(0) / (w.sum(0)[..., None] + 1e-6)
        want.append(memory.to_y(mean.flatten(1)) + memory.skip(x[t]))
    torch.testing.assert_close(memory(x, memory.initial_state(B)).y, torch.stack(want))


@pytest.mark.parametrize("decay", ["learnt", "gated"])
def test_free_decay_has_the_given_time_constant(decay):
    memory = LinearAttention(4, 6, 2, decay, timescale_steps=(20.0, 20.0))
    S = torch.ones(1, 2, 3, 3)
    after = memory(torch.zeros(20, 1, 4), (S, torch.zeros(1, 2, 3))).state[0]
    torch.testing.assert_close(after, S * torch.tensor(-1.0).exp())


def test_own_time_constants():
    keep = torch.sigmoid(LinearAttention(4, 600, 2).keep_bias)
    T = -1 / keep.log()
    assert T.min() >= 2 - 1e-9
    assert 90 < T.max() <= 100 + 1e-9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 0}, "hidden_size is 0, but must be a multiple of heads = 2"),
        ({"hidden_size": 10, "heads": 4}, "hidden_size is 10, but must be a multiple of heads = 4"),
        ({"decay": "none", "timescale_steps": (2.0, 9.0)}, "needs decay learnt or gated"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ConfigError, match=message):
        LinearAttention(4, **options)
