"""Names, options and the order of wrappers."""

import subprocess
import sys

import pytest
import yaml

import envs
from envs import ConfigError, default_options, make_env, make_task, make_vector_env, native_dt
from rlkit.options import declared


def test_every_environment_has_a_yaml_that_builds_it():
    for name in envs.ENVS.names():
        given = yaml.safe_load((envs.CONFIGS / "env" / f"{name}.yaml").read_text())
        assert given["name"] == name
        if envs.kind(name) == "sequence":
            make_task(name, given)
            continue
        vector = make_vector_env(name, given, num_envs=2)
        assert vector.dt == native_dt(name)
        vector.reset(seed=0)


def test_every_yaml_has_an_environment():
    files = {path.stem for path in (envs.CONFIGS / "env").glob("*.yaml")}
    assert files == set(envs.ENVS.names())


def test_yaml_and_declaration_agree():
    for name in envs.ENVS.names():
        assert set(default_options(name)) == set(declared(envs.options_target(name)))


def test_importing_envs_imports_no_torch():
    program = (
        "import sys, envs; envs.make_vector_env('cartpole', num_envs=2);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=envs.CONFIGS.parent)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "pendulm"}, "did you mean 'pendulum'"),
        ({"name": "pendulum", "options": {"gravty": 1.0}}, "did you mean 'gravity'"),
        ({"name": "pendulum", "options": {"gravity": "fast"}}, "env.gravity is 'fast'"),
        ({"name": "pendulum", "dt": 0.0}, "dt is 0.0"),
        ({"name": "pendulum", "dt": "fast"}, "dt is 'fast'"),
        ({"name": "pendulum", "wrappers": {"frame_stak": 2}}, "did you mean 'frame_stack'"),
        ({"name": "pendulum", "wrappers": {"frame_stack": 0}}, "wrappers.frame_stack is 0"),
    ],
)
def test_bad_input_is_answered_in_a_sentence(arguments, message):
    for make in (lambda: make_env(**arguments), lambda: make_vector_env(**arguments, num_envs=2)):
        with pytest.raises(ConfigError, match=message):
            make()


def test_wrappers_are_applied_inside_out():
    chosen = {
        "velocity_mask": True,
        "observation_noise": 0.1,
        "previous_action": True,
        "frame_stack": 3,
    }
    vector = make_vector_env("pendulum", num_envs=2, wrappers=chosen)
    names, layer = [], vector
    while hasattr(layer, "transform"):
        names.append(type(layer.transform).__name__)
        layer = layer.env
    assert names == ["FrameStack", "PreviousAction", "ObservationNoise", "VelocityMask"]
    assert vector.single_observation_space.shape == (3 * (2 + 1 + 1),)
    assert (vector.dt, vector.stock_dt) == (0.05, 0.05)
    assert vector.reward_bounds == layer.reward_bounds


def test_normalize_is_left_to_the_agent():
    vector = make_vector_env("pendulum", num_envs=2, wrappers={"normalize": True})
    assert not hasattr(vector, "transform")
