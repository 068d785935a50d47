"""What holds for every off-policy agent: acting, seeds, states."""

import copy

import pytest
import torch

from agents import AGENTS
from tests.agents.factory import constant, make_agent, parameters, spaces, windows

CASES = [("dau", False), ("dau", True), ("ddpg", False), ("dqn", True)]
each_agent = pytest.mark.parametrize(("name", "discrete"), CASES)


def test_every_registered_agent_is_here():
    off_policy = {
        name for name in AGENTS.names() if getattr(AGENTS.load(name), "loop", "") == "off_policy"
    }
    assert {name for name, _ in CASES} == off_policy


def act(agent, obs, explore):
    fresh = torch.ones(obs.shape[0], dtype=torch.bool)
    with torch.no_grad():
        return agent.act(obs, agent.initial_state(obs.shape[0]), fresh, explore)[0]


def scorer(agent, discrete):
    """The network whose output decides the action."""
    return (agent.q if hasattr(agent, "q") else agent.advantage) if discrete else agent.policy


@each_agent
def test_actions_have_their_kind_and_range(name, discrete):
    agent, obs = make_agent(name, spaces(discrete)), torch.randn(5, 3)
    for explore in (False, True):
        for _ in range(20):
            action = act(agent, obs, explore)
            if discrete:
                assert action.dtype == torch.int64
                assert action.shape == (5,)
                assert ((action >= 0) & (action < 4)).all()
            else:
                assert action.dtype == torch.float32
                assert action.shape == (5, 2)
                assert (action.abs() <= 1).all()


@each_agent
def test_exploration_is_the_noise_added_to_the_scores(name, discrete):
    agent = make_agent(name, spaces(discrete))
    scores = (0.0, 0.3, 0.0, 0.0) if discrete else (0.5, -0.5)
    constant(scorer(agent, discrete), *scores)
    noise = torch.zeros(5, 4 if discrete else 2)
    noise[0, 0], noise[1, 1], noise[2, 0] = 0.2, -0.4, 5.0
    agent.noise.z = noise.clone()
    action = act(agent, torch.randn(5, 3), explore=True)
    if discrete:
        assert action.tolist() == [1, 0, 0, 1, 1]  # 0.3 beats 0.2; 0.3 - 0.4 loses; 5 wins
    else:
        want = torch.tanh(torch.tensor([0.5, -0.5])) + noise
        torch.testing.assert_close(action, want.clamp(-1, 1))
        assert action[2, 0] == 1
    assert not torch.equal(agent.noise.z, noise)


@each_agent
def test_greedy_actions_leave_the_noise_alone(name, discrete):
    agent, obs = make_agent(name, spaces(discrete)), torch.randn(9, 3)  # any number of copies
    z, state = agent.noise.z.clone(), agent.noise.generator.get_state()
    first = act(agent, obs, explore=False)
    assert torch.equal(first, act(agent, obs, explore=False))
    assert torch.equal(agent.noise.z, z)
    assert torch.equal(agent.noise.generator.get_state(), state)


@each_agent
def test_the_same_seed_gives_the_same_parameters(name, discrete):
    given = spaces(discrete)
    agents = [make_agent(name, given, seed=s) for s in (3, 3, 4)]
    for i in range(6):
        for agent in agents:
            agent.update(windows(given, seed=i))
    first, same, other = (parameters(a) for a in agents)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@each_agent
def test_an_update_changes_every_network_and_no_batch(name, discrete):
    given = spaces(discrete)
    agent, batch = make_agent(name, given), windows(given)
    kept, before = copy.deepcopy(batch), parameters(agent)
    agent.update(batch)
    for ours, theirs in zip(batch[:4], kept[:4], strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(parameters(agent), before)
    for flat in agent.optimizers.values():
        assert flat.vector.grad.abs().sum() > 0


@pytest.mark.parametrize("tau", [0.0, 0.9])
@pytest.mark.parametrize("normalize", [False, True])
@each_agent
def test_saved_and_loaded_learning_is_learning_on(name, discrete, normalize, tau):
    given = spaces(discrete)
    straight = make_agent(name, given, seed=1, normalize=normalize, tau=tau)
    resumed = make_agent(name, given, seed=2, normalize=normalize, tau=tau)

    def learn(agent, steps):
        actions = []
        for i in steps:
            batch = windows(given, seed=i)
            if normalize:
                agent.encoder.observe(batch.obs_TBO[0])
            agent.update(batch)
            actions.append(act(agent, batch.obs_TBO[0, :5], explore=True))
        return torch.stack(actions)

    learn(straight, range(5))
    resumed.load_state_dict(straight.get_state())
    resumed.set_training_state(straight.get_training_state())
    further, again = learn(straight, range(5, 10)), learn(resumed, range(5, 10))
    assert torch.equal(parameters(straight), parameters(resumed))
    assert torch.equal(further, again)


@each_agent
def test_windows_of_several_steps_are_a_larger_batch(name, discrete):
    """T = 3 steps of B windows teach what 3·B single transitions teach."""
    torch.set_default_dtype(torch.float64)
    try:
        given = spaces(discrete)
        long, flat = make_agent(name, given), make_agent(name, given)
        g = torch.Generator().manual_seed(1)
        single = [windows(given, B=4, seed=i) for i in range(3)]
        obs = torch.randn(4, 4, 3, generator=g)
        together = single[0]._replace(
            obs_TBO=obs,
            action_TBA=torch.cat([w.action_TBA for w in single]),
            reward_TB=torch.cat([w.reward_TB for w in single]),
            terminated_TB=torch.cat([w.terminated_TB for w in single]),
        )
        apart = together._replace(
            obs_TBO=torch.stack((obs[:-1].reshape(12, 3), obs[1:].reshape(12, 3))),
            action_TBA=together.action_TBA.reshape(1, 12, *together.action_TBA.shape[2:]),
            reward_TB=together.reward_TB.reshape(1, 12),
            terminated_TB=together.terminated_TB.reshape(1, 12),
        )
        long.update(together)
        flat.update(apart)
        for key, optimizer in long.optimizers.items():
            torch.testing.assert_close(
                optimizer.vector.grad, flat.optimizers[key].vector.grad, rtol=1e-10, atol=1e-13
            )
    finally:
        torch.set_default_dtype(torch.float32)
