"""Unlock, UnlockPickup, KeyCorridor, Memory and RedBlueDoors against the MiniGrid package."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils import seeding

from envs import make_vector_env
from envs.minigrid.layouts.key_corridor import KeyCorridor
from envs.minigrid.layouts.memory import Memory
from envs.minigrid.layouts.red_blue_doors import RedBlueDoors
from envs.minigrid.layouts.unlock import Unlock
from envs.minigrid.layouts.unlock_pickup import UnlockPickup
from rlkit.options import ConfigError
from tests.envs.minigrid.guide import Guide
from tests.envs.minigrid.lockstep import lockstep

IDS = {
    env_id: (family, options)
    for family in (Unlock, UnlockPickup, KeyCorridor, Memory, RedBlueDoors)
    for env_id, options in family.ids.items()
}
EVENTS = {  # what has to happen for the end rule and the rules of the hands to be compared
    "MiniGrid-Unlock-v0": "successes picked_up put_down locks_held",
    "MiniGrid-UnlockPickup-v0": (
        "successes picked_up put_down doors_unlocked doors_shut locks_held boxes_opened"
    ),
    "MiniGrid-KeyCorridorS3R2-v0": (
        "successes picked_up put_down doors_unlocked doors_opened doors_shut locks_held"
    ),
    "MiniGrid-MemoryS13Random-v0": "successes failures",
    "MiniGrid-RedBlueDoors-6x6-v0": "successes failures doors_opened doors_shut",
}


def encoded(env) -> list[int]:
    """The package's grid, row by row, as the lower three bytes of our cells."""
    triples = [(1, 0, 0) if cell is None else cell.encode() for cell in env.grid.grid]
    return [a | b << 8 | c << 16 for a, b, c in triples]


def places_and_thing(env) -> tuple[tuple, int]:
    """What the package's end rule looks at."""
    if hasattr(env, "success_pos"):
        return (env.success_pos, env.failure_pos), 1
    doors = [getattr(env, name) for name in ("red_door", "blue_door", "door") if hasattr(env, name)]
    if doors:
        index = [next(n for n, c in enumerate(env.grid.grid) if c is door) for door in doors]
        return tuple((n % env.width, n // env.width) for n in index), 1
    kind, color, state = env.obj.encode()
    return (), kind | color << 8 | state << 16


@pytest.mark.parametrize("env_id", IDS)
def test_200_starts_are_the_packages(env_id):
    family, options = IDS[env_id]
    layout, env, rng = family(**options), gymnasium.make(env_id).unwrapped, seeding.np_random(3)[0]
    assert (layout.width, layout.height, layout.max_steps) == (env.width, env.height, env.max_steps)
    assert f"{layout.base_id}-v0" == env_id
    env.reset(seed=3)
    for _ in range(200):
        start = layout.draw(rng)
        assert [cell & 0xFFFFFF for cell in start.cells] == encoded(env)
        assert (start.x, start.y, start.direction) == (*env.agent_pos, env.agent_dir)
        assert (start.places, start.thing & 0xFFFFFF) == places_and_thing(env)
        assert rng.bit_generator.state == env.np_random.bit_generator.state
        env._gen_grid(env.width, env.height)


@pytest.mark.parametrize("env_id", EVENTS)
def test_episodes_are_the_packages(env_id):
    events = lockstep(env_id, num_envs=8, steps=350)
    assert min(events[name] for name in EVENTS[env_id].split()) > 0, events
    if "Memory" in env_id:
        assert events["picked_up"] == 0, "picking up toggles there"


@pytest.mark.parametrize("name", ["unlock_pickup", "memory", "red_blue_doors"])
def test_short_episodes_are_cut_as_the_packages(name):
    ours = make_vector_env(f"minigrid_{name}", {"max_steps": 13}, num_envs=4)
    events = lockstep(f"{ours.unwrapped.base_id}-v0", num_envs=4, steps=200, ours=ours)
    assert events["truncations"] > 3, events


def test_success_on_the_last_step_counts():
    """Terminated and truncated at once, with the smallest reward."""
    env = gymnasium.make("MiniGrid-Unlock-v0").unwrapped
    env.reset(seed=0)
    guide, actions = Guide(env, np.random.default_rng(0), random_share=0.0), []
    while not env.door.is_open:
        actions.append(guide.action())
        env.step(actions[-1])
    ours = make_vector_env("minigrid_unlock", num_envs=1)
    ours.reset(seed=0, options={"elapsed_steps": np.array([288 - len(actions)])})
    for action in actions:
        _, reward_B, terminated_B, truncated_B, _ = ours.step(np.array([action]))
    assert terminated_B.tolist() == truncated_B.tolist() == [True]
    assert reward_B.tolist() == [1 - 0.9 * (288 / 288)]


def test_memory_refuses_even_sizes():
    with pytest.raises(ConfigError, match=r"env\.size is 8, but must be odd"):
        make_vector_env("minigrid_memory", {"size": 8}, num_envs=1)
