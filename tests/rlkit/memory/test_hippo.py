"""HiPPO's normal part: the eigenvalues and eigenvectors are those of the dense matrix."""

import torch

from rlkit.memory.hippo import hippo


def dense(N: int) -> torch.Tensor:
    """HiPPO-LegS plus its rank-one term, entry by entry."""
    A = torch.empty(N, N, dtype=torch.float64)
    for n in range(N):
        for k in range(N):
            legs = (2 * n + 1) ** 0.5 * (2 * k + 1) ** 0.5 if n > k else n + 1 if n == k else 0
            A[n, k] = -legs + (n + 0.5) ** 0.5 * (k + 0.5) ** 0.5
    return A


def test_half_of_the_spectrum_gives_the_matrix_back():
    torch.set_default_dtype(torch.float64)
    try:
        lam, V = hippo(8, 1)
    finally:
        torch.set_default_dtype(torch.float32)
    assert (lam.imag < 0).all()
    assert (lam.real == -0.5).all()
    torch.testing.assert_close(2 * (V * lam @ V.mH).real, dense(8))


def test_blocks_are_copies():
    lam, V = hippo(8, 2)
    one, V_one = hippo(4, 1)
    assert torch.equal(lam, one.repeat(2))
    assert V.shape == (8, 4)
    assert torch.equal(V[4:, 2:], V_one)
    assert not V[:4, 2:].abs().any()
