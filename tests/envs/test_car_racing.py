"""CarRacing: upstream's numbers, and frames near upstream's."""

import math
import sys

import gymnasium
import numpy as np
import pytest

from envs import make_env, make_vector_env
from envs.actions import actions_of
from envs.box2d import make_upstream
from rlkit.observations import ObsPart
from tests.envs import box2d

pytest.importorskip("Box2D")
pytest.importorskip("cv2")
pygame = pytest.importorskip("pygame")

STOCK = "CarRacing-v3"


def stock():
    """With upstream's clock of 1000 steps."""
    make_upstream(STOCK, None, {}).close()  # imports the bindings without their warnings
    return gymnasium.make(STOCK, disable_env_checker=True)


def drive(base):
    """Follows the track at about 50 m/s: where to steer, gas, brake, all in [-1, 1]."""
    track = np.array(base.track)[:, 2:]
    here = np.array(base.car.hull.position)
    nearest = int(np.argmin(np.square(track - here).sum(axis=1)))
    dx, dy = track[(nearest + 6) % len(track)] - here
    error = (math.atan2(-dx, dy) - base.car.hull.angle + math.pi) % (2 * math.pi) - math.pi
    speed = math.hypot(*base.car.hull.linearVelocity)
    steer = np.clip(-2 * error, -1, 1)
    return np.array([steer, -0.4 if speed < 50 else -1, -0.4 if speed > 60 else -1], np.float32)


def leave(base):
    """Straight on, over the edge of the playfield."""
    return np.array([0, 0, -1], np.float32)


def wander(base):
    t = base.t
    return np.array([math.sin(t), math.sin(3 * t), math.sin(2 * t) - 0.5], np.float32)


EPISODES = [(0, drive), (1, drive), (2, wander), (3, leave), (4, drive)]


def plays_as_gymnasium(seed, policy, drawn):
    """1000 steps of ours and gymnasium's, episodes after the first included.

    Args:
        seed: of both.
        policy: environment → action.
        drawn: whether gymnasium's draws its frames, for which it takes a hundred times longer.
    """
    ours, theirs = make_vector_env("car_racing", num_envs=1), stock()
    if not drawn:
        theirs.unwrapped._render = lambda mode: np.zeros((96, 96, 3), np.uint8)
    to_stock = actions_of(theirs.action_space).theirs
    ours.reset(seed=seed)
    theirs.reset(seed=seed)
    ends, paid = [], 0
    for t in range(1000):
        action = policy(ours.copies[0].unwrapped)
        _, reward_B, terminated_B, truncated_B, _ = ours.step(action[None])
        _, *outcome, _ = theirs.step(to_stock(action))
        assert [reward_B[0], terminated_B[0], truncated_B[0]] == outcome, t
        paid += outcome[0] > 0
        if any(outcome[1:]):
            ends.append(outcome)
            theirs.reset()
    if policy is leave:
        assert [end[:2] for end in ends] == len(ends) * [[-100, True]]
    assert len(ends) >= (3 if policy is leave else 1)
    assert paid > (200 if policy is drive else 2)


@pytest.mark.parametrize(("seed", "policy"), EPISODES)
def test_rewards_and_ends_equal_gymnasium(seed, policy):
    plays_as_gymnasium(seed, policy, drawn=False)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "policy"), EPISODES)
def test_rewards_and_ends_equal_gymnasium_untouched(seed, policy):
    plays_as_gymnasium(seed, policy, drawn=True)


def test_tracks_equal_gymnasium():
    ours, theirs = make_env("car_racing").unwrapped, stock().unwrapped
    for base in (ours, theirs):
        base._render = lambda mode: None
        base.reset(seed=0)
    for _ in range(40):
        assert ours.track == theirs.track
        assert len(ours.road_poly) == len(theirs.road_poly)
        for (quad, color), (want, stock_color) in zip(
            ours.road_poly, theirs.road_poly, strict=True
        ):
            np.testing.assert_array_equal(quad, want)
            np.testing.assert_array_equal(color, stock_color)
        for tile, want in zip(ours.road, theirs.road, strict=True):
            assert tile.fixtures[0].shape.vertices == want.fixtures[0].shape.vertices
            assert (tile.idx, tile.fixtures[0].sensor) == (want.idx, True)
        ours.reset()
        theirs.reset()


MOST = {64: 0.6, 96: 0.3}
"""Pixels → mean absolute difference of levels 0..255."""


def picture(base, size, crop):
    """What gymnasium painted last, as an observation of ours."""
    surface = base.surf.subsurface((0, 0, 1000, 700 if crop else 800))
    scaled = pygame.transform.smoothscale(surface, (size, size))
    return pygame.surfarray.array3d(scaled).transpose(1, 0, 2).astype(int)


@pytest.mark.parametrize("policy", [drive, leave])
def test_frames_are_near_gymnasiums(policy):
    kinds = [(size, crop) for size in (64, 96) for crop in (True, False)]
    ours = [make_env("car_racing", {"size": size, "crop": crop}) for size, crop in kinds]
    theirs = stock().unwrapped
    paint, to_stock = theirs._render, actions_of(theirs.action_space).theirs
    for env in (*ours, theirs):
        env.reset(seed=5)
    difference_TK = []
    for t in range(400):
        action = policy(theirs)
        compared = t % 10 == 0
        theirs._render = paint if compared else lambda mode: None
        theirs.step(to_stock(action))
        frames = [env.step(action)[0] for env in ours]
        if compared:
            pairs = zip(frames, kinds, strict=True)
            difference_TK.append([np.abs(f - picture(theirs, *kind)).mean() for f, kind in pairs])
    for (size, _), difference in zip(kinds, np.mean(difference_TK, axis=0), strict=True):
        assert difference < MOST[size]
    assert np.max(difference_TK) < 1.5


def test_the_official_renderer_is_gymnasiums():
    ours = make_env("car_racing", {"renderer": "official", "size": 96, "crop": False})
    cropped = make_env("car_racing", {"renderer": "official"})
    theirs = stock()
    want, _ = theirs.reset(seed=2)
    np.testing.assert_array_equal(ours.reset(seed=2)[0], want)
    cropped.reset(seed=2)
    for _ in range(15):
        action = np.array([0.3, 1, -1], np.float32)
        want, *_ = theirs.step(np.array([0.3, 1, 0], np.float32))
        np.testing.assert_array_equal(ours.step(action)[0], want)
        np.testing.assert_array_equal(
            cropped.step(action)[0], picture(theirs.unwrapped, 64, crop=True)
        )


def test_more_supersampling_is_nearer_to_the_official_renderer():
    def frames(**options):
        env = make_env("car_racing", options)
        env.reset(seed=0)
        return np.array([env.step(drive(env.unwrapped))[0] for _ in range(60)], dtype=int)[::10]

    want = frames(renderer="official")
    errors = [np.abs(frames(supersampling=k) - want).mean() for k in (1, 2, 4)]
    assert errors[0] > errors[1] > errors[2] > 0


def test_the_contract():
    envs = make_vector_env("car_racing", num_envs=3)
    assert (envs.dt, envs.stock_dt, envs.limit_steps) == (0.02, 0.02, 1000)
    assert (envs.reward_bounds, envs.success_above, envs.base_id) == (None, 18.0, "CarRacing")
    assert envs.obs_parts == (ObsPart("obs", "image", (64, 64, 3)),)
    assert envs.single_action_space == gymnasium.spaces.Box(-1, 1, (3,), np.float32)
    assert envs.single_observation_space == gymnasium.spaces.Box(0, 255, (64, 64, 3), np.uint8)
    assert envs.phase_plane(5) is None
    envs.reset(seed=0, options={"elapsed_steps": np.array([0, 998, 995])})
    truncated_TB = np.stack([envs.step(np.zeros((3, 3), np.float32))[3] for _ in range(5)])
    np.testing.assert_array_equal(truncated_TB.sum(axis=0), [0, 1, 1])
    np.testing.assert_array_equal(truncated_TB.argmax(axis=0), [0, 1, 4])


