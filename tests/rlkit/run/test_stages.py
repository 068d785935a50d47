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


def test_a_folder_of_another_configuration_is_refused(tmp_path):
    place = StageCache(tmp_path).place("data", {"episodes": 3})
    (place.folder / "inputs.json").write_text('{"episodes": 4}')
    with pytest.raises(ConfigError, match="of another configuration than its name says"):
        StageCache(tmp_path).place("data", {"episodes": 3})
    assert (place.folder / "inputs.json").read_text() == '{"episodes": 4}'


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
