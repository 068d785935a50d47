"""The commands that the experiments of World Models show do start, in small."""

import json

import pytest

import train
from configs.compose import FOLDER, compose_train

SMALL = (
    "preset=smoke updates=3 num_envs=2 env.time_limit_seconds=0.4 memory.hidden_size=8"
    " agent.data_episodes=2 agent.data_steps=12 agent.latent_size=6 agent.vision_images=64"
    " agent.vision_validate_images=64 agent.dynamics_sequences=16"
    " agent.dynamics_validate_sequences=16 agent.sequence_steps=4 agent.population=4"
    " agent.rollouts=[1] agent.dream_steps=10 agent.selection_episodes=1 evaluation.count=3"
    " evaluation.episodes=1 evaluation.num_envs=1 tensorboard=false plots=false"
)
LEAST = {
    "tallec2019_table_7_2": {"data": 1, "vision": 1, "dynamics": 4},
    "ha2018_dream": {"data": 3, "vision": 1, "dynamics": 3},
}
"""Stages of all commands together. Later rounds' data are another's if another controller drove."""


@pytest.mark.slow
@pytest.mark.parametrize("name", LEAST)
def test_the_commands_of_an_experiment_start_and_share_their_stages(name, tmp_path):
    pytest.importorskip("Box2D")
    lines = (FOLDER / "experiment" / f"{name}.yaml").read_text().splitlines()
    commands = [line.split()[3:] for line in lines if line.startswith("# python train.py")]
    for words in commands:
        config = compose_train([*words, *SMALL.split(), f"outputs={tmp_path}"])
        folder = train.train(config)
        log = [json.loads(x) for x in (folder / "metrics.jsonl").read_text().splitlines()]
        assert [r["controller/generation"] for r in log] == [1, 2, 3]
        assert ("controller/dream_return_mean" in log[0]) == ("dream" in name)
    found = [p.name.split("-")[0] for p in (tmp_path / "car_racing" / "stages").iterdir()]
    made = {stage: found.count(stage) for stage in LEAST[name]}
    assert made["vision"] == 1
    assert all(made[stage] >= least for stage, least in LEAST[name].items())
    assert made == LEAST[name] or "dream" in name
