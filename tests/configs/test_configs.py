"""Every YAML composes and constructs; YAML, registry and declaration name the same things."""

import copy
from pathlib import Path

import pytest
import yaml

import agents
import envs
from configs import build, predict
from configs.compose import (
    FOLDER,
    choices,
    compose_evaluate,
    compose_train,
    evaluation_config,
    resume_train,
)
from configs.stages import stages_of
from envs.mujoco import BODIES
from rlkit import gradients, memory
from rlkit.executors import EXECUTORS
from rlkit.optim.make import OPTIMIZERS
from rlkit.options import ConfigError, class_attribute, declared
from rlkit.run.folder import write_description
from rlkit.seeding import seed_everything

REGISTRIES = {
    "agent": agents.AGENTS,
    "env": envs.ENVS,
    "memory": memory.MEMORIES,
    "gradient": gradients.GRADIENTS,
    "optimizer": OPTIMIZERS,
    "executor": EXECUTORS,
}


@pytest.mark.parametrize("group", REGISTRIES)
def test_yaml_and_registry_have_the_same_names(group):
    assert choices(group) == REGISTRIES[group].names()
    for name in choices(group):
        assert yaml.safe_load((FOLDER / group / f"{name}.yaml").read_text())["name"] == name


@pytest.mark.parametrize("group", ["agent", "env", "gradient"])
def test_every_declared_option_is_documented_and_has_a_value(group):
    for name in choices(group):
        options = declared(REGISTRIES[group].target(name) + "Options")
        values = yaml.safe_load((FOLDER / group / f"{name}.yaml").read_text())
        assert set(values) == {"name", *options}
        for o in options.values():
            assert o.doc, f"{name}.{o.name}"
            assert not o.name.endswith("_seconds") or o.unit in ("s", "time units")


CONTINUOUS = {*BODIES, "bipedal_walker", "car_racing", "mountain_car_continuous", "pendulum"}
ACTING = [a for a in agents.AGENTS.names() if a != "predictor"]
ON_POLICY = ["agent.rollout_steps=8", "agent.epochs=1", "agent.minibatches=2"]
SMALL = {
    "actor_critic_online": ["num_envs=2"],
    "ppo": [*ON_POLICY, "num_envs=4", "memory=gru"],
    "ppo_online": [*ON_POLICY, "num_envs=4"],
}
AGENTS_BY_TRACES = ["actor_critic_online", "ppo_online"]
OFF_POLICY = ["agent.replay_capacity=50", "num_envs=3"]


def pairs():
    """Agents × environments whose actions fit; only PPO learns an encoder of pixels.

    Agents that learn in stages have runs of their own (`tests/agents/world_models`).
    """
    for agent in ACTING:
        if agents.AGENTS.load(agent).loop == "staged":
            continue
        kind = class_attribute(agents.AGENTS.target(agent), "actions")
        for env in envs.ENVS.names():
            fits = kind == "any" or (kind == "continuous") == (env in CONTINUOUS)
            fits = fits and envs.kind(env) == "control"
            if fits and (agent == "ppo" or not env.startswith("minigrid")):
                yield agent, env


def one_block(config):
    """Builds all of a run and makes its first block; returns the loop."""
    before = copy.deepcopy(config)
    environments = build.make_envs(config, config["num_envs"])
    built = build.make_agent(config, environments, noise_seed=0)
    resolved = build.resolve_intervals(config, built.schedule, environments.dt)
    loop = build.make_loop(config | {"resolved": resolved}, built, environments, seed_everything(0))
    loop.block()
    environments.close()
    assert config == before
    return loop


@pytest.mark.parametrize(("agent", "env"), tuple(pairs()))
def test_every_pair_constructs_and_construction_changes_no_config(agent, env):
    words = [f"agent={agent}", f"env={env}", *SMALL.get(agent, OFF_POLICY)]
    if env == "gym":
        words.append("env.id=CartPole-v1")
    assert one_block(compose_train(words)).updates > 0


