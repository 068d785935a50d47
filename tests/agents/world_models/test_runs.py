"""Whole runs by the commands' own functions: stages, generations, kills, executors, mistakes."""

import json
import math
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import evaluate
import rlkit.run.video
import train
from agents.world_models.agent import WorldModels
from agents.world_models.controller import Strategy
from agents.world_models.vision import ImageVision, Recorded, VisionTraining, split
from configs import build
from configs.compose import compose_evaluate, compose_train, evaluation_config, resume_train
from rlkit.executors.processes import Processes
from rlkit.options import ConfigError
from rlkit.run.rollouts import Episode, EpisodeFolder, pack
from rlkit.run.session import Session
from rlkit.run.stages import StagePlace
from tests.test_resume import assert_same_run

SMALL = (
    "agent=world_models preset=smoke updates=3 num_envs=3 env.time_limit_seconds=1"
    " agent.data_steps=15 agent.dynamics_sequences=48 agent.dynamics_validate_sequences=16"
    " agent.sequence_steps=8 agent.population=5 agent.stall_seconds=0 agent.rollouts=[1,2]"
    " agent.rollouts_from=[0,-1] evaluation.count=3 checkpoint.count=3 plots=false"
    " executor.unit_jobs=3"
)
LSTM = "env=pendulum memory=lstm memory.hidden_size=8"


class Dot(gymnasium.Env):
    """A dot on 64 x 64 pixels; it moves as told, and is paid for being in the middle."""

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = Box(0, 255, (64, 64, 3), np.uint8)
    action_space = Box(-1, 1, (2,), np.float32)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def render(self):
        image = np.zeros((64, 64, 3), np.uint8)
        x, y = (32 + 24 * self.at).astype(int)
        image[y - 4 : y + 4, x - 4 : x + 4] = (255, 200, 50)
        return image

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = self.np_random.uniform(-1, 1, 2)
        return self.render(), {}

    def step(self, action):
        self.at = np.clip(self.at + 0.1 * np.asarray(action), -1, 1)
        return self.render(), 1 - float(np.abs(self.at).sum()), False, False, {}


@pytest.fixture(scope="module", autouse=True)
def dot():
    gymnasium.register("Dot-v0", Dot)
    yield
    gymnasium.registry.pop("Dot-v0")


def config_of(words, outputs):
    return compose_train([*SMALL.split(), *words.split(), f"outputs={outputs}"])


def stages(outputs, env="pendulum"):
    """Name → number of folders."""
    names = [p.name.split("-")[0] for p in (outputs / env / "stages").iterdir()]
    return {name: names.count(name) for name in names}


def records(folder, name):
    return [json.loads(x) for x in (folder / f"{name}.jsonl").read_text().splitlines()]


def untimed(record):
    return {k: v for k, v in record.items() if k != "wall_seconds"}


@pytest.mark.parametrize(
    "words",
    [
        f"{LSTM} agent.mixture=per_dim plots=true",
        "env=cartpole memory=gru memory.hidden_size=4 agent.inputs=h",
        "env=pendulum memory=none agent.inputs=z agent.squash=clip agent.train_dynamics=false",
    ],
)
def test_a_run_on_vectors_and_its_evaluation(words, tmp_path):
    folder = train.train(config_of(words, tmp_path))
    evaluations, log = records(folder, "eval"), records(folder, "metrics")
    assert [r["updates"] for r in evaluations] == [r["updates"] for r in log] == [1, 2, 3]
    assert [r["controller/rollouts"] for r in log] == [1, 1, 2]
    best = max(evaluations, key=lambda r: r["return_mean"])
    for given, record in (("num_envs=2", evaluations[-1]), ("num_envs=1 checkpoint=best", best)):
        found = evaluate.evaluate(compose_evaluate([f"run={folder}", *given.split()]))
        assert untimed(found) == pytest.approx(untimed(record), abs=0)
    with pytest.raises(ConfigError, match=r"^deterministic is false, but agent world_models has a"):
        evaluate.evaluate(compose_evaluate([f"run={folder}", "deterministic=false"]))
    assert ("dynamics/validation_loss" in log[0]) == ("none" not in words)
    if "pendulum" in words:  # 5 members of 20 steps; and the final choice between two, of two each
        assert [r["env_steps"] for r in log] == [100, 200, 200 + 200 + 80]
    if "plots" in words:
        assert (folder / "plots" / "population.png").exists()


