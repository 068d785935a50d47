"""Agents: one algorithm box a file, one line here (alphabetical), one YAML of the same name."""

from rlkit.registry import Registry

AGENTS = Registry(
    "agent",
    {
        "actor_critic_online": "agents.actor_critic_online:ActorCriticOnline",
        "dau": "agents.dau:DAU",
        "ddpg": "agents.ddpg:DDPG",
        "dqn": "agents.dqn:DQN",
        "ppo": "agents.ppo:PPO",
        "ppo_online": "agents.ppo_online:PPOOnline",
        "predictor": "agents.predictor:Predictor",
        "world_models": "agents.world_models.agent:WorldModels",
    },
)
