"""The commands of the README, run as a user runs them, and their answers to mistakes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import evaluate
import train
from configs.compose import compose_evaluate, compose_train, evaluation_config
from rlkit.options import ConfigError

ROOT = Path(__file__).resolve().parent.parent
SMALL = ["preset=smoke", "sim_seconds=0.4"]


def run(*words, cwd=ROOT):
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, capture_output=True, text=True, timeout=120
    )


def readme_commands(script):
    """`script.py …` lines of the README, without comments."""
    text = (ROOT / "README.md").read_text()
    return [m.split("#")[0].split() for m in re.findall(rf"^python ({script}\.py .*)", text, re.M)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("outputs")
    words = ["train.py", "agent=dau", "env=pendulum", "dt=0.01", "env.time_limit_seconds=1"]
    done = run(*words, *SMALL, f"outputs={outputs}")
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("run: ")
    return Path(last.removeprefix("run: "))


@pytest.mark.parametrize("words", readme_commands("train"), ids=" ".join)
def test_readme_train_commands(words, tmp_path):
    budget = ("num_envs=", "preset=", "env_steps=", "updates=")
    words = [w for w in words if not w.startswith(budget)]
    if any(w.startswith("resume=") for w in words):
        first = run(*["train.py", "agent=dau", "env=pendulum"], *SMALL, f"outputs={tmp_path}")
        words = [w.replace("<folder>", first.stdout.split()[-1]) for w in words]
        words = [w.replace("sim_seconds=32", "sim_seconds=0.8") for w in words]
    elif {"agent=ppo", "agent=predictor", "agent=world_models"} & set(words):
        words = [w for w in words if not w.startswith("sim_seconds=")]
        words += ["preset=smoke", "evaluation.episodes=1", f"outputs={tmp_path}"]
    elif "--help" not in words:
        words += [*SMALL, f"outputs={tmp_path}"]
    done = run(*words)
    assert done.returncode == 0, done.stderr


def test_run_folder_contract(trained):
    names = {p.name for p in trained.iterdir()}
    assert {"config.json", "manifest.json", "metrics.jsonl", "eval.jsonl"} <= names
    assert {"checkpoints", "plots"} <= names
    assert any("tfevents" in n for n in names)
    assert {p.name for p in (trained / "plots").glob("*.png")} == {
        "learning_curve.png",
        "phase_plane.png",
    }
    record = json.loads((trained / "eval.jsonl").read_text().splitlines()[-1])
    assert list(record) == [
        *("env_steps", "sim_seconds", "updates", "wall_seconds", "dt", "episodes"),
        *("return_mean", "return_std", "return_iqm", "stock_return_mean", "length_mean"),
    ]
    assert record["stock_return_mean"] == pytest.approx(record["return_mean"] / 0.05)


def test_evaluate_reproduces_the_best_evaluation_of_training(trained):
    records = [json.loads(x) for x in (trained / "eval.jsonl").read_text().splitlines()]
    best = max(records, key=lambda r: r["return_mean"])
    done = run("evaluate.py", f"run={trained}", "json=true")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == pytest.approx(best, abs=0)


def test_evaluate_reproduces_the_evaluations_of_a_policy_that_draws_its_actions(tmp_path):
    """PPO's are drawn in training too; as many copies as played then, or one after the other."""
    words = "agent=ppo env=cartpole memory=gru preset=smoke env.time_limit_seconds=1 plots=false"
    config = compose_train([*words.split(), f"outputs={tmp_path}"])
    assert not config["evaluation"]["deterministic"]
    folder = train.train(config)
    records = [json.loads(x) for x in (folder / "eval.jsonl").read_text().splitlines()]
    best = max(records, key=lambda r: r["return_mean"])
    for num_envs in (3, 2, 1):
        found = evaluate.evaluate(compose_evaluate([f"run={folder}", f"num_envs={num_envs}"]))
        assert found == pytest.approx(best, abs=0)
    greedy = evaluate.evaluate(compose_evaluate([f"run={folder}", "deterministic=true"]))
    assert greedy["return_mean"] != best["return_mean"]
    words = [f"run={folder}", "env.time_limit_seconds=0.2"]
    assert evaluate.evaluate(compose_evaluate(words))["length_mean"] == 10


def test_evaluate_with_other_episodes_noise_and_video(trained):
    words = "episodes=2 seed=9 dt=0.02 deterministic=false observation_noise=0.1 video=true"
    done = run("evaluate.py", f"run={trained}", *words.split(), "checkpoint=last")
    assert done.returncode == 0, done.stderr
    assert "return_mean" in done.stdout
    assert [p.suffix for p in (trained / "videos").iterdir()] == [".mp4"]


