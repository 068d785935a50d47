"""Speed of one DAU update: this code against plain module-by-module torch.

    python benchmarks/update_speed.py

Two references, written here: `published`, the structure of the code that came with the paper
(V, A on a doubled batch, a critic loss that also reaches the policy, a second critic pass for it,
three target networks moved tensor by tensor), and `separate`, the equations of `agents/dau.py` with
one forward pass for every term. Both use nn.Sequential and torch.optim.RMSprop. One thread, the
variants take turns, the median over the rounds counts.
"""

import argparse
import copy
import csv
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from agents.base import Parts
from agents.dau import DAU, DAUOptions
from rlkit.memory.none import NoMemory
from rlkit.seeding import generator, one_thread
from rlkit.types import Spaces, Windows

RESULTS = Path(__file__).parent / "results" / "update_speed.csv"
SIZES = [(64, 64), (64, 256), (256, 256)]  # hidden units, batch
DT, GAMMA, OBS, ACTIONS = 0.02, 0.8, 3, 1
BAR = 2.0
"""The library's promise at 64 units and batches of 64, against the published structure."""


def batch_of(size: int) -> Windows:
    g = generator(size)
    return Windows(
        obs_TBO=torch.randn(2, size, OBS, generator=g),
        action_TBA=torch.rand(1, size, ACTIONS, generator=g) * 2 - 1,
        reward_TB=torch.randn(1, size, generator=g),
        terminated_TB=torch.zeros(1, size),
        state=(),
    )


def ours(hidden: int) -> Callable[[Windows], object]:
    options = DAUOptions(
        encoder="auto",
        encoder_sizes=(),
        shared_memory=True,
        lr_memory=0.1,
        window_seconds=None,
        burn_in_seconds=0.0,
        carry_seconds=0.0,
        td_span_seconds=0.0,
        priority_exponent=0.0,
        importance_exponent=0.4,
        hidden_sizes=(hidden, hidden),
        batch_size=64,
        gamma=GAMMA,
        lr_value=0.1,
        lr_advantage=0.1,
        lr_policy=0.02,
        moment_horizon_seconds=1.0,
        scaling="continuous_time",
        reference_dt=0.01,
        tau=0.0,
        clamp_bootstrap=True,
        noise_kappa=7.5,
        noise_sigma=1.5,
        schedule="physical",
        block_seconds=0.1,
        updates_per_second=500,
        block_steps=10,
        updates_per_block=50,
        store_every_seconds=0.02,
        replay_capacity=1,
    )
    spaces = Spaces((OBS,), ACTIONS, False, DT, 1, reward_bounds=(-16.0, 0.0))
    optimizer = {"name": "rmsprop", "eps": 1e-8}
    return DAU(options, Parts(spaces, NoMemory, optimizer, False, generator(0))).update


def network(inputs: int, hidden: int, outputs: int, tanh: bool = False) -> nn.Sequential:
    layers = [nn.Linear(inputs, hidden), nn.LayerNorm(hidden), nn.ReLU()]
    layers += [nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden, outputs), *([nn.Tanh()] if tanh else []))


class Plain:
    """What both references share: networks, targets, optimisers."""

    def __init__(self, hidden: int):
        self.value = network(OBS, hidden, 1)
        self.advantage = network(OBS + ACTIONS, hidden, 1)
        self.policy = network(OBS, hidden, ACTIONS, tanh=True)
        self.nets = (self.value, self.advantage, self.policy)
        self.targets = copy.deepcopy(self.nets)
        rates = (0.001, 0.001, 0.0002)
        self.optimizers = [
            torch.optim.RMSprop(net.parameters(), lr=lr, alpha=1 - 1 / 500)
            for net, lr in zip(self.nets, rates, strict=True)
        ]

    @torch.no_grad()
    def move_targets(self, tau: float = 0.0) -> None:
        for target, net in zip(self.targets, self.nets, strict=True):
            for t, p in zip(target.parameters(), net.parameters(), strict=True):
                t.data.copy_(tau * t.data + (1 - tau) * p.data)

    def q(self, s: Tensor, a: Tensor) -> Tensor:
        return self.advantage(torch.cat((s, a), -1)).squeeze(-1)


