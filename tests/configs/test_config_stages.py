"""A curriculum over dt: how the budget is shared, and what goes on at a switch."""

import json

import pytest
import torch

import evaluate
import train
from configs import build
from configs.compose import compose_evaluate, compose_train
from configs.stages import resolve, stages_of
from rlkit.run.checkpoint import load_checkpoint
from rlkit.seeding import seed_everything

SMALL = ["preset=smoke", "num_envs=4", "evaluation.count=6", "plots=false", "tensorboard=false"]


def stages(*words):
    return stages_of(compose_train([*SMALL, *words]))


def test_seconds_are_shared_equally():
    found = stages("dt_schedule=[0.05,0.01,0.002]", "sim_seconds=16")
    assert [s.dt for s in found] == [0.05, 0.01, 0.002]
    assert [(s.start, s.end) for s in found] == [(0, 2700), (2700, 5350), (5350, 8000)]
    assert [s.steps for s in found] == [108, 530, 2650]
    assert [s.steps_before for s in found] == [0, 108, 638]
    assert [s.credit for s in found] == [0, 0, 0]


@pytest.mark.parametrize(("budget", "seconds"), [("env_steps=4800", 20), ("updates=5000", 10)])
def test_other_budgets_are_shared_in_seconds_too(budget, seconds):
    """4 copies make 4 · 60 steps per second in the mean of both dt; 500 updates a second."""
    first, second = stages("dt_schedule=[0.05,0.01]", budget)
    assert (first.end, second.end) == (seconds * 50, seconds * 100)


def test_parts_of_an_update_are_not_lost_at_a_switch():
    words = "dt_schedule=[0.05,0.01]", "agent.updates_per_second=3", "sim_seconds=1"
    first, second = stages(*words)
    assert first.steps * 0.05 * 3 == pytest.approx(1.5)
    assert second.credit == pytest.approx(0.5)


def test_without_a_schedule_there_is_one_stage_and_action_repeat_counts():
    config = compose_train([*SMALL, "dt=0.01", "sim_seconds=1", "wrappers.action_repeat=5"])
    (stage,) = stages_of(config)
    assert (stage.ticks, stage.start, stage.end) == (1, 0, 20)
    assert resolve(config) == {
        "total_vector_steps": 20,
        "intervals": {"log": 10, "evaluation": 4, "checkpoint": 20},
    }


def switched(*words):
    """The parts before and after the first switch; the first one has learnt for a while."""
    config = compose_train([*SMALL, *words])
    config |= {"resolved": resolve(config)}
    seeds = seed_everything(0)
    first, second = stages_of(config)
    before = build.make_part(config, first, seeds)
    for _ in range(3):
        before.loop.block()
    return before, build.make_part(config, second, seeds, before.loop)


