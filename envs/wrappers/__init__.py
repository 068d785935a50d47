"""Wrappers: what stands between an environment and an agent.

Order, inside out: action repeat → time limit → limit is terminal → velocity mask → observation
noise → previous action and reward → frame stack. Each rule is written once, on batches
(`transform.py`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rlkit.options import option

if TYPE_CHECKING:
    import gymnasium
    from gymnasium.vector import VectorEnv

    from envs.wrappers.transform import Transform


@dataclass(frozen=True)
class WrapperOptions:
    limit_is_terminal: bool = option("a time limit counts as a termination; for comparison only")
    velocity_mask: bool = option("hide velocities (or show only them)")
    velocity_mask_mode: Literal["drop", "zero", "keep_velocity"] = option(
        "drop = remove the entries, zero = keep the shape, keep_velocity = show only them"
    )
    velocity_indices: tuple[int, ...] | None = option(
        "velocity entries of the observation; null = from the table of known environments"
    )
    observation_noise: float = option("standard deviation of Gaussian noise; 0 = off", low=0)
    previous_action: bool = option("append the last action and reward to the observation")
    previous_action_seconds: float = option(
        "append their means over so long instead; 0: of the last step", unit="s", low=0, high=60
    )
    frame_stack: int = option("observations in one; 1 = off", unit="steps", low=1)
    frame_stack_pad: Literal["zero", "first"] = option(
        "what stands before the first observation of an episode: zeros or copies of it"
    )
    action_repeat: int = option("steps each action is held; multiplies dt", unit="steps", low=1)
    normalize: bool = option("running normalisation of observations, done by the agent")


def _transforms(options: WrapperOptions, dt: float) -> list[Any]:
    """Builders of the transforms that are switched on, innermost first."""
    from functools import partial

    chosen: list[Any] = []
    if options.limit_is_terminal:
        from envs.wrappers.limit_is_terminal import LimitIsTerminal

        chosen.append(LimitIsTerminal)
    if options.velocity_mask:
        from envs.wrappers.velocity_mask import VelocityMask

        chosen.append(
            partial(VelocityMask, mode=options.velocity_mask_mode, indices=options.velocity_indices)
        )
    if options.observation_noise > 0:
        from envs.wrappers.observation_noise import ObservationNoise

        chosen.append(partial(ObservationNoise, std=options.observation_noise))
    if options.previous_action:
        from envs.wrappers.previous_action import PreviousAction
        from rlkit.schedule import steps_in

        steps = steps_in(options.previous_action_seconds, dt)
        chosen.append(partial(PreviousAction, steps=steps))
    if options.frame_stack > 1:
        from envs.wrappers.frame_stack import FrameStack

        chosen.append(partial(FrameStack, frames=options.frame_stack, pad=options.frame_stack_pad))
    return chosen


def wrap_vector(envs: "VectorEnv", options: WrapperOptions) -> "VectorEnv":
    """Applies the observation wrappers that are switched on to a vector environment."""
    chosen = _transforms(options, envs.dt)  # type: ignore[attr-defined]
    if not chosen:
        return envs
    from envs.wrappers.transform import EnvFacts, VectorTransform

    for make in chosen:
        transform: Transform = make(EnvFacts.of_vector(envs))
        envs = VectorTransform(envs, transform)
    return envs


def wrap_single(env: "gymnasium.Env", options: WrapperOptions) -> "gymnasium.Env":
    """Applies the observation wrappers that are switched on to a single environment."""
    chosen = _transforms(options, env.get_wrapper_attr("dt"))
    if not chosen:
        return env
    from envs.wrappers.transform import EnvFacts, SingleTransform

    for make in chosen:
        transform: Transform = make(EnvFacts.of_single(env))
        env = SingleTransform(env, transform)
    return env
