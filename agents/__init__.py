"""Agents: one algorithm box a file, one line here (alphabetical), one YAML of the same name."""

from rlkit.registry import Registry

AGENTS = Registry(
    "agent",
    {
        "dau": "agents.dau:DAU",
        "ddpg": "agents.ddpg:DDPG",
        "dqn": "agents.dqn:DQN",
        "ppo": "agents.ppo:PPO",
        "world_models": "agents.world_models.agent:WorldModels",
    },
)
