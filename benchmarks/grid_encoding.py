"""Encoding each distinct view of a minibatch once, against encoding every frame.

    python benchmarks/grid_encoding.py

Both train PPO with a GRU on DoorKey (preset `grid`: 64 copies, chunks of 16, minibatches of 512
frames) from the same seed, block by block in turn, one thread; frames per CPU-second are of the
whole loop. For `grid_conv` the other side is torch's convolution. Gradients are compared on one
minibatch. Writes results/grid_encoding.csv.
"""

import csv
import sys
import time
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from configs import build  # noqa: E402
from configs.compose import compose_train  # noqa: E402
from rlkit.networks.grid import ConvGrid, GridEncoder  # noqa: E402
from rlkit.rollout import minibatches  # noqa: E402
from rlkit.seeding import generator, one_thread, seed_everything  # noqa: E402

BLOCKS = 12


class TorchConvGrid(ConvGrid):
    """As users have it: torch's convolutions on every frame."""

    def encode(self, x_NK: torch.Tensor) -> torch.Tensor:
        x = x_NK.view(-1, 7, 7, 3).movedim(-1, 1).to(self.conv_1.weight.dtype)
        h = torch.nn.functional.max_pool2d(self.conv_1(x).relu(), 2)
        return self.conv_3(self.conv_2(h).relu()).relu().flatten(1)


def make(size: int, encoder: str, distinct: bool) -> Any:
    words = f"agent=ppo preset=grid memory=gru env=minigrid_doorkey env.size={size}"
    config = compose_train([*words.split(), f"agent.encoder={encoder}"])
    seeds = seed_everything(0)
    envs = build.make_envs(config, config["num_envs"])
    agent = build.make_agent(config, envs, seeds["noise"])
    (network,) = agent.encoder.networks
    assert isinstance(network, GridEncoder)
    network.distinct = distinct
    if isinstance(network, ConvGrid) and not distinct:
        network.__class__ = TorchConvGrid
    config = config | {"resolved": build.resolve_intervals(config, agent.schedule, envs.dt)}
    return build.make_loop(config, agent, envs, seeds)


def gradient_difference(size: int, encoder: str) -> float:
    """Largest difference of the gradients of one minibatch, relative to the largest gradient."""
    loop = make(size, encoder, True)
    data = loop.collect().sequences()
    batch = next(minibatches(data, loop.agent.options.minibatches, generator(1)))
    grads = []
    (network,) = loop.agent.encoder.networks
    for distinct in (True, False):
        network.distinct = distinct
        p, v, _, _ = loop.agent.evaluate(batch)
        loss = p.square().sum() + v.sum()
        found = torch.autograd.grad(loss, list(network.parameters()))
        grads.append(torch.cat([g.reshape(-1) for g in found]))
    return float((grads[0] - grads[1]).abs().max() / grads[1].abs().max())


def main() -> None:
    one_thread()
    rows = []
    for size in (5, 8):
        for encoder in ("grid", "grid_conv"):
            loops = {distinct: make(size, encoder, distinct) for distinct in (True, False)}
            seconds = dict.fromkeys(loops, 0.0)
            for i in range(BLOCKS + 1):
                for distinct, loop in loops.items():
                    start = time.process_time()
                    loop.block()
                    if i:  # the first warms up
                        seconds[distinct] += time.process_time() - start
            frames = BLOCKS * loops[True].T * loops[True].runner.B
            rates = {d: frames / s for d, s in seconds.items()}
            row = {
                "env": f"DoorKey-{size}x{size}",
                "encoder": encoder,
                "distinct_frames_per_cpu_second": round(rates[True]),
                "every_frames_per_cpu_second": round(rates[False]),
                "ratio": round(rates[True] / rates[False], 2),
                "gradient_difference": f"{gradient_difference(size, encoder):.1e}",
            }
            rows.append(row)
            print(row)
    path = Path(__file__).parent / "results" / "grid_encoding.csv"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
