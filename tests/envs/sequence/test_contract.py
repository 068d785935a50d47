"""What every sequence task keeps: reproducible, the same however it is read, resumable."""

import copy

import numpy as np
import pytest

import agents
import envs
from configs.check import check_kind
from envs import make_env, make_task, make_vector_env
from rlkit.options import ConfigError

SMALL = {
    "adding": {"steps": 7},
    "anbn": {"shortest": 1, "longest": 5},
    "copying": {"delay_steps": 5, "data_steps": 3, "letters": 4},
    "distant_brackets": {"inside": 2, "between": 3, "letters": 4},
    "padding": {"steps": 23, "letters": 4, "longest": 5},
    "variable_copying": {"delay_steps": 5, "data_steps": 3, "letters": 4},
    "warping": {"steps": 23, "letters": 4, "longest": 5},
}
TASKS = sorted(envs.SEQUENCES)
SYMBOLS = ["anbn", "characters", "distant_brackets", "three_states_world"]


def small(name, block_steps=61):
    """A task whose streams are made of short blocks, so that reading crosses many borders."""
    task = make_task(name, SMALL.get(name))
    task.block_steps = block_steps
    return task


def drawn(task, seed, B, T=50):
    return task.sample(np.random.default_rng(seed), T if task.stream else None, B)