@pytest.mark.parametrize("task", [n for n in envs.ENVS.names() if envs.kind(n) == "sequence"])
def test_every_task_is_predicted(task):
    words = ["agent=predictor", f"env={task}", "memory=rtu", "preset=smoke", "gradient=tbptt"]
    config = compose_train([*words, "gradient.length=8", "num_envs=3", "agent.seeds=2"])
    before = copy.deepcopy(config)
    part = build.make_part(config, *stages_of(config), seed_everything(0))
    part.loop.block()
    found = part.evaluate()
    assert part.loop.updates > 0
    assert config == before
    assert all(len(row) == 2 for row in found["losses"])
    held_out = predict.make_task(config, held_out=True)
    assert found["memoryless_loss"] == held_out.memoryless_loss


@pytest.mark.parametrize(
    ("env", "split", "expected"),
    [
        ("pixel_digits", "train", "test"),
        ("pixel_digits", "all", "all"),
        ("pixel_digits", "test", "test"),
        ("characters", "train", "validation"),
        ("characters", "test", "test"),
    ],
)
def test_what_is_held_out_is_another_split_if_there_is_one(env, split, expected):
    words = ["agent=predictor", f"env={env}", f"env.split={split}", "memory=gru", "preset=smoke"]
    config = compose_train([*words, "gradient=uoro"])
    assert predict.make_task(config).options.split == split
    assert predict.make_task(config, held_out=True).options.split == expected


def test_a_sequence_is_read_as_a_stream_if_asked():
    words = ["agent=predictor", "env=copying", "memory=gru", "preset=smoke", "gradient=uoro"]
    config = compose_train([*words, "agent.reading=stream"])
    loop = build.make_part(config, *stages_of(config), seed_everything(0)).loop
    loop.block()
    assert (loop.stream, loop.vector_steps) == (True, 20)


@pytest.mark.parametrize("name", memory.MEMORIES.names())
def test_every_memory_is_trained_by_ppo(name):
    words = ["agent=ppo", "env=cartpole", *ON_POLICY, "num_envs=4", f"memory={name}"]
    loop = one_block(compose_train(words))
    assert loop.updates == 2
    assert type(loop.agent.memory) is memory.MEMORIES.load(name)


@pytest.mark.parametrize("name", memory.memories_with_traces())
@pytest.mark.parametrize(("agent", "updates"), [("ppo_online", 2), ("actor_critic_online", 16)])
def test_every_memory_with_traces_is_trained_by_agents_that_learn_by_them(agent, updates, name):
    words = [f"agent={agent}", "env=cartpole", *SMALL[agent], f"memory={name}"]
    words += ["memory.hidden_size=8"]
    loop = one_block(compose_train(words))
    assert loop.updates == updates
    assert type(loop.agent.memory.memory) is memory.MEMORIES.load(name)


@pytest.mark.parametrize("agent", AGENTS_BY_TRACES)
@pytest.mark.parametrize("words", ["memory=gru", "memory=rtu memory.layers=2", "memory.post=[4]"])
def test_a_memory_without_traces_is_refused_by_agents_that_learn_by_them(agent, words):
    with pytest.raises(ConfigError, match=r"has none \(memories that have") as error:
        compose_train([f"agent={agent}", "env=cartpole", *words.split()])
    assert all(name in str(error.value) for name in memory.memories_with_traces())


