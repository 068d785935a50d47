"""Collect a rollout with the present policy, learn from it, forget it (PPO, A2C)."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from rlkit.rollout import Rollout
from rlkit.runner import Actor, VectorRunner
from rlkit.types import Metrics, State, Tree


class Sample(NamedTuple):
    """What a policy did at one step, and what it thought of it."""

    action_BA: Tensor
    log_prob_B: Tensor
    value_B: Tensor
    state: State


class OnPolicyLearner(Actor, Protocol):
    """What this loop asks of an agent.

    Attributes:
        discount: per step, γ^dt.
        reward_scale: reward rate → reward of one step.
        lambda_: of the advantage estimates, per step.
        chunk_steps: length of the sequences learnt from.
    """

    discount: float
    reward_scale: float
    lambda_: float
    chunk_steps: int

    def sample(self, obs_BO: Tensor, state: State, start_B: Tensor) -> Sample: ...

    def value(self, obs_BO: Tensor, state: State, start_B: Tensor) -> Tensor: ...

    def update(self, rollout: Rollout, progress: float) -> tuple[Metrics, int]: ...


class OnPolicyLoop:
    """Blocks of `rollout_steps` vector steps, each followed by one update of several epochs.

    A time limit is no end of the task: V of the true final observation, seen with the memory as it
    stood then, is bootstrapped.

    Args:
        runner: steps the environments.
        agent: acts and learns.
        rollout_steps: T.
        total_vector_steps: of the run; schedules follow it.
        steps_before: of it that are over before this loop begins, if the run has stages.
    """

    def __init__(
        self,
        runner: VectorRunner,
        agent: OnPolicyLearner,
        rollout_steps: int,
        total_vector_steps: float,
        steps_before: float = 0,
    ):
        self.runner, self.agent, self.T = runner, agent, rollout_steps
        self.total_vector_steps, self.steps_before = total_vector_steps, steps_before
        self.rollout: Rollout | None = None
        self.updates = 0

    def run(
        self,
        stop: Callable[["OnPolicyLoop"], bool],
        after_block: Callable[["OnPolicyLoop", Metrics], None],
    ) -> None:
        """Runs until `stop`, asked after every block; `after_block` logs, evaluates, saves."""
        while not stop(self):
            metrics = self.block()
            after_block(self, metrics)

    def block(self) -> Metrics:
        """One rollout and its update; returns the update's metrics."""
        progress = min(1.0, (self.steps_before + self.vector_steps) / self.total_vector_steps)
        rollout = self.collect()
        metrics, updates = self.agent.update(rollout, progress)
        self.updates += updates
        return metrics

    @torch.no_grad()
    def collect(self) -> Rollout:
        """T steps of all environments, with advantages."""
        runner, agent = self.runner, self.agent
        rollout = self.rollout
        for t in range(self.T):
            sample = agent.sample(runner.obs_BO, runner.state, runner.start_B)
            if rollout is None:
                shape = (self.T, runner.B, agent.chunk_steps)
                rollout = self.rollout = Rollout(*shape, runner.obs_BO, sample.action_BA)
            step = runner.advance(sample.action_BA, sample.state)
            if t % rollout.L == 0:
                rollout.carries[t // rollout.L] = step.state
            reward_B = step.reward_B * agent.reward_scale
            if step.truncated_B.any():
                never_B = torch.zeros_like(step.start_B)
                after_B = agent.value(step.next_obs_BO, sample.state, never_B)
                reward_B = reward_B + agent.discount * after_B * step.truncated_B
            rollout.obs[t] = step.obs_BO
            rollout.start[t] = step.start_B
            rollout.action[t] = step.action_BA
            rollout.log_prob[t] = sample.log_prob_B
            rollout.value[t] = sample.value_B
            rollout.reward[t] = reward_B
            torch.mul(~runner.start_B, agent.discount, out=rollout.discount[t])
        assert rollout is not None
        last_value_B = agent.value(runner.obs_BO, runner.state, runner.start_B)
        rollout.estimate(last_value_B, agent.lambda_)
        return rollout

    @property
    def vector_steps(self) -> int:
        return self.runner.vector_steps

    def pop_metrics(self) -> dict[str, float]:
        return self.runner.pop_metrics()

    def get_state(self) -> Tree:
        """Between blocks the rollout holds nothing that the next one does not overwrite."""
        return {"runner": self.runner.get_state(), "updates": self.updates}

    def set_state(self, state: Tree) -> None:
        self.runner.set_state(state["runner"])
        self.updates = state["updates"]
