"""PPO written out: one sequence, one step at a time, gradients by autograd, Adam by hand."""

import math

import torch
from torch import Tensor


def loss_of(agent, b, entropy_coefficient: float) -> dict[str, Tensor]:
    """The terms of the loss on a minibatch, from the equations of `agents/ppo.py`."""
    o = agent.options
    L, N = b.start.shape
    advantage = b.advantage
    if o.normalize_advantages:
        advantage = (advantage - advantage.mean()) / (advantage.std(unbiased=False) + 1e-8)
    gains, errors, entropies, penalties, kls, clipped = [], [], [], [], [], []
    for i in range(N):
        states = split(agent, tuple(s[i : i + 1] for s in b.state))
        for t in range(L):
            x = agent.encoder(b.obs[t, i : i + 1])
            outputs, costs = [], []
            for k, memory in enumerate(memories(agent)):
                state = memory.fresh_state(x) if b.start[t, i] else states[k]
                y, states[k], penalty = memory.step(x, state)
                outputs.append(y)
                costs.append(penalty)
            p, v = agent.policy(outputs[0])[0], agent.critic(outputs[-1])[0, 0]
            log_prob, entropy = distribution(agent, p, b.action[t, i])
            ratio = torch.exp(log_prob - b.log_prob[t, i])
            A, R, v_old = advantage[t, i], b.target[t, i], b.value[t, i]
            inside = min(max(ratio.item(), 1 - o.clip), 1 + o.clip)
            gains.append(ratio * A if (ratio * A).item() <= inside * A else inside * A)
            error = (v - R) ** 2
            if o.clip_value:
                near = v_old + torch.clamp(v - v_old, -o.clip, o.clip)
                error = torch.maximum(error, (near - R) ** 2)
            errors.append(error)
            entropies.append(entropy)
            if costs[0] is not None:
                penalties.append(sum(costs).mean())
            kls.append(ratio - 1 - torch.log(ratio))
            clipped.append(float(abs(ratio.item() - 1) > o.clip))
    mean = lambda values: torch.stack(values).mean()  # noqa: E731
    terms = {
        "policy_loss": -mean(gains),
        "value_loss": o.value_coefficient * 0.5 * mean(errors),
        "entropy": mean(entropies),
        "kl": mean(kls),
        "clip_fraction": torch.tensor(sum(clipped) / len(clipped)),
    }
    terms["loss"] = (
        terms["policy_loss"] + terms["value_loss"] - entropy_coefficient * terms["entropy"]
    )
    if penalties:
        terms["loss"] = terms["loss"] + mean(penalties)
    return terms


def memories(agent) -> list:
    return [m for m in (agent.memory, agent.critic_memory) if m is not None]


def split(agent, state: tuple) -> list:
    n = len(agent.memory.initial_state(1))
    return [state[:n], state[n:]][: len(memories(agent))]


def distribution(agent, p: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
    """log π(a) and the entropy of π, of one step."""
    if agent.discrete:
        probability = p.exp() / p.exp().sum()
        return probability[action].log(), -(probability * probability.log()).sum()
    std = agent.distribution.log_std.exp()
    log_prob = -((action - p) ** 2) / (2 * std**2) - std.log() - 0.5 * math.log(2 * math.pi)
    return log_prob.sum(), (0.5 * math.log(2 * math.pi * math.e) + std.log()).sum()


def gradient_of(agent, loss: Tensor) -> list[Tensor]:
    parameters = list(agent.parameters())
    return list(torch.autograd.grad(loss, parameters, materialize_grads=True))


class PlainAdam:
    """On separate tensors, after scaling their common gradient down to a norm."""

    def __init__(self, agent, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-5):
        self.parameters = list(agent.parameters())
        self.beta1, self.beta2, self.eps, self.t = beta1, beta2, eps, 0
        self.m = [torch.zeros_like(p) for p in self.parameters]
        self.v = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def step(self, gradients: list[Tensor], lr: float, max_norm: float) -> None:
        self.t += 1
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
        share = min(1.0, max_norm / (norm + 1e-6))
        for p, g, m, v in zip(self.parameters, gradients, self.m, self.v, strict=True):
            m.copy_(self.beta1 * m + (1 - self.beta1) * share * g)
            v.copy_(self.beta2 * v + (1 - self.beta2) * (share * g) ** 2)
            m_hat, v_hat = m / (1 - self.beta1**self.t), v / (1 - self.beta2**self.t)
            p.copy_(p - lr * m_hat / (v_hat.sqrt() + self.eps))
