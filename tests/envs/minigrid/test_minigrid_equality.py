"""Grid worlds against the MiniGrid package: rules, views, starts, whole episodes."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils import seeding
from minigrid.core.world_object import WorldObj

from envs import make_vector_env
from envs.minigrid.cells import EMPTY, OPAQUE, PORTABLE
from envs.minigrid.episodes import Episodes
from envs.minigrid.generic import batched_ids
from envs.minigrid.grid import Worlds
from envs.minigrid.layouts.base import Layout, Start, reach_goal
from envs.minigrid.layouts.crossing import LavaCrossing, SimpleCrossing
from envs.minigrid.layouts.doorkey import DoorKey
from tests.envs.minigrid.guide import way_to_face
from tests.envs.minigrid.lockstep import lockstep

IDS = {
    env_id: (family, options)
    for family in (DoorKey, SimpleCrossing, LavaCrossing)
    for env_id, options in family.ids.items()
}


def test_every_registered_size_of_the_families_is_batched():
    families = ("DoorKey", "SimpleCrossing", "LavaCrossing", "RedBlueDoors", "Unlock-")
    families += ("UnlockPickup", "KeyCorridor", "Memory")
    prefixes = tuple(f"MiniGrid-{name}" for name in families)
    registered = {env_id for env_id in gymnasium.registry if env_id.startswith(prefixes)}
    assert registered == set(batched_ids())


@pytest.mark.parametrize("env_id", IDS)
def test_100_starts_are_the_packages(env_id):
    family, options = IDS[env_id]
    layout, env, rng = family(**options), gymnasium.make(env_id).unwrapped, seeding.np_random(5)[0]
    assert (layout.width, layout.height, layout.max_steps) == (env.width, env.height, env.max_steps)
    assert f"{layout.base_id}-v0" == env_id
    env.reset(seed=5)
    for _ in range(100):
        start = layout.draw(rng)
        assert [cell & 0xFFFFFF for cell in start.cells] == [code(c) for c in env.grid.grid]
        assert (start.x, start.y, start.direction) == (*env.agent_pos, env.agent_dir)
        assert rng.bit_generator.state == env.np_random.bit_generator.state
        env._gen_grid(env.width, env.height)


@pytest.mark.parametrize("env_id", ["MiniGrid-DoorKey-5x5-v0", "MiniGrid-DoorKey-8x8-v0"])
def test_doorkey_episodes_are_the_packages(env_id):
    events = lockstep(env_id, num_envs=8, steps=400)
    assert events["env_steps"] == 3200
    happened = ("successes", "picked_up", "put_down", "doors_unlocked", "doors_shut", "locks_held")
    assert min(events[name] for name in happened) > 0, events


@pytest.mark.parametrize(
    "env_id",
    [
        "MiniGrid-SimpleCrossingS9N3-v0",
        "MiniGrid-LavaCrossingS9N1-v0",
        "MiniGrid-LavaCrossingS11N5-v0",
    ],
)
def test_crossing_episodes_are_the_packages(env_id):
    events = lockstep(env_id, num_envs=8, steps=400)
    assert events["successes"] > 20, events
    assert (events["failures"] > 0) == ("Lava" in env_id), events


@pytest.mark.parametrize(
    ("name", "env_id"),
    [
        ("minigrid_doorkey", "MiniGrid-DoorKey-8x8-v0"),
        ("minigrid_simple_crossing", "MiniGrid-SimpleCrossingS9N3-v0"),
        ("minigrid_lava_crossing", "MiniGrid-LavaCrossingS9N1-v0"),
    ],
)
def test_short_episodes_are_cut_as_the_packages(name, env_id):
    ours = make_vector_env(name, {"max_steps": 13}, num_envs=5)
    events = lockstep(env_id, num_envs=5, steps=150, ours=ours)
    assert events["truncations"] > 20, events


def code(cell: WorldObj | None) -> int:
    """One of the package's objects as the lower three bytes of our cells."""
    kind, color, state = (1, 0, 0) if cell is None else cell.encode()
    return int(kind) | int(color) << 8 | int(state) << 16


def random_start(rng: np.random.Generator, width: int, height: int) -> Start:
    """Anything anywhere, but solid outer walls."""
    kinds = rng.choice([1, 2, 4, 5, 6, 7, 8, 9], size=width * height, p=PROBABILITIES)
    cells = []
    for n, kind in enumerate(kinds.tolist()):
        x, y = n % width, n // width
        if x in (0, width - 1) or y in (0, height - 1):
            kind = 2
        colors = 2 if kind in (4, 5) else 6  # so that keys often fit
        color = {1: 0, 2: 5, 8: 1, 9: 0}.get(kind, int(rng.integers(colors)))
        state = int(rng.integers(3)) if kind == 4 else 0
        solid = OPAQUE if kind == 2 or state else PORTABLE if kind in (5, 6, 7) else 0
        cells.append(kind | color << 8 | state << 16 | solid)
    x, y = int(rng.integers(1, width - 1)), int(rng.integers(1, height - 1))
    cells[y * width + x] = EMPTY
    return Start(cells, x, y, int(rng.integers(4)))


PROBABILITIES = [0.56, 0.1, 0.12, 0.07, 0.05, 0.05, 0.03, 0.02]


