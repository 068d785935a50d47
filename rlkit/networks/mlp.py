"""Multi-layer perceptron with LayerNorm before each ReLU (Tallec 2019, appendix A.2.1).

    h ← relu(layer_norm(W h + b))   for every hidden layer;   y = W h + b, or tanh(W h + b)

The whole network is one node of the autograd graph with a hand-written backward: at 64 units and
batches of 64, two thirds of the time of the module-by-module form is bookkeeping.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

EPS = 1e-5
_layer_norm_backward = torch.ops.aten.native_layer_norm_backward
_relu_backward = torch.ops.aten.threshold_backward


class MLP(nn.Module):
    """Weights as torch's nn.Linear draws them; the last bias starts at zero.

    Args:
        input_size: width of the input; a second input is concatenated, see `forward`.
        hidden_sizes: width of each hidden layer.
        output_size: width of the output.
        tanh: squash the output to (-1, 1).
        output_scale: factor on the initial weights of the last layer; policies start near zero
            with 0.1 (as Lillicrap et al., 2016, do), instead of saturated in random corners.
    """

    def __init__(
        self,
        input_size: int,
        hidden_sizes: Sequence[int],
        output_size: int,
        tanh: bool = False,
        output_scale: float = 1.0,
    ):
        super().__init__()
        sizes = [input_size, *hidden_sizes, output_size]
        self.linears = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(sizes))
        self.norms = nn.ModuleList(nn.LayerNorm(h, eps=EPS) for h in hidden_sizes)
        self.tanh = tanh
        with torch.no_grad():
            self.linears[-1].bias.zero_()  # type: ignore[operator]
            self.linears[-1].weight.mul_(output_scale)  # type: ignore[operator]

    def forward(self, x: Tensor, frozen: bool = False) -> Tensor:
        """Maps x (…, input_size) to (…, output_size).

        Args:
            x: input with any leading axes.
            frozen: let gradients reach x but not the weights (half the cost of a backward).
        """
        weights = self._weights()
        if not torch.is_grad_enabled():
            return _forward(x.reshape(-1, x.shape[-1]), weights, self.tanh)[0].view(
                *x.shape[:-1], -1
            )
        if frozen:
            weights = [w.detach() for w in weights]
        y: Tensor = _Fused.apply(x.reshape(-1, x.shape[-1]), self.tanh, *weights)
        return y.view(*x.shape[:-1], -1)

    def _weights(self) -> list[Tensor]:
        """Per hidden layer W, b, LayerNorm gain, LayerNorm bias; then the last W, b."""
        found = self.__dict__.get("_weight_list")
        if found is None:
            found = []
            for linear, norm in zip(self.linears[:-1], self.norms, strict=True):
                found += [linear.weight, linear.bias, norm.weight, norm.bias]
            found += [self.linears[-1].weight, self.linears[-1].bias]
            self.__dict__["_weight_list"] = found  # looked up thousands of times a second
        return found


def _forward(x: Tensor, weights: Sequence[Tensor], tanh: bool) -> tuple[Tensor, list[Tensor]]:
    """The output, and per hidden layer (input, pre-norm, mean, 1/std, output) for the backward."""
    tape: list[Tensor] = []
    for i in range(0, len(weights) - 2, 4):
        w, b, gain, bias = weights[i : i + 4]
        a = torch.addmm(b, x, w.t())
        normed, mean, rstd = torch.native_layer_norm(a, (a.shape[-1],), gain, bias, EPS)
        h = normed.relu_()
        tape += [x, a, mean, rstd, h]
        x = h
    y = torch.addmm(weights[-1], x, weights[-2].t())
    if tanh:
        y = y.tanh_()
    return y, [*tape, x, y]


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, tanh: bool, *weights: Tensor) -> Tensor:
        y, tape = _forward(x, weights, tanh)
        ctx.tanh, ctx.num_tape = tanh, len(tape)
        ctx.save_for_backward(*tape, *weights)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        tape, weights = saved[: ctx.num_tape], saved[ctx.num_tape :]
        train = ctx.needs_input_grad[-1]
        grads: list[Tensor | None] = [None] * len(weights)
        if ctx.tanh:
            dy = dy * (1 - tape[-1].square())
        if train:
            grads[-2], grads[-1] = torch.mm(dy.t(), tape[-2]), dy.sum(0)
        dh = torch.mm(dy, weights[-2])
        for i in range(len(weights) - 6, -1, -4):
            x, a, mean, rstd, h = tape[i // 4 * 5 : i // 4 * 5 + 5]
            w, _, gain, bias = weights[i : i + 4]
            dh = _relu_backward(dh, h, 0)
            mask = [True, train, train]
            da, d_gain, d_bias = _layer_norm_backward(
                dh, a, (a.shape[-1],), mean, rstd, gain, bias, mask
            )
            if train:
                grads[i : i + 4] = [torch.mm(da.t(), x), da.sum(0), d_gain, d_bias]
            if i > 0 or ctx.needs_input_grad[0]:
                dh = torch.mm(da, w)
        return dh if ctx.needs_input_grad[0] else None, None, *grads
