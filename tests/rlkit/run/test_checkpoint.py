"""A checkpoint is either whole or refused, and loading one executes nothing."""

import hashlib
import json
import os
import random
import shutil
from collections import OrderedDict, namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch

from rlkit.options import ConfigError
from rlkit.run import checkpoint
from rlkit.run.checkpoint import decode, encode, load_checkpoint, save_best, save_checkpoint

DTYPES = [np.bool_, np.uint8, np.int32, np.int64, np.float32, np.float64, np.complex128]


def save(folder: Path, step: int, keep: int = 3) -> Path:
    files = {"policy": {"w": torch.full((3,), float(step))}, "replay": {"i": step}}
    return save_checkpoint(folder, files, step=step, metadata={"env_steps": step}, keep=keep)


def flip(file: Path, position: int) -> None:
    data = bytearray(file.read_bytes())
    data[position] ^= 1
    file.write_bytes(data)


def assert_same(a, b) -> None:
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    elif isinstance(a, np.ndarray | np.generic):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes()
    else:
        assert a == b


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_comes_back_with_its_dtype(tmp_path, dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    frozen = array.copy()
    frozen.flags.writeable = False
    tree = {
        "array": array,
        "reversed": array[:, ::-1],
        "transposed": array.T,
        "frozen": frozen,
        "empty": array[:0],
        "zero_d": np.array(1, dtype),
        "scalar": dtype(1),
    }
    save_best(tmp_path, {"a": tree}, step=0, metadata={})
    assert_same(load_checkpoint(tmp_path, "best")[0]["a"], tree)


def test_states_of_generators_and_optimizers_come_back(tmp_path):
    net = torch.nn.Linear(2, 1)
    adam = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    adam.step()
    tree = {
        "numpy": np.random.default_rng(1).bit_generator.state,  # 128-bit integers
        "torch": torch.get_rng_state(),
        "adam": adam.state_dict(),
        "plain": [None, True, 1, -(2**130), 0.1, float("inf"), "text", (), {3: [np.float64(2)]}],
    }
    save_best(tmp_path, {"a": tree, "b": dict(net.state_dict())}, step=0, metadata={})
    files, _ = load_checkpoint(tmp_path, "best")
    assert_same(files["a"], tree)
    assert_same(files["b"], dict(net.state_dict()))


def test_a_view_is_saved_without_the_rest_of_its_storage(tmp_path):
    view = torch.zeros(100_000)[:3]
    path = save_best(tmp_path, {"a": view}, step=0, metadata={})
    assert (path / "a.pt").stat().st_size < 5_000


@pytest.mark.parametrize(
    "leaf", [object(), np.array(["a"]), np.array([None]), Path("x"), {1.5: 0}, {"__numpy__": 0}]
)
def test_what_is_not_plain_data_is_refused_with_its_place(leaf):
    with pytest.raises(TypeError, match=r"policy\['deep'\]\[0\]"):
        encode({"deep": [leaf]}, "policy")


def test_namedtuples_and_ordered_dicts_become_plain():
    tree = {"point": namedtuple("Point", "x y")(1, 2), "ordered": OrderedDict(a=1)}
    assert_same(decode(encode(tree)), {"point": (1, 2), "ordered": {"a": 1}})


def test_manifest_and_only(tmp_path):
    save(tmp_path, 7)
    files, manifest = load_checkpoint(tmp_path, "last", only=["policy"])
    assert list(files) == ["policy"]
    assert (manifest["step"], manifest["metadata"]) == (7, {"env_steps": 7})
    with pytest.raises(ConfigError, match=r"no file value \(it has: policy, replay\)"):
        load_checkpoint(tmp_path, 7, only=["value"])


def test_a_damaged_replay_does_not_hinder_loading_the_policy(tmp_path):
    flip(save(tmp_path, 1) / "replay.pt", 200)
    assert list(load_checkpoint(tmp_path, 1, only=["policy"])[0]) == ["policy"]
    with pytest.raises(ConfigError, match=r"replay\.pt does not match"):
        load_checkpoint(tmp_path, 1)


def test_keeps_the_newest(tmp_path):
    for step in range(5):
        save(tmp_path, step, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step_000000000003", "step_000000000004"]
    assert load_checkpoint(tmp_path, 3)[1]["step"] == 3
    with pytest.raises(ConfigError, match=r"no valid checkpoint in .*there is none for step 2"):
        load_checkpoint(tmp_path, 2)
    with pytest.raises(ConfigError, match="keep is 0"):
        save(tmp_path, 9, keep=0)


def test_a_future_that_was_left_is_removed(tmp_path):
    for step in (10, 20, 30):
        save(tmp_path, step)
    save(tmp_path, 15, keep=2)  # resumed from 10
    assert load_checkpoint(tmp_path)[1]["step"] == 15
    assert len(list(tmp_path.iterdir())) == 2


def test_saving_a_step_again_replaces_it(tmp_path):
    save(tmp_path, 1)
    save_checkpoint(tmp_path, {"policy": 5}, step=1, metadata={}, keep=1)
    assert load_checkpoint(tmp_path)[0] == {"policy": 5}
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["policy.pt", "replay.pt", "manifest.json"])
def test_any_flipped_byte_is_refused_and_the_previous_one_used(tmp_path, name):
    save(tmp_path, 1)
    file = save(tmp_path, 2) / name
    whole = file.read_bytes()
    for position in random.Random(0).sample(range(len(whole)), 60):
        flip(file, position)
        if name == "manifest.json" and chr(whole[position]).isspace():
            continue  # may still say the same
        with pytest.warns(UserWarning, match=rf"000002/{name} .* using .*000001 instead"):
            _, manifest = load_checkpoint(tmp_path, "last")
        assert manifest["step"] == 1
        file.write_bytes(whole)


@pytest.mark.parametrize("name", ["policy.pt", "manifest.json"])
@pytest.mark.parametrize("length", [0, 1, 100, None])
def test_truncated_or_missing_files_are_refused(tmp_path, name, length):
    save(tmp_path, 1)
    file = save(tmp_path, 2) / name
    if length is None:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:length])
    with pytest.warns(UserWarning, match=f"000002/{name} .* using .*000001 instead"):
        assert load_checkpoint(tmp_path)[1]["step"] == 1
    with pytest.raises(ConfigError, match=f"no valid checkpoint in .*{name}"):
        load_checkpoint(tmp_path, 2)


