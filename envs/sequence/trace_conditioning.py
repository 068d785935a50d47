"""Trace conditioning (Rafiee et al. 2020; Elelimy 2023, chapter 4): when will the food come?

a trial   CS (the tone) at its start, US (the food) ISI steps later; the next trial begins
          ISI + ITI steps after it, or ITI steps (`period`); both intervals are uniform
input     US, CS, and distractors: the d-th turns on with probability rate / d at each step at
          which it is off, and is off for at least one step after it was on
target    G_t = Σ_k γ^k US_{t+k+1}, exact to float32, with γ = 1 - 1 / E[ISI]
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.signal import lfilter

from envs.sequence.base import Array, SequenceBatch, SequenceTask, starts
from envs.sequence.symbols import units_until
from rlkit.options import ConfigError, option


@dataclass(frozen=True)
class TraceConditioningOptions:
    isi_steps: tuple[int, ...] = option("from CS to US: shortest, longest", unit="steps", low=1)
    iti_steps: tuple[int, ...] = option("to the next trial: shortest, longest", unit="steps", low=1)
    period: Literal["isi_plus_iti", "iti"] = option("from CS to CS")
    cs_steps: int = option("how long CS is on", unit="steps", low=1)
    us_steps: int = option("how long US is on", unit="steps", low=1)
    distractors: int = option("signals that tell nothing", low=0)
    distractor_steps: int = option("how long they are on", unit="steps", low=1)
    distractor_rate: float = option("of the first, to turn on", unit="1/step", above=0, high=1)
    gamma: float | None = option("discount per step; null: 1 - 1 / E[ISI]", low=0, high=0.9999)


class TraceConditioning(SequenceTask):
    """Input component 0 is US: x_{t+1} holds what a TD target of the return adds.

    Memoryless: knows which signals are on. Reference "constant": the variance of the return. The
    optimum knows how long ago CS and US came on, and the laws of the intervals.
    """

    target_size = 1
    loss, unit = "squared", "squared error"

    def __init__(self, options: TraceConditioningOptions):
        self.options = o = options
        for name in ("isi_steps", "iti_steps"):
            given = getattr(o, name)
            if len(given) != 2 or given[0] > given[1]:
                raise ConfigError(
                    f"env.{name} is {list(given)}, but must be two numbers of steps, the shortest"
                    " and the longest"
                )
        shortest = o.iti_steps[0] + (o.isi_steps[0] if o.period == "isi_plus_iti" else 0)
        after_us = o.iti_steps[0] - (0 if o.period == "isi_plus_iti" else o.isi_steps[1])
        if after_us < o.us_steps or shortest < o.cs_steps:
            raise ConfigError(
                f"env.iti_steps is {list(o.iti_steps)}, but with env.period={o.period} CS and US"
                " must be over before the next trial begins"
            )
        self.input_size = 2 + o.distractors
        self.gamma = 1 - 2 / sum(o.isi_steps) if o.gamma is None else o.gamma
        self.ahead = 2 + (math.ceil(-41 / math.log(self.gamma)) if self.gamma else 0)  # e^-41
        constant, self.memoryless_loss, self.optimum = return_losses(o, self.gamma)
        self.references = {"constant": constant}

    def block(
        self, rng: np.random.Generator, carry: Any, steps: int
    ) -> tuple[SequenceBatch, dict[str, Any]]:
        o, first = self.options, carry is None
        rates = [o.distractor_rate / d for d in range(1, o.distractors + 1)]
        if first:
            onsets = [np.array([rng.geometric(rate)]) for rate in rates]
            carry = {"trials": np.zeros((0, 2), np.int64), "next": 0, "onsets": onsets}
        trials_N2, following = self._trials(rng, carry, steps + self.ahead)
        onsets = [
            self._onsets(rng, rate, onset, steps)
            for rate, onset in zip(rates, carry["onsets"], strict=True)
        ]
        us_T = np.zeros(steps + self.ahead)
        _mark(us_T, trials_N2[:, 1], o.us_steps)
        x_T1I = np.zeros((steps, 1, self.input_size), np.float32)
        x_T1I[:, 0, 0] = us_T[:steps]
        _mark(x_T1I[:, 0, 1], trials_N2[:, 0], o.cs_steps)
        for d, onset in enumerate(onsets):
            _mark(x_T1I[:, 0, 2 + d], onset, o.distractor_steps)
        sums_T = lfilter([1.0], [1.0, -self.gamma], us_T[::-1])[::-1]  # Σ_k γ^k US_{t+k}
        target_T11 = sums_T[1 : steps + 1, None, None].astype(np.float32)
        weight_T1 = np.ones((steps, 1), np.float32)
        on = (trials_N2 + np.array([o.cs_steps, o.us_steps]) > steps).any(axis=1)
        return SequenceBatch(x_T1I, target_T11, weight_T1, starts(steps, 1, first)), {
            "trials": trials_N2[on] - steps,
            "next": following - steps,
            "onsets": [onset[onset + o.distractor_steps > steps] - steps for onset in onsets],
        }

    def _trials(
        self, rng: np.random.Generator, carry: dict[str, Any], horizon: int
    ) -> tuple[Array, int]:
        """Onsets of CS and US in all trials that begin before the horizon, and the next onset."""
        o = self.options

        def draw(n: int) -> Array:
            isi_N = rng.integers(o.isi_steps[0], o.isi_steps[1], n, endpoint=True)
            iti_N = rng.integers(o.iti_steps[0], o.iti_steps[1], n, endpoint=True)
            return np.stack([isi_N, iti_N if o.period == "isi_plus_iti" else iti_N - isi_N], axis=1)

        trials_N2, begin = carry["trials"], carry["next"]
        if begin >= horizon:
            return trials_N2, begin
        drawn_N2 = units_until(horizon - begin, draw, o.isi_steps[1] + o.iti_steps[1])
        end_N = begin + drawn_N2.sum(axis=1).cumsum()
        cs_N = end_N - drawn_N2.sum(axis=1)
        drawn_N2 = np.stack([cs_N, cs_N + drawn_N2[:, 0]], axis=1)
        return np.concatenate([trials_N2, drawn_N2]), int(end_N[-1])

    def _onsets(self, rng: np.random.Generator, rate: float, known: Array, steps: int) -> Array:
        """When a distractor turns on, up to the first time after the block."""
        while known[-1] < steps:
            guess = 8 + int((steps - known[-1]) / (self.options.distractor_steps + 1 / rate))
            gap_N = self.options.distractor_steps + rng.geometric(rate, guess)
            known = np.concatenate([known, known[-1] + gap_N.cumsum()])
        return known[: np.searchsorted(known, steps) + 1]


def _mark(x_T: Array, onset_N: Array, width: int) -> None:
    """1 from each onset on, for so many steps."""
    on = (onset_N[:, None] + np.arange(width)).ravel()
    x_T[on[(on >= 0) & (on < len(x_T))]] = 1


def return_losses(o: TraceConditioningOptions, gamma: float) -> tuple[float, float, float]:
    """Mean variance of G_t: over all steps, given the signals that are on, given the past.

    With P the length of a trial and R = γ^ISI U + γ^P R' the return that begins with it, step t of
    a trial has G_t = (what is left of US) + γ^(P - t - 1) R'. The tables hold, for every ISI (rows)
    and t, P(the trial lasts) and the first two moments of G_t times it.
    """
    isi_N1 = np.arange(o.isi_steps[0], o.isi_steps[1] + 1)[:, None]
    iti_N1 = np.arange(o.iti_steps[0], o.iti_steps[1] + 1)[:, None]
    added = o.period == "isi_plus_iti"
    t = np.arange(o.iti_steps[1] + (o.isi_steps[1] if added else 0))
    after = t - isi_N1 if added else np.broadcast_to(t, (len(isi_N1), len(t)))

    def power(k: int, steps: Array) -> Array:
        return float(gamma) ** (k * np.maximum(steps, 0))

    def to_next(k: int) -> Array:
        """E[γ^(k (P - t - 1)); P > t]."""
        x = np.arange(after.min(), after.max() + 1)
        table = np.where(iti_N1 > x, power(k, iti_N1 - x - 1), 0.0).mean(axis=0)
        return table[after - x[0]]

    us_sums = np.concatenate([[0.0], power(1, np.arange(o.us_steps)).cumsum()])
    us = us_sums[-1]
    a1, a2 = power(1, isi_N1).mean(), power(2, isi_N1).mean()
    b1, b2 = power(1, iti_N1).mean(), power(2, iti_N1).mean()
    once, twice, cross = (a1 * b1, a2 * b2, a2 * b1) if added else (b1, b2, a1 * b1)
    r1 = us * a1 / (1 - once)
    r2 = (us**2 * a2 + 2 * us * cross * r1) / (1 - twice)

    seen = t >= isi_N1
    left = us_sums[(o.us_steps - 1 - t + isi_N1).clip(0, o.us_steps)]
    D = np.where(seen, left, power(1, isi_N1 - t - 1) * us)
    w, q1, q2 = to_next(0), to_next(1), to_next(2)
    moments = np.stack([w, D * w + q1 * r1, D**2 * w + 2 * D * q1 * r1 + q2 * r2])

    def spread(groups: Array) -> float:
        w, m1, m2 = groups[:, groups[0] > 0]
        return float((m2 - m1**2 / w).sum())

    signals = 2 * (t < o.cs_steps) + (seen & (t < isi_N1 + o.us_steps))
    shown = np.stack([(moments * (signals == s)).sum(axis=(1, 2)) for s in range(4)], axis=1)
    waiting = (moments * ~seen).sum(axis=1)
    constant = spread(moments.sum(axis=(1, 2))[:, None])
    known = spread(waiting) + spread((moments * seen).reshape(3, -1))
    total = float(w.sum())
    return constant / total, spread(shown) / total, known / total
