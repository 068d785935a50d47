"""The predictor: every memory and estimator, many agents at once, and how losses are counted."""

import copy
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from agents.predictor import Predictor, PredictorOptions
from envs import make_task
from rlkit.gradients import GRADIENTS, check_gradient
from rlkit.loops.supervised import SupervisedLoop, for_agents
from rlkit.memory import MEMORIES, make_memory
from rlkit.memory.base import Memory, Step
from rlkit.options import ConfigError
from rlkit.types import Sequences
from tests.contracts.memories import options_of
from tests.rlkit.gradients.estimating import OPTIONS

PERIOD = 3
SMALLER = {
    "block_diagonal": {"kind": "nonlinear", "f": "tanh"},  # its blocks may grow
    "ffm": {"memory_size": 4, "context_size": 2},
    "gtrxl": {"window": 4},
    "mamba": {"expand": 1, "state_size": 4},
    "s5": {"state_size": 8},
}
INPUTS = {"bptt": 240, "artbp": 240, "rtrl": 72}


class Counting:
    """0 0 1 0 0 1 …: which comes next? As a stream, or in sequences of 12."""

    input_size = target_size = 2
    loss, unit = "cross_entropy", "bits"
    stream, steps = True, 12
    place = 0

    def batch(self, T, B, first):
        symbols = (np.arange(first, first + T + 1) % PERIOD == PERIOD - 1).astype(int)
        start = np.zeros((T, B), dtype=bool)
        start[0] = first == 0
        x = np.eye(2, dtype=np.float32)[symbols[:-1]]
        target = np.repeat(symbols[1:, None], B, 1)
        return np.repeat(x[:, None], B, 1), target, np.ones((T, B), np.float32), start

    def begin(self, seeds):
        self.B = len(seeds)

    def read(self, T):
        found = self.batch(T, self.B, self.place)
        self.place += T
        return found

    def sample(self, rng, T, B):
        return self.batch(T or self.steps, B, 0)

    def decisive(self, batch):
        return batch[1] == 1


