"""Predictor: memory, readout and loss on a stream or on sequences, with any gradient estimator.

    o_t = W y_t + b,   y_t, s_t = memory(x_t, s_{t-1})        (with tanh layers in between if asked)
    ℓ_t = -log softmax(o_t)[target_t],  or  ‖o_t - target_t‖²
    θ ← optimiser(θ, ĝ, lr / (1 + decay √t))     after every chunk of the estimator, t in inputs

Many agents are one: every step size in `lr` is run with `seeds` seeds, all at once. Seeds differ
in weights and data; step sizes share both. Losses of a stream are summed over the inputs of a
chunk and averaged over streams; those of sequences are averaged over all that is weighted. What a
memory itself costs is averaged over all steps, weighted or not.

Shapes: R step sizes, S seeds, N = R·S agents, T time, B streams or sequences, K outputs.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from rlkit.gradients.base import make_gradient
from rlkit.gradients.cell import Cell
from rlkit.gradients.fused import Fused
from rlkit.gradients.rt2_fused import FusedRT2
from rlkit.gradients.tbptt_fused import FusedTBPTT
from rlkit.gradients.uoro_fused import FusedUORO
from rlkit.memory.base import Memory
from rlkit.networks.readout import Readout
from rlkit.optim.make import make_optimizer
from rlkit.optim.many import ManyParameters
from rlkit.options import option
from rlkit.types import Sequences, Tree

EVALUATION_CHUNK = 256
"""Steps that an evaluation holds in memory at once."""


@dataclass(frozen=True)
class PredictorOptions:
    lr: tuple[float, ...] = option("step sizes, each an agent of its own", above=0)
    seeds: int = option("agents per step size", low=1)
    lr_decay: float = option("step size / (1 + decay √t), t in inputs", low=0)
    readout_sizes: tuple[int, ...] = option("widths of tanh layers after the memory", low=1)
    reading: Literal["auto", "sequences", "stream"] = option("auto: as the task is made")
    max_grad_norm: float | None = option("longest gradient of one agent; null: any", above=0)
    moment_horizon_updates: float = option("rmsprop: its second moment's length", low=1)
    block_steps: int = option("inputs between two looks at log, evaluation and budget", low=1)
    evaluation_steps: int = option("inputs of a held-out stream", unit="steps", low=1)
    compile: bool = option("compile how several agents learn; half a minute at first")
    kernel: Literal["torch", "numba"] = option("numba: one compiled loop, for some combinations")


class Predictor:
    """N agents that learn the same task.

    Args:
        options: its own.
        task: `input_size`, `target_size`, `steps` and `loss` of a sequence task.
        make_memory: input size → memory, drawn anew at every call.
        optimizer: name and options.
        gradient: name and options of the estimator.
        stream: whether inputs come without end.
        generator: of the estimator.
    """

    actions = "none"

    def __init__(
        self,
        options: PredictorOptions,
        task: Any,
        make_memory: Callable[[int], Memory],
        optimizer: Mapping[str, Any],
        gradient: Mapping[str, Any],
        stream: bool,
        generator: torch.Generator,
    ):
        self.options, self.task, self.stream = options, task, stream
        R, S = len(options.lr), options.seeds
        self.shape, self.N = (R, S), R * S
        first = make_memory(task.input_size)
        self.cell, self.plain = Cell(first, options.compile), Cell(first)
        self.readout = Readout([first.output_size, *options.readout_sizes, task.target_size])
        drawn: dict[str, list[Tensor]] = {"memory": [], "readout": []}
        for seed in range(S):
            memory = make_memory(task.input_size) if seed else first
            drawn["memory"].append(Cell(memory).vector())
            drawn["readout"].append(self.readout.draw())
        self.params = {name: torch.stack(vectors).repeat(R, 1) for name, vectors in drawn.items()}
        horizon = options.moment_horizon_updates
        self.optimizers = {
            name: ManyParameters(self.params[name], make_optimizer(optimizer, 1.0, horizon), sizes)
            for name, sizes in (("memory", self.cell.sizes), ("readout", self.readout.sizes))
        }
        self.lr_N1 = torch.tensor(options.lr).repeat_interleave(S).unsqueeze(1)
        own = {k: v for k, v in gradient.items() if k != "name"}
        self.gradient = make_gradient(gradient["name"], self.cell, generator, own)
        self.fused: Fused | None = None
        if options.kernel == "numba":  # `configs/check_prediction.py` says for what
            self.fused = self._make_fused(first, gradient, optimizer)
        self.steps = self.updates = 0
        self.totals = torch.zeros(5, self.N, dtype=torch.float64)
        """Of all inputs so far: weighted loss, weight, right answers, those that decide, count."""
        self._reported = self.totals.clone()

    def _make_fused(self, core: Any, gradient: Mapping[str, Any], adam: Mapping[str, Any]) -> Fused:
        I, K = self.task.input_size, self.task.target_size
        if gradient["name"] == "rt2":
            return FusedRT2(self.params, (I, core.hidden_size, K), core.f == "relu", adam)
        sizes = I, core.output_size, K
        if self.task.loss == "squared":
            return FusedTBPTT(self.params, sizes, gradient["length"], adam)
        lstm = len(core.initial_state(1)) == 2
        return FusedUORO(self.params, sizes, lstm, self.gradient, adam)

    # ---- learning ------------------------------------------------------------------------------

    def begin(self, B: int) -> None:
        """Starts B sequences or streams of every agent."""
        if self.fused is None:  # which keeps its own
            self.carry = self.gradient.begin(self.params, B)

    def chunk_steps(self) -> int | None:
        """How many inputs `learn` takes next; None: a whole sequence."""
        if self.fused is None:
            return self.gradient.chunk_steps(self.carry)
        return -(-self.options.block_steps // self.fused.T) * self.fused.T

    def learn(self, batch: Sequences, divisor_N: Tensor | float) -> None:
        """One chunk and one update.

        Args:
            batch: the chunk.
            divisor_N: of the weighted losses.
        """
        if self.fused is not None:
            self._learn_fused(self.fused, batch)
            return
        told: list[Tensor] = []
        rows = batch.x_TNBI.shape[2] * (1 if self.stream else self.task.steps)

        def loss_of(params: Any, y_TNBH: Tensor, penalty_TNB: Tensor | None) -> Tensor:
            out_TNBK = self.readout(params["readout"], y_TNBH)
            loss_TNB = self.loss(out_TNBK, batch.target_TNB) * batch.weight_TNB
            told[:] = out_TNBK.detach(), loss_TNB.detach()
            loss_N = loss_TNB.sum((0, 2)) / divisor_N
            return loss_N if penalty_TNB is None else loss_N + penalty_TNB.sum((0, 2)) / rows

        self.cell.memory.train()
        _, grads, self.carry = self.gradient.observe(
            self.params, self.carry, batch.x_TNBI, batch.start_TNB, loss_of
        )
        self.steps += len(batch.x_TNBI)
        self.updates += 1
        self._count(self.totals, batch, *told)
        if self.options.max_grad_norm is not None:
            norm_N1 = torch.cat(tuple(grads.values()), 1).norm(dim=1, keepdim=True)
            shrink_N1 = (self.options.max_grad_norm / (norm_N1 + 1e-6)).clamp_(max=1.0)
            grads = {name: g * shrink_N1 for name, g in grads.items()}
        lr_N1 = self.lr_N1 / (1 + self.options.lr_decay * math.sqrt(self.steps))
        for name, optimizer in self.optimizers.items():
            optimizer.step_down(grads[name], lr_N1)

    def _learn_fused(self, fused: Fused, batch: Sequences) -> None:
        """The same, with an update after every chunk of a block."""
        T = len(batch.x_TNBI)
        t_T1 = np.arange(self.steps + 1, self.steps + T + 1)[:, None]
        lr_TN = self.lr_N1.numpy().T / (1 + self.options.lr_decay * np.sqrt(t_T1))
        loss_TN, out_TNK = fused.learn(batch, lr_TN)
        self._count(self.totals, batch, out_TNK.unsqueeze(2), loss_TN.unsqueeze(2))
        self.steps += T
        self.updates += T // fused.T

    def loss(self, out_TNBK: Tensor, target_TNB: Tensor) -> Tensor:
        """Of every step, unweighted."""
        if self.task.loss == "squared":
            return (out_TNBK - target_TNB).square().sum(-1)
        flat = cross_entropy(out_TNBK.flatten(0, 2), target_TNB.flatten(), reduction="none")
        return flat.view(target_TNB.shape)

    def _count(self, totals: Tensor, batch: Sequences, out: Tensor, loss_TNB: Tensor) -> None:
        totals[0] += loss_TNB.sum((0, 2))
        totals[1] += batch.weight_TNB.sum((0, 2))
        if self.task.loss == "cross_entropy":
            right_TNB = out.argmax(-1) == batch.target_TNB
            totals[2] += (right_TNB & (batch.weight_TNB > 0)).sum((0, 2))
            totals[3] += (right_TNB & batch.decisive_TNB).sum((0, 2))
            totals[4] += batch.decisive_TNB.sum((0, 2))

    # ---- evaluation ----------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self, batch: Sequences) -> Tensor:
        """Totals over a batch that is not learnt from; as it is, never compiled."""
        self.plain.memory.eval()
        totals = torch.zeros_like(self.totals)
        theta = self.plain.tensors(self.params["memory"])
        state = self.plain.initial_state(self.N, batch.x_TNBI.shape[2])
        for t in range(0, len(batch.x_TNBI), EVALUATION_CHUNK):
            part = batch.part(t, t + EVALUATION_CHUNK)
            step = self.plain.run(theta, part.x_TNBI, state, part.start_TNB, fast=True)
            state, out = step.state, self.readout(self.params["readout"], step.y)
            loss_TNB = self.loss(out, part.target_TNB) * part.weight_TNB
            self._count(totals, part, out, loss_TNB)
        return totals

    def since_evaluation(self) -> Tensor:
        """Totals of what was learnt from since this was last asked."""
        since = self.totals - self._reported
        self._reported = self.totals.clone()
        return since

    def results(self, totals: Tensor, prefix: str = "") -> dict[str, Any]:
        """Of the best step size, means over its seeds; losses are in the task's unit."""
        scale = 1 / math.log(2) if self.task.unit == "bits" else 1.0
        loss_RS = (scale * totals[0] / totals[1]).view(self.shape)
        mean_R = loss_RS.mean(1)
        best = int(mean_R.nan_to_num(math.inf).argmin())
        found: dict[str, Any] = {"loss": mean_R[best].item(), "best_lr": self.options.lr[best]}
        if self.options.seeds > 1:
            found["loss_std"] = loss_RS[best].std().item()
        if self.task.loss == "cross_entropy":
            parts = {"accuracy": totals[2] / totals[1], "decisive_accuracy": totals[3] / totals[4]}
            means = {name: v.view(self.shape)[best].mean().item() for name, v in parts.items()}
            found |= means
        if self.N > 1:
            found["losses"] = loss_RS.tolist()
        return {prefix + name: value for name, value in found.items()}

    # ---- state ---------------------------------------------------------------------------------

    def get_state(self) -> Tree:
        """All weights, named, with an axis of agents first."""
        return {
            f"{part}.{name}": piece.reshape(self.N, *shape).clone()
            for part, own in (("memory", self.cell), ("readout", self.readout))
            for (name, shape), piece in zip(
                own.shapes.items(), self.params[part].split(own.sizes, 1), strict=True
            )
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        for part, vector in self.params.items():
            own = [v.reshape(self.N, -1) for k, v in state.items() if k.startswith(f"{part}.")]
            if own:
                vector.copy_(torch.cat(own, 1))

    def get_training_state(self) -> Tree:
        return {
            "optimizers": {k: o.get_state() for k, o in self.optimizers.items()},
            "gradient": self.gradient.get_state(),
            "carry": getattr(self, "carry", None),
            "fused": self.fused and self.fused.get_state(),
            "counters": [self.steps, self.updates],
            "totals": [self.totals, self._reported],
        }

    def set_training_state(self, state: Tree) -> None:
        for name, optimizer in self.optimizers.items():
            optimizer.set_state(state["optimizers"][name])
        self.gradient.set_state(state["gradient"])
        self.carry = state["carry"]
        if self.fused is not None:
            self.fused.set_state(state["fused"])
        self.steps, self.updates = state["counters"]
        self.totals, self._reported = (v.clone() for v in state["totals"])