def test_no_checkpoint_at_all(tmp_path):
    for which in ("last", "best", 3):
        with pytest.raises(ConfigError, match=r"no valid checkpoint in .*there is none for"):
            load_checkpoint(tmp_path / "absent", which)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_crafted_pickle_is_refused_without_being_executed(tmp_path, protocol, zipped):
    victim = tmp_path / "executed"

    class Exploit:
        def __reduce__(self):
            return (os.mkdir, (str(victim),))

    path = save(tmp_path, 1)
    file = path / "policy.pt"
    torch.save(
        {"w": Exploit()},
        file,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=zipped,
    )
    manifest = json.loads((path / "manifest.json").read_bytes())  # the attacker mends the sums
    del manifest["sha256"]
    manifest["files"]["policy"]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    manifest["sha256"] = checkpoint._body_sha256(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ConfigError, match="is refused as plain data"):
        load_checkpoint(tmp_path)
    assert not victim.exists()


def test_file_names_cannot_leave_the_folder(tmp_path):
    with pytest.raises(ConfigError, match="cannot name a checkpoint file"):
        save_best(tmp_path, {"../policy": 1}, step=0, metadata={})


class SimulatedCrashError(Exception):
    """Stands for the process being killed at this call."""


SYSTEM_CALLS = ["rename", "fsync", "rmtree"]


def crash_at(monkeypatch, call: str, count: int) -> None:
    owner = shutil if call == "rmtree" else os
    original = getattr(owner, call)
    seen = iter(range(10_000))

    def wrapped(*args, **kwargs):
        if next(seen) == count:
            raise SimulatedCrashError
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, call, wrapped)


@pytest.mark.parametrize("call", SYSTEM_CALLS)
@pytest.mark.parametrize("best", [True, False])
def test_a_crash_at_any_call_leaves_a_loadable_checkpoint(tmp_path, monkeypatch, call, best):
    which = "best" if best else "last"

    def save_step(folder, step):
        if best:
            return save_best(folder, {"a": step, "b": [step]}, step=step, metadata={})
        files = {"a": step, "b": [step]}
        return save_checkpoint(folder, files, step=step, metadata={}, keep=1)

    crashes = 0
    for count in range(20):
        folder = tmp_path / str(count)
        save_step(folder, 1)
        with monkeypatch.context() as patch:
            crash_at(patch, call, count)
            try:
                save_step(folder, 2)
            except SimulatedCrashError:
                crashes += 1
        files, manifest = load_checkpoint(folder, which)
        assert manifest["step"] in (1, 2)
        assert files == {"a": manifest["step"], "b": [manifest["step"]]}
        save_step(folder, 3)  # and the next save heals the folder
        assert load_checkpoint(folder, which)[1]["step"] == 3
        assert len(list(folder.iterdir())) == 1
    assert crashes >= 1
