"""The compiled loop of UORO or truncation, readout and Adam equals the predictor in torch."""

import pytest
import torch

from configs import build
from configs.compose import compose_train
from configs.stages import stages_of
from rlkit.gradients import fused, fused_cells
from rlkit.options import ConfigError
from rlkit.seeding import seed_everything

pytest.importorskip("numba")
WORDS = (
    "agent=predictor env=distant_brackets memory.hidden_size=7 num_envs=1 agent.seeds=2"
    " agent.lr=[0.01,0.001] agent.lr_decay=0.3"
)
STEPS = 96
ESTIMATORS = [f"uoro gradient.memory_steps={T}" for T in (1, 3, 16)]
ESTIMATORS += [f"tbptt gradient.length={L}" for L in (1, 4, 16)]


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def learnt(kernel, memory, gradient, *more):
    """After two blocks in double precision, with starts inside."""
    words = [*WORDS.split(), f"memory={memory}", *f"gradient={gradient}".split(), *more]
    config = compose_train([*words, f"agent.kernel={kernel}", f"agent.block_steps={STEPS}"])
    loop = build.make_part(config, *stages_of(config), seed_everything(0)).loop
    for _ in range(2):
        batch = loop._next(STEPS)
        batch.start_TNB[[10, 32, 33]] = True
        weight = torch.linspace(0.3, 1.3, STEPS).view(-1, 1, 1).expand_as(batch.weight_TNB)
        batch = batch._replace(x_TNBI=batch.x_TNBI.double(), weight_TNB=weight.contiguous())
        t = 0
        while t < STEPS:
            T = loop.agent.chunk_steps()
            loop.agent.learn(batch.part(t, t + T), 1)
            t += T
    return loop.agent


@pytest.mark.parametrize("gradient", ESTIMATORS)
@pytest.mark.parametrize("memory", ["gru", "lstm"])
def test_it_equals_torch(memory, gradient):
    plain, loop = (learnt(kernel, memory, gradient) for kernel in ("torch", "numba"))
    close = {"rtol": 1e-9, "atol": 1e-9}
    assert plain.updates == loop.updates == 2 * STEPS // plain.chunk_steps()
    for name, vector in plain.params.items():
        torch.testing.assert_close(loop.params[name], vector, **close)
    torch.testing.assert_close(loop.totals, plain.totals, **close)
    state = torch.cat(plain.carry["state"], -1).squeeze(1)
    torch.testing.assert_close(torch.from_numpy(loop.fused.state[0]), state, **close)
    if "uoro" in gradient:
        for own, name in (
            (loop.fused.state[1], "s_tilde"),
            (loop.fused.theta_tilde, "theta_tilde"),
        ):
            torch.testing.assert_close(torch.from_numpy(own), plain.carry[name].squeeze(1), **close)
        assert plain.gradient.generator.get_state().equal(loop.gradient.generator.get_state())


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saturated_units_stay_finite(name, dtype):
    a = torch.tensor([-1e30, -1e4, -700, -300, -90, -44.5, -21, -5, 0, 5, 44.5, 1e4], dtype=dtype)
    expected = getattr(torch, name)(a)
    getattr(fused_cells, name)(a.numpy())
    torch.testing.assert_close(a, expected, rtol=1e-6, atol=1e-12 + torch.finfo(dtype).eps)


def test_a_block_is_of_whole_chunks():
    torch.set_default_dtype(torch.float32)
    words = [*WORDS.split(), "memory=gru", "gradient=uoro", "gradient.memory_steps=7"]
    blocks = {}
    for kernel in ("torch", "numba"):
        config = compose_train([*words, f"agent.kernel={kernel}", "agent.block_steps=20"])
        loop = build.make_part(config, *stages_of(config), seed_everything(0)).loop
        loop.block()
        blocks[kernel] = loop.vector_steps, loop.agent.updates
    assert blocks["numba"] == blocks["torch"] == (21, 3)


def test_without_numba_it_says_so(monkeypatch):
    monkeypatch.setattr(fused, "njit", None)
    with pytest.raises(ConfigError, match="needs numba"):
        learnt("numba", "gru", "uoro")


@pytest.mark.parametrize(
    "change",
    [
        "gradient.rank=2",
        "gradient.tangent=finite_differences",
        "gradient=rtrl",
        "num_envs=2",
        "optimizer=sgd",
        "env=trace_conditioning",
        "env=adding",
        "memory=elman",
        "memory.layers=2",
        "agent.readout_sizes=[5]",
        "agent.max_grad_norm=1",
        "gradient=tbptt gradient.window=sliding",
    ],
)
def test_what_it_does_not_do(change):
    taken = {word.split("=")[0] for word in change.split()}
    words = [*WORDS.split(), "memory=gru", "gradient=uoro", "agent.kernel=numba"]
    words = [word for word in words if word.split("=")[0] not in taken]
    with pytest.raises(ConfigError, match=r"take agent\.kernel=torch"):
        compose_train([*words, *change.split()])
