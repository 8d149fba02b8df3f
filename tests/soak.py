"""How much of a long matrix runs: a seeded sample, or the whole of it with PORTABLE_SOAK=1 (`make soak`)."""

from __future__ import annotations

import os


def size(sample: int, whole: int) -> int:
    return whole if os.environ.get("PORTABLE_SOAK") else sample
