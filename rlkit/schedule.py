"""Schedules: plain functions of steps, resolved from physical time."""

from dataclasses import dataclass
from typing import Protocol

from rlkit.options import ConfigError


class ScheduleOptions(Protocol):
    """The fields of an agent's options that `BlockSchedule.of` reads."""

    @property
    def schedule(self) -> str: ...
    @property
    def block_seconds(self) -> float: ...
    @property
    def updates_per_second(self) -> float: ...
    @property
    def store_every_seconds(self) -> float: ...
    @property
    def block_steps(self) -> int: ...
    @property
    def updates_per_block(self) -> int: ...


@dataclass(frozen=True)
class BlockSchedule:
    """How acting and learning alternate, in vector steps.

    Args:
        block_steps: vector steps between two learning phases.
        updates_per_step: mean number of updates per vector step.
        store_every_steps: one vector step in so many is kept in the replay.
    """

    block_steps: int
    updates_per_step: float
    store_every_steps: int

    def updates_due(self, vector_steps: int) -> int:
        """Updates that should have been made after so many vector steps."""
        return int(vector_steps * self.updates_per_step + 1e-9)

    @classmethod
    def of(cls, options: "ScheduleOptions", dt: float) -> "BlockSchedule":
        """Resolves an off-policy agent's options.

        `schedule: physical` counts blocks and updates in seconds, so that learning costs the same
        at every dt; `steps` counts them in vector steps, as the thesis does.
        """
        store_every_steps = max(1, round(options.store_every_seconds / dt))
        if options.schedule == "steps":
            per_step = options.updates_per_block / options.block_steps
            return cls(options.block_steps, per_step, store_every_steps)
        block_steps = max(1, round(options.block_seconds / dt))
        return cls(block_steps, options.updates_per_second * dt, store_every_steps)


def chunk_length(
    rollout_steps: int, chunk_steps: int | None, num_envs: int, minibatches: int
) -> int:
    """The length L of the sequences an on-policy agent learns from, if everything divides.

    Raises:
        ConfigError: the chunk does not divide the rollout, or the minibatches not the sequences.
    """
    L = chunk_steps or rollout_steps
    if rollout_steps % L:
        raise ConfigError(
            f"agent.chunk_steps is {L}, but must divide agent.rollout_steps={rollout_steps}"
        )
    N = num_envs * (rollout_steps // L)
    if N % minibatches:
        raise ConfigError(
            f"agent.minibatches is {minibatches}, but must divide the {N} sequences of a rollout"
            f" (num_envs={num_envs}, {rollout_steps // L} chunks each)"
        )
    return L
