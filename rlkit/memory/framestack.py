"""Frame stacking (Mnih et al., 2015): the last k inputs side by side.

    y = [W x_{t-k+1}, …, W x_t]            oldest first; W = 1 without `compress`

Before the k-th input of an episode the missing ones are zeros, or copies of the first. With
`compress`, one linear map without bias for all frames makes y as wide as a recurrent state
(POPGym: Morad et al., 2023).

Shapes: T time, B batch, I input, K = k - 1.  State: (frames_BKI,), the inputs as they came.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from rlkit.memory.base import Memory, Step
from rlkit.options import ConfigError
from rlkit.types import State


class FrameStack(Memory):
    """A window without recurrence.

    Args:
        input_size: width of the input.
        k: frames, the newest included.
        pad: what stands for frames before an episode's first.
        compress: width of the output, a multiple of k; null: k times the input.
    """

    zero: Tensor

    def __init__(
        self,
        input_size: int,
        k: int = 4,
        pad: Literal["zero", "first"] = "zero",
        compress: int | None = None,
    ):
        super().__init__()
        if k < 1:
            raise ConfigError(f"k is {k}, but must be at least 1")
        if compress is not None and (compress < k or compress % k):
            raise ConfigError(f"compress is {compress}, but must be a multiple of k = {k}")
        self.input_size, self.output_size = input_size, compress or k * input_size
        self.k, self.pad = k, pad
        self.compress = nn.Linear(input_size, compress // k, bias=False) if compress else None
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def initial_state(self, B: int) -> State:
        return (self.zero.new_zeros(B, self.k - 1, self.input_size),)

    def fresh_state(self, x_BI: Tensor) -> State:
        if self.pad == "zero":
            return self.initial_state(x_BI.shape[0])
        return (x_BI.unsqueeze(1).expand(-1, self.k - 1, -1),)

    def step(self, x_BI: Tensor, state: State) -> Step:
        frames_BKI = torch.cat((state[0], x_BI.unsqueeze(1)), dim=1)
        seen = frames_BKI if self.compress is None else self.compress(frames_BKI)
        return Step(seen.flatten(1), (frames_BKI[:, 1:],))
