"""Every YAML composes and constructs; YAML, registry and declaration name the same things."""

import copy
from pathlib import Path

import pytest
import yaml

import agents
import envs
from configs import build
from configs.compose import (
    FOLDER,
    choices,
    compose_evaluate,
    compose_train,
    evaluation_config,
    resume_train,
)
from rlkit import memory
from rlkit.optim.make import OPTIMIZERS
from rlkit.options import ConfigError, class_attribute, declared
from rlkit.run.folder import write_description
from rlkit.seeding import seed_everything

REGISTRIES = {
    "agent": agents.AGENTS,
    "env": envs.ENVS,
    "memory": memory.MEMORIES,
    "optimizer": OPTIMIZERS,
}


@pytest.mark.parametrize("group", REGISTRIES)
def test_yaml_and_registry_have_the_same_names(group):
    assert choices(group) == REGISTRIES[group].names()
    for name in choices(group):
        assert yaml.safe_load((FOLDER / group / f"{name}.yaml").read_text())["name"] == name


@pytest.mark.parametrize("group", ["agent", "env"])
def test_every_declared_option_is_documented_and_has_a_value(group):
    for name in choices(group):
        options = declared(REGISTRIES[group].target(name) + "Options")
        values = yaml.safe_load((FOLDER / group / f"{name}.yaml").read_text())
        assert set(values) == {"name", *options}
        for o in options.values():
            assert o.doc, f"{name}.{o.name}"
            assert not o.name.endswith("_seconds") or o.unit in ("s", "time units")


def pairs():
    """Agents × environments whose actions fit."""
    discrete = {"acrobot", "cartpole", "mountain_car", "pendulum_two_torque", "gym"}
    for agent in agents.AGENTS.names():
        kind = class_attribute(agents.AGENTS.target(agent), "actions")
        for env in envs.ENVS.names():
            if kind == "any" or (kind == "discrete") == (env in discrete):
                yield agent, env


@pytest.mark.parametrize(("agent", "env"), tuple(pairs()))
def test_every_pair_constructs_and_construction_changes_no_config(agent, env):
    words = [f"agent={agent}", f"env={env}", "num_envs=3", "agent.replay_capacity=50"]
    if env == "gym":
        words.append("env.id=CartPole-v1")
    config = compose_train(words)
    before = copy.deepcopy(config)
    environments = build.make_envs(config, 3)
    built = build.make_agent(config, environments, noise_seed=0)
    loop = build.make_loop(config, built, environments, seed_everything(0))
    loop.block()
    assert loop.updates > 0
    assert config == before
    environments.close()


@pytest.mark.parametrize("agent", agents.AGENTS.names())
def test_presets(agent):
    assert choices(f"preset/{agent}") == ["fast", "paper", "smoke"]
    env = "pendulum_two_torque" if agent == "dqn" else "pendulum"
    plain = compose_train([f"agent={agent}", f"env={env}"])
    fast = compose_train([f"agent={agent}", f"env={env}", "preset=fast"])
    assert fast == plain | {"preset": "fast"}
    paper = compose_train([f"agent={agent}", f"env={env}", "preset=paper"])
    assert paper["agent"]["batch_size"] == 256
    words = [f"agent={agent}", f"env={env}", "preset=paper", "agent.batch_size=7"]
    assert compose_train(words)["agent"]["batch_size"] == 7  # the command line is stronger


@pytest.mark.parametrize("name", choices("experiment"))
def test_experiments_compose_and_the_command_line_is_stronger(name):
    compose_train([f"experiment={name}"])
    assert compose_train([f"experiment={name}", "dt=0.05"])["dt"] == 0.05


def test_dt_is_the_environments_own_unless_given():
    assert compose_train(["env=acrobot", "agent=dqn"])["dt"] == 0.2
    assert compose_train(["env=pendulum", "dt=0.002"])["dt"] == 0.002
    words = ["agent=dqn", "env=gym", "env.id=CartPole-v1"]
    assert compose_train(words)["dt"] == 0.02