class Anything(Layout):
    """Random cells: every kind of thing next to every other."""

    ids = {}  # noqa: RUF012

    @classmethod
    def of(cls, options):
        return cls("Anything", 9, 6, 40)

    def draw(self, rng):
        return random_start(rng, self.width, self.height)

    def outcome(self, moment):
        return reach_goal(moment)


def put_into(env, start: Start) -> None:
    """The same world in the package's environment."""
    env.grid.grid = [
        WorldObj.decode(cell & 255, cell >> 8 & 255, cell >> 16 & 255) for cell in start.cells
    ]
    env.agent_pos, env.agent_dir, env.carrying = (start.x, start.y), start.direction, None
    env.step_count = 0


def test_rules_and_views_are_the_packages_among_all_things():
    """40 random worlds, 60 actions in each, nothing but hands and steps among things."""
    B, rng = 40, np.random.default_rng(3)
    layout = Anything.of(None)
    episodes, copies = Episodes(layout, B), []
    starts = [layout.draw(rng) for _ in range(B)]
    episodes.worlds.begin(np.arange(B), starts)
    for i, start in enumerate(starts):
        env = gymnasium.make("MiniGrid-DoorKey-5x5-v0", max_steps=40).unwrapped
        env.reset(seed=0)
        env.grid.width, env.grid.height, env.width, env.height = 9, 6, 9, 6
        put_into(env, start)
        if i % 2:  # a key to begin with
            episodes.worlds.hand_B[i] = 5 | (i // 2 % 2) << 8 | PORTABLE
            env.carrying = WorldObj.decode(5, i // 2 % 2, 0)
        copies.append(env)
    held, changed = set(), set()
    for _ in range(60):
        action_B = rng.choice(7, B, p=[0.13, 0.13, 0.3, 0.14, 0.1, 0.19, 0.01])
        before = episodes.worlds.inner_BHW.copy()
        reward_B, terminated_B, truncated_B = episodes.step(action_B)
        obs_BIJC = episodes.worlds.observe()
        for i, env in enumerate(copies):
            obs, *rest, _ = env.step(action_B[i])
            assert rest == [reward_B[i], terminated_B[i], truncated_B[i]]
            np.testing.assert_array_equal(obs_BIJC[i], obs["image"])
            cells = (episodes.worlds.inner_BHW[i] & 0xFFFFFF).ravel().tolist()
            assert cells == [code(c) for c in env.grid.grid]
            assert int(episodes.worlds.hand_B[i]) & 0xFFFFFF == code(env.carrying)
        held |= {h & 255 for h in episodes.worlds.hand_B.tolist()}
        after = episodes.worlds.inner_BHW
        where = before != after
        changed |= {
            (a & 255, a >> 16 & 255, b & 255, b >> 16 & 255)
            for a, b in zip(before[where].tolist(), after[where].tolist(), strict=True)
        }
    assert held == {1, 5, 6, 7}
    doors = {(4, 0, 4, 1), (4, 1, 4, 0), (4, 2, 4, 0)}  # shut, opened, unlocked
    hands = {(k, 0, 1, 0) for k in (5, 6, 7)} | {(1, 0, k, 0) for k in (5, 6, 7)}
    assert changed == doors | hands


def test_views_are_the_packages_in_crowded_worlds():
    """Where sight is blocked most, from all places and directions, with full hands."""
    rng = np.random.default_rng(8)
    env = gymnasium.make("MiniGrid-DoorKey-8x8-v0").unwrapped
    env.reset(seed=0)
    worlds = Worlds(8, 8, 1)
    for _ in range(300):
        start = random_start(rng, 8, 8)
        cells = [
            c if c != EMPTY or rng.random() < 0.7 else 2 | 5 << 8 | OPAQUE for c in start.cells
        ]
        start = start._replace(cells=cells)
        worlds.begin(np.array([0]), [start])
        put_into(env, start)
        if rng.random() < 0.3:
            worlds.hand_B[:] = 5 | 2 << 8 | PORTABLE
            env.carrying = WorldObj.decode(5, 2, 0)
        np.testing.assert_array_equal(worlds.observe()[0], env.gen_obs()["image"])
        seen_WH = np.zeros((8, 8), dtype=bool)
        for x in range(8):
            for y in range(8):
                view = env.relative_coords(x, y)
                seen_WH[x, y] = view is not None and env.gen_obs_grid()[1][view]
        np.testing.assert_array_equal(worlds.seen(0), seen_WH.T)


def test_a_scripted_doorkey_episode_ends_in_the_same_success():
    """Key, door, goal by the shortest way; then the reward is known in closed form."""
    env = gymnasium.make("MiniGrid-DoorKey-8x8-v0").unwrapped
    env.reset(seed=0)
    ours = make_vector_env("minigrid_doorkey", num_envs=1)
    ours.reset(seed=0)
    kinds = {cell.type: cell for cell in env.grid.grid if cell is not None}
    steps = 0
    for kind, action in (("key", 3), ("door", 5), ("goal", 2)):
        for a in [*way_to_face(env, kinds[kind].cur_pos), action]:
            env.step(a)
            _, reward_B, terminated_B, truncated_B, infos = ours.step(np.array([a]))
            steps += 1
    assert reward_B.tolist() == [1 - 0.9 * (steps / 640)]
    assert terminated_B.tolist() == [True]
    assert truncated_B.tolist() == [False]
    assert infos["final_obs"][0, 3, 6].tolist() == [5, 4, 0]  # still holds the yellow key