@pytest.mark.slow
def test_a_run_on_images_its_pictures_and_its_film(tmp_path, monkeypatch):
    words = "env=gym env.id=Dot-v0 memory=gru memory.hidden_size=4 agent.latent_size=6 plots=true"
    words += " agent.vision_images=64 agent.vision_validate_images=32 agent.population=4"
    folder = train.train(config_of(words, tmp_path))
    assert {p.stem for p in (folder / "plots").glob("*.png")} == {
        *("learning_curve", "population", "reconstructions", "dreams")
    }
    assert stages(tmp_path, "gym") == {"data": 1, "vision": 1, "dynamics": 1}
    (history,) = (tmp_path / "gym" / "stages").glob("vision-*/history.jsonl")
    assert [json.loads(x)["vision/images"] for x in history.read_text().splitlines()] == [32, 64]
    delivered = records(folder, "eval")[-1]
    written = []
    write = rlkit.run.video.write_video

    def spy(path, frames, fps):
        written.extend(frames)
        return write(path, frames, fps)

    monkeypatch.setattr(rlkit.run.video, "write_video", spy)
    found = evaluate.evaluate(compose_evaluate([f"run={folder}", "video=true"]))
    assert untimed(found) == pytest.approx(untimed(delivered), abs=0)
    (film,) = (folder / "videos").iterdir()
    assert film.stat().st_size > 1000
    assert [f.shape for f in written] == [(256, 768, 3)] * 10  # a second, real | again | dreamt
    start = Dot()
    first, _ = start.reset(seed=7)
    assert np.array_equal(written[0][::4, :256:4], first)


def test_stages_are_shared_by_the_runs_that_need_the_same(tmp_path, capsys):
    def say():
        found = re.findall(r"(?m)^(\w+): (taken from|kept in) (.+)$", capsys.readouterr().err)
        for _, _, folder in found:
            assert all(r["seconds"] >= 0 for r in records(Path(folder), "history"))
        return [(stage, how) for stage, how, _ in found]

    names = ("data", "vision", "dynamics")
    folder = train.train(config_of(LSTM, tmp_path))
    assert stages(tmp_path) == {"data": 1, "vision": 1, "dynamics": 1}
    assert say() == [(name, "kept in") for name in names]
    assert not any("seconds" in r for r in records(folder, "metrics"))
    train.train(config_of(f"{LSTM} agent.inputs=z agent.population=4", tmp_path))
    assert say() == [(name, "taken from") for name in names]
    train.train(config_of(f"{LSTM} agent.train_dynamics=false", tmp_path))
    assert stages(tmp_path) == {"data": 1, "vision": 1, "dynamics": 1}
    assert say() == [(name, "taken from") for name in names[:2]]
    train.train(config_of("env=pendulum memory=gru", tmp_path))
    assert stages(tmp_path) == {"data": 1, "vision": 1, "dynamics": 2}
    train.train(config_of(f"{LSTM} seed=1", tmp_path))
    assert stages(tmp_path) == {"data": 2, "vision": 2, "dynamics": 3}


