"""Films: what was real, what the model makes of it, and what it dreams, side by side."""

from functools import partial

import numpy as np
import pytest
import torch
import yaml

from agents.base import Parts
from agents.world_models.agent import WorldModels, WorldModelsOptions
from agents.world_models.pictures import ZOOM, rgb
from configs.compose import FOLDER
from rlkit.memory import make_memory
from rlkit.observations import ObsPart
from rlkit.types import Spaces

STRIDE = 3


def agent(channels=3, discrete=False, **changes):
    torch.manual_seed(0)
    shape = (64, 64, channels)
    parts = (ObsPart("obs", "image", shape),)
    spaces = Spaces(shape, 3, discrete, 0.02, 1, obs_parts=parts)
    values = yaml.safe_load((FOLDER / "agent" / "world_models.yaml").read_text())
    values |= {"latent_size": 6, "precision": "fp32"} | changes
    del values["name"]
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    memory = partial(make_memory, "gru", hidden_size=5)
    optimizer = {"name": "rmsprop", "eps": 1e-8}
    made = WorldModels(
        WorldModelsOptions(**values), Parts(spaces, memory, optimizer, False, torch.Generator())
    )
    made.controller.parameters_P.normal_()
    made.vision.vae.mean.weight.data *= 30  # codes that differ from each other
    say(made, -1.0)
    return made


def say(made, logit):
    """Lets the dynamics expect a termination, or none."""
    mdn, forward = made.dynamics.mdn, type(made.dynamics.mdn).forward
    mdn.forward = lambda y: forward(mdn, y)._replace(terminal=torch.full(y.shape[:1], logit))


def frames(n, channels=3):
    return list(np.random.default_rng(0).integers(256, size=(n, 64, 64, channels), dtype=np.uint8))


def panels(film):
    """Real, reconstructed and dreamt (N, 64, 64, 3)."""
    film = np.stack(film)
    assert film.shape[1:] == (64 * ZOOM, 3 * 64 * ZOOM, 3)
    small = film[:, ::ZOOM, ::ZOOM]
    assert np.array_equal(small.repeat(ZOOM, 1).repeat(ZOOM, 2), film)
    return np.split(small, 3, axis=2)


@pytest.mark.parametrize("discrete", [False, True])
@torch.no_grad()
def test_a_film_is_real_reconstructed_and_dreamt(discrete):
    made, obs = agent(discrete=discrete), frames(4)
    real, again, dreamt = panels(made.film(obs, STRIDE))
    assert np.array_equal(real, np.stack(obs))
    z_NZ = made.vision.encode(torch.from_numpy(np.stack(obs)))[0]
    assert np.array_equal(again, made.vision.decode(z_NZ).numpy())
    dream = made.make_dream()
    z, y = dream.reset(range(16), z_NZ[0])
    for n in range(4):
        assert np.array_equal(dreamt[n], made.vision.decode(z[:1])[0].numpy())
        for _ in range(STRIDE):
            parameters = made.controller.parameters_P.expand(16, -1)
            z, y, _, _ = dream.step(made.controller(made.features(z, y), parameters))
    assert np.array_equal(dreamt[0], again[0])
    assert len(np.unique(dreamt.reshape(4, -1), axis=0)) == 4


def test_a_dream_begins_with_the_first_real_frame_and_sees_no_other():
    made, obs = agent(), frames(8)
    first = panels(made.film(obs[:4], STRIDE))[2]
    assert np.array_equal(panels(made.film([obs[0], *obs[5:]], STRIDE))[2], first)
    assert not np.array_equal(panels(made.film(obs[1:5], STRIDE))[2], first)


@torch.no_grad()
def test_a_dream_that_has_ended_is_black():
    made = agent()
    assert panels(made.film(frames(3), 1))[2].any((1, 2, 3)).all()
    say(made, 1.0)
    assert panels(made.film(frames(3), 1))[2].any((1, 2, 3)).tolist() == [True, False, False]


@pytest.mark.parametrize("channels", [1, 6])
def test_gray_and_stacked_frames_are_shown_in_colours(channels):
    made, obs = agent(channels), frames(2, channels)
    real, _, _ = panels(made.film(obs, 1))
    for x, shown in zip(obs, real, strict=True):
        assert np.array_equal(shown, np.dstack([x] * 3) if channels == 1 else x[..., 3:])
    assert rgb(obs[0]).shape == (64, 64, 3)
    assert made.pictures([])["dreams"].shape[-1] == 3


def test_vectors_have_no_film():
    made = agent()
    spaces = made.spaces._replace(obs_shape=(4,), obs_parts=(ObsPart("obs", "vector", (4,)),))
    parts = made.parts._replace(spaces=spaces)
    assert WorldModels(made.options, parts).film is None
