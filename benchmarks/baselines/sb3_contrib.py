"""RecurrentPPO of sb3-contrib with `MlpLstmPolicy`: one LSTM shared, or one for each head.

All as the package has it, but for the settings that all contenders share. It steps a `DummyVecEnv`
(its kind of synchronous vector environment) and bootstraps at time limits.
"""

from typing import Any

from sb3_contrib import RecurrentPPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from benchmarks.baselines.contract import MaskedCartPole, Recorder, Result, Settings

TOPOLOGIES: dict[str, dict[str, Any]] = {
    "shared": {"shared_lstm": True, "enable_critic_lstm": False},
    "separate": {"shared_lstm": False, "enable_critic_lstm": True},
}


class Recording(BaseCallback):
    """Counts returns, reads the clock after every update, stops the run."""

    def __init__(self, recorder: Recorder, num_envs: int, reward_scale: float):
        super().__init__()
        self.recorder, self.reward_scale = recorder, reward_scale
        self.returns, self.reached = [0.0] * num_envs, False

    def _on_training_start(self) -> None:
        self.recorder.start()

    def _on_step(self) -> bool:
        rewards, ended = self.locals["rewards"].tolist(), self.locals["dones"].tolist()
        for i, (reward, end) in enumerate(zip(rewards, ended, strict=True)):
            self.returns[i] += reward
            if end:
                self.recorder.episode(self.returns[i] / self.reward_scale)
                self.returns[i] = 0.0
        return not self.reached

    def _on_rollout_start(self) -> None:
        if self.num_timesteps > 0:
            self.reached = self.recorder.updated(self.num_timesteps)

    def _on_training_end(self) -> None:
        if not self.reached:
            self.recorder.updated(self.num_timesteps)


def run(
    num_envs: int,
    env_steps: int,
    seed: int,
    settings: Settings,
    until: float | None = None,
    topology: str = "shared",
) -> Result:
    """Trains on velocity-masked CartPole for `env_steps`, or until a mean return is reached."""
    s = settings
    policy = {"lstm_hidden_size": s.hidden, "optimizer_kwargs": {"eps": s.adam_eps}}
    envs = DummyVecEnv([lambda: MaskedCartPole(s.reward_scale)] * num_envs)
    model = RecurrentPPO(
        "MlpLstmPolicy",
        VecNormalize(envs, norm_obs=True, norm_reward=False),
        learning_rate=s.lr,
        n_steps=s.rollout_steps,
        batch_size=s.minibatch_steps(num_envs),
        n_epochs=s.epochs,
        gamma=s.gamma,
        gae_lambda=s.gae_lambda,
        clip_range=s.clip,
        ent_coef=s.entropy_weight,
        vf_coef=s.value_weight,
        max_grad_norm=s.max_grad_norm,
        policy_kwargs=policy | TOPOLOGIES[topology],
        seed=seed,
        device="cpu",
    )
    recorder = Recorder(until)
    model.learn(env_steps, Recording(recorder, num_envs, s.reward_scale), log_interval=None)
    return recorder.result