@pytest.mark.slow
def test_the_smoke_preset_drives(tmp_path):
    """Episodes of two seconds; the preset is else as it is."""
    pytest.importorskip("Box2D")
    words = "agent=world_models env=car_racing memory=lstm preset=smoke env.time_limit_seconds=2"
    config = compose_train([*words.split(), f"outputs={tmp_path}"])
    folder = train.train(config)
    assert [r["updates"] for r in records(folder, "metrics")] == [1, 2]
    first = records(folder, "metrics")[0]
    assert first["dynamics/validation_loss"] < first["dynamics/persistence_loss"]
    files = list((tmp_path / "car_racing" / "stages").glob("data-*/episodes/*.npz.xz"))
    assert len(files) == 4


@pytest.mark.slow
def test_processes_give_the_serial_run_also_when_a_worker_is_killed(tmp_path, monkeypatch):
    serial = train.train(config_of(LSTM, tmp_path / "serial"))
    submit, killed = Processes.submit, []

    def deadly(self, worker, unit):
        submit(self, worker, unit)
        if len(killed) < 2:  # whoever is ready first
            killed.append(worker)
            self.processes[worker].kill()

    monkeypatch.setattr(Processes, "submit", deadly)
    words = f"{LSTM} executor=processes executor.workers=2"
    other = train.train(config_of(words, tmp_path / "other"))
    assert len(killed) == 2
    assert_same_run(serial, other)


CASES = {"lstm": LSTM, "image": "env=gym env.id=Dot-v0 memory=gru memory.hidden_size=4"}
SMALL_IMAGES = " agent.latent_size=6 agent.vision_images=64 agent.vision_validate_images=32"


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("at", ["data", "vision", "dynamics", 1, 2])
def test_killed_at_any_stage_or_generation_and_resumed(case, at, tmp_path, monkeypatch):
    words = CASES[case] + (SMALL_IMAGES if case == "image" else "")
    whole = train.train(config_of(words, tmp_path / "whole"))
    monkeypatch.setattr("rlkit.loops.staged.SAVE_SECONDS", -1.0)
    note, after_block = StagePlace.note, Session._after_block
    hits = []

    def dying_note(self, record):
        note(self, record)
        if next(iter(record)).startswith(str(at)):
            hits.append(record)
            if len(hits) == 1 + (at == "dynamics"):  # of three
                raise KeyboardInterrupt

    def dying_block(self, loop, metrics):
        after_block(self, loop, metrics)
        if loop.updates == at:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(StagePlace, "note", dying_note)
        patch.setattr(Session, "_after_block", dying_block)
        with pytest.raises(KeyboardInterrupt):
            train.train(config_of(words, tmp_path / "cut"))
    (cut,) = (p.parent for p in (tmp_path / "cut").rglob("config.json"))
    assert train.train(resume_train(cut, []), cut) == cut
    assert_same_run(whole, cut)


def test_precision_is_decided_once(tmp_path, monkeypatch):
    words = "env=gym env.id=Dot-v0 memory=none agent.inputs=z agent.train_vision=false"
    words += " agent.train_dynamics=false agent.latent_size=6 agent.selection_episodes=0 updates=1"
    words += " evaluation.count=0"
    monkeypatch.setattr("agents.world_models.agent.has_bf16", lambda: True)
    folder = train.train(config_of(words, tmp_path))
    monkeypatch.setattr("agents.world_models.agent.has_bf16", lambda: False)  # another machine
    request = compose_evaluate([f"run={folder}"])
    for config in (resume_train(folder, []), evaluation_config(folder, request)):
        agent = build.make_agent(config, build.make_envs(config, 1), noise_seed=0)
        assert agent.precision == "bf16"


def test_a_finished_run_goes_on_with_a_longer_budget(tmp_path):
    folder = train.train(config_of(LSTM, tmp_path))
    train.train(resume_train(folder, ["updates=5"]), folder)
    assert [r["updates"] for r in records(folder, "metrics")] == [1, 2, 3, 4, 5]
    with pytest.raises(ConfigError, match="the budget is 2 generations, but the run has made 5"):
        train.train(resume_train(folder, ["updates=2"]), folder)
    with pytest.raises(ConfigError, match="counted in generations: give updates instead of env"):
        resume_train(folder, ["env_steps=100"])


