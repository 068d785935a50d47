"""The shipped values learn the real task, at coarse and fine dt; the studies are in benchmarks/."""

import json

import pytest

import train
from configs.compose import compose_train

COMMANDS = {
    "continuous": "agent=dau env=pendulum dt=0.05",
    "fine": "agent=dau env=pendulum dt=0.005",
    "two-torque": "agent=dau env=pendulum_two_torque dt=0.02",
}


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_dau_swings_the_pendulum_up(words, tmp_path):
    quiet = "plots=false tensorboard=false checkpoint.count=0 evaluation.count=6 sim_seconds=12"
    folder = train.train(compose_train([*words.split(), *quiet.split(), f"outputs={tmp_path}"]))
    lines = (folder / "eval.jsonl").read_text().splitlines()
    returns = [json.loads(line)["return_mean"] for line in lines]
    assert max(returns) >= -9.0, returns  # optimum -6.84, untrained below -45
