"""The compiled loop of RT2, readout and Adam equals the predictor in torch."""

import pytest
import torch

from configs import build
from configs.compose import compose_train
from configs.stages import stages_of
from rlkit.gradients import fused as common
from rlkit.options import ConfigError
from rlkit.seeding import seed_everything

pytest.importorskip("numba")
WORDS = (
    "agent=predictor env=trace_conditioning memory=rtu memory.hidden_size=7 gradient=rt2"
    " num_envs=1 agent.seeds=2 agent.lr=[0.01,0.001] agent.lr_decay=0.3 agent.block_steps=30"
)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def learnt(kernel, f):
    """After two blocks in double precision, with a start inside."""
    words = [*WORDS.split(), f"memory.f={f}", f"agent.kernel={kernel}"]
    config = compose_train(words)
    loop = build.make_part(config, *stages_of(config), seed_everything(0)).loop
    for _ in range(2):
        batch = loop._next(30)
        batch.start_TNB[10] = True
        batch = batch._replace(
            x_TNBI=batch.x_TNBI.double(),
            target_TNB=batch.target_TNB.double(),
            weight_TNB=batch.weight_TNB.double() * 0.7,
        )
        for t in range(0, 30, 30 if kernel == "numba" else 1):
            loop.agent.learn(batch.part(t, t + (30 if kernel == "numba" else 1)), 1)
    return loop.agent


@pytest.mark.parametrize("f", ["relu", "tanh"])
def test_it_equals_torch(f):
    plain, fused = learnt("torch", f), learnt("numba", f)
    assert plain.updates == fused.updates == 60
    for name, vector in plain.params.items():
        torch.testing.assert_close(fused.params[name], vector, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(fused.totals[:2], plain.totals[:2], rtol=1e-7, atol=1e-9)
    state, traces = (plain.carry[k] for k in ("state", "traces"))
    own = torch.from_numpy(fused.fused.h)
    torch.testing.assert_close(own, torch.stack(state, 1).squeeze(2), rtol=1e-7, atol=1e-9)
    E = torch.from_numpy(fused.fused.E).transpose(2, 3)
    torch.testing.assert_close(E, traces[0].squeeze(1), rtol=1e-7, atol=1e-9)


def test_nothing_is_kept_that_only_torch_would_use():
    assert learnt("numba", "relu").get_training_state()["carry"] is None
    assert learnt("torch", "relu").get_training_state()["fused"] is None


def test_without_numba_it_says_so(monkeypatch):
    monkeypatch.setattr(common, "njit", None)
    with pytest.raises(ConfigError, match="needs numba"):
        learnt("numba", "relu")


@pytest.mark.parametrize(
    "change", ["memory.kind=nonlinear", "num_envs=2", "optimizer=sgd", "env=anbn", "memory=lru"]
)
def test_what_it_does_not_do(change):
    words = [w for w in WORDS.split() if not (change == "memory=lru" and "memory" in w)]
    with pytest.raises(ConfigError, match=r"take agent\.kernel=torch"):
        compose_train([*words, "agent.kernel=numba", change])
