"""HiPPO-LegS, the state matrix that keeps a history as Legendre coefficients (Gu et al., 2020).

Only the eigenvalues of its normal part are used (S4D, S5; Gupta et al., 2022).
"""

import torch
from torch import Tensor


def hippo(N: int, blocks: int) -> tuple[Tensor, Tensor]:
    """Eigenvalues (N/2,) with negative frequency and eigenvectors (N, N/2) of HiPPO's normal part.

    The matrix is -1/2 on the diagonal, -sqrt(n + 1/2) sqrt(k + 1/2) below and its negative above.
    """
    n = N // blocks
    root = torch.sqrt(torch.arange(n, dtype=torch.float64) + 0.5)
    skew = torch.triu(torch.outer(root, root), 1)
    frequency, V = torch.linalg.eigh(-1j * (skew - skew.T))  # ascending: the negative half first
    kind = torch.complex(torch.zeros(()), torch.zeros(())).dtype
    lam = torch.complex(torch.full((n // 2,), -0.5, dtype=torch.float64), frequency[: n // 2])
    return lam.repeat(blocks).to(kind), torch.block_diag(*[V[:, : n // 2]] * blocks).to(kind)