ADAM = {"name": "adam", "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
SGD = {"name": "sgd", "momentum": 0.0}


def predictor(
    memory="elman",
    gradient="tbptt",
    options=None,
    seed=0,
    task=None,
    optimizer=ADAM,
    stream=None,
    **changes,
):
    """With Adam; `memory` may be a function of the input size."""
    torch.manual_seed(seed)
    values = {
        "lr": (0.02,),
        "seeds": 1,
        "lr_decay": 0.0,
        "readout_sizes": (),
        "reading": "auto",
        "max_grad_norm": None,
        "moment_horizon_updates": 10.0,
        "block_steps": 12,
        "evaluation_steps": 12,
        "compile": False,
        "kernel": "torch",
    }
    own = options_of(memory) if isinstance(memory, str) and memory != "none" else {}
    own |= {"hidden_size": 6} if "hidden_size" in own else {}
    own |= SMALLER.get(memory, {})
    make = memory if callable(memory) else lambda size: make_memory(memory, size, **own)
    return Predictor(
        PredictorOptions(**(values | changes)),
        task or Counting(),
        make,
        optimizer,
        {"name": gradient, **OPTIONS[gradient], **(options or {})},
        gradient != "bptt" if stream is None else stream,
        torch.Generator().manual_seed(seed),
    )


def follow(agent, inputs=120, B=1, task=None):
    """Learns; returns the totals of the first and of the last quarter."""
    stream = agent.stream
    loop = SupervisedLoop(task or Counting(), agent, B, stream, 12, seed=0)
    marks = []
    while loop.vector_steps < inputs:
        before = agent.totals.clone()
        loop.block()
        marks.append(agent.totals - before)
    quarter = len(marks) // 4
    return sum(marks[:quarter]), sum(marks[-quarter:])


def legal():
    """All that `check_gradient` lets pass."""
    for gradient in GRADIENTS.names():
        for memory in MEMORIES.names():
            own = {"name": memory, **(options_of(memory) if memory != "none" else {})}
            try:
                check_gradient(gradient, OPTIONS[gradient], own, gradient != "bptt")
            except ConfigError:
                continue
            yield memory, gradient


def test_what_is_legal():
    pairs = list(legal())
    n = len(MEMORIES.names())
    counts = {g: sum(pair[1] == g for pair in pairs) for g in GRADIENTS.names()}
    assert counts == {"artbp": n, "bptt": n, "rt2": 5, "rtrl": n - 1, "tbptt": n, "uoro": n - 1}


@pytest.mark.parametrize(("memory", "gradient"), list(legal()))
def test_every_memory_lowers_the_loss_with_every_estimator(memory, gradient):
    first, last = follow(predictor(memory, gradient), INPUTS.get(gradient, 120))
    assert last[0].isfinite()
    assert last[0] / last[1] < 0.97 * first[0] / first[1]


def test_a_memory_makes_the_next_symbol_certain():
    without = follow(predictor("none"), 600)[1]
    with_memory = follow(predictor("rtu", "rt2"), 600)[1]
    assert without[0] / without[1] > 0.9 * math.log(2) * 2 / 3
    assert with_memory[0] / with_memory[1] < 0.05
    assert with_memory[2] == with_memory[1]
    assert with_memory[3] == with_memory[4]


@pytest.mark.parametrize(
    ("memory", "gradient"),
    [("rtu", {"name": "rt2"}), ("elman", {"name": "tbptt", "length": 2, "window": "sliding"})],
)
def test_three_states_world_is_solved_by_three_units(memory, gradient):
    torch.manual_seed(0)
    agent = Predictor(
        predictor(memory, gradient["name"], lr=(5e-3,)).options,
        task := make_task("three_states_world"),
        lambda size: make_memory(memory, size, **options_of(memory) | {"hidden_size": 3}),
        {"name": "adam", "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        gradient,
        True,
        torch.Generator().manual_seed(0),
    )
    loop = SupervisedLoop(task, agent, 1, True, 200, seed=0)
    loop.run(lambda loop: loop.vector_steps >= 9_000, lambda *_: None)
    before = agent.totals.clone()
    loop.run(lambda loop: loop.vector_steps >= 10_000, lambda *_: None)
    right, decisive = (agent.totals - before)[3:].sum(1)
    assert decisive > 200
    assert right / decisive >= 0.99


@pytest.mark.parametrize("gradient", ["bptt", "rt2", "tbptt"])
def test_agents_of_a_sweep_equal_agents_alone(gradient):
    """Step sizes share weights and data; each agent is as if the others were not there."""
    many = predictor("rtu", gradient, lr=(0.02, 0.005), seeds=2, max_grad_norm=0.5)
    follow(many, 60, B=2)
    for i, lr in enumerate(many.options.lr):
        alone = predictor("rtu", gradient, lr=(lr,), max_grad_norm=0.5)
        follow(alone, 60, B=2)
        for name, vector in alone.params.items():
            torch.testing.assert_close(many.params[name][2 * i], vector[0], rtol=1e-3, atol=1e-5)
    other = (many.params["memory"][0] - many.params["memory"][1]).abs().max()
    assert other > 0.1  # another seed


def test_step_sizes_decay_with_the_inputs():
    """Adam's first step has the size of its rate."""
    agent = predictor(lr_decay=2.0)
    before = agent.params["readout"].clone()
    agent.begin(1)
    loop = SupervisedLoop(Counting(), agent, 1, True, 4, seed=0)
    loop.block()
    moved = (agent.params["readout"] - before).abs().max().item()
    assert moved == pytest.approx(0.02 / (1 + 2 * math.sqrt(4)), rel=1e-3)


def test_results_by_hand():
    agent = predictor(lr=(0.1, 0.2, 0.3), seeds=2)
    loss = torch.tensor([4.0, 6.0, 2.0, 4.0, math.nan, 1.0], dtype=torch.float64) * math.log(2)
    ones = torch.ones(6, dtype=torch.float64)
    found = agent.results(torch.stack((loss, 2 * ones, ones, ones, 4 * ones)))
    assert found["best_lr"] == 0.2
    assert found["loss"] == pytest.approx(1.5)
    assert found["accuracy"] == 0.5
    assert found["decisive_accuracy"] == 0.25
    assert found["losses"][0] == pytest.approx([2.0, 3.0])


def test_squared_losses_are_summed_over_components():
    task = SimpleNamespace(input_size=2, target_size=2, loss="squared", unit="squared error")
    agent = predictor(task=task)
    out, target = torch.zeros(1, 1, 1, 2), torch.tensor([[[[3.0, 4.0]]]])
    assert agent.loss(out, target).item() == 25


def test_weights_say_what_counts():
    """Inputs of weight 0 move nothing."""

    class Silent(Counting):
        def batch(self, T, B, first):
            x, target, weight, start = super().batch(T, B, first)
            return x, target, 0 * weight, start

    agent = predictor(options={"length": 2})
    before = {name: vector.clone() for name, vector in agent.params.items()}
    loop = SupervisedLoop(Silent(), agent, 1, True, 12, seed=0)
    loop.block()
    assert agent.updates == 6
    for name, vector in agent.params.items():
        assert torch.equal(vector, before[name])
    assert (agent.totals[:2] == 0).all()


class LastStep(Counting):
    """Only the last of each 12 steps is scored, the others are 0."""

    def batch(self, T, B, first):
        x, target, weight, start = super().batch(T, B, first)
        weight[(first + np.arange(T)) % self.steps != self.steps - 1] = 0
        return x, target, weight, start


class Dear(Memory):
    """Every step costs its only parameter."""

    def __init__(self, input_size):
        super().__init__()
        self.input_size = self.output_size = input_size
        self.price = torch.nn.Parameter(torch.tensor([0.3]))

    def initial_state(self, B):
        return ()

    def step(self, x_BI, state):
        return Step(x_BI, (), self.price.expand(len(x_BI)))


@pytest.mark.parametrize(
    ("gradient", "stream", "expected"),
    [("bptt", False, [1.0]), ("tbptt", False, [1 / 3] * 3), ("tbptt", True, [4.0] * 3)],
)
def test_a_penalty_is_a_mean_over_all_steps_scored_or_not(gradient, stream, expected):
    """Of a whole sequence; of a stream it is summed over a chunk, as losses are."""
    agent, found = predictor(Dear, gradient, task=LastStep(), stream=stream, seeds=2), []
    agent.optimizers["memory"].step_down = lambda grad_NP, lr_N1: found.append(grad_NP[:, 0])
    SupervisedLoop(LastStep(), agent, 3, stream, 12, seed=0).block()
    torch.testing.assert_close(torch.stack(found), torch.tensor(expected)[:, None].expand(-1, 2))


def test_a_clipped_step_is_as_long_as_allowed_and_a_short_one_as_it_is():
    moved = {}
    for longest in (0.05, 1e3, None):
        agent = predictor("gru", optimizer=SGD, lr=(0.5, 0.25), max_grad_norm=longest)
        before = torch.cat(list(agent.params.values()), 1)
        SupervisedLoop(Counting(), agent, 2, True, 4, seed=0).block()
        assert agent.updates == 1
        moved[longest] = torch.cat(list(agent.params.values()), 1) - before
    lengths_N = moved[0.05].norm(dim=1)
    torch.testing.assert_close(lengths_N, torch.tensor([0.025, 0.0125]), rtol=1e-4, atol=0)
    assert torch.equal(moved[1e3], moved[None])


def test_answers_are_counted_where_they_are_asked_for():
    """Six steps; the columns: answer, class, weight, decisive."""
    steps = torch.tensor(
        [[0, 0, 1, 1], [1, 1, 1, 0], [0, 1, 1, 1], [1, 0, 1, 0], [1, 1, 0, 0], [0, 1, 0, 0]]
    )
    answer, target, weight, decisive = (column.view(6, 1, 1) for column in steps.T)
    out = torch.nn.functional.one_hot(answer, 2).float()
    batch = Sequences(out, target, weight.float(), weight < 0, decisive > 0)
    agent = predictor("none")
    totals = torch.zeros_like(agent.totals)
    agent._count(totals, batch, out, weight.float())
    found = agent.results(totals)
    assert totals[:, 0].tolist() == [4, 4, 2, 1, 2]
    assert (found["accuracy"], found["decisive_accuracy"]) == (2 / 4, 1 / 2)


@torch.no_grad()
def test_an_evaluation_is_one_unroll_however_long_it_is():
    agent, T = predictor("rtu", "rt2"), 600
    batch = for_agents(Counting(), Counting().batch(T, 2, 0), 1, 1)
    memory = make_memory("rtu", 2, **options_of("rtu") | {"hidden_size": 6})
    torch.nn.utils.vector_to_parameters(agent.params["memory"][0], memory.parameters())
    y = memory(batch.x_TNBI[:, 0], memory.initial_state(2), batch.start_TNB[:, 0]).y
    out = agent.readout(agent.params["readout"], y.unsqueeze(1))
    totals = torch.zeros_like(agent.totals)
    agent._count(totals, batch, out, agent.loss(out, batch.target_TNB))
    torch.testing.assert_close(agent.evaluate(batch), totals, rtol=1e-6, atol=0)


def test_only_what_learns_is_compiled(monkeypatch):
    """An evaluation is hundreds of steps, which a compiler would unroll."""
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda f: compiled.append(f) or f)
    agent = predictor("rtu", "rt2", seeds=2, compile=True)
    agent.evaluate(for_agents(Counting(), Counting().batch(9, 1, 0), 2, 1))
    assert not compiled
    SupervisedLoop(Counting(), agent, 1, True, 12, seed=0).block()
    assert len(compiled) == 2  # a step that begins an episode, and any other


@pytest.mark.parametrize("memory", ["vand", "gatel0rd"])
def test_an_evaluation_leaves_no_trace(memory):
    """Noise of the memory's own is neither drawn nor missed afterwards."""
    agent = predictor(memory, seeds=2)
    follow(agent, 24)
    before = copy.deepcopy((agent.params, agent.carry, torch.get_rng_state()))
    batch = for_agents(Counting(), Counting().batch(30, 3, 0), 2, 1)
    first, second = agent.evaluate(batch), agent.evaluate(batch)
    assert torch.equal(first, second)
    after = agent.params, agent.carry, torch.get_rng_state()
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    loop = SupervisedLoop(Counting(), agent, 1, True, 12, seed=0)
    loop.block()
    assert not torch.equal(torch.get_rng_state(), before[2])  # learning draws


def test_weights_are_saved_by_name():
    a, b = predictor("gru", seeds=2), predictor("gru", seeds=2, seed=5)
    state = a.get_state()
    assert state["memory.weight_hh"].shape == (2, 18, 6)
    assert state["readout.0.bias"].shape == (2, 2)
    b.load_state_dict(state)
    assert all(torch.equal(v, b.get_state()[k]) for k, v in state.items())