@pytest.mark.parametrize("script", ["train", "evaluate"])
def test_help_names_every_key_without_torch(script):
    code = (
        "import sys, runpy; sys.argv = ['x', '--help']\n"
        f"try: runpy.run_path('{script}.py', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    assert "=" in done.stdout
    assert "checkpoint" in done.stdout


MISTAKES = {
    "agent=duu": "did you mean 'dau'",
    "agent.lr_valu=0.1": "did you mean 'agent.lr_value'",
    "lr=0.1": "unknown key lr",
    "agent.lr_value=fast": "must be a number above 0",
    "agent.lr_value.x=1": "holds one value",
    "agent.hidden_sizes=[a]": "whole numbers",
    "agent.tau=2": "number in [0, 1]",
    "env_steps=10 updates=5": "env_steps=10 and updates=5",
    "budget.updates=5": "sim_seconds=16 and updates=5",
    "dt=-1": "above 0",
    "dt=fast": "must be a number",
    "dt=0.003": "time limit",
    "sim_seconds=0.001": "shorter than one step",
    "agent=dqn env=pendulum": "agents that fit: actor_critic_online, dau, ddpg",
    "agent=ddpg env=cartpole": "agents that fit: actor_critic_online, dau, dqn",
    "gradient=rt2": "agent dau learns from stored windows and takes bptt only (agents that take"
    " rt2: actor_critic_online, ppo_online, predictor)",
    "agent=ppo env=copying": "env copying is a sequence to predict, but agent ppo needs",
    "env=gym env.id=LunarLander-v9": "did you mean 'LunarLander-v3'",
    "env=gym env.id=MountainCar-v0 dt=0.5": "dt",
    "preset=papr": "did you mean 'paper'",
    "memory=grv": "did you mean 'gru'",
    "memory=gru agent.window_seconds=0.5 agent.td_span_seconds=0.6": "agent.td_span_seconds is"
    " 0.6, 12 steps, but must fit into the 10 steps of agent.window_seconds=0.5",
    "memory=gru agent.window_seconds=5 agent.replay_capacity=9999": "agent.replay_capacity is"
    " 9999, but must hold one window of 100 steps of num_envs=256: at least 25856",
    "agent.priority_exponent=0.5 agent.replay_capacity=300": "must hold one window of 1 steps of"
    " num_envs=256: at least 512",
    "env=cartpole agent.shared_memory=false": "it has no memory of its own",
    "memory=gru memory.hiden_size=3": "did you mean 'memory.hidden_size'",
    "memory=gru memory.timescale.seconds=[0.01,5]": "below one step of 0.05",
    "optimizer.eps=small": "must be a number",
    "optimizer.eps=0": "above 0",
    "optimizer=adam optimizer.beta1=2": "number in [0, 0.999999]",
    "optimizer.name=adam": "choose with optimizer=",
    "agent=null": "unknown agent 'None'",
    "sim_seconds=inf": "must be a number",
    "seed=5000000000": "whole number in [0, 4.29497e+09]",
    "agent.schedule=steps agent.updates_per_block=0": "at least 1",
    "env.time_limit_seconds=null": "might never end",
    "agent.replay_capacity=9": "one step of num_envs=256",
    "env=gym env.id=Pendulum-v1 env.native_dt=0.1": "the step of Pendulum-v1 is 0.05 s",
    "wrappers.velocity_mask=3": "true or false",
    "agent=dqn env=minigrid_doorkey agent.encoder=cnn": "agent.encoder is cnn, but the observation"
    " is of kind grid",
    "resume=/nowhere": "no run folder",
    "agent": "write key=value",
    "+x=1": "write key=value for a known key",
    "seed=1,2": "one run takes one",
    "dt=${nothing}": "nothing",
    "env=hopper dt_schedule=[0.05,0.01]": "dt_schedule holds 0.05: dt=0.05 s is too coarse",
}


MISTAKES_OF_DT_SCHEDULE = {
    "dt_schedule=0.05": "must be a list of numbers",
    "dt_schedule=[0.05,a]": "must be a list of numbers",
    "dt_schedule=[0.05,0]": "above 0 (s)",
    "dt_schedule=[0.05]": "at least two numbers, each smaller than the one before",
    "dt_schedule=[0.01,0.05]": "at least two numbers, each smaller than the one before",
    "dt_schedule=[0.05,0.02]": "dt_schedule holds 0.05, but must hold whole multiples of its last,"
    " 0.02 s (nearest: 0.04)",
    "dt_schedule=[0.05,0.01] dt=0.01": "dt and dt_schedule are both given: dt_schedule alone",
    "dt_schedule=[0.06,0.01]": "dt_schedule holds 0.06: dt=0.06 s does not divide the time limit",
    "dt_schedule=[0.05,0.01] sim_seconds=0.15": "dt_schedule gives each of its 2 stages 0.075 s,"
    " but agent dau learns every 0.1 s at dt=0.05",
    "agent=ppo dt_schedule=[0.05,0.01] env_steps=100": "agent ppo learns every 6.4 s at dt=0.05",
    "memory=gru agent.window_seconds=0.5 agent.carry_seconds=1e6": "agent.carry_seconds is 1e+06,",
    "memory=gru preset=memory dt=0.05 sim_seconds=0.4": "the run has 8 vector steps at dt=0.05 s,"
    " but agent dau learns from windows of 10: give a longer budget or less agent.window_seconds",
    "memory=gru memory.timescale.seconds=[0.02,5] dt_schedule=[0.05,0.01]": "below one step of"
    " 0.05",
    "agent=dqn env=gym env.id=MountainCar-v0 dt_schedule=[1,0.5]": "whose own step is 0.0333333 s",
    "agent=ppo env=minigrid_doorkey dt_schedule=[1,0.5]": "no time step to change",
}


MISTAKES_OF_PPO = {
    "agent.minibatches=3": "agent.minibatches is 3, but must divide the 16 sequences",
    "num_envs=6": "agent.minibatches is 4, but must divide the 6 sequences of a rollout",
    "agent.chunk_steps=24": "agent.chunk_steps is 24, but must divide agent.rollout_steps=128",
    "agent.chunk_steps=0": "at least 1",
    "agent.clip=0": "above 0",
    "agent.gamma=1.5": "in (0, 1]",
    "agent.encoder=rnn": "auto",
    "agent.refresh_states=always": "never",
    "agent.replay_capacity=9": "unknown key agent.replay_capacity",
    "preset=papr": "of agent ppo",
    "memory=gru memory.hiden_size=3": "did you mean 'memory.hidden_size'",
    "env=minigrid_doorkey agent.encoder=mlp": "agent.encoder is mlp, but the observation is of kind"
    " grid (7 x 7 x 3) (encoders that take it: auto, grid, grid_conv)",
    "env=minigrid_doorkey wrappers.velocity_mask=true": "velocity_mask",
    "env=minigrid_doorkey dt=0.5": "no time step to change",
    "env=gym env.id=FrozenLake-v1 env.native_dt=1 wrappers.velocity_mask=true": "the velocities of"
    " FrozenLake with 16 observation entries are unknown",
}


MISTAKES_OF_PREDICTOR = {
    "env=pendulum": "agent predictor predicts sequences, but env pendulum is there to act in",
    "env=anbn": "gradient bptt needs sequences that end, but this is a stream (gradients for"
    " streams: artbp, rt2, rtrl, tbptt, uoro)",
    "env=anbn memory=gru gradient=rt2": "(memories that have, with layers=1 and no pre or post:"
    " block_diagonal, leaky, lru, mingru, rtu; gradients for every memory: bptt, tbptt, artbp)",
    "env=anbn memory=rtu memory.layers=2 gradient=rt2": "memory rtu in layers does not have",
    "env=anbn gradient=uoro": "memory none has no state (gradients that take it: bptt, tbptt,",
    "env=anbn memory=gru gradient=uoro gradient.rank=0": "gradient.rank is 0",
    "env=anbn memory=gru gradient=uoro gradient.memory_steps=0": "at least 1",
    "env=anbn memory=gru gradient=tbptt gradient.length=0": "gradient.length is 0",
    "env=anbn memory=gru gradient=tbptt gradient.length=500 env_steps=400": "gradient.length is"
    " 500, but the stream has 400 steps",
    "env=adding memory=gru gradient=tbptt gradient.length=500": "the sequence has 200 steps",
    "env=anbn memory=vand gradient=uoro gradient.tangent=finite_differences": "draws noise",
    "env=anbn memory=gru gradient=artbp gradient.alpha=2": "above 2",
    "env=anbn memory=gru gradient=artbp gradient.mean_length=1": "must be a number above 1 (steps)",
    "env=anbn memory=gru gradient=ur": "did you mean 'uoro'",
    "env=anbn agent.reading=sequences": "is a stream (allowed: auto, stream)",
    "env=adding wrappers.velocity_mask=true": "wrappers.velocity_mask is for environments to act",
    "env=adding dt=0.1": "counted in steps",
    "env=adding dt_schedule=[2,1]": "dt_schedule is for environments to act in, not for sequences",
    "env=adding agent.lr=[]": "agent.lr is [], but must hold at least one step size",
    "env=adding agent.lr=0.1": "agent.lr is 0.1, but must be a list of numbers",
}


@pytest.mark.parametrize("words", MISTAKES_OF_PREDICTOR)
def test_a_mistake_with_the_predictor_is_one_sentence(words):
    with pytest.raises(ConfigError) as refused:
        compose_train(["agent=predictor", *words.split()])
    assert MISTAKES_OF_PREDICTOR[words] in str(refused.value)
    assert "\n" not in str(refused.value)


def test_predictor_runs_evaluates_and_refuses(tmp_path):
    words = "agent=predictor env=three_states_world memory=rtu gradient=rt2 preset=smoke"
    done = run("train.py", *words.split(), f"outputs={tmp_path}")
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.splitlines()[-1].removeprefix("run: "))
    assert (folder / "plots" / "learning_curve.png").exists()
    records = [json.loads(x) for x in (folder / "eval.jsonl").read_text().splitlines()]
    best = min(records, key=lambda r: r["loss"])
    found = evaluate.evaluate(compose_evaluate([f"run={folder}"]))
    assert found.items() <= best.items()
    assert found["optimum"] < found["memoryless_loss"]
    with pytest.raises(ConfigError, match="video shows environments to act in"):
        evaluate.evaluate(compose_evaluate([f"run={folder}", "video=true"]))


