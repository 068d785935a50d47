"""One thread per worker: pytest already uses every core, and the arrays here are small."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported
