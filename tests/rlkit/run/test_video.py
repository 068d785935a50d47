"""A written video can be read back."""

import imageio_ffmpeg
import numpy as np
import pytest

from rlkit.run.video import write_video


# imageio-ffmpeg's reader leaves the pipes of its finished child to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("height", "width"), [(64, 96), (61, 95)])
def test_round_trip(tmp_path, height, width):
    frames = [np.full((height, width, 3), 20 * i, np.uint8) for i in range(10)]
    path = write_video(tmp_path / "videos" / "a.mp4", frames, fps=20.0)
    reader = imageio_ffmpeg.read_frames(path)
    meta = next(reader)
    assert meta["fps"] == pytest.approx(20)
    assert meta["source_size"] == (width + width % 2, height + height % 2)
    back = [np.frombuffer(frame, np.uint8) for frame in reader]
    assert len(back) == 10
    assert back[9].mean() == pytest.approx(180, abs=5)
