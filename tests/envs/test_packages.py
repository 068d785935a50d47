"""Packages that register their environments on import."""

import importlib.util
import sys

import gymnasium
import numpy as np
import pytest

from envs import ConfigError, make_vector_env, native_dt
from envs.packages import PACKAGES, package_of
from rlkit.observations import ObsPart


@pytest.mark.parametrize(
    ("env_id", "module"),
    [
        ("ALE/Pong-v5", "ale_py"),
        ("BabyAI-GoToObj-v0", "minigrid"),
        ("MiniGrid-Empty-5x5-v0", "minigrid"),
        ("AntMaze_UMaze-v5", "gymnasium_robotics"),
        ("popgym-AutoencodeEasy-v0", "popgym"),
    ],
)
def test_a_missing_package_is_named(env_id, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(ConfigError, match=f"env.id={env_id} needs .*: pip install '"):
        make_vector_env("gym", {"id": env_id}, num_envs=1)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Ant-v5", "popgym", "json:Loads-v0"])
def test_other_ids_import_nothing(env_id):
    assert package_of(env_id).module == ""


def test_no_prefix_claims_what_gymnasium_registers_itself():
    own = [i for i, s in gymnasium.registry.items() if "gymnasium.envs" in str(s.entry_point)]
    assert own
    assert not [i for i in own for p in PACKAGES if i.startswith(p.prefixes)]


@pytest.mark.skipif(importlib.util.find_spec("minigrid") is None, reason="minigrid")
@pytest.mark.filterwarnings("ignore")  # of its dependencies
def test_minigrid_has_no_seconds_and_counts_its_steps_itself():
    options = {"id": "MiniGrid-Empty-5x5-v0", "drop_keys": ["mission"]}
    envs = make_vector_env("gym", options, num_envs=2)
    assert (envs.dt, envs.limit_steps) == (1.0, 100)
    assert envs.obs_parts == (
        ObsPart("direction", "vector", (4,)),
        ObsPart("image", "image", (7, 7, 3)),
    )
    obs_BO, _ = envs.reset(seed=0)
    stock, _ = gymnasium.make("MiniGrid-Empty-5x5-v0").reset(seed=1)
    np.testing.assert_array_equal(obs_BO[1, 4:], stock["image"].ravel())
    with pytest.raises(ConfigError, match=r"dt=0\.5 is not possible"):
        make_vector_env("gym", options, dt=0.5, num_envs=1)


def test_a_given_step_wins_over_the_packages():
    if importlib.util.find_spec("popgym") is None:
        pytest.skip("popgym is not installed")
    assert native_dt("gym", {"id": "popgym-AutoencodeEasy-v0"}) == 1.0
    assert native_dt("gym", {"id": "popgym-AutoencodeEasy-v0", "native_dt": 0.5}) == 0.5
    assert native_dt("gym", {"id": "popgym-PositionOnlyCartPoleEasy-v0"}) == 0.02
