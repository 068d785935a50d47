"""Resumed = uninterrupted, and two runs of one command are the same, to the last bit."""

import json
import warnings
from pathlib import Path

import pytest
import torch

import train
from configs.compose import compose_train, resume_train
from rlkit.options import ConfigError
from rlkit.run.checkpoint import load_checkpoint
from rlkit.run.session import Session

CASES = {
    "dau": "agent=dau env=pendulum dt=0.01",
    "dau-discrete-target": "agent=dau env=pendulum_two_torque dt=0.02 agent.tau=0.5",
    "dau-wrapped": "agent=dau env=pendulum wrappers.velocity_mask=true wrappers.frame_stack=3"
    " wrappers.observation_noise=0.1 wrappers.previous_action=true wrappers.normalize=true",
    "ddpg": "agent=ddpg env=pendulum dt=0.01 agent.tau=0.9 optimizer=adam",
    "dqn": "agent=dqn env=cartpole dt=0.01",
    "dqn-gym": "agent=dqn env=gym env.id=CartPole-v1",
}
OFF_POLICY_TASKS = {
    "dau": "env=pendulum dt=0.01 agent.carry_seconds=0.02 agent.td_span_seconds=0.02"
    " agent.shared_memory=false wrappers.velocity_mask=true wrappers.previous_action=true"
    " wrappers.previous_action_seconds=0.02",
    "ddpg": "env=pendulum dt=0.05 agent.burn_in_seconds=0.1 agent.tau=0.5",
    "dqn": "env=cartpole dt=0.02 agent.priority_exponent=0.6",
}
MEMORY_CASES = {
    f"{agent}-{memory}": f"agent={agent} memory={memory} memory.hidden_size=8"
    f" agent.window_seconds=0.1 agent.replay_capacity=290 agent.batch_size=8 {task}"
    for memory in ("gru", "lstm", "gatel0rd", "rtu")
    for agent, task in OFF_POLICY_TASKS.items()
}
PPO_TASKS = {
    "masked": "env=cartpole wrappers.velocity_mask=true wrappers.observation_noise=0.1"
    " agent.chunk_steps=8 agent.lr_final_ratio=0 env.time_limit_seconds=0.5 log_every_seconds=0.4",
    "grid": "env=minigrid_doorkey env.size=5 env.max_steps=20 wrappers.normalize=false"
    " agent.shared_memory=false agent.refresh_states=epoch agent.chunk_steps=4"
    " log_every_seconds=20",
}
PPO_CASES = {
    f"ppo-{memory}-{task}": f"agent=ppo memory={memory} {PPO_TASKS[task]}"
    for memory in ("gru", "lstm", "gatel0rd", "rtu")
    for task in PPO_TASKS
}
TRACED = "env=cartpole wrappers.velocity_mask=true env.time_limit_seconds=0.5 log_every_seconds=0.4"
PPO_CASES |= {
    "ppo_online-rtu": f"agent=ppo_online memory=rtu {TRACED}",
    "ppo_online-leaky": f"agent=ppo_online memory=leaky agent.shared_memory=false"
    f" agent.refresh=never {TRACED}",
}
ESTIMATORS = {
    "artbp": "env=anbn memory=gru gradient.mean_length=3",
    "bptt": "env=adding env.steps=20 memory=lstm optimizer=rmsprop",
    "rt2": "env=trace_conditioning memory=rtu agent.seeds=2 agent.lr=[0.01,0.001]",
    "rtrl": "env=distant_brackets memory=gru agent.max_grad_norm=1",
    "tbptt": "env=anbn memory=vand gradient.length=3 optimizer=sgd",
    "uoro": "env=three_states_world memory=lstm gradient.rank=2 agent.seeds=2 agent.lr_decay=0.1",
}
PREDICTOR_CASES = {
    f"predictor-{name}": f"agent=predictor gradient={name} {task}"
    for name, task in ESTIMATORS.items()
}
PREDICTOR_CASES["predictor-sliding"] = (
    "agent=predictor env=anbn memory=elman gradient=tbptt gradient.window=sliding gradient.length=3"
)
PREDICTOR_CASES["predictor-numba"] = (
    "agent=predictor env=trace_conditioning memory=rtu gradient=rt2 agent.kernel=numba num_envs=1"
    " env_steps=240 agent.seeds=2"
)
PREDICTOR_CASES |= {
    f"predictor-numba-{name}": f"agent=predictor {words} agent.kernel=numba num_envs=1"
    " env_steps=240 agent.seeds=2"
    for name, words in {
        "sliding": "env=trace_conditioning memory=gru gradient=tbptt gradient.window=sliding"
        " gradient.length=5",
        "uoro": "env=anbn memory=lstm gradient=uoro gradient.memory_steps=3",
        "tbptt": "env=anbn memory=gru gradient=tbptt gradient.length=4",
    }.items()
}
PREDICTOR_CASES["predictor-sequence-as-stream"] = (
    "agent=predictor env=copying env.delay_steps=9 memory=gru gradient=uoro agent.reading=stream"
    " gradient.memory_steps=3"
)
SMALL = (
    "preset=smoke num_envs=5 sim_seconds=1.2 evaluation.count=3 evaluation.episodes=2"
    " checkpoint.count=4 agent.updates_per_second=60 agent.replay_capacity=190"
    " env.time_limit_seconds=0.5 log_every_seconds=0.1"
)
SMALL_PPO = (
    "preset=smoke num_envs=4 env_steps=768 agent.rollout_steps=16 evaluation.count=3"
    " evaluation.episodes=2 checkpoint.count=4 memory.hidden_size=8"
)
"""Twelve blocks, as in the runs of the other agents."""
SCHEDULE_CASES = {
    "ddpg-dt-span": "agent=ddpg env=pendulum dt_schedule=[0.05,0.01] agent.td_span_seconds=0.05",
    "dau-dt": "agent=dau env=pendulum dt_schedule=[0.05,0.01,0.005] wrappers.normalize=true",
    "ddpg-dt-adam": "agent=ddpg env=pendulum dt_schedule=[0.05,0.01] agent.tau=0.9 optimizer=adam"
    " agent.schedule=steps agent.block_steps=4 agent.updates_per_block=3",
    "dau-dt-gru": "agent=dau env=pendulum dt_schedule=[0.05,0.01] memory=gru memory.hidden_size=8"
    " agent.window_seconds=0.1 agent.carry_seconds=0.05 agent.batch_size=8"
    " agent.shared_memory=false wrappers.velocity_mask=true",
    "dqn-dt-lru": "agent=dqn env=cartpole dt_schedule=[0.02,0.01] memory=lru memory.hidden_size=8"
    " agent.window_seconds=0.1 agent.priority_exponent=0.6",
    "ppo-dt-lstm": "agent=ppo env=cartpole dt_schedule=[0.02,0.01] memory=lstm"
    " agent.lr_final_ratio=0 env.time_limit_seconds=0.5 log_every_seconds=0.2",
}
ONLINE_CASES = {
    f"actor_critic_online-{n}": f"agent=actor_critic_online num_envs={n} memory=rtu {TRACED}"
    for n in (1, 3)
}
SMALL_ONLINE = (
    "preset=smoke sim_seconds=3.84 evaluation.count=3 evaluation.episodes=2 checkpoint.count=4"
    " memory.hidden_size=8"
)
SMALL_PREDICTOR = (
    "preset=smoke num_envs=2 env_steps=480 agent.block_steps=20 evaluation.count=3"
    " checkpoint.count=4 memory.hidden_size=4 log_every_seconds=40"
)
EVERY = CASES | MEMORY_CASES | PPO_CASES | SCHEDULE_CASES | ONLINE_CASES | PREDICTOR_CASES


