"""Videos of episodes as mp4 (H.264)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
from numpy.typing import NDArray


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float) -> Path:
    """Writes RGB frames [height, width, 3]; odd sizes gain a row or column, as H.264 needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer: Any = imageio.get_writer(
        path, format="FFMPEG", mode="I", fps=fps, codec="libx264", macro_block_size=2
    )
    with writer:
        for frame in frames:
            height, width = frame.shape[:2]
            writer.append_data(np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), "edge"))
    return path