def test_budgets():
    assert compose_train([])["sim_seconds"] == 16
    config = compose_train(["env_steps=1000", "num_envs=30"])
    assert (config["env_steps"], config["sim_seconds"]) == (1000, None)
    schedule = build.BlockSchedule(10, 5.0, 1)
    assert build.resolve_intervals(config, schedule, config["dt"])["total_vector_steps"] == 34
    config = compose_train(["updates=1000"])
    assert build.resolve_intervals(config, schedule, config["dt"])["total_vector_steps"] == 200


def test_resume_and_evaluation_read_the_run_folder(tmp_path):
    config = compose_train(["dt=0.01"])
    config["resolved"] = {"total_vector_steps": 1, "intervals": {}}
    write_description(tmp_path, config, ["train.py"])
    assert resume_train(tmp_path, []) == config
    assert resume_train(tmp_path, ["updates=9"])["sim_seconds"] is None
    with pytest.raises(ConfigError, match="env_steps=3 and updates=9"):
        resume_train(tmp_path, ["updates=9", "env_steps=3"])
    with pytest.raises(ConfigError, match="whole number"):
        resume_train(tmp_path, ["updates=1.5"])
    words = [f"run={tmp_path}", "episodes=3", "dt=0.02", "observation_noise=0.2"]
    changed = evaluation_config(Path(tmp_path), compose_evaluate(words))
    assert changed["evaluation"] == config["evaluation"] | {"episodes": 3}
    assert (changed["dt"], changed["wrappers"]["observation_noise"]) == (0.02, 0.2)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="damaged"):
        resume_train(tmp_path, [])


def test_time_is_counted_in_the_steps_that_the_agent_takes():
    """With action repeat a decision lasts several steps of the environment."""
    config = compose_train(["wrappers.action_repeat=4", "sim_seconds=4", "num_envs=3"])
    environments = build.make_envs(config, 3)
    resolved = build.resolve_intervals(config, build.BlockSchedule(1, 1.0, 1), environments.dt)
    assert environments.dt == 0.2
    assert resolved["total_vector_steps"] == 20


@pytest.mark.parametrize(("total", "count"), [(15, 8), (100, 9), (8, 8), (3, 8)])
def test_evaluations_are_not_more_than_asked_for(total, count):
    words = [f"sim_seconds={total}", "dt=1", "env.time_limit_seconds=10"]
    config = compose_train([*words, f"evaluation.count={count}"])
    schedule = build.BlockSchedule(1, 1.0, 1)
    every = build.resolve_intervals(config, schedule, 1.0)["intervals"]["evaluation"]
    assert 1 <= -(-total // every) <= count


@pytest.mark.parametrize("wrapper", ["velocity_mask=true", "frame_stack=2"])
def test_clocks_are_staggered_under_wrappers(wrapper):
    config = compose_train([f"wrappers.{wrapper}", "num_envs=4"])
    environments = build.make_envs(config, 4)
    agent = build.make_agent(config, environments, noise_seed=0)
    runner = build.make_loop(config, agent, environments, seed_everything(0)).runner
    assert [runner.step().start_B.tolist() for _ in range(51)][-1] == [False, False, False, True]


def test_paths_are_no_grammar():
    assert compose_train(["outputs=a b(c)=d,e's"])["outputs"] == "a b(c)=d,e's"
    assert compose_evaluate(["run=2024"])["run"] == "2024"


def test_arguments_of_a_foreign_environment_are_free():
    words = ["agent=dau", "env=gym", "env.id=Pendulum-v1", "env.kwargs.g=5.0"]
    assert compose_train(words)["env"]["kwargs"] == {"g": 5.0}
    words[-1] = "env.kwargs={g: 4.0}"
    assert compose_train(words)["env"]["kwargs"] == {"g": 4.0}
    with pytest.raises(ConfigError, match=r"env\.kwargs"):
        compose_train([*words[:-1], "env.kwargs.gg=5.0"])
