"""Distributions of actions, behind four verbs: sample, mode, log_prob, entropy.

Each is a module that takes the parameters p (…, P) a policy head emits; what does not depend on
the input (log standard deviations) it holds itself. Samples are functions of numbers u (…, P)
uniform in (0, 1), so that whoever brings them decides what is random.

Shapes: P parameters, A action components.
"""

import math

import torch
from torch import Tensor, nn

LOG_TWO_PI = math.log(2 * math.pi)


class Categorical(nn.Module):
    """One of n actions; p are logits, actions are int64 (…)."""

    def __init__(self, n: int):
        super().__init__()
        self.parameter_size = n

    def sample(self, p: Tensor, uniform: Tensor) -> Tensor:
        """Draws by the Gumbel maximum: argmax p - log(-log u)."""
        return (p - uniform.log().neg_().log_()).argmax(-1)

    def mode(self, p: Tensor) -> Tensor:
        return p.argmax(-1)

    def log_prob(self, p: Tensor, action: Tensor) -> Tensor:
        return p.log_softmax(-1).gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def log_prob_and_entropy(self, p: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Both, for the price of one softmax; natural logarithms."""
        log_p = p.log_softmax(-1)
        chosen = log_p.gather(-1, action.unsqueeze(-1)).squeeze(-1)
        return chosen, -(log_p.exp() * log_p).sum(-1)


class Gaussian(nn.Module):
    """Independent Gaussians; p are means, the log standard deviations one learnt vector.

    Samples are unbounded; the environment clips them to [-1, 1].

    Args:
        n: components A of the action.
        initial_std: standard deviation at first.
    """

    def __init__(self, n: int, initial_std: float = 1.0):
        super().__init__()
        self.parameter_size = n
        self.log_std = nn.Parameter(torch.full((n,), math.log(initial_std)))

    def sample(self, p: Tensor, uniform: Tensor) -> Tensor:
        return torch.addcmul(p, torch.special.ndtri(uniform), self.log_std.exp())

    def mode(self, p: Tensor) -> Tensor:
        return p

    def log_prob(self, p: Tensor, action: Tensor) -> Tensor:
        z = (action - p) * (-self.log_std).exp()
        return -0.5 * (z.square() + LOG_TWO_PI).sum(-1) - self.log_std.sum()

    def log_prob_and_entropy(self, p: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        entropy = (self.log_std + 0.5 * (1 + LOG_TWO_PI)).sum()
        return self.log_prob(p, action), entropy.expand(p.shape[:-1])