def test_training_inside_the_dream_in_rounds(tmp_path):
    words = f"{LSTM} agent.train_in=dream agent.rounds=2 updates=4 agent.dream_steps=9"
    words += " evaluation.count=4"
    folder = train.train(config_of(words, tmp_path))
    log = records(folder, "metrics")
    assert [r["controller/length_mean"] for r in log] == [9, 9, 9, 9]
    assert [r["env_steps"] for r in log] == [0, 0, 0, 80]  # of the final choice alone
    assert all("controller/dream_return_mean" in r for r in log)
    assert ["dynamics/validation_loss" in r for r in log] == [True, False, True, False]
    assert stages(tmp_path) == {"data": 2, "vision": 1, "dynamics": 2}
    again = train.train(config_of(words, tmp_path))  # the second round's data is that of the first
    assert stages(tmp_path) == {"data": 2, "vision": 1, "dynamics": 2}
    assert_same_run(folder, again)


def test_later_rounds_do_not_share_the_data_of_other_dynamics_and_controllers(tmp_path):
    words = f"{LSTM} agent.rounds=2 updates=2 agent.population=4 agent.selection_episodes=0"
    words += " evaluation.count=1"
    for i, own in enumerate(("", "agent.dynamics_lr=0.0012", "agent.squash=clip")):
        train.train(config_of(f"{words} {own}", tmp_path))
        assert stages(tmp_path)["data"] == 2 + i, own


def test_the_scale_of_vectors_is_shared_whatever_the_options_of_images(tmp_path):
    train.train(config_of(LSTM, tmp_path))
    words = "agent.vision_lr=0.01 agent.vision_images=9 agent.latent_size=3 agent.patience=1"
    train.train(config_of(f"{LSTM} {words}", tmp_path))
    assert stages(tmp_path) == {"data": 1, "vision": 1, "dynamics": 2}  # patience is theirs too


def test_a_run_is_resumed_from_any_folder(tmp_path, monkeypatch):
    words = f"{LSTM} agent.rounds=2 updates=2 agent.selection_episodes=0 evaluation.count=1"
    monkeypatch.chdir(tmp_path)
    update = WorldModels.update

    def dying(self, plan, play):
        if plan.generation == 1:
            raise KeyboardInterrupt
        return update(self, plan, play)

    with monkeypatch.context() as patch:
        patch.setattr(WorldModels, "update", dying)
        with pytest.raises(KeyboardInterrupt):
            train.train(config_of(words, "runs"))
    (folder,) = (p.parent for p in tmp_path.rglob("config.json"))
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(elsewhere)
    train.train(resume_train(folder, []), folder)
    assert not list(elsewhere.iterdir())
    assert stages(tmp_path / "runs") == {"data": 2, "vision": 1, "dynamics": 2}


@pytest.mark.parametrize(("count", "share"), [(2, 0.9), (2, 0.75), (3, 0.9), (4, 0.9), (9, 0.2)])
def test_nothing_is_trained_on_that_is_held_out(count, share):
    train_on, held_out = split([(EpisodeFolder(Path("a")), count)], share)
    assert train_on
    assert held_out
    assert [e.number for e in train_on + held_out] == list(range(count))


def test_batches_are_whole_and_images_counted_as_they_are(tmp_path):
    folder = EpisodeFolder(tmp_path)
    obs = np.zeros((3, 64, 64, 3), np.uint8)
    steps = np.zeros((2, 1), np.float32), np.zeros(2, np.float32), np.zeros(2, bool)
    folder.write(0, pack(Episode(obs, *steps)))
    options = SimpleNamespace(vision_lr=1e-3, patience=0, stop_after=0, vision_images=16)
    vars(options).update(vision_batch=8, vision_validate_images=16, buffer_episodes=1)
    episodes = [Recorded(folder, 0)]
    vision = ImageVision(3, 2, bf16=False)
    training = VisionTraining({"seed": 0}, vision, episodes, episodes, options)
    sizes = []
    training.descend = lambda x, noise_NZ: sizes.append(len(x)) or torch.zeros(())
    assert training.advance()["vision/images"] == sum(sizes) == 16


