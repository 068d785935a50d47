"""Schedules: plain functions of steps, resolved from physical time."""

import math
from collections.abc import Mapping
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


MEMORY_TICKS = 16
"""What a window teaches a memory where no length is given, in ticks of the memory."""


class WindowOptions(Protocol):
    """The fields of an agent's options that `WindowLengths.of` reads."""

    @property
    def window_seconds(self) -> float | None: ...
    @property
    def burn_in_seconds(self) -> float: ...
    @property
    def carry_seconds(self) -> float: ...
    @property
    def td_span_seconds(self) -> float: ...


@dataclass(frozen=True)
class WindowLengths:
    """What an off-policy agent learns from, in steps.

    Args:
        burn_in: steps at first that only bring the memory up to date.
        learnt: steps after them.
        span: steps that one residual is taken over.
        carries: interleaved carries of the memory (`rlkit/memory/interleaved.py`).
    """

    burn_in: int = 0
    learnt: int = 1
    span: int = 1
    carries: int = 1

    @property
    def steps(self) -> int:
        """T, the steps of a window; it holds T + 1 observations."""
        return self.burn_in + self.learnt

    def single(self, remembers: bool, priority_exponent: float) -> bool:
        """Whether single steps, drawn uniformly, are all that is asked for."""
        return self.steps == 1 and not remembers and priority_exponent == 0

    @classmethod
    def of(cls, options: WindowOptions, dt: float, remembers: bool) -> "WindowLengths":
        """Resolves an off-policy agent's options; `remembers`: its memory has a state.

        Raises:
            ConfigError: a length that is no whole number of steps, a span beyond the window.
        """
        carries = carries_of(options.carry_seconds, dt) if remembers else 1
        span = max(1, round(options.td_span_seconds / dt))
        burn_in = _whole("burn_in_seconds", options.burn_in_seconds, dt) if remembers else 0
        if options.window_seconds is None:
            learnt = max(span, MEMORY_TICKS * carries) if remembers else span
        else:
            learnt = _whole("window_seconds", options.window_seconds, dt)
        if span > learnt:
            raise ConfigError(
                f"agent.td_span_seconds is {options.td_span_seconds:g}, {span} steps, but must fit"
                f" into the {learnt} steps of agent.window_seconds={options.window_seconds:g}"
            )
        return cls(burn_in, learnt, span, carries)

    def check_capacity(self, capacity: int, num_envs: int, single: bool) -> None:
        """Refuses a replay that could not hold one step or window of every copy.

        Args:
            capacity: of the replay, in steps.
            num_envs: copies.
            single: single steps are stored, with their next observations.

        Raises:
            ConfigError: then.
        """
        need = num_envs if single else (self.steps + 1) * num_envs
        if capacity < need:
            what = "one step" if single else f"one window of {self.steps} steps"
            raise ConfigError(
                f"agent.replay_capacity is {capacity}, but must hold {what} of"
                f" num_envs={num_envs}: at least {need}"
            )


def carries_of(carry_seconds: float, dt: float) -> int:
    """How many carries take turns, so that each is read every `carry_seconds`."""
    return max(1, round(carry_seconds / dt))


def _whole(name: str, seconds: float, dt: float) -> int:
    steps = round(seconds / dt)
    if abs(seconds / dt - steps) > 1e-6 * max(1, steps):
        least = max(1, int(seconds / dt))
        raise ConfigError(
            f"agent.{name} is {seconds:g}, but must be a whole number of steps of dt={dt:g} s"
            f" (nearest: {least * dt:g}, {(least + 1) * dt:g})"
        )
    return steps


class Plateau:
    """Halves a step size when a loss no longer falls, and says when to stop.

    Args:
        patience: losses without a new best until the factor is halved; 0: never.
        stop_after: losses without a new best until `stopped`; 0: never.
    """

    def __init__(self, patience: int, stop_after: int):
        self.patience, self.stop_after = patience, stop_after
        self.best, self.without, self.factor = math.inf, 0, 1.0

    @property
    def stopped(self) -> bool:
        return 0 < self.stop_after <= self.without

    def see(self, loss: float) -> None:
        """Takes the next loss."""
        self.without = 0 if loss < self.best else self.without + 1
        self.best = min(self.best, loss)  # a NaN is no gain, and is not kept
        if self.without and self.patience and self.without % self.patience == 0:
            self.factor /= 2

    def get_state(self) -> dict[str, float]:
        return {"best": self.best, "without": self.without, "factor": self.factor}

    def set_state(self, state: Mapping[str, float]) -> None:
        self.best, self.factor = state["best"], state["factor"]
        self.without = int(state["without"])
