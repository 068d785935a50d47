"""Short causal convolution per channel over time, with start flags (Mamba, Griffin).

    y_t = bias + Σ_j w_{K-1-j} ⊙ u_{t-j},   j = 0 … K-1,   inputs before the episode are zero

State: the last K - 1 inputs (B, K - 1, H), oldest first.
"""

import torch
from torch import Tensor


def causal_conv(
    u_TBH: Tensor, past: Tensor, start_TB: Tensor | None, w_KH: Tensor, bias_H: Tensor
) -> tuple[Tensor, Tensor]:
    """The convolution of a sequence and the inputs to remember.

    Args:
        u_TBH: inputs.
        past: the K - 1 inputs before them (B, K - 1, H); zeros at an episode's start.
        start_TB: true where an episode starts; what came before counts as zero.
        w_KH: the last row weighs the present input.
        bias_H: added.
    """
    T, K = u_TBH.shape[0], w_KH.shape[0]
    padded = torch.cat((past.transpose(0, 1), u_TBH))
    if start_TB is not None:
        episode = start_TB.long().cumsum(0)
        episodes = torch.cat((episode.new_zeros(K - 1, episode.shape[1]), episode))[..., None]
    y = bias_H + w_KH[-1] * u_TBH
    for k in range(K - 1):
        earlier = padded[k : k + T]
        if start_TB is not None:
            same = episodes[k : k + T] == episodes[K - 1 :]
            earlier = torch.where(same, earlier, 0)
        y = y + w_KH[k] * earlier
    last = padded[T:]
    if start_TB is not None:
        last = torch.where(episodes[T:] == episodes[-1], last, 0)
    return y, last.transpose(0, 1)