def test_a_dream_which_takes_no_steps_goes_by_generations(tmp_path):
    words = f"{LSTM} agent.train_in=dream agent.dream_steps=9 agent.selection_episodes=0"
    folder = train.train(config_of(f"{words} plots=true tensorboard=true", tmp_path))
    assert {r["env_steps"] for r in records(folder, "metrics")} == {0}
    kept = sorted(p.name for p in (folder / "checkpoints").iterdir())
    assert kept == ["best", "step_000000000002", "step_000000000003"]
    snapshots = sorted(p.stem for p in (folder / "plots" / "snapshots").iterdir())
    assert [int(name) for name in snapshots] == [1, 2, 3]
    events = EventAccumulator(str(folder))
    events.Reload()
    for tag in ("controller/sigma", "eval/return_mean", "time/env_steps"):
        assert sorted({e.step for e in events.Scalars(tag)}) == [1, 2, 3]


def test_a_truncated_episode_is_named_and_recorded_again_once_removed(tmp_path):
    first = train.train(config_of(LSTM, tmp_path))
    (file,) = (tmp_path / "pendulum" / "stages").glob("data-*/episodes/00001.npz.xz")
    content = file.read_bytes()
    file.write_bytes(content[:-9])
    words = "env=pendulum memory=gru memory.hidden_size=8"
    with pytest.raises(ConfigError, match=r"00001\.npz\.xz is no whole episode"):
        train.train(config_of(words, tmp_path))
    file.unlink()
    train.train(config_of(words, tmp_path))
    assert file.read_bytes() == content
    assert_same_run(first, train.train(config_of(LSTM, tmp_path)))


@pytest.mark.parametrize("preset", ["demo", "two_core", "paper"])
def test_the_presets_of_car_racing(preset):
    pytest.importorskip("Box2D")
    config = compose_train(["agent=world_models", "env=car_racing", f"preset={preset}"])
    assert (config["memory"]["name"], config["memory"]["hidden_size"]) == ("lstm", 256)
    assert config["executor"]["name"] == "processes"
    assert config["agent"]["data_episodes"] >= 40
    controller = controller_of(config)
    assert (controller.one_sided, controller.rectified) == ([1, 2], [2])


def controller_of(config):
    environments = build.make_envs(config, 1)
    return build.make_agent(config, environments, noise_seed=0).controller


@pytest.mark.parametrize("wrapper", ["action_repeat=2", "limit_is_terminal=true"])
def test_gas_and_brake_are_none_at_first_without_a_preset(wrapper):
    pytest.importorskip("Box2D")
    words = f"agent=world_models env=car_racing preset=null updates=1 wrappers.{wrapper}"
    controller = controller_of(compose_train([*words.split()]))
    assert (controller.one_sided, controller.rectified) == ([1, 2], [1, 2])
    x, p = torch.ones(1, controller.F), controller.parameters_P[None]
    assert controller(x, p).tolist() == [[0, -1, -1]]  # upstream's (0, 0, 0)
    p = torch.cat((torch.zeros(1, 3 * controller.F), torch.tensor([[-0.5, 0.5, -0.5]])), 1)
    full = math.tanh(0.5)
    torch.testing.assert_close(controller(x, p), torch.tensor([[-full, 2 * full - 1, -1]]))


def test_components_may_be_named_and_none_are_one_sided_elsewhere():
    config = compose_train(["agent=world_models", "env=pendulum", "agent.one_sided=[0]"])
    controller = controller_of(config)
    assert (controller.one_sided, controller.rectified) == ([0], [0])
    assert controller_of(compose_train(["agent=world_models", "env=pendulum"])).one_sided == []


