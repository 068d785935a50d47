"""Schedules: plain functions of steps, resolved from physical time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
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
        credit: of an update, left by the stage before.
    """

    block_steps: int
    updates_per_step: float
    store_every_steps: int
    credit: float = 0.0

    @classmethod
    def online(cls) -> "BlockSchedule":
        """An update after every vector step; blocks only say how often the clock is looked at."""
        return cls(16, 1.0, store_every_steps=1)

    def updates_due(self, vector_steps: int) -> int:
        """Updates that should have been made after so many vector steps."""
        return int(self.credit + vector_steps * self.updates_per_step + 1e-9)

    @classmethod
    def of_rollouts(cls, rollout_steps: int, epochs: int, minibatches: int) -> "BlockSchedule":
        """That of an on-policy agent: a block is a rollout."""
        return cls(rollout_steps, epochs * minibatches / rollout_steps, store_every_steps=1)

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


@dataclass(frozen=True)
class Stage:
    """A part of a run at one dt. The run's clock ticks in vector steps of its last stage.

    Args:
        index: 0 is the first.
        dt: as configured, seconds.
        ticks: of the clock, per vector step.
        start: tick at which it begins.
        end: tick at which it ends.
        steps_before: vector steps of all stages before it.
        credit: of an update, left by them.
    """

    index: int
    dt: float
    ticks: int
    start: int
    end: int
    steps_before: int = 0
    credit: float = 0.0

    @property
    def steps(self) -> int:
        """Its vector steps."""
        return (self.end - self.start) // self.ticks


def ticks_of(dts: Sequence[float]) -> list[int]:
    """Each dt in units of the last one.

    Raises:
        ConfigError: it is no list of at least two numbers, decreasing, multiples of the last.
    """
    if len(dts) < 2 or any(b >= a for a, b in pairwise(dts)) or dts[0] > 1e6 * dts[-1]:
        raise ConfigError(
            f"dt_schedule is {list(dts)}, but must be at least two numbers, each smaller than the"
            " one before (s)"
        )
    ticks = [round(dt / dts[-1]) for dt in dts]
    for dt, n in zip(dts, ticks, strict=True):
        if abs(dt / dts[-1] - n) > 1e-9 * n:
            raise ConfigError(
                f"dt_schedule holds {dt:g}, but must hold whole multiples of its last,"
                f" {dts[-1]:g} s (nearest: {n * dts[-1]:g})"
            )
    return ticks


def stage_ends(total: int, blocks: Sequence[int], kept: Sequence[int] = ()) -> list[int]:
    """The ticks at which stages end: equal shares, in whole blocks.

    Args:
        total: ticks of the whole run, before rounding.
        blocks: length of a block of each stage, in ticks.
        kept: ends that are decided already; a run continued keeps all but the last.
    """
    ends = list(kept)
    for i in range(len(ends), len(blocks)):
        start, share = (ends[-1] if ends else 0), -(-total * (i + 1) // len(blocks))
        ends.append(start + -(-(share - start) // blocks[i]) * blocks[i])
    return ends


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
        """Resolves an off-policy agent's options, each to the nearest number of steps.

        Without a memory a window is one span; `remembers`: the memory has a state.

        Raises:
            ConfigError: a span or a tick of the memory beyond the window.
        """
        span = steps_in(options.td_span_seconds, dt)
        if not remembers:
            return cls(learnt=span, span=span)
        carries = carries_of(options.carry_seconds, dt)
        burn_in = steps_in(options.burn_in_seconds, dt, least=0)
        if options.window_seconds is None:
            return cls(burn_in, max(span, MEMORY_TICKS * carries), span, carries)
        learnt = steps_in(options.window_seconds, dt)
        for name, steps in (("td_span_seconds", span), ("carry_seconds", carries)):
            if steps > learnt:
                raise ConfigError(
                    f"agent.{name} is {getattr(options, name):g}, {steps} steps, but must fit"
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
    return steps_in(carry_seconds, dt)


def steps_in(seconds: float, dt: float, least: int = 1) -> int:
    """The nearest number of steps, up from a half."""
    return max(least, int(seconds / dt + 0.5 + 1e-9))


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
