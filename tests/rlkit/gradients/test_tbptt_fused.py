"""The compiled loop of sliding TBPTT, readout and Adam equals the predictor in torch."""

import pytest
import torch

from configs import build
from configs.compose import compose_train
from configs.stages import stages_of
from rlkit.gradients.tbptt_fused import LANES
from rlkit.options import ConfigError
from rlkit.seeding import seed_everything

pytest.importorskip("numba")
WORDS = (
    "agent=predictor env=trace_conditioning memory=gru memory.hidden_size=6 gradient=tbptt"
    " gradient.window=sliding gradient.length=9 num_envs=1 agent.seeds=2 agent.lr=[0.01,0.001]"
    " agent.lr_decay=0.3 agent.block_steps=50"
)


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def learnt(kernel, *more):
    """After three blocks with starts inside, of all agents and of one alone."""
    config = compose_train([*WORDS.split(), f"agent.kernel={kernel}", *more])
    loop = build.make_part(config, *stages_of(config), seed_everything(0)).loop
    dtype = torch.get_default_dtype()
    for _ in range(3):
        batch = loop._next(50)
        batch.start_TNB[0] = False
        batch.start_TNB[20] = True
        batch.start_TNB[25:40:3, 1] = True
        batch = batch._replace(
            x_TNBI=batch.x_TNBI.to(dtype) * torch.linspace(0.5, 2, 12, dtype=dtype),
            target_TNB=batch.target_TNB.to(dtype),
            weight_TNB=batch.weight_TNB.to(dtype) * 0.7,
        )
        length = 50 if kernel == "numba" else 1
        for t in range(0, 50, length):
            loop.agent.learn(batch.part(t, t + length), 1)
    return loop.agent


def assert_equal(plain, fused, **tolerance):
    assert plain.updates == fused.updates == 150
    for name, vector in plain.params.items():
        torch.testing.assert_close(fused.params[name], vector, **tolerance)
    torch.testing.assert_close(fused.totals[:2], plain.totals[:2], **tolerance)
    state_NH = plain.carry["state"][0].squeeze(1)
    own_NH = torch.from_numpy(fused.fused.h).mT.flatten(0, 1)[: len(state_NH)]
    torch.testing.assert_close(own_NH, state_NH, **tolerance)


@pytest.mark.parametrize("length", [1, 2, 9, 60])
def test_it_equals_torch(double, length):
    more = f"gradient.length={length}"
    assert_equal(learnt("torch", more), learnt("numba", more), rtol=1e-9, atol=1e-9)


def test_more_agents_than_lanes(double):
    more = f"agent.seeds={LANES // 2 + 1}"
    assert_equal(learnt("torch", more), learnt("numba", more), rtol=1e-9, atol=1e-9)


def test_single_precision():
    plain, fused = learnt("torch"), learnt("numba")
    torch.testing.assert_close(fused.totals[:2], plain.totals[:2], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        fused.params["readout"], plain.params["readout"], rtol=1e-2, atol=1e-3
    )


@pytest.mark.parametrize(
    "change",
    [
        "gradient.window=disjoint",
        "memory.layers=2",
        "memory.pre=[4]",
        "memory=lstm",
        "num_envs=2",
        "optimizer=sgd",
        "agent.readout_sizes=[4]",
        "agent.max_grad_norm=1",
        "env=anbn",
    ],
)
def test_what_it_does_not_do(change):
    with pytest.raises(ConfigError, match=r"take agent\.kernel=torch"):
        compose_train([*WORDS.split(), "agent.kernel=numba", change])
