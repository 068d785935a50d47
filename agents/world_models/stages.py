"""What the stages of World Models depend on, and how recorded episodes become codes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from agents.world_models.dynamics import DynamicsTraining, Transitions
from agents.world_models.vision import (
    ImageVision,
    Recorded,
    ScaleFitting,
    VectorVision,
    VisionTraining,
    split,
)
from rlkit.loops.staged import Sources, Stage
from rlkit.optim.make import make_optimizer
from rlkit.run.stages import key_of

if TYPE_CHECKING:
    from agents.world_models.agent import WorldModels

HORIZON_UPDATES = 10
"""Of RMSprop's second moment: 1 - 1/10 is the papers' 0.9."""

BATCH = 128

VISION = (
    *("train_vision", "latent_size", "held_out", "patience", "stop_after", "vision_images"),
    *("vision_batch", "vision_validate_images", "vision_lr", "kl_free_nats", "buffer_episodes"),
)
DYNAMICS = (
    *("mixture", "components", "held_out", "patience", "stop_after", "dynamics_sequences"),
    *("dynamics_batch", "dynamics_validate_sequences", "dynamics_lr", "sequence_steps"),
    *("max_grad_norm", "bank_size"),
)
"""The options that each stage's result depends on; vision's are of images."""


def recording_inputs(agent: "WorldModels", round_: int) -> dict[str, Any] | None:
    """What a round's data depends on besides the configuration; None: no data is needed."""
    o = agent.options
    if not (o.train_vision or o.train_dynamics):
        return None
    own = {"episodes": o.data_episodes, "steps": o.data_steps}
    own["one_sided"] = agent.controller.one_sided
    own["frame_bytes"] = int(np.prod(agent.spaces.obs_shape))
    if round_:
        own |= {"dynamics": agent.dynamics_key, "inputs": o.inputs, "squash": o.squash}
        own["rectified"] = agent.controller.rectified
        return own | {"parameters": agent.controller.parameters_P.numpy()}
    return own | {"wander_variance": o.wander_variance}


def stages_of(
    agent: "WorldModels", facts: Mapping[str, Any], sources: Sources, data: str
) -> Iterator[Stage]:
    """Vision, in the first round only; dynamics.

    Args:
        agent: whose parts are trained.
        facts: plain data of the configuration.
        sources: episodes of all rounds so far.
        data: key of the last of them.
    """
    o = agent.options
    images = isinstance(agent.vision, ImageVision)
    inputs: dict[str, Any] = {"data": data} if o.train_vision else {"train_vision": False}
    if images:
        inputs |= {"seed": facts["seed"], "precision": agent.precision}
        inputs |= _chosen(o, VISION if o.train_vision else ["latent_size"])
    elif o.train_vision:
        inputs["held_out"] = o.held_out
    if len(sources) < 2:
        agent.vision_key = key_of(inputs)
    if not sources:
        return
    train, held_out = split(sources, o.held_out)
    if o.train_vision and len(sources) == 1:
        if isinstance(agent.vision, ImageVision):
            yield VisionTraining(inputs, agent.vision, train, held_out, o)
        else:
            yield ScaleFitting(inputs, agent.vision, train)
    if o.train_dynamics:
        optimizer = make_optimizer(agent.parts.optimizer, o.dynamics_lr, HORIZON_UPDATES)

        def encoded() -> tuple[Transitions, Transitions]:
            return encode(agent.vision, train), encode(agent.vision, held_out)

        own = {k: facts[k] for k in ("seed", "memory", "optimizer")} | _chosen(o, DYNAMICS)
        own |= {"data": data, "vision": agent.vision_key}
        agent.dynamics_key = key_of(own)
        yield DynamicsTraining(own, agent.dynamics, encoded, optimizer, o)


def _chosen(options: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(options, name) for name in names}


@torch.no_grad()
def encode(vision: ImageVision | VectorVision, episodes: Sequence[Recorded]) -> Transitions:
    """Episodes as codes, end to end; those of images in half the bytes."""
    kind = torch.float16 if isinstance(vision, ImageVision) else torch.float32
    means, stds, frames, starts = [], [], [], []
    actions, rewards, ends = [], [], []
    count = 0
    for recorded in episodes:
        episode = recorded.read()
        obs, T = torch.from_numpy(episode.obs), len(episode.action)
        for batch in obs.split(BATCH):
            mean, std = vision.encode(batch)
            means.append(mean.to(kind))
            stds.append(std.to(kind))
        frames.append(torch.arange(count, count + T))
        starts.append(torch.arange(T) == 0)
        actions.append(episode.action)
        rewards.append(episode.reward)
        ends.append(episode.terminated)
        count += T + 1
    return Transitions(
        torch.cat(means),
        torch.cat(stds),
        torch.cat(frames),
        torch.from_numpy(np.concatenate(actions)),
        torch.from_numpy(np.concatenate(rewards)),
        torch.from_numpy(np.concatenate(ends).astype(np.float32)),
        torch.cat(starts),
    )
