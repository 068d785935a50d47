"""What the tests of estimators share: a small problem, and estimates summed over a sequence."""

import torch

from rlkit.gradients.base import make_gradient
from rlkit.gradients.cell import Cell
from rlkit.memory import make_memory
from tests.contracts.memories import options_of

I = 3
OPTIONS = {
    "artbp": {"mean_length": 3.0, "alpha": 6.0},
    "bptt": {},
    "rt2": {},
    "rtrl": {},
    "tbptt": {"length": 4, "window": "disjoint"},
    "uoro": {"rank": 1, "memory_steps": 1, "tangent": "exact"},
}


def small(name, hidden_size=3, seed=0, **changes):
    """A memory in the default precision, without noise of its own."""
    torch.manual_seed(seed)
    options = options_of(name) if name != "none" else {}
    options |= {k: v for k, v in {"hidden_size": hidden_size}.items() if k in options}
    options |= {"heads": 1} if "heads" in options else {}
    options |= {"gatel0rd": {"gate_noise_std": 0.0}, "vand": {"mode": "vanilla"}}.get(name, {})
    return make_memory(name, I, **(options | changes))


def problem(memory, T, N=1, B=1, seed=2, starts=0.25):
    """Parameters of N agents (the same), inputs, starts and the loss of all steps."""
    g = torch.Generator().manual_seed(seed)
    dtype = torch.get_default_dtype()
    x = torch.randn(T, 1, B, I, generator=g, dtype=dtype).expand(T, N, B, I)
    start = (torch.rand(T, 1, B, generator=g) < starts).expand(T, N, B)
    head = torch.randn(1, memory.output_size, generator=g, dtype=dtype).expand(N, -1)
    params = {"memory": Cell(memory).vector().expand(N, -1), "head": head}
    targets = torch.randn(T, 1, B, generator=g, dtype=dtype)

    def loss_of(t):
        def loss(params, y_TNBH, penalty):
            error = (
                torch.einsum("tnbh,nh->tnb", y_TNBH, params["head"]) - targets[t : t + len(y_TNBH)]
            )
            cost = 0 if penalty is None else penalty
            return (error.square() + cost).sum((0, 2))

        return loss

    return params, x, start, loss_of


def build(name, memory, seed=0, **changes):
    options = OPTIONS[name] | changes
    return make_gradient(name, Cell(memory), torch.Generator().manual_seed(seed), options)


def total(estimator, params, x, start, loss_of):
    """Losses and gradients of all chunks, with constant parameters."""
    carry, t, loss, sums = estimator.begin(params, x.shape[2]), 0, 0, None
    while t < len(x):
        n = estimator.chunk_steps(carry) or len(x)
        found = estimator.observe(params, carry, x[t : t + n], start[t : t + n], loss_of(t))
        assert not any(g.requires_grad for g in found.grads.values())
        carry, loss = found.carry, loss + found.loss_N
        sums = found.grads if sums is None else {k: sums[k] + g for k, g in found.grads.items()}
        t += n
    return loss, sums


def reverse_mode(memory, params, x, start, loss_of):
    """The exact gradient, by autograd through the contract's loop; one agent."""
    theta = {k: p[:1].clone().requires_grad_() for k, p in params.items()}
    cell = Cell(memory)
    step = cell.run(
        cell.tensors(theta["memory"]), x[:, :1], cell.initial_state(1, x.shape[2]), start[:, :1]
    )
    loss = loss_of(0)(theta, step.y, step.penalty)
    grads = torch.autograd.grad(loss.sum(), list(theta.values()), materialize_grads=True)
    return loss.detach(), dict(zip(theta, grads, strict=True))
