"""PPO with an LSTM in one file, after the structure that CleanRL made known; written anew.

Linear encoder, an `nn.LSTM` called once per time step so that its state can be cleared between
episodes, minibatches over whole columns of environments. As there, a time limit counts as an end
(no bootstrap) and advantages are normalised per minibatch. As with the other contenders,
observations are normalised and the value loss is not clipped; what is only logged is left out.
"""

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.utils import RunningMeanStd
from torch import Tensor, nn
from torch.distributions import Categorical

from benchmarks.baselines.contract import MaskedCartPole, Recorder, Result, Settings

LSTMState = tuple[Tensor, Tensor]


def orthogonal(layer: nn.Linear, gain: float) -> nn.Linear:
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


class ActorCritic(nn.Module):
    def __init__(self, O: int, H: int, actions: int):
        super().__init__()
        self.encoder = nn.Sequential(orthogonal(nn.Linear(O, H), 2**0.5), nn.Tanh())
        self.lstm = nn.LSTM(H, H)
        for name, p in self.lstm.named_parameters():
            if "bias" in name:
                nn.init.zeros_(p)
            else:
                nn.init.orthogonal_(p, 1.0)
        self.policy = orthogonal(nn.Linear(H, actions), 0.01)
        self.value = orthogonal(nn.Linear(H, 1), 1.0)

    def initial_state(self, B: int) -> LSTMState:
        shape = (1, B, self.lstm.hidden_size)
        return torch.zeros(shape), torch.zeros(shape)

    def recur(
        self, obs_TBO: Tensor, state: LSTMState, start_TB: Tensor
    ) -> tuple[Tensor, LSTMState]:
        """Hidden states (T * B, H), one call of the LSTM per step, cleared where `start`."""
        x_TBH = self.encoder(obs_TBO)
        y = []
        for x_BH, start_B in zip(x_TBH, start_TB, strict=True):
            keep = (1.0 - start_B).view(1, -1, 1)
            y_1BH, state = self.lstm(x_BH.unsqueeze(0), (keep * state[0], keep * state[1]))
            y.append(y_1BH)
        return torch.cat(y).flatten(0, 1), state

    def forward(
        self, obs_TBO: Tensor, state: LSTMState, start_TB: Tensor
    ) -> tuple[Categorical, Tensor, LSTMState]:
        y_NH, state = self.recur(obs_TBO, state, start_TB)
        return Categorical(logits=self.policy(y_NH)), self.value(y_NH).squeeze(-1), state


@torch.no_grad()
def advantages(
    reward_TB: Tensor, value_TB: Tensor, start_TB: Tensor, last_value_B: Tensor, s: Settings
) -> Tensor:
    """Generalised advantage estimation; `start_TB` has T + 1 rows, row t + 1 is the end of t."""
    advantage_TB = torch.zeros_like(reward_TB)
    running_B, next_value_B = torch.zeros_like(last_value_B), last_value_B
    for t in reversed(range(len(reward_TB))):
        goes_on_B = 1.0 - start_TB[t + 1]
        delta_B = reward_TB[t] + s.gamma * goes_on_B * next_value_B - value_TB[t]
        running_B = delta_B + s.gamma * s.gae_lambda * goes_on_B * running_B
        advantage_TB[t], next_value_B = running_B, value_TB[t]
    return advantage_TB


def run(
    num_envs: int, env_steps: int, seed: int, settings: Settings, until: float | None = None
) -> Result:
    """Trains on velocity-masked CartPole for `env_steps`, or until a mean return is reached."""
    s, T, B = settings, settings.rollout_steps, num_envs
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    envs = SyncVectorEnv(
        [lambda: MaskedCartPole(s.reward_scale)] * B, autoreset_mode=AutoresetMode.SAME_STEP
    )
    (O,), actions = envs.single_observation_space.shape, int(envs.single_action_space.n)
    agent = ActorCritic(O, s.hidden, actions)
    optimizer = torch.optim.Adam(agent.parameters(), lr=s.lr, eps=s.adam_eps)
    obs_TBO, start_TB = torch.zeros(T, B, O), torch.zeros(T + 1, B)
    action_TB = torch.zeros(T, B, dtype=torch.long)
    log_prob_TB, reward_TB, value_TB = (torch.zeros(T, B) for _ in range(3))
    moments = RunningMeanStd(shape=(O,))

    def normalized(obs_BO: np.ndarray) -> Tensor:
        moments.update(obs_BO)
        return torch.tensor((obs_BO - moments.mean) / np.sqrt(moments.var + 1e-8)).float()

    recorder, return_B, steps = Recorder(until), np.zeros(B), 0
    obs, _ = envs.reset(seed=seed)
    next_obs_BO, next_start_B = normalized(obs), torch.ones(B)
    state = agent.initial_state(B)
    recorder.start()

    while steps < env_steps:
        first_state = (state[0].clone(), state[1].clone())
        for t in range(T):
            obs_TBO[t], start_TB[t] = next_obs_BO, next_start_B
            with torch.no_grad():
                policy, value_TB[t], state = agent(obs_TBO[t : t + 1], state, start_TB[t : t + 1])
                action_B = policy.sample()
                log_prob_TB[t], action_TB[t] = policy.log_prob(action_B), action_B
            obs, reward, terminated, truncated, _ = envs.step(action_B.numpy())
            ended = terminated | truncated
            reward_TB[t] = torch.tensor(reward)
            next_obs_BO, next_start_B = normalized(obs), torch.from_numpy(ended).float()
            return_B += reward
            for i in np.flatnonzero(ended):
                recorder.episode(return_B[i] / s.reward_scale)
                return_B[i] = 0.0
        steps += T * B
        start_TB[T] = next_start_B
        with torch.no_grad():
            _, last_value_B, _ = agent(next_obs_BO.unsqueeze(0), state, next_start_B.unsqueeze(0))
        advantage_TB = advantages(reward_TB, value_TB, start_TB, last_value_B, s)
        target_TB = advantage_TB + value_TB

        for _ in range(s.epochs):
            for columns in np.split(rng.permutation(B), s.minibatches):
                first = (first_state[0][:, columns], first_state[1][:, columns])
                policy, value_N, _ = agent(obs_TBO[:, columns], first, start_TB[:-1, columns])
                log_prob_N = policy.log_prob(action_TB[:, columns].flatten())
                ratio_N = (log_prob_N - log_prob_TB[:, columns].flatten()).exp()
                advantage_N = advantage_TB[:, columns].flatten()
                advantage_N = (advantage_N - advantage_N.mean()) / (advantage_N.std() + 1e-8)
                clipped_N = ratio_N.clamp(1 - s.clip, 1 + s.clip)
                policy_loss = -torch.min(ratio_N * advantage_N, clipped_N * advantage_N).mean()
                value_loss = 0.5 * ((value_N - target_TB[:, columns].flatten()) ** 2).mean()
                entropy = policy.entropy().mean()
                loss = policy_loss + s.value_weight * value_loss - s.entropy_weight * entropy
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), s.max_grad_norm)
                optimizer.step()
        if recorder.updated(steps):
            break
    envs.close()
    return recorder.result