@pytest.mark.parametrize(
    ("trained", "asked", "message"),
    [
        ("distant_brackets", "env.letters=5", "trained with input_size=13, but .* input_size=8"),
        ("trace_conditioning", "env.distractors=3", "with input_size=12, but .* input_size=5"),
        ("copying", "env.letters=4", "with input_size=10, but .* input_size=6"),
        ("copying", "env.leters=4", "did you mean 'letters'"),
        ("distant_brackets", "env.between=3", None),
        ("copying", "env.delay_steps=9", None),
        ("characters env.file=there", "env.file=null", None),
    ],
)
def test_a_predictor_is_evaluated_on_sequences_of_its_sizes(trained, asked, message, tmp_path):
    Path(tmp_path / "there").write_text("x" * 200)
    words = trained.replace("there", str(tmp_path / "there"))
    words = f"agent=predictor env={words} memory=gru gradient=uoro".split()
    config = compose_train(words) | {"resolved": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "there").unlink()  # what was learnt from may be gone
    request = compose_evaluate([f"run={tmp_path}", asked])
    if message is None:
        key, value = asked.removeprefix("env.").split("=")
        found = evaluation_config(tmp_path, request)["env"][key]
        assert found == json.loads(value)
        return
    with pytest.raises(ConfigError, match=message):
        evaluation_config(tmp_path, request)