MEMORIES = {
    "none": ["memory=none"],
    "interleaved": ["memory=gru", "agent.window_seconds=0.1", "agent.carry_seconds=0.05"],
}


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("agent", ["dau", "ddpg"])
def test_the_agent_goes_on_and_the_world_begins_anew(agent, memory):
    words = [f"agent={agent}", "env=pendulum", "agent.tau=0.5", "wrappers.normalize=true"]
    before, after = switched(*words, *MEMORIES[memory], "dt_schedule=[0.05,0.01]", "sim_seconds=1")
    old, new = before.loop.agent, after.loop.agent
    assert before.loop.updates > 0
    assert (old.noise.decay, old.dt) != (new.noise.decay, new.dt)
    for a, b in zip(old.get_state().values(), new.get_state().values(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(old.noise.z, new.noise.z)
    assert torch.equal(old.noise.generator.get_state(), new.noise.generator.get_state())
    for name, optimizer in old.optimizers.items():
        assert optimizer.optimizer.square.any()
        assert torch.equal(optimizer.optimizer.square, new.optimizers[name].optimizer.square)
    kept = before.loop.replay.size
    assert kept > 0
    assert after.loop.replay.size == (kept if memory == "none" else 0)
    assert after.loop.updates == after.loop.vector_steps == 0
    assert after.loop.replay.generator is before.loop.replay.generator
    runner = after.loop.runner
    assert runner.start_B.all()
    assert not torch.equal(runner.obs_BO, before.loop.runner.obs_BO)
    ends = [runner.step() for _ in range(251)][-1]  # of 1000: a quarter of the copies' clocks
    assert ends.start_B.sum() == 1
    assert after.loop.block() is not None
    if memory == "none":  # single steps keep the dt that they took
        dt_B = after.loop.replay.sample(500).dt_B
        assert sorted(set(dt_B.tolist())) == pytest.approx([0.01, 0.05])


def test_step_sizes_are_those_of_the_new_dt():
    """Adam's state holds the old one; 5/dt updates per second make α dt."""
    words = ["agent=ddpg", "env=pendulum", "optimizer=adam", "agent.schedule=steps"]
    words += ["agent.block_steps=1", "agent.updates_per_block=5", "agent.lr_q=0.1"]
    before, after = switched(*words, "dt_schedule=[0.05,0.01]", "sim_seconds=1")
    for part, dt in ((before, 0.05), (after, 0.01)):
        adam = part.loop.agent.optimizers["q"].optimizer
        assert adam.param_groups[0]["lr"] == pytest.approx(0.1 * dt)
        assert adam.state[adam.param_groups[0]["params"][0]]["step"] == before.loop.updates


def test_a_memory_that_ticks_with_dt_keeps_its_seconds():
    words = ["agent=dau", "env=pendulum", "memory=lru", "agent.window_seconds=0.2"]
    before, after = switched(*words, "dt_schedule=[0.05,0.01]", "sim_seconds=1")
    slow, fast = (p.loop.agent.memory for p in (before, after))
    torch.testing.assert_close(fast.nu_log.exp(), slow.nu_log.exp() / 5)


def test_ppo_follows_its_schedules_in_seconds():
    words = ["agent=ppo", "env=cartpole", "agent.rollout_steps=8", "dt_schedule=[0.02,0.01]"]
    before, after = switched(*words, "sim_seconds=1", "agent.minibatches=2")
    halves = [p.loop.steps_before / p.loop.total_vector_steps for p in (before, after)]
    assert halves == [0, before.stage.end / after.stage.end]
    assert after.loop.steps_before == before.stage.end
    old, new = (p.loop.agent.get_state() for p in (before, after))
    assert before.loop.updates > 0
    for name, weights in old.items():
        assert torch.equal(weights, new[name])


def test_a_run_in_stages(tmp_path):
    words = ["dt_schedule=[0.05,0.01]", "sim_seconds=1.2", "env.time_limit_seconds=1"]
    words += ["checkpoint.count=2", f"outputs={tmp_path}"]
    folder = train.train(compose_train([*SMALL, *words]))
    rows = [json.loads(x) for x in (folder / "eval.jsonl").read_text().splitlines()]
    assert [r["dt"] for r in rows] == [0.05] * 3 + [0.01] * 3
    assert [r["length_mean"] for r in rows] == [20] * 3 + [100] * 3
    assert [r["sim_seconds"] for r in rows] == [0.2, 0.4, 0.6, 0.8, 1.0, 1.2]
    assert [r["env_steps"] for r in rows] == [4 * n for n in (4, 8, 12, 32, 52, 72)]
    assert [r["updates"] for r in rows] == [100, 200, 300, 400, 500, 600]
    walls = [r["wall_seconds"] for r in rows]
    assert walls == sorted(walls)

    best = max(rows[3:], key=lambda r: r["return_mean"])
    _, manifest = load_checkpoint(folder / "checkpoints", "best", only=["agent"])
    assert (manifest["metadata"]["dt"], manifest["step"]) == (0.01, best["env_steps"])
    assert evaluate.evaluate(compose_evaluate([f"run={folder}"])) == pytest.approx(best, abs=0)
    earlier = compose_evaluate([f"run={folder}", f"checkpoint={rows[2]['env_steps']}"])
    found = evaluate.evaluate(earlier)
    assert {"wall_seconds"} >= {k for k in found if found[k] != rows[2][k]}  # saved after it
