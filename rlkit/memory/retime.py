"""A learnt memory at another tick: the same forgetting per second, in one law per cell.

With ρ = new tick / old tick, what kept k of a state per tick keeps k^ρ. What is written is scaled
with it, so that an input that is held moves the state as far per second as before: by
(1 - λ') / (1 - λ) where the recurrence is linear and diagonal (an exact zero-order hold: LRU,
linear RTU and block_diagonal, S5), by the gate itself where one gate writes what it does not keep
(GRU, gated, leaky, minGRU, minLSTM), to first order in the tick otherwise.

A gate that depends on its input is moved by its bias alone, as where the time constant of its
bias is set (`rlkit.memory.timescale`). Left as they are, per tick: elman, framestack, gatel0rd
(whose gates stay shut between events), gtrxl, the convolutions of mamba and rg_lru, noise and
dropout of vand. A block whose eigenvalue is negative has no such power: its real part is taken.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from rlkit.memory import MEMORIES
from rlkit.memory.pairs import eigenvalues
from rlkit.memory.timescale import keep_bias

Law = Callable[[Any, float], None]


@torch.no_grad()
def retime(module: nn.Module, ratio: float) -> None:
    """Converts every memory inside a module, in place.

    Args:
        module: a memory, or what holds some.
        ratio: ρ; at 1 nothing changes.
    """
    if math.isclose(ratio, 1.0):
        return
    laws = {MEMORIES.target(name): law for name, law in LAWS.items()}
    for part in module.modules():
        law = laws.get(f"{type(part).__module__}:{type(part).__name__}")
        if law is not None:
            law(part, ratio)


def kept(bias: Tensor, ratio: float) -> Tensor:
    """The bias b' with σ(b') = σ(b)^ρ."""
    return keep_bias(1 / (ratio * softplus(-bias)))


def _block_diagonal(m: Any, ratio: float) -> None:
    M = torch.stack((torch.stack((m.A, m.B), -1), torch.stack((m.C, m.D), -1)), -2).to(
        torch.complex128
    )
    eye = torch.eye(2, dtype=M.dtype)
    mean = M.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None]
    root = (mean**2 - torch.linalg.det(M)[:, None, None]).sqrt()  # eigenvalues: mean ± root
    high, low = (mean + root) ** ratio, (mean - root) ** ratio
    slope = torch.where(root == 0, ratio * mean ** (ratio - 1), (high - low) / (2 * root))
    power = ((high + low) / 2 * eye + slope * (M - mean * eye)).real
    gain = torch.linalg.solve(eye.real - M.real, eye.real - power, left=False).to(m.W1.dtype)
    W1, W2 = m.W1.clone(), m.W2.clone()
    m.W1.copy_(gain[:, 0, 0] * W1 + gain[:, 0, 1] * W2)
    m.W2.copy_(gain[:, 1, 0] * W1 + gain[:, 1, 1] * W2)
    for parameter, value in zip((m.A, m.B, m.C, m.D), power.flatten(1).T, strict=True):
        parameter.copy_(value)


def _ffm(m: Any, ratio: float) -> None:
    for parameter in (m.alpha, m.omega, m.write.weight):
        parameter *= ratio


def _gated(m: Any, ratio: float) -> None:
    m.bias[: m.gates] = -kept(-m.bias[: m.gates], ratio)


def _gru(m: Any, ratio: float) -> None:
    z = slice(m.output_size, 2 * m.output_size)
    bias = m.bias_ih[z] + m.bias_hh[z]
    m.bias_ih[z] += kept(bias, ratio) - bias


def _leaky(m: Any, ratio: float) -> None:
    m.alpha_raw.copy_(-kept(-m.alpha_raw, ratio))


def _linear_attention(m: Any, ratio: float) -> None:
    if m.keep_bias is not None:  # what is read is a weighted mean: nothing to scale
        m.keep_bias.copy_(kept(m.keep_bias, ratio))


def _lstm(m: Any, ratio: float) -> None:
    write, keep = (slice(i * m.output_size, (i + 1) * m.output_size) for i in range(2))
    i, f = ((m.bias_ih + m.bias_hh)[rows] for rows in (write, keep))
    after = kept(f, ratio)
    share = torch.sigmoid(i) * torch.sigmoid(-after) / torch.sigmoid(-f)
    m.bias_ih[write] += torch.logit(share, eps=1e-6) - i  # no gate writes more than all
    m.bias_ih[keep] += after - f


def _lru(m: Any, ratio: float) -> None:
    gain = _slow_down(m, ratio)[:, None] * torch.complex(m.B_re, m.B_im)
    m.B_re.copy_(gain.real)
    m.B_im.copy_(gain.imag)


def _mamba(m: Any, ratio: float) -> None:
    bias = m.W_step.bias
    bias.copy_(torch.log(torch.expm1(ratio * softplus(bias))))


def _mingru(m: Any, ratio: float) -> None:
    z = m.x_to_zh.bias[: m.output_size]
    z.copy_(-kept(-z, ratio))


def _minlstm(m: Any, ratio: float) -> None:
    f, i, _ = m.x_to_fih.bias.chunk(3)
    log_ratio = nn.functional.logsigmoid(f) - nn.functional.logsigmoid(i)
    f.copy_(kept(log_ratio, ratio))
    i.copy_(-f)  # f + i = 1


def _rg_lru(m: Any, ratio: float) -> None:
    decay = ratio * softplus(-m.Lam)
    m.Lam.copy_(-torch.log(torch.expm1(decay)))
    root = math.sqrt(ratio)  # the unit's own factor, sqrt(1 - a²), falls by another
    inputs = [m.W_u.weight, m.W_u.bias, *([m.conv_bias] if m.block else [])]
    for parameter in inputs:
        parameter *= root
    m.gates /= root  # the gates see what they saw


def _rtu(m: Any, ratio: float) -> None:
    before = m.coefficients()[1]
    gain = _slow_down(m, ratio) * before / m.coefficients()[1] * torch.complex(m.W1, m.W2)
    m.W1.copy_(gain.real)
    m.W2.copy_(gain.imag)


def _s5(m: Any, ratio: float) -> None:
    m.step_log += math.log(ratio)


def _slow_down(m: Any, ratio: float) -> Tensor:
    """λ' = λ^ρ; returns (1 - λ') / (1 - λ)."""
    before = eigenvalues(m.nu_log, m.theta_log)
    m.nu_log += math.log(ratio)
    m.theta_log += math.log(ratio)
    return (1 - eigenvalues(m.nu_log, m.theta_log)) / (1 - before)


LAWS: dict[str, Law] = {
    "block_diagonal": _block_diagonal,
    "ffm": _ffm,
    "gated": _gated,
    "gru": _gru,
    "leaky": _leaky,
    "linear_attention": _linear_attention,
    "lru": _lru,
    "lstm": _lstm,
    "mamba": _mamba,
    "mingru": _mingru,
    "minlstm": _minlstm,
    "rg_lru": _rg_lru,
    "rtu": _rtu,
    "s5": _s5,
}
