"""Batched grid worlds and the MiniGrid package in lockstep, bit for bit."""

from collections import Counter

import gymnasium
import minigrid  # noqa: F401 - registers the ids
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from minigrid.wrappers import ImgObsWrapper

from envs import make_vector_env
from tests.envs.minigrid.guide import DROP, PICKUP, TOGGLE, Guide


def stock_vector(env_id: str, num_envs: int, **kwargs) -> SyncVectorEnv:
    """The package's environments, images alone."""
    return SyncVectorEnv(
        [lambda: ImgObsWrapper(gymnasium.make(env_id, disable_env_checker=True, **kwargs))]
        * num_envs,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )


def lockstep(env_id: str, num_envs: int, steps: int, seed: int = 0, ours=None) -> Counter:
    """Steps both with the same actions and clocks that start apart; raises on any difference.

    Args:
        env_id: id in the package.
        num_envs: B.
        steps: of each copy.
        seed: of the environments, and of the actions.
        ours: the batched environment; None makes the one of this id.

    Returns:
        What happened, counted over the copies.
    """
    ours = ours or make_vector_env("minigrid", {"id": env_id}, num_envs=num_envs)
    stock = stock_vector(env_id, num_envs, max_steps=ours.limit_steps)
    bases = [env.unwrapped for env in stock.envs]
    rng = np.random.default_rng(seed)
    elapsed_B = rng.integers(0, ours.limit_steps, num_envs)
    obs_BO, _ = ours.reset(seed=seed, options={"elapsed_steps": elapsed_B})
    np.testing.assert_array_equal(obs_BO, stock.reset(seed=seed)[0])
    for base, n in zip(bases, elapsed_B, strict=True):
        base.step_count = int(n)
    guides, events = [Guide(base, rng) for base in bases], Counter()
    for _ in range(steps):
        action_B = np.array([guide.action() for guide in guides])
        before = [(base.carrying, front_of(base)) for base in bases]
        got, want = ours.step(action_B), stock.step(action_B)
        for mine, theirs in zip(got[:4], want[:4], strict=True):
            np.testing.assert_array_equal(mine, theirs)
            assert mine.dtype == theirs.dtype
        ended_B = want[2] | want[3]
        compare_ends(ours, bases, got, want)
        count_ends(events, *want[1:4])
        for i in np.flatnonzero(ended_B):
            guides[i].begin()
        for i in np.flatnonzero(~ended_B):
            count_hands(events, bases[i], int(action_B[i]), *before[i])
    events["env_steps"] = steps * num_envs
    ours.close()
    stock.close()
    return events


def compare_ends(ours, bases, got, want) -> None:
    """Last observations, and the generators after the next episode was drawn."""
    assert ("final_obs" in got[4]) == ("final_obs" in want[4])
    if "final_obs" not in want[4]:
        return
    np.testing.assert_array_equal(got[4]["_final_obs"], want[4]["_final_obs"])
    rngs = ours.get_state()["rngs"]
    for i, base in enumerate(bases):
        ended = want[4]["_final_obs"][i]
        last = want[4]["final_obs"][i] if ended else want[0][i]
        np.testing.assert_array_equal(got[4]["final_obs"][i], last)
        assert rngs[i] == base.np_random.bit_generator.state


def front_of(base):
    """What the agent faces, and its state if that is a door."""
    cell = base.grid.get(*(np.array(base.agent_pos) + base.dir_vec))
    return cell, None if cell is None else cell.encode()


def count_ends(events: Counter, reward_B, terminated_B, truncated_B) -> None:
    events["resets"] += int((terminated_B | truncated_B).sum())
    events["successes"] += int((reward_B > 0).sum())
    events["failures"] += int((terminated_B & (reward_B == 0)).sum())
    events["truncations"] += int(truncated_B.sum())


def count_hands(events: Counter, base, action: int, held, faced) -> None:
    """What a copy that goes on did with its hands."""
    cell, code = faced
    if action == PICKUP and held is None and base.carrying is not None:
        events["picked_up"] += 1
    elif action == DROP and held is not None and base.carrying is None:
        events["put_down"] += 1
    elif action == TOGGLE and cell is not None and cell.type == "box":
        events["boxes_opened"] += 1
    elif action == TOGGLE and cell is not None and cell.type == "door":
        was, now = code[2], cell.encode()[2]
        names = {(0, 1): "doors_shut", (1, 0): "doors_opened", (2, 0): "doors_unlocked"}
        events[names.get((was, now), "locks_held")] += 1
