"""Figures of a run and of a study, drawn without pyplot and its global state."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rlkit.run.statistics import bootstrap_interval, wilson_interval

RETURN_LABEL = "return Σ r·dt"
TIME_LABEL = "simulated time (s)"


class Snapshot(NamedTuple):
    """Value and policy over the phase plane at one moment; rows follow y, columns x."""

    sim_seconds: float
    value: NDArray[Any]
    policy: NDArray[Any]
    x: NDArray[Any]
    y: NDArray[Any]
    x_label: str
    y_label: str


def learning_curve(
    eval_records: Sequence[Mapping[str, Any]], path: Path, unit: str | None = None
) -> Path:
    """Return against simulated seconds, or updates called `unit`, of lines of `eval.jsonl`."""
    if not eval_records:
        raise ValueError("a learning curve needs at least one evaluation")
    clock, mean, std, iqm = (
        np.array([record[key] for record in eval_records], dtype=np.float64)
        for key in (
            "updates" if unit else "sim_seconds",
            *("return_mean", "return_std", "return_iqm"),
        )
    )
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(
        title=f"{eval_records[-1]['episodes']} episodes an evaluation",
        xlabel=unit or TIME_LABEL,
        ylabel=RETURN_LABEL,
    )
    axes.fill_between(clock, mean - std, mean + std, alpha=0.2, label="± 1 std over episodes")
    axes.plot(clock, mean, marker=".", label="mean")
    axes.plot(clock, iqm, "--", label="interquartile mean")
    axes.legend()
    return _save(figure, path)


def loss_curve(eval_records: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Held-out and online loss against inputs, with what is possible with and without memory."""
    last = eval_records[-1]
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="inputs", ylabel=f"loss ({last['unit']})", yscale="log")
    steps = [record["env_steps"] for record in eval_records]
    for key, label in (("loss", "held out"), ("online_loss", "while learning")):
        loss = np.array([record[key] for record in eval_records], dtype=np.float64)
        axes.plot(steps, loss, marker=".", label=label)
    for key, label in (("memoryless_loss", "best without memory"), ("optimum", "optimum")):
        if last[key]:
            axes.axhline(last[key], linestyle="--", color="grey")
            axes.annotate(label, (steps[0], last[key]), color="grey", va="bottom")
    axes.legend()
    return _save(figure, path)