@pytest.mark.parametrize("agent", AGENTS_BY_TRACES)
@pytest.mark.parametrize("gradient", [g for g in gradients.GRADIENTS.names() if g != "rt2"])
def test_agents_that_learn_by_traces_take_no_other_gradient(agent, gradient):
    assert compose_train([f"agent={agent}", "env=cartpole"])["gradient"] == {"name": "rt2"}
    expected = f"gradient is {gradient}, but agent {agent} learns by real-time traces and takes rt2"
    with pytest.raises(ConfigError, match=expected) as error:
        compose_train([f"agent={agent}", "env=cartpole", f"gradient={gradient}"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("agent", agents.AGENTS.names())
def test_presets(agent):
    assert {"fast", "smoke"} <= set(choices(f"preset/{agent}"))
    env = {"dqn": "pendulum_two_torque", "predictor": "adding"}.get(agent, "pendulum")
    start = [f"agent={agent}", f"env={env}"]
    start += ["memory=rtu", "gradient=rt2"] if agent in AGENTS_BY_TRACES else []
    plain, fast = compose_train(start), compose_train([*start, "preset=fast"])
    assert fast == plain
    assert plain["preset"] == "fast"
    values = yaml.safe_load((FOLDER / "agent" / f"{agent}.yaml").read_text())
    budget = ["updates=9"] if "rounds" in values else []
    assert plain["agent"] == compose_train([*start, *budget, "preset=null"])["agent"] == values
    assert compose_train([*start, "preset=smoke"]) != plain


@pytest.mark.parametrize("agent", ["dau", "ddpg", "dqn"])
def test_the_papers_preset(agent):
    env = "pendulum_two_torque" if agent == "dqn" else "pendulum"
    words = [f"agent={agent}", f"env={env}", "preset=paper"]
    assert compose_train(words)["agent"]["batch_size"] == 256
    assert compose_train([*words, "agent.batch_size=7"])["agent"]["batch_size"] == 7


def test_the_command_line_is_stronger_than_the_preset():
    start = ["agent=ppo", "env=cartpole"]
    plain = compose_train(start)
    assert plain["optimizer"]["name"] == "adam"
    assert (plain["num_envs"], plain["wrappers"]["normalize"]) == (16, True)
    words = ["optimizer=rmsprop", "num_envs=8", "wrappers.normalize=false", "env_steps=1000"]
    for order in (start + words, words + start):
        config = compose_train([*order, "agent.lr=0.01"])
        assert config["optimizer"]["name"] == "rmsprop"
        assert (config["num_envs"], config["wrappers"]["normalize"]) == (8, False)
        assert (config["env_steps"], config["agent"]["lr"]) == (1000, 0.01)
    assert compose_train([*start, "preset=null"])["optimizer"]["name"] == "rmsprop"


def test_the_budget_is_the_presets_unless_one_is_given():
    assert compose_train(["agent=ppo", "env=cartpole"])["env_steps"] == 150_000
    config = compose_train(["agent=ppo", "env=cartpole", "sim_seconds=2"])
    assert (config["env_steps"], config["sim_seconds"]) == (None, 2)


def leaves(tree, *path):
    """`(path, value)` of everything a mapping holds."""
    if not isinstance(tree, dict):
        return [(path, tree)]
    return [leaf for key, branch in tree.items() for leaf in leaves(branch, *path, key)]


def at(config, path):
    for key in path:
        config = config[key]
    return config


def commands(name):
    """The command lines in the comments of an experiment."""
    lines = (FOLDER / "experiment" / f"{name}.yaml").read_text().splitlines()
    words = [x.split("→")[0].split()[3:] for x in lines if x.startswith("# python train.py ")]
    assert words, f"experiment {name} shows no command"
    return words


@pytest.mark.parametrize("name", choices("experiment"))
def test_what_an_experiment_says_holds_and_the_command_line_is_stronger(name):
    said = yaml.safe_load((FOLDER / "experiment" / f"{name}.yaml").read_text())
    groups = [d for d in said.pop("defaults") if isinstance(d, dict)]
    config = compose_train([f"experiment={name}"])
    for path, value in leaves(said):
        assert at(config, path) == value, path
    for choice in groups:
        ((group, chosen),) = choice.items()
        assert config[group.removeprefix("override /")]["name"] == chosen
    mine = "updates" if "rounds" in config["agent"] else "env_steps"
    config = compose_train([f"experiment={name}", f"{mine}=777", "evaluation.count=3"])
    budgets = {b: config[b] for b in ("env_steps", "sim_seconds", "updates")}
    assert budgets == dict.fromkeys(budgets) | {mine: 777}
    assert config["evaluation"]["count"] == 3
    for words in commands(name):
        assert words[0] == f"experiment={name}"
        config = compose_train(words)
        for key, _, value in (w.partition("=") for w in words[1:]):
            found = at(config, key.split("."))
            assert (found["name"] if isinstance(found, dict) else found) == yaml.safe_load(value)


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
    resolved = build.resolve_intervals(config, schedule, config["dt"])
    assert resolved["total_vector_steps"] == 40  # 34, in whole blocks
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