def config_of(words, tmp_path):
    small = SMALL_PPO if "agent=ppo" in words else SMALL_ONLINE if "_online" in words else SMALL
    if "agent=predictor" in words:
        small = (
            SMALL_PREDICTOR.replace("memory.hidden_size=4", "")
            if "vand" in words
            else SMALL_PREDICTOR
        )
    return compose_train([*small.split(), *words.split(), f"outputs={tmp_path}"])


def flat(tree, prefix=""):
    """Leaves of a checkpoint by path."""
    if isinstance(tree, dict):
        return {k: v for n, t in tree.items() for k, v in flat(t, f"{prefix}/{n}").items()}
    if isinstance(tree, list | tuple):
        return {k: v for n, t in enumerate(tree) for k, v in flat(t, f"{prefix}/{n}").items()}
    return {prefix: tree}


def assert_same_run(a, b):
    """Same weights, optimisers, replay, RNG, environments, metrics and evaluations."""
    for which in ("last", "best"):
        left, right = (flat(load_checkpoint(f / "checkpoints", which)[0]) for f in (a, b))
        assert left.keys() == right.keys()
        for key, value in left.items():
            if key.endswith(("wall_seconds", "_bytes")):  # lines hold wall times of varying length
                continue
            same = (
                torch.equal(value, right[key])
                if isinstance(value, torch.Tensor)
                else (value == right[key])
            )
            assert same if isinstance(same, bool) else same.all(), f"{which}{key} differs"
    for name in ("metrics", "eval"):
        lines = [
            [json.loads(x) for x in (f / f"{name}.jsonl").read_text().splitlines()] for f in (a, b)
        ]
        for record in lines[0] + lines[1]:
            record.pop("wall_seconds")
        assert lines[0] == lines[1], name
        assert len(lines[0]) >= 3


@pytest.mark.parametrize("words", EVERY.values(), ids=EVERY)
def test_killed_and_resumed_equals_uninterrupted(words, tmp_path, monkeypatch):
    if "numba" in words:
        pytest.importorskip("numba")
    whole = train.train(config_of(words, tmp_path))
    # 8 of 12: after the second checkpoint, in the middle of an interval
    cut = killed_after(8, config_of(words, tmp_path / "cut"), monkeypatch)
    assert train.train(resume_train(cut, []), cut) == cut
    assert_same_run(whole, cut)