def test_gas_and_brake_begin_at_minus_one():
    env = make_env("car_racing")
    env.reset(seed=0)
    front, *_, rear = env.unwrapped.car.wheels
    for action, want in [
        ((0.25, -1, -1), (-0.25, 0, 0)),
        ((-1, -0.9, 0), (1, 0.05, 0.5)),
        ((1, 1, 1), (-1, 0.15, 1)),
        ((9, -9, -9), (-1, 0, 0)),
    ]:
        env.step(np.array(action, np.float32))
        assert (front.steer, rear.gas, rear.brake) == pytest.approx(want)


def test_copies_are_single_environments():
    """Also after the ends that an early limit brings about."""
    options = {"time_limit_seconds": 0.8}
    envs = make_vector_env("car_racing", options, num_envs=3)
    singles = [make_env("car_racing", options) for _ in range(3)]
    obs_B, _ = envs.reset(seed=7)
    np.testing.assert_array_equal(
        obs_B, [env.reset(seed=7 + i)[0] for i, env in enumerate(singles)]
    )
    envs.action_space.seed(0)
    for _ in range(90):
        action_BA = envs.action_space.sample()
        obs_B, reward_B, terminated_B, truncated_B, infos = envs.step(action_BA)
        for i, env in enumerate(singles):
            obs, *outcome, _ = env.step(action_BA[i])
            assert [reward_B[i], terminated_B[i], truncated_B[i]] == outcome
            if any(outcome[1:]):
                np.testing.assert_array_equal(infos["final_obs"][i], obs)
                obs, _ = env.reset()
            np.testing.assert_array_equal(obs_B[i], obs)


def test_a_saved_state_goes_on_bit_for_bit():
    envs, fresh = (
        make_vector_env(
            "car_racing", {"size": 96, "crop": False}, num_envs=2, wrappers={"action_repeat": 2}
        )
        for _ in range(2)
    )
    envs.reset(seed=1, options={"elapsed_steps": np.array([0, 440])})
    envs.action_space.seed(1)
    for _ in range(40):
        envs.step(envs.action_space.sample())
    fresh.set_state(envs.get_state())
    ends = 0
    for _ in range(60):
        action_BA = envs.action_space.sample()
        want, got = envs.step(action_BA), fresh.step(action_BA)
        for a, b in zip(want[:4], got[:4], strict=True):
            np.testing.assert_array_equal(a, b)
        ends += int((want[2] | want[3]).sum())
    assert ends
    np.testing.assert_array_equal(envs.reset()[0], fresh.reset()[0])


def test_copy_0_is_drawn_and_no_window_opened():
    box2d.draws_copy_0("car_racing")
    assert not pygame.display.get_init()


def test_an_action_that_is_no_number_is_refused():
    env = make_env("car_racing")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action of .* is not finite"):
        env.step(np.array([0, np.nan, 0], np.float32))


@pytest.mark.parametrize(
    ("options", "dt", "message"),
    [
        ({}, 0.01, r"dt=0\.01 s is not possible for CarRacing-v3, .* only 0\.02 s"),
        ({"renderer": "pygame"}, None, "env.renderer is 'pygame'"),
        ({"size": 80}, None, "env.size is 80"),
        ({"supersampling": 0}, None, "env.supersampling is 0"),
        ({"time_limit_seconds": 0.05}, None, "does not divide the time limit"),
    ],
)
def test_bad_options_are_answered_in_a_sentence(options, dt, message):
    box2d.refuses(message, "car_racing", options, dt=dt)


def test_a_missing_opencv_is_named_and_the_official_renderer_needs_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)  # as if it were not installed
    box2d.refuses("pip install opencv-python-headless", "car_racing")
    make_env("car_racing", {"renderer": "official"}).reset(seed=0)


def test_a_missing_box2d_is_named(monkeypatch):
    for module in [m for m in sys.modules if m.startswith(("Box2D", "gymnasium.envs.box2d"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "Box2D", None)
    box2d.refuses(r"pip install 'gymnasium\[box2d\]'", "car_racing")
