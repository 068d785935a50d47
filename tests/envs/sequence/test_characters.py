"""Text: how it is folded, split and read, and what is refused."""

import sys

import numpy as np
import pytest

from envs import make_task
from envs.sequence.characters import SYMBOLS
from rlkit.options import ConfigError


@pytest.fixture
def text(tmp_path):
    """200 characters that are easy to tell apart, as a file."""
    path = tmp_path / "text"
    path.write_text("".join(SYMBOLS[1 + i % 26] for i in range(200)))
    return path


def read(task, T):
    return "".join(SYMBOLS[i] for i in task.read(T).x_TBI[:, 0].argmax(axis=1))


def test_folding(tmp_path):
    path = tmp_path / "text"
    path.write_text("  Ein Café,\n\nNo. 3: x-ray\t" + "z" * 100, encoding="utf-8")
    task = make_task("characters", {"file": str(path), "from_start": True})
    task.begin([0])
    assert read(task, 20) == " ein caf no x ray zz"


def test_splits_are_parts_of_the_text(text):
    parts = [
        "".join(SYMBOLS[i] for i in make_task("characters", {"file": str(text), "split": s}).text)
        for s in ("train", "validation", "test")
    ]
    assert [len(p) for p in parts] == [180, 10, 10]
    assert "".join(parts) == text.read_text()


def test_a_stream_begins_anew_where_the_text_ends(text):
    task = make_task("characters", {"file": str(text), "split": "test", "from_start": True})
    task.block_steps = 7
    task.begin([0, 1])
    x_TBI, _, weight_TB, start_TB = task.read(25)
    word = text.read_text()[190:]
    assert "".join(SYMBOLS[i] for i in x_TBI[:, 0].argmax(axis=1)) == (word * 3)[:25]
    assert np.flatnonzero(start_TB[:, 0]).tolist() == [0, 10, 20]
    assert np.flatnonzero(weight_TB[:, 0] == 0).tolist() == [9, 19]
    np.testing.assert_array_equal(x_TBI[:, 0], x_TBI[:, 1])


def test_streams_begin_at_random_places(text):
    task = make_task("characters", {"file": str(text)})
    task.block_steps = 5
    task.begin(list(range(200)))
    batch = task.read(1)
    assert batch.start_TB.all()
    assert len(np.unique(batch.x_TBI[0].argmax(axis=1))) > 20


def test_the_losses_are_counts(text):
    """Of a text in which every character names the next one."""
    task = make_task("characters", {"file": str(text)})
    assert task.memoryless_loss == pytest.approx(0, abs=1e-9)
    assert task.references["unigram"] == pytest.approx(np.log2(26), abs=0.01)


def test_the_text_of_python():
    task = make_task("characters")
    assert len(task.text) > 250_000
    assert (task.text[1:] + task.text[:-1] > 0).all()  # never two spaces
    assert 2.5 < task.memoryless_loss < task.references["unigram"] < np.log2(27)


def test_bad_files(tmp_path, text, monkeypatch):
    short = tmp_path / "short"
    short.write_text("too short")
    with pytest.raises(ConfigError, match="has 9 characters, but must have at least 100"):
        make_task("characters", {"file": str(short)})
    make_task("characters", {"file": str(text), "fold": False})
    text.write_text(text.read_text() + "A")
    with pytest.raises(ConfigError, match=r"holds b'A' at byte 200, but with env.fold=false"):
        make_task("characters", {"file": str(text), "fold": False})
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(ConfigError, match="must name a text"):
        make_task("characters")