def assert_same(a, b):
    for x, y in zip(a, b, strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def joined(parts):
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


@pytest.mark.parametrize("name", TASKS)
def test_a_batch_has_the_stated_sizes_and_is_a_function_of_the_generator(name):
    task = small(name)
    batch = drawn(task, 3, 5)
    T = 50 if task.stream else task.steps
    assert batch.x_TBI.shape == (T, 5, task.input_size)
    squared = task.loss == "squared"
    assert batch.target_TB.shape == ((T, 5, task.target_size) if squared else (T, 5))
    assert batch.weight_TB.shape == batch.start_TB.shape == (T, 5)
    kinds = [a.dtype for a in batch]
    assert kinds == [np.float32, np.float32 if squared else np.int64, np.float32, bool]
    if not squared:
        assert batch.target_TB.min() >= 0
        assert batch.target_TB.max() < task.target_size
    assert batch.start_TB[0].all()
    assert batch.weight_TB.any()
    assert set(np.unique(batch.weight_TB)) <= {0, 1}
    assert_same(batch, drawn(task, 3, 5))
    assert not np.array_equal(batch.x_TBI, drawn(task, 4, 5).x_TBI)
    assert len(np.unique(batch.x_TBI, axis=1)[0]) > 1


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("chunks", [[1] * 300, [7] * 42 + [6], [250, 50]])
def test_a_stream_is_the_same_however_it_is_read(name, chunks):
    task = small(name)
    task.begin([5, 7])
    whole = task.read(300)
    task.begin([5, 7])
    assert_same(joined([task.read(T) for T in chunks]), whole)
    task.begin([7])
    assert_same(task.read(300), [a[:, 1:] for a in whole])
    assert whole.start_TB[0].all()


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("before", [3, 130])
def test_a_stream_goes_on_from_its_state(name, before):
    task, other = small(name), small(name)
    task.begin([5, 7])
    task.read(before)
    state = task.get_state()
    kept = copy.deepcopy(state)
    rest = task.read(200)
    other.set_state(state)
    assert_same(other.read(200), rest)
    task.set_state(kept)
    assert_same(task.read(200), rest)


@pytest.mark.parametrize("name", SYMBOLS)
def test_a_target_is_the_next_input(name):
    task = small(name)
    task.begin([1, 2])
    x_TBI, target_TB, weight_TB, start_TB = task.read(400)
    np.testing.assert_array_equal(x_TBI[1:].argmax(axis=2), target_TB[:-1])
    np.testing.assert_array_equal(x_TBI.sum(axis=2), np.ones((400, 2)))
    assert weight_TB.all()
    assert not start_TB[1:].any()


@pytest.mark.parametrize("name", [n for n in TASKS if not make_task(n, SMALL.get(n)).stream])
def test_sequences_can_be_read_one_after_the_other(name):
    task = small(name)
    task.begin([1])
    T = task.steps
    batch = task.read(3 * T)
    assert np.flatnonzero(batch.start_TB[:, 0]).tolist() == [0, T, 2 * T]
    n = -(-task.block_steps // T)
    first = task.sequences(np.random.default_rng(1), n)
    for i in range(min(n, 3)):
        assert_same([a[i * T : (i + 1) * T, 0] for a in batch], [a[:, i] for a in first])


@pytest.mark.parametrize("name", TASKS)
def test_losses_are_ordered(name):
    task = make_task(name)
    best = 0.0 if task.optimum is None else task.optimum
    assert 0 <= best < task.memoryless_loss
    assert all(best <= r for r in task.references.values())
    assert task.native_dt(task.options) == 1.0


class Predictor:
    actions = "none"


def test_kinds_do_not_mix(monkeypatch):
    monkeypatch.setitem(agents.AGENTS._targets, "fake", f"{__name__}:Predictor")
    check_kind("ppo", "cartpole")
    check_kind("fake", "copying")
    with pytest.raises(ConfigError, match=r"agent ppo needs an environment .*that fit: .*fake"):
        check_kind("ppo", "copying")
    with pytest.raises(ConfigError, match=r"agent fake predicts sequences.*adding, anbn"):
        check_kind("fake", "cartpole")
    for refused in (lambda: make_vector_env("adding", num_envs=2), lambda: make_env("adding")):
        with pytest.raises(ConfigError, match="env adding is a sequence to predict"):
            refused()
    with pytest.raises(ConfigError, match=r"no sequence to predict \(allowed: adding"):
        make_task("cartpole")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adding", {"steps": 1}, "env.steps is 1, but must be"),
        ("anbn", {"shortest": 9, "longest": 3}, "env.longest is 3, but must be at least"),
        ("anbn", {"shortest": 0}, "env.shortest is 0"),
        ("copying", {"delay_steps": 0}, "env.delay_steps is 0"),
        ("distant_brackets", {"inside": 0}, "env.inside is 0"),
        ("warping", {"shortest": 60}, "env.longest is 50, but must be at least env.shortest=60"),
        ("padding", {"shortest": 60}, "env.longest is 50"),
        ("warping", {"letters": 1}, "env.letters is 1"),
        ("trace_conditioning", {"distractor_rate": 0.0}, "env.distractor_rate is 0.0"),
        ("trace_conditioning", {"distractor_rate": 1.5}, r"a number in \(0, 1\]"),
        ("trace_conditioning", {"gamma": 1.0}, "env.gamma is 1.0"),
        (
            "trace_conditioning",
            {"isi_steps": [40, 20]},
            r"isi_steps is \[40, 20\], but must be two",
        ),
        ("trace_conditioning", {"iti_steps": [80]}, r"iti_steps is \[80\], but must be two"),
        ("trace_conditioning", {"iti_steps": [1, 9]}, "CS and US must be over"),
        ("trace_conditioning", {"period": "iti", "iti_steps": [41, 90]}, "must be over"),
        ("characters", {"file": "/nowhere/text"}, "cannot read env.file=/nowhere/text: No such"),
        ("characters", {"file": "/"}, "cannot read env.file=/: Is a directory"),
        ("characters", {"split": "tset"}, "env.split is 'tset'"),
        ("pixel_digits", {"source": "idx"}, "needs two files"),
        ("pixel_digits", {"labels": "x"}, "are for env.source=idx, but it is procedural"),
        ("pixel_digits", {"noise": 2.0}, "env.noise is 2.0"),
        ("three_states_world", {"p": 1}, "unknown key env.p"),
    ],
)
def test_bad_input_is_answered_in_a_sentence(name, options, message):
    with pytest.raises(ConfigError, match=message):
        make_task(name, options)


def test_a_length_is_asked_of_streams_alone():
    rng = np.random.default_rng(0)
    for T in (None, 0):
        with pytest.raises(ConfigError, match=f"T is {T}, but of a stream"):
            make_task("anbn").sample(rng, T, 2)
    task = make_task("anbn")
    task.begin([0])
    with pytest.raises(ConfigError, match="T is 0, but of a stream"):
        task.read(0)
    with pytest.raises(ConfigError, match="T is 9, but the sequences have 200 steps"):
        make_task("adding").sample(rng, 9, 2)
