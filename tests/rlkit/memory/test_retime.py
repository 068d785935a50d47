"""The same memory at another tick forgets as much per second, and hears a held input as before."""

import pytest
import torch

from rlkit.memory import MEMORIES, make_memory
from rlkit.memory.interleaved import Interleaved
from rlkit.memory.retime import LAWS, retime

PARTS = 5
"""New ticks in an old one."""
EXACT = ("block_diagonal", "lru", "rtu", "s5")


def pair(name, **options):
    """A memory whose weights moved since it was made, and the same one retimed; float64."""
    torch.manual_seed(0)
    memory, other = (make_memory(name, 3, hidden_size=4, **options).double() for _ in range(2))
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in memory.parameters():
            p += 0.05 * torch.randn(p.shape, generator=g, dtype=p.dtype)
    other.load_state_dict(memory.state_dict())
    retime(other, 1 / PARTS)
    return memory.eval(), other.eval()


@pytest.mark.parametrize("name", EXACT)
def test_a_held_input_leads_to_the_same_states_and_outputs(name):
    memory, fine = pair(name, timescale={"steps": (3, 30)})
    x_TBI = torch.randn(20, 2, 3, dtype=torch.float64)
    state, fine_state = memory.initial_state(2), fine.initial_state(2)
    state, fine_state = (tuple(s.double() for s in v) for v in (state, fine_state))
    with torch.no_grad():
        coarse = memory(x_TBI, state)
        held = fine(x_TBI.repeat_interleave(PARTS, 0), fine_state)
    torch.testing.assert_close(held.y[PARTS - 1 :: PARTS], coarse.y, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(held.state, coarse.state, rtol=1e-11, atol=1e-12)


def left_after(memory, ticks):
    """How far apart two nearby states still are, matrices set to zero, after so many ticks."""
    nothing = torch.zeros(1, 3, dtype=torch.float64)
    with torch.no_grad():
        for parameter in memory.parameters():
            if parameter.dim() >= 2:
                parameter.zero_()
        rest = tuple(s.double() for s in memory.initial_state(1))
        for _ in range(4000):  # where it comes to rest: nonlinear cells decay alike there alone
            rest = memory.step(nothing, rest).state
        g = torch.Generator().manual_seed(2)
        moved = tuple(s + 1e-6 * torch.rand(s.shape, generator=g).double() for s in rest)
        for _ in range(ticks):
            rest, moved = (memory.step(nothing, s).state for s in (rest, moved))
    return [b - a for a, b in zip(rest, moved, strict=True)]


@pytest.mark.parametrize("name", [n for n in LAWS if n not in ("lstm", "linear_attention")])
def test_free_decay_per_second_is_unchanged(name):
    memory, fine = pair(name, timescale={"steps": (3, 30)})
    left, fine_left = left_after(memory, 4), left_after(fine, 4 * PARTS)
    assert max(v.abs().max() for v in left) > 1e-8
    for a, b in zip(left, fine_left, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-6, atol=1e-15)


def test_the_cell_of_an_lstm():
    """F^(1/5), and what is written per second of a constant candidate is the same in the end."""
    memory, fine = pair("lstm", timescale={"steps": (3, 30)})
    gates = [(m.bias_ih + m.bias_hh).sigmoid().chunk(4) for m in (memory, fine)]
    (i, f, g, o), (i_fine, f_fine, g_fine, o_fine) = gates
    torch.testing.assert_close(f_fine**PARTS, f)
    torch.testing.assert_close(i_fine / (1 - f_fine), i / (1 - f))
    assert torch.equal(g, g_fine)
    assert torch.equal(o, o_fine)


def test_an_lstm_slows_down_without_writing_more_than_all():
    memory = make_memory("lstm", 2, hidden_size=3)
    with torch.no_grad():
        memory.bias_ih[:3] += 4.0
    retime(memory, 1.5)
    assert all(p.isfinite().all() for p in memory.parameters())


def test_the_decay_of_linear_attention():
    for decay in ("learnt", "gated"):
        memory, fine = pair("linear_attention", decay=decay)
        torch.testing.assert_close(fine.keep_bias.sigmoid() ** PARTS, memory.keep_bias.sigmoid())
    pair("linear_attention", decay="none")


@pytest.mark.parametrize("name", ["gru", "gated", "mingru", "minlstm", "leaky"])
def test_a_held_input_ends_where_it_did(name):
    """The fixed point of a cell whose one gate writes what it does not keep."""
    memory, fine = pair(name, timescale={"steps": (3, 30)})
    with torch.no_grad():
        for m in (memory, fine):
            for n, p in m.named_parameters():
                if n in ("weight_hh", "weight_h"):
                    p.zero_()
    nothing = torch.zeros(1, 3, dtype=torch.float64)
    ends = []
    for m in (memory, fine):
        state = tuple(s.double() for s in m.initial_state(1))
        with torch.no_grad():
            for _ in range(4000):
                state = m.step(nothing, state).state
        ends.append(state)
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["ffm", "mamba", "rg_lru"])
def test_a_held_input_fills_to_first_order_as_much(name):
    """Unscaled inputs would fill the state 5 times as much (rg_lru: 2.2 times)."""
    memory, fine = pair(name, timescale={"steps": (60, 200)})
    x = torch.ones(1, 3, dtype=torch.float64)
    sizes = []
    for m, ticks in ((memory, 100), (fine, 100 * PARTS)):
        state = tuple(s.double() for s in m.initial_state(1))
        with torch.no_grad():
            for _ in range(ticks):
                state = m.step(x, state).state
        sizes.append(state[0].norm())
    torch.testing.assert_close(sizes[1], sizes[0], rtol=0.1, atol=0)


def test_repeated_eigenvalues_have_a_power():
    memory, fine = pair("block_diagonal")
    with torch.no_grad():
        for m in (memory, fine):
            for name, value in {"A": 0.8, "B": 0.3, "C": 0.0, "D": 0.8}.items():
                getattr(m, name).fill_(value)
    retime(fine, 1 / PARTS)
    M = torch.stack((fine.A, fine.B, fine.C, fine.D), -1).view(-1, 2, 2).detach()
    expected = torch.tensor([[0.8, 0.3], [0.0, 0.8]], dtype=torch.float64).expand_as(M)
    torch.testing.assert_close(torch.linalg.matrix_power(M, PARTS), expected)


def test_every_memory_inside_a_module_is_found():
    torch.manual_seed(0)
    inner = make_memory("vand", 3, inner="lru", layers=2, pre=[4])
    wrapped = Interleaved(inner, 2)
    before = [p.clone() for n, p in wrapped.named_parameters() if n.endswith("nu_log")]
    retime(wrapped, 0.5)
    after = [p for n, p in wrapped.named_parameters() if n.endswith("nu_log")]
    assert len(before) == 2
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(b.exp(), a.exp() / 2)


def test_without_a_law_or_at_the_same_tick_nothing_changes():
    torch.manual_seed(0)
    for name in MEMORIES.names():
        memory = make_memory(name, 3)
        before = {k: v.clone() for k, v in memory.state_dict().items()}
        retime(memory, 1.0)
        for key, value in memory.state_dict().items():
            assert torch.equal(value, before[key])
    assert set(MEMORIES.names()) - set(LAWS) == {
        *("elman", "framestack", "gatel0rd", "gtrxl", "none", "vand")
    }