def population_curve(records: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Mean, spread and best of each generation, from the records of `metrics.jsonl`."""
    prefix = "controller/dream_" if "controller/dream_return_mean" in records[-1] else "controller/"
    generation, mean, std, best = (
        np.array([record[key] for record in records], dtype=np.float64)
        for key in (
            "controller/generation",
            *(f"{prefix}return_{k}" for k in ("mean", "std", "best")),
        )
    )
    figure = Figure(figsize=(6, 4), layout="constrained")
    where = "in the dream" if "dream" in prefix else "in the environment"
    axes = figure.add_subplot(xlabel="generation", ylabel=f"return of the members, {where}")
    axes.fill_between(generation, mean - std, mean + std, alpha=0.2, label="± 1 std over members")
    axes.plot(generation, mean, marker=".", label="mean")
    axes.plot(generation, best, "--", label="best")
    axes.legend()
    return _save(figure, path)


def picture(image: NDArray[np.uint8], path: Path) -> Path:
    """Writes pixels [height, width, 3]."""
    import imageio.v3 as iio

    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, image)
    return path


def success_curve(
    eval_records: Sequence[Mapping[str, Any]], path: Path, unit: str | None = None
) -> Path:
    """Success rate against environment steps, or updates called `unit`; 95 % Wilson interval."""
    steps, rate, n = (
        np.array([record[key] for record in eval_records], dtype=np.float64)
        for key in ("updates" if unit else "env_steps", "success_rate", "episodes")
    )
    low, high = wilson_interval(rate, n)
    figure = Figure(figsize=(6, 4), layout="constrained")
    label = unit or "environment steps"
    axes = figure.add_subplot(xlabel=label, ylabel="success rate", ylim=(-0.02, 1.02))
    axes.fill_between(steps, low, high, alpha=0.2, label="95 % interval over episodes")
    axes.plot(steps, rate, marker=".", label="success rate")
    axes.legend()
    return _save(figure, path)


def save_snapshot(folder: Path, snapshot: Snapshot, step: int) -> Path:
    """Writes `<folder>/plots/snapshots/<step>.npz` in one piece."""
    path = _snapshot_folder(folder) / f"{step:012d}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with open(temporary, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **snapshot._asdict())
    os.replace(temporary, path)
    return path


def load_snapshots(folder: Path) -> list[Snapshot]:
    """The snapshots of a run folder, oldest first."""
    snapshots = []
    for path in sorted(_snapshot_folder(folder).glob("*.npz")):
        with np.load(path, allow_pickle=False) as data:
            fields = {name: data[name] for name in Snapshot._fields}
        # Numbers and words were stored as 0-d arrays.
        plain = {name: v.item() if v.ndim == 0 else v for name, v in fields.items()}
        snapshots.append(Snapshot(**plain))
    return snapshots


def phase_plane_figure(snapshots: Sequence[Snapshot], path: Path, *, columns: int = 4) -> Path:
    """Value (top) and policy (bottom) over the phase plane, first to last, one scale a row."""
    if not snapshots:
        raise ValueError("a phase plane figure needs at least one snapshot")
    picks = np.linspace(0, len(snapshots) - 1, min(columns, len(snapshots))).round().astype(int)
    shown = [snapshots[i] for i in picks]
    figure = Figure(figsize=(1.2 + 2.4 * len(shown), 4.8), layout="constrained")
    grid = figure.subplots(2, len(shown), sharex=True, sharey=True, squeeze=False)
    rows: list[tuple[str, str, Callable[[Snapshot], NDArray[Any]]]] = [
        ("value", "viridis", lambda s: s.value),
        ("policy", "coolwarm", lambda s: s.policy),
    ]
    for axes_row, (name, colours, values_of) in zip(grid, rows, strict=True):
        low = min(values_of(s).min() for s in shown)
        high = max(values_of(s).max() for s in shown)
        for axes, snapshot in zip(axes_row, shown, strict=True):
            mesh = axes.pcolormesh(
                snapshot.x,
                snapshot.y,
                values_of(snapshot),
                cmap=colours,
                vmin=low,
                vmax=high,
                shading="nearest",
                rasterized=True,
            )
        figure.colorbar(mesh, ax=axes_row, label=name)
        axes_row[0].set_ylabel(shown[0].y_label)
    for axes_top, axes_bottom, snapshot in zip(grid[0], grid[1], shown, strict=True):
        axes_top.set_title(f"{snapshot.sim_seconds:,.6g} s")
        axes_bottom.set_xlabel(snapshot.x_label)
    return _save(figure, path)


def study_figure(curves: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """One panel per agent, one line per dt: mean over seeds with a 95 % bootstrap band.

    Args:
        curves: records of `agent, dt, seed, sim_seconds, return_mean`, one per evaluation.
        path: the PNG.
    """
    if not curves:
        raise ValueError("a study figure needs at least one evaluation")
    agents = list(dict.fromkeys(record["agent"] for record in curves))
    dts = sorted({record["dt"] for record in curves})
    colours = colormaps["viridis"](np.linspace(0.0, 0.85, len(dts)))
    width = min(3, len(agents))
    height = math.ceil(len(agents) / width)
    figure = Figure(figsize=(1 + 3.6 * width, 0.6 + 2.8 * height), layout="constrained")
    panels = figure.subplots(height, width, sharex=True, sharey=True, squeeze=False).flat
    for agent, axes in zip(agents, panels, strict=False):
        axes.set(title=agent, xlabel=TIME_LABEL, ylabel=f"scaled {RETURN_LABEL}")
        axes.tick_params(labelbottom=True)  # the panel below may be empty
        for dt, colour in zip(dts, colours, strict=True):
            chosen = [r for r in curves if r["agent"] == agent and r["dt"] == dt]
            if not chosen:
                continue
            seconds, return_ST = _align_seeds(chosen)
            low, high = bootstrap_interval(return_ST, np.mean)
            axes.plot(seconds, return_ST.mean(axis=0), color=colour, label=f"dt = {dt:g} s")
            axes.fill_between(seconds, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.legend()
    for axes in list(panels):  # the rest of the grid
        axes.set_visible(False)
    return _save(figure, path)


def _align_seeds(
    records: Sequence[Mapping[str, Any]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times of the shortest curve, and the return of each seed at those times: (T,), (S, T)."""
    by_seed: dict[Any, list[tuple[float, float]]] = {}
    for record in records:
        point = (record["sim_seconds"], record["return_mean"])
        by_seed.setdefault(record["seed"], []).append(point)
    curves = [np.array(sorted(points), dtype=np.float64).T for points in by_seed.values()]
    seconds = min((curve[0] for curve in curves), key=lambda times: times[-1])
    return seconds, np.stack([np.interp(seconds, *curve) for curve in curves])


def _snapshot_folder(folder: Path) -> Path:
    return folder / "plots" / "snapshots"


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path
