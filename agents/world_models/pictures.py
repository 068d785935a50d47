"""What a world model can show: reconstructions, dreams, and both beside what was real."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.world_models.vision import ImageVision
from rlkit.loops.staged import Sources
from rlkit.run.player import ROWS

if TYPE_CHECKING:
    from agents.world_models.agent import WorldModels

COLUMNS, STRIDE_STEPS, DREAMS = 8, 4, 4
"""Of pictures: frames in a row, steps between the frames of a dream, dreams."""
ZOOM = 4
"""Of films: points per pixel and axis."""


@torch.no_grad()
def pictures_of(agent: "WorldModels", sources: Sources) -> dict[str, NDArray[np.uint8]]:
    """Frames of the last recorded episode over their reconstructions, and dreams in rows."""
    if not isinstance(agent.vision, ImageVision):
        return {}
    shown = {}
    if sources and sources[-1][0].has(sources[-1][1] - 1):
        obs = sources[-1][0].read(sources[-1][1] - 1).obs
        x = torch.from_numpy(obs[np.linspace(0, len(obs) - 1, COLUMNS).astype(int)])
        again = agent.vision.decode(agent.vision.encode(x)[0])
        shown["reconstructions"] = rgb(torch.stack((x, again)).numpy())
    if agent.options.train_dynamics:
        shown["dreams"] = np.stack([*dreamt(agent, DREAMS, COLUMNS, STRIDE_STEPS)], 1)
    return {k: np.concatenate(np.concatenate(v, 1), 1) for k, v in shown.items()}


@torch.no_grad()
def film_of(
    agent: "WorldModels", obs: Sequence[NDArray[np.uint8]], stride_steps: int
) -> list[NDArray[np.uint8]]:
    """Real, reconstructed and dreamt frames side by side.

    The dream begins with the code of the first real frame and then goes on by the controller's own
    decisions in it, not by those of the real episode. It is black after it has ended.

    Args:
        agent: with an auto-encoder of images.
        obs: real frames (64, 64, C).
        stride_steps: steps from one to the next.
    """
    x = torch.from_numpy(np.stack(obs))
    z_NZ = torch.cat([agent.vision.encode(part)[0] for part in x.split(ROWS)])
    again = torch.cat([agent.vision.decode(part) for part in z_NZ.split(ROWS)])
    dream = dreamt(agent, 1, len(obs), stride_steps, z_NZ[0])
    panels = zip(rgb(x.numpy()), rgb(again.numpy()), (shown[0] for shown in dream), strict=True)
    return [np.concatenate(p, 1).repeat(ZOOM, 0).repeat(ZOOM, 1) for p in panels]


def rgb(x: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames (…, C) in colours: of stacked ones the newest, of gray ones all three alike."""
    return x[..., -3:] if x.shape[-1] % 3 == 0 else x[..., -1:].repeat(3, axis=-1)


def dreamt(
    agent: "WorldModels", dreams: int, frames: int, stride_steps: int, first_Z: Tensor | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Frames (dreams, 64, 64, 3), from codes of the bank or from the one given."""
    dream, going_R = agent.make_dream(), torch.ones(ROWS, dtype=torch.bool)
    z, y = dream.reset(range(ROWS), first_Z)
    parameters_RP = agent.controller.parameters_P.expand(ROWS, -1)
    for t in range(frames * stride_steps):
        if t % stride_steps == 0:
            shown = agent.vision.decode(z[:dreams])
            yield rgb((shown * going_R[:dreams, None, None, None]).numpy())
        z, y, _, ends_R = dream.step(agent.controller(agent.features(z, y), parameters_RP))
        going_R = going_R & ~ends_R