BEFORE_TORCH = MISTAKES_OF_DT_SCHEDULE | {
    f"agent=ppo {'' if 'env=' in words else 'env=cartpole'} {words}": expected
    for words, expected in MISTAKES_OF_PPO.items()
}


@pytest.mark.parametrize("words", BEFORE_TORCH)
def test_a_mistake_is_answered_before_torch_is_imported(words, tmp_path):
    given = [f"outputs={tmp_path}", *words.split()]
    code = (
        f"import sys, runpy; sys.argv = {['train.py', *given]}\n"
        "try: runpy.run_path('train.py', run_name='__main__')\n"
        "except SystemExit as done: sys.exit(77 if 'torch' in sys.modules else done.code)"
    )
    done = run("-c", code)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("train.py: ")
    assert BEFORE_TORCH[words] in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_sentence_and_writes_nothing(words, tmp_path):
    done = run("train.py", f"outputs={tmp_path}", *words.split())
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("train.py: ")
    assert MISTAKES[words] in line
    assert not list(tmp_path.iterdir())


def test_evaluate_mistakes(trained, tmp_path):
    (tmp_path / "config.json").write_text((trained / "config.json").read_text())
    cases = {
        "": "which run",
        f"run={trained} episods=3": "did you mean 'episodes'",
        "run=/nowhere": "no run folder",
        f"run={tmp_path}": "no valid checkpoint",
        f"run={trained} checkpoint=77": "step 77",
        f"run={trained} checkpoint=foo": "best, last or a step number",
        f"run={trained} dt=0.003": "time limit",
        f"run={trained} env.gravty=3": "unknown key env.gravty",
        f"run={trained} env.gravity=heavy": "must be a number",
    }
    for words, expected in cases.items():
        done = run("evaluate.py", *words.split())
        assert done.returncode == 2, words
        (line,) = done.stderr.splitlines()
        assert expected in line
    assert [p.name for p in tmp_path.iterdir()] == ["config.json"]