MISTAKES = {
    "env_steps=10 updates=null": "the budget of agent world_models is counted in generations",
    "dt_schedule=[0.1,0.05]": "dt_schedule is not for agent world_models",
    "gradient=uoro": "gradient is uoro, but agent world_models learns from stored windows",
    "gradient=rt2 memory=rtu": "takes bptt only (agents that take rt2: actor_critic_online, ppo",
    "evaluation.deterministic=false": "evaluation.deterministic is false, but agent world_models"
    " has a controller that draws no actions (allowed: true)",
    "agent.rounds=4": "agent.rounds is 4, but updates=3 generations",
    "agent.rollouts=[1]": "agent.rollouts has 1 phases, but agent.rollouts_from 2",
    "agent.train_in=dream agent.train_dynamics=false": "agent.train_in is dream, but",
    "agent.rounds=2 agent.train_dynamics=false": "agent.rounds is 2, but agent.train_dynamics is",
    "env.time_limit_seconds=null evaluation.count=0": "env pendulum has no time limit, so",
    "wrappers.normalize=true": "wrappers.normalize is true, but agent world_models scales",
    "agent.mixture=both": "one of joint, per_dim",
    "agent.population=2": "at least 4",
    "agent.temperature=0": "above 0",
    "executor=proceses": "did you mean 'processes'",
    "executor=processes executor.wokers=2": "did you mean 'executor.workers'",
    "executor=processes executor.drop_stragglers=0.5": "in [0, 0.1]",
    "memory=lstm memory.hiden_size=2": "did you mean 'memory.hidden_size'",
    "env=minigrid_doorkey env.size=5": "cannot encode observations made of grid of 7 x 7 x 3",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_mistakes(words):
    given = words if "env=" in words else f"env=pendulum {words}"
    small = [w for w in SMALL.split() if not (w.startswith("env.") and "env=" in words)]
    with pytest.raises(ConfigError, match=re.escape(MISTAKES[words])):
        compose_train([*small, *given.split()])


def test_mistakes_found_while_building_write_nothing(tmp_path, monkeypatch):
    for words, expected in {
        "agent.rectified=[2]": "the action has 1 components",
        "executor=ray": "executor=ray needs a package that is not installed",
    }.items():
        monkeypatch.setitem(sys.modules, "ray", None)
        with pytest.raises(ConfigError, match=re.escape(expected)):
            train.train(config_of(f"{LSTM} {words}", tmp_path))
        assert not list(Path(tmp_path).iterdir())


@pytest.mark.parametrize("words", [LSTM, "env=cartpole memory=gru memory.hidden_size=4"])
def test_parameters_that_are_not_finite_are_refused(words, tmp_path, monkeypatch):
    ask = Strategy.ask
    monkeypatch.setattr(Strategy, "ask", lambda self: ask(self) * np.nan)
    with pytest.raises(ConfigError, match="not finite"):
        train.train(config_of(words, tmp_path))


def test_a_dream_that_is_not_finite_is_refused(tmp_path, monkeypatch):
    dream = WorldModels.dream

    def once(self, parameters_NP, seeds):
        played = dream(self, parameters_NP, seeds)
        played[0, 0] = np.nan
        return played

    monkeypatch.setattr(WorldModels, "dream", once)
    with pytest.raises(ConfigError, match="return in the dream is not a finite number"):
        train.train(config_of(f"{LSTM} agent.train_in=dream agent.dream_steps=9", tmp_path))


def test_a_stage_that_diverged_is_not_kept(tmp_path):
    with pytest.raises(ConfigError, match=r"dynamics diverged: .*/validation_loss is (inf|nan);"):
        train.train(config_of(f"{LSTM} agent.dynamics_lr=1e30", tmp_path))
    assert stages(tmp_path)["dynamics"] == 1
    assert not list((tmp_path / "pendulum" / "stages").glob("dynamics-*/result"))