class Published(Plain):
    def update(self, batch: Windows) -> float:
        (s, s_next), a = batch.obs_TBO, batch.action_TBA[0]
        reward, terminated, B = batch.reward_TB[0], batch.terminated_TB[0], batch.reward_TB.shape[1]
        value_optimizer, advantage_optimizer, policy_optimizer = self.optimizers
        best = self.policy(s)
        self.targets[2](s_next)  # the action after, which only Q-learning needs
        v = self.value(s).squeeze(-1)
        v_next = (1 - terminated) * self.targets[0](s_next).squeeze(-1)
        both = self.q(torch.cat((s, s)), torch.cat((a, best)))
        q = v + DT * (both[:B] - both[B:])
        expected = (reward * DT + GAMMA**DT * v_next).detach()
        loss = (q - expected) ** 2
        value_optimizer.zero_grad()
        advantage_optimizer.zero_grad()
        loss.mean().backward(retain_graph=True)
        value_optimizer.step()
        advantage_optimizer.step()
        gain = self.q(s, best)
        policy_optimizer.zero_grad()
        (-gain).mean().backward()
        policy_optimizer.step()
        self.move_targets()
        return loss.mean().item() + gain.mean().item()


class Separate(Plain):
    def update(self, batch: Windows) -> Tensor:
        (s, s_next), a = batch.obs_TBO, batch.action_TBA[0]
        reward, terminated = batch.reward_TB[0], batch.terminated_TB[0]
        with torch.no_grad():
            v_next = self.targets[0](s_next).squeeze(-1)
            target = reward * DT + (1 - terminated) * GAMMA**DT * v_next
            best = self.policy(s)
        v = self.value(s).squeeze(-1)
        advantage = self.q(s, a) - self.q(s, best)
        delta = (v + DT * advantage - target).detach() / DT
        losses = (delta * v).mean(), (delta * advantage).mean(), -self.q(s, self.policy(s)).mean()
        gradients = [
            torch.autograd.grad(loss, list(net.parameters()))
            for loss, net in zip(losses, self.nets, strict=True)
        ]
        for net, optimizer, grads in zip(self.nets, self.optimizers, gradients, strict=True):
            for p, g in zip(net.parameters(), grads, strict=True):
                p.grad = g
            optimizer.step()
        self.move_targets()
        return delta.abs().mean()


def measure(hidden: int, batch_size: int, rounds: int, updates: int) -> dict[str, float]:
    """Median milliseconds per update of each variant, which take turns."""
    torch.manual_seed(0)
    batch = batch_of(batch_size)
    variants: dict[str, Callable[[Windows], object]] = {
        "rlkit": ours(hidden),
        "published": Published(hidden).update,
        "separate": Separate(hidden).update,
    }
    times: dict[str, list[float]] = {name: [] for name in variants}
    for update in variants.values():
        for _ in range(20):
            update(batch)
    for _ in range(rounds):
        for name, update in variants.items():
            begin = time.perf_counter()
            for _ in range(updates):
                update(batch)
            times[name].append((time.perf_counter() - begin) / updates * 1e3)
    return {name: statistics.median(t) for name, t in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--updates", type=int, default=40, help="updates per variant and round")
    arguments = parser.parse_args()
    one_thread()
    rows = []
    print(f"torch {torch.__version__}, {platform.machine()}, one thread; ms per update (median)")
    print("hidden  batch   rlkit  published  separate   published/rlkit  separate/rlkit")
    for hidden, batch_size in SIZES:
        ms = measure(hidden, batch_size, arguments.rounds, arguments.updates)
        ratios = [ms[n] / ms["rlkit"] for n in ("published", "separate")]
        rows.append((hidden, batch_size, *(f"{v:.3f}" for v in (*ms.values(), *ratios))))
        print(
            f"{hidden:6d} {batch_size:6d} {ms['rlkit']:7.3f} {ms['published']:10.3f}"
            f" {ms['separate']:9.3f} {ratios[0]:17.2f} {ratios[1]:15.2f}"
        )
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        columns = [f"{n}_ms" for n in ("rlkit", "published", "separate")]
        writer.writerow(["hidden", "batch", *columns, "published_ratio", "separate_ratio"])
        writer.writerows(rows)
    met = float(rows[0][5]) >= BAR
    print(f"at 64/64 the bar is {BAR:g}x: {'met' if met else 'missed'}; wrote {RESULTS.name}")


if __name__ == "__main__":
    main()
