"""The cache of stages: keyed by all inputs, taken up where it was left."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rlkit.options import ConfigError
from rlkit.run.stages import StageCache, key_of


def test_a_key_stands_for_the_values_not_their_order():
    assert key_of({"a": 1, "b": [2, 3]}) == key_of({"b": (2, 3), "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 1.5})


def test_parts_and_result(tmp_path):
    place = StageCache(tmp_path).place("vision", {"lr": 0.1})
    assert (place.part(), place.result(), place.history()) == (None, None, [])
    for number in (1, 2):
        place.save_part({"x": torch.tensor([number])}, number)
        place.note({"loss": 1 / number})
    again = StageCache(tmp_path).place("vision", {"lr": 0.1})
    assert again.part() == {"x": torch.tensor([2])}
    assert again.history() == [{"loss": 1.0}, {"loss": 0.5}]
    again.save_result({"y": 3})
    assert place.result() == {"y": 3}
    other = StageCache(tmp_path).place("vision", {"lr": 0.2})
    assert (other.part(), other.result()) == (None, None)


@pytest.mark.parametrize("name", ["part", "result"])
def test_a_kill_inside_the_first_save_leaves_the_stage_unfinished(tmp_path, monkeypatch, name):
    place = StageCache(tmp_path).place("vision", {})
    arguments = (1,) if name == "part" else ()
    save, load = getattr(place, f"save_{name}"), getattr(place, name)
    with monkeypatch.context() as patch:
        patch.setattr("rlkit.run.checkpoint._sync_folder", interrupt)
        with pytest.raises(KeyboardInterrupt):
            save({"x": 1}, *arguments)
    assert list(place.folder.glob("*/*.tmp"))
    assert load() is None
    save({"x": 2}, *arguments)
    assert load() == {"x": 2}


def interrupt(*arguments):
    raise KeyboardInterrupt


def test_a_kill_while_the_inputs_are_written_leaves_none(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            StageCache(tmp_path).place("data", {"episodes": 3})
    place = StageCache(tmp_path).place("data", {"episodes": 3})
    assert [p.name for p in place.folder.iterdir()] == ["inputs.json"]


def test_a_line_of_the_history_that_was_cut_is_left_out(tmp_path):
    place = StageCache(tmp_path).place("data", {})
    place.note({"loss": 1.0})
    with open(place.folder / "history.jsonl", "ab") as file:
        file.write(b'{"lo\xff')
    assert place.history() == [{"loss": 1.0}]


def test_a_folder_of_another_configuration_is_refused(tmp_path):
    place = StageCache(tmp_path).place("data", {"episodes": 3})
    (place.folder / "inputs.json").write_text('{"episodes": 4}')
    with pytest.raises(ConfigError, match="of another configuration than its name says"):
        StageCache(tmp_path).place("data", {"episodes": 3})
    assert (place.folder / "inputs.json").read_text() == '{"episodes": 4}'
    (place.folder / "inputs.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="of another configuration than its name says"):
        StageCache(tmp_path).place("data", {"episodes": 3})


def test_the_lock_keeps_others_out_and_opens_when_its_holder_is_killed(tmp_path):
    place = StageCache(tmp_path).place("data", {})
    code = (
        "import sys; from pathlib import Path; from rlkit.run.stages import StagePlace\n"
        "with StagePlace(Path(sys.argv[1])).lock(): print('in', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, str(place.folder)]
    root = Path(__file__).resolve().parents[3]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": root}
    with subprocess.Popen(words, **pipes) as first:
        assert first.stdout.readline() == b"in\n"
        with subprocess.Popen(words, **pipes) as second:
            with pytest.raises(subprocess.TimeoutExpired):
                second.wait(1.5)
            first.kill()
            assert second.stdout.readline() == b"in\n"
            second.stdin.close()
