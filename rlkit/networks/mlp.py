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

    All weights are one parameter, `weights`: per hidden layer W (out, in), b, LayerNorm gain and
    bias, then the last W, b. An optimiser step on it is a few operations.

    Args:
        input_size: width of the input.
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
        drawn: list[Tensor] = []
        for i, o in pairwise([input_size, *hidden_sizes]):
            linear = nn.Linear(i, o)
            drawn += [linear.weight, linear.bias, torch.ones(o), torch.zeros(o)]
        last = nn.Linear([input_size, *hidden_sizes][-1], output_size)
        drawn += [output_scale * last.weight, torch.zeros(output_size)]
        self.shapes = [w.shape for w in drawn]
        self.weights = nn.Parameter(torch.cat([w.detach().reshape(-1) for w in drawn]))
        self.tanh = tanh
        self._views: tuple[int, list[Tensor]] = (0, [])

    def forward(self, x: Tensor, frozen: bool = False) -> Tensor:
        """Maps x (…, input_size) to (…, output_size).

        Args:
            x: input with any leading axes.
            frozen: let gradients reach x but not the weights (half the cost of a backward).
        """
        x_NI = x.reshape(-1, x.shape[-1])
        if torch.is_grad_enabled():
            weights = self.weights.detach() if frozen else self.weights
            y_NO: Tensor = _Fused.apply(x_NI, weights, self.layers(), self.tanh)
        else:
            y_NO, _ = _forward(x_NI, self.layers(), self.tanh)
        return y_NO.view(*x.shape[:-1], -1)

    def layers(self) -> list[Tensor]:
        """The weights by layer, as views without gradient."""
        address = self.weights.data_ptr()
        if self._views[0] != address:  # first use, or moved to another device or precision
            pieces = self.weights.detach().split([s.numel() for s in self.shapes])
            views = [p.view(s) for p, s in zip(pieces, self.shapes, strict=True)]
            self._views = (address, views)
        return self._views[1]


def _forward(x: Tensor, layers: list[Tensor], tanh: bool) -> tuple[Tensor, list[Tensor]]:
    """The output, and what the backward needs: per hidden layer x, pre-norm a, mean, 1/std, h."""
    tape: list[Tensor] = []
    for i in range(0, len(layers) - 2, 4):
        w, b, gain, bias = layers[i : i + 4]
        a = torch.addmm(b, x, w.t())
        h, mean, rstd = torch.native_layer_norm(a, (a.shape[-1],), gain, bias, EPS)
        h = h.relu_()
        tape += [x, a, mean, rstd, h]
        x = h
    y = torch.addmm(layers[-1], x, layers[-2].t())
    if tanh:
        y = y.tanh_()
    return y, [*tape, x, y]


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor, layers: list[Tensor], tanh: bool) -> Tensor:
        y, tape = _forward(x, layers, tanh)
        ctx.num_tape, ctx.tanh = len(tape), tanh
        ctx.save_for_backward(*tape, *layers)  # autograd notices if they change before backward
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        *tape, x, y = ctx.saved_tensors[: ctx.num_tape]
        layers = ctx.saved_tensors[ctx.num_tape :]
        into_x, into_weights = ctx.needs_input_grad[:2]
        grads: list[Tensor] = []
        if ctx.tanh:
            dy = dy * (1 - y.square())
        if into_weights:
            grads = [torch.mm(dy.t(), x), dy.sum(0)]
        dh = torch.mm(dy, layers[-2])
        for i in range(len(layers) - 6, -1, -4):
            x, a, mean, rstd, h = tape[i // 4 * 5 : i // 4 * 5 + 5]
            w, _, gain, bias = layers[i : i + 4]
            mask = [True, into_weights, into_weights]
            da, d_gain, d_bias = _layer_norm_backward(
                _relu_backward(dh, h, 0), a, (a.shape[-1],), mean, rstd, gain, bias, mask
            )
            if into_weights:
                grads = [torch.mm(da.t(), x), da.sum(0), d_gain, d_bias, *grads]
            if i > 0 or into_x:
                dh = torch.mm(da, w)
        d_weights = torch.cat([g.reshape(-1) for g in grads]) if into_weights else None
        return dh if into_x else None, d_weights, None, None
