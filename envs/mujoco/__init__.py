"""MuJoCo bodies: gymnasium's -v5 tasks, for any dt, as one pool of simulations.

model.py      a compiled model per file and time step, shared by the process
body.py       the contract of a task: what it observes, rewards and begins with
copies.py     B simulations of one model, stepped by one or more threads
pool.py       the vector environment; single.py one copy of it
the others    the tasks, one family of bodies a file
"""

BODIES = {
    "ant": "envs.mujoco.ant:Ant",
    "half_cheetah": "envs.mujoco.runners:HalfCheetah",
    "hopper": "envs.mujoco.walkers:Hopper",
    "humanoid": "envs.mujoco.humanoids:Humanoid",
    "humanoid_standup": "envs.mujoco.humanoids:HumanoidStandup",
    "inverted_double_pendulum": "envs.mujoco.pendulums:InvertedDoublePendulum",
    "inverted_pendulum": "envs.mujoco.pendulums:InvertedPendulum",
    "pusher": "envs.mujoco.arms:Pusher",
    "reacher": "envs.mujoco.arms:Reacher",
    "swimmer": "envs.mujoco.runners:Swimmer",
    "walker2d": "envs.mujoco.walkers:Walker2d",
}
"""Registered name → body; a part of `envs.ENVS`."""
