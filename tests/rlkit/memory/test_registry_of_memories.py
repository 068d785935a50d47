"""`make_memory`: names, generic options, and what is refused, in one sentence each."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rlkit.memory import check_memory, make_memory, memories_with_traces
from rlkit.memory.timescale import chrono_bias, draw, keep_bias
from rlkit.options import ConfigError

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"name": "grv"}, "unknown memory 'grv'; did you mean 'gru'"),
        ({"hiden_size": 3}, r"unknown key memory\.hiden_size; did you mean 'hidden_size'"),
        ({"hidden_size": 0}, "0"),
        ({"timescale": {"seconds": [0.01, 5]}}, "starts at 0.01, below one step of 0.05"),
        ({"timescale": {"seconds": [5, 0.1]}}, "the shortest comes first"),
        ({"timescale": {"seconds": [1, 2], "steps": [3, 4]}}, "must hold seconds or steps"),
        ({"timescale": {"seconds": 3}}, r"must be \[shortest, longest\]"),
        ({"timescale": {"hours": [1, 2]}}, "must hold seconds or steps"),
        ({"timescale": {"seconds": [1, 2]}, "dt": None}, "needs dt"),
        ({"name": "elman", "timescale": {"steps": [3, 4]}}, "no time constants"),
    ],
)
def test_impossible_memories(given, sentence):
    arguments = {"name": "gru", "input_size": 2, "dt": 0.05, **given}
    with pytest.raises(ConfigError, match=sentence):
        make_memory(**arguments)


def test_traces_asked_of_a_memory_without_them():
    assert {"leaky", "lru", "rtu", "block_diagonal"} <= set(memories_with_traces())
    with pytest.raises(ConfigError, match=r"GRU has no real-time traces .*rtu"):
        make_memory("gru", 2).initial_traces(3)


def test_state_of_another_batch_or_shape():
    memory = make_memory("lstm", 2, hidden_size=3)
    x_TBI = torch.zeros(4, 5, 2)
    with pytest.raises(ConfigError, match=r"shapes \[\(6, 3\), \(6, 3\)\] for a batch of 5"):
        memory(x_TBI, memory.initial_state(6))
    with pytest.raises(ConfigError, match="LSTM got a state"):
        memory(x_TBI, memory.initial_state(5)[:1])


def test_layers_stack():
    memory = make_memory("gru", 2, hidden_size=3, layers=3)
    assert [c.input_size for c in memory.cells] == [2, 3, 3]
    assert memory.output_size == 3
    assert len(memory.initial_state(4)) == 3


def test_the_same_seconds_keep_the_same_share_at_every_dt():
    kept = []
    for dt in (0.05, 0.02, 0.01, 0.005, 0.002):
        torch.manual_seed(0)
        keep = torch.sigmoid(keep_bias(draw(9, (0.1 / dt, 5 / dt))))
        kept.append(keep ** (1 / dt))
    for other in kept[1:]:
        torch.testing.assert_close(other, kept[0], rtol=2e-3, atol=0)


def test_chrono_by_hand():
    torch.manual_seed(0)
    bias = chrono_bias(1000, 200.0)
    assert bias.min() >= 0
    assert bias.max() <= torch.log(torch.tensor(199.0))
    bias = chrono_bias(1000, 200.0, 50.0)
    assert torch.log(torch.tensor(49.0)) <= bias.min()
    with pytest.raises(ConfigError, match="> 2, got 2"):
        chrono_bias(3, 2.0)


def test_checking_imports_no_torch():
    code = (
        "import sys; from rlkit.memory import check_memory, options_of\n"
        "check_memory('gru', {'hidden_size': 3, 'timescale': {'seconds': [1, 2]}}, 0.1)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with pytest.raises(ConfigError, match="below one step"):
        check_memory("gru", {"timescale": {"seconds": [0.01, 2]}}, 0.1)


def test_a_memory_from_another_installed_package(tmp_path):
    """Through the entry-point group: options checked, stacked, unrolled with starts."""
    (tmp_path / "elsewhere.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "from rlkit.memory.base import Memory, Step\n"
        "class Decay(Memory):\n"
        "    def __init__(self, input_size: int, hidden_size: int = 4, keep: float = 0.5):\n"
        "        super().__init__()\n"
        "        self.input_size, self.output_size, self.keep = input_size, hidden_size, keep\n"
        "        self.x_to_h = nn.Linear(input_size, hidden_size)\n"
        "    def initial_state(self, B):\n"
        "        return (self.x_to_h.weight.new_zeros(B, self.output_size),)\n"
        "    def step(self, x_BI, state):\n"
        "        h_BH = self.keep * state[0] + self.x_to_h(x_BI)\n"
        "        return Step(h_BH, (h_BH,))\n"
    )
    info = tmp_path / "elsewhere-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rlkit.memory]\ndecay = elsewhere:Decay\n")
    code = (
        "import torch\n"
        "from rlkit.memory import MEMORIES, check_memory, make_memory\n"
        "from rlkit.options import ConfigError\n"
        "assert 'decay' in MEMORIES.names()\n"
        "check_memory('decay', {'hidden_size': 3, 'keep': 0.9}, 0.1)\n"
        "try: make_memory('decay', 2, kep=0.1)\n"
        "except ConfigError as e: assert \"did you mean 'keep'\" in str(e), e\n"
        "m = make_memory('decay', 2, hidden_size=3, layers=2)\n"
        "x, start = torch.randn(6, 2, 2), torch.zeros(6, 2, dtype=torch.bool)\n"
        "start[3] = True\n"
        "whole = m(x, m.initial_state(2), start).y\n"
        "fresh = m(x[3:], m.initial_state(2)).y\n"
        "torch.testing.assert_close(whole[3:], fresh)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    contract = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*contract, "tests/contracts/test_memories.py", "-k", "decay"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "test" in done.stdout or "%" in done.stdout