def killed_after(blocks, config, monkeypatch):
    """The folder of a run that was killed after so many blocks."""
    original, done = Session._after_block, 0

    def killed(self, loop, metrics):
        nonlocal done
        original(self, loop, metrics)
        done += 1
        if done == blocks:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Session, "_after_block", killed)
        with pytest.raises(KeyboardInterrupt):
            train.train(config)
    (folder,) = (p.parent for p in Path(config["outputs"]).rglob("config.json"))
    return folder


def test_killed_in_any_stage_of_a_dt_schedule(tmp_path, monkeypatch):
    """Stages are of four blocks; 4 and 8 are their very ends."""
    words = f"{SCHEDULE_CASES['dau-dt']} checkpoint.count=12 checkpoint.keep=1"
    whole = train.train(config_of(words, tmp_path / "whole"))
    for blocks in (2, 4, 5, 8, 11):
        cut = killed_after(blocks, config_of(words, tmp_path / f"{blocks}"), monkeypatch)
        train.train(resume_train(cut, []), cut)
        assert_same_run(whole, cut)


def test_a_longer_budget_prolongs_the_last_stage(tmp_path, monkeypatch):
    words = "agent=dau env=pendulum dt_schedule=[0.05,0.01]"
    finished = train.train(config_of(words, tmp_path / "finished"))
    cut = killed_after(4, config_of(words, tmp_path / "cut"), monkeypatch)
    for folder in (finished, cut):
        train.train(resume_train(folder, ["sim_seconds=1.8"]), folder)
    assert_same_run(finished, cut)
    rows = [json.loads(x) for x in (cut / "metrics.jsonl").read_text().splitlines()]
    assert [r["dt"] for r in rows] == [0.05] * 6 + [0.01] * 12
    assert rows[-1]["sim_seconds"] == 1.8
    assert rows[-1]["env_steps"] == 5 * (12 + 120)
    with pytest.raises(
        ConfigError, match=r"0\.5 s, but the last stage of dt_schedule begins at 0\.6"
    ):
        resume_train(finished, ["sim_seconds=0.5"])
    with pytest.raises(ConfigError, match="must be sim_seconds"):
        resume_train(finished, ["env_steps=9999"])
    with pytest.raises(ConfigError, match="1 s of simulation, but the run"):
        train.train(resume_train(finished, ["sim_seconds=1"]), finished)


def test_two_runs_of_one_command_are_equal_and_another_seed_is_not(tmp_path):
    a, b, c = (
        train.train(config_of(f"agent=dau env=pendulum dt=0.02 seed={s}", tmp_path))
        for s in (3, 3, 4)
    )
    assert_same_run(a, b)
    sums = [
        json.loads((f / "checkpoints/best/manifest.json").read_text())["files"]["agent"]["sha256"]
        for f in (a, b, c)
    ]
    assert sums[0] == sums[1] != sums[2]


def test_longer_budget_continues_as_if_it_had_been_given_at_first(tmp_path):
    words = "agent=dau env=pendulum dt=0.02"
    short = train.train(config_of(words, tmp_path))
    config = resume_train(short, [f"resume={short}", "sim_seconds=2.4"])
    train.train(config, short)
    long = config_of(f"{words} sim_seconds=2.4 evaluation.count=6 checkpoint.count=8", tmp_path)
    assert_same_run(train.train(long), short)


def test_damaged_checkpoint_is_refused_and_the_one_before_is_used(tmp_path):
    words = "agent=dau env=pendulum dt=0.02"
    whole, damaged = (train.train(config_of(words, tmp_path)) for _ in range(2))
    newest = max((damaged / "checkpoints").glob("step_*"))
    file = newest / "training.pt"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.warns(UserWarning, match="using .* instead"):
        train.train(resume_train(damaged, []), damaged)
    assert_same_run(whole, damaged)


def test_folder_without_a_valid_checkpoint(tmp_path):
    folder = train.train(config_of("agent=dau env=pendulum checkpoint.count=0", tmp_path))
    before = sorted(p.name for p in folder.rglob("*"))
    with warnings.catch_warnings(), pytest.raises(ConfigError, match="no valid checkpoint"):
        train.train(resume_train(folder, []), folder)
    assert sorted(p.name for p in folder.rglob("*")) == before


def test_a_budget_already_spent_changes_nothing(tmp_path):
    folder = train.train(config_of("agent=dau env=pendulum", tmp_path))
    before = (folder / "config.json").read_text()
    config = resume_train(folder, ["sim_seconds=0.1"])
    with pytest.raises(ConfigError, match="but the run has made"):
        train.train(config, folder)
    assert (folder / "config.json").read_text() == before


def test_resume_takes_only_a_budget(tmp_path):
    folder = train.train(config_of("agent=dau env=pendulum", tmp_path))
    with pytest.raises(ConfigError, match=r"agent\.tau cannot be given"):
        resume_train(folder, [f"resume={folder}", "agent.tau=0.5"])
