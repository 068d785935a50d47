"""Figures are written, legible in size, and show what they were given."""

import imageio.v3 as iio
import numpy as np
import pytest
from matplotlib.figure import Figure

from rlkit.run.plotting import (
    Snapshot,
    learning_curve,
    load_snapshots,
    phase_plane_figure,
    save_snapshot,
    study_figure,
    success_curve,
)


def assert_drawn(path):
    image = iio.imread(path)
    assert min(image.shape[:2]) > 300
    assert len(np.unique(image.reshape(-1, image.shape[-1]), axis=0)) > 50


def snapshot(seconds: float) -> Snapshot:
    x, y = np.linspace(-np.pi, np.pi, 20), np.linspace(-8, 8, 20)
    value = -(x[None, :] ** 2) * seconds - y[:, None] ** 2
    return Snapshot(seconds, value, np.sin(value), x, y, "angle (rad)", "angular velocity (rad/s)")


def eval_record(step: int) -> dict[str, float]:
    return {
        "sim_seconds": step * 0.1,
        "episodes": 8,
        "return_mean": step**0.5,
        "return_std": 1.0,
        "return_iqm": step**0.5 + 0.2,
    }


def test_learning_curve(tmp_path):
    assert_drawn(learning_curve([eval_record(s) for s in range(9)], tmp_path / "plots" / "a.png"))
    assert_drawn(learning_curve([eval_record(1)], tmp_path / "one.png"))


@pytest.mark.parametrize("draw", [learning_curve, success_curve])
def test_curves_by_updates_where_no_time_passes(draw, tmp_path, monkeypatch):
    records = [eval_record(0) | {"updates": n, "env_steps": 0, "success_rate": 0} for n in (1, 9)]
    seen = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: seen.append(figure.axes[0]))
    draw(records, tmp_path / "a.png", "generations")
    assert seen[0].get_xlabel() == "generations"
    assert seen[0].lines[0].get_xdata().tolist() == [1, 9]


def test_snapshots_come_back_in_order(tmp_path):
    saved = [snapshot(seconds) for seconds in (1.0, 5.0, 20.0)]
    for step in (2, 0, 1):
        save_snapshot(tmp_path, saved[step], step=step * 1000)
    loaded = load_snapshots(tmp_path)
    assert len(loaded) == 3
    for before, after in zip(saved, loaded, strict=True):
        assert (before.sim_seconds, before.x_label) == (after.sim_seconds, after.x_label)
        assert np.array_equal(before.value, after.value)
        assert np.array_equal(before.policy, after.policy)
    assert load_snapshots(tmp_path / "other") == []


@pytest.mark.parametrize("count", [1, 7])
def test_phase_plane_figure(tmp_path, count):
    shots = [snapshot(float(s)) for s in range(count)]
    path = phase_plane_figure(shots, tmp_path / "a.png")
    assert_drawn(path)
    assert iio.imread(path).shape[1] == pytest.approx(150 * (1.2 + 2.4 * min(count, 4)), abs=1)


def test_study_figure(tmp_path):
    curves = [
        {"agent": agent, "dt": dt, "seed": seed, "sim_seconds": t, "return_mean": t * dt + seed}
        for agent in ("dau", "ddpg", "dqn", "ppo")
        for dt in (0.05, 0.002)
        for seed in range(1 if agent == "ppo" else 3)
        for t in np.arange(0, 10 + seed, 0.7 + 0.1 * seed)
    ]
    assert_drawn(study_figure(curves, tmp_path / "a.png"))


@pytest.mark.parametrize("draw", [learning_curve, phase_plane_figure, study_figure])
def test_nothing_to_draw_is_refused(tmp_path, draw):
    with pytest.raises(ValueError, match="at least one"):
        draw([], tmp_path / "a.png")


def test_success_curve(tmp_path):
    records = [
        {"env_steps": 100 * s, "success_rate": s / 8, "episodes": 8, "return_mean": 0.0}
        for s in range(9)
    ]
    assert_drawn(success_curve(records, tmp_path / "a.png"))
