"""The inputs of a golden of one part: its JSON gives each a name, a shape, a scale and a shift."""

from __future__ import annotations

import detw
import numpy as np


def part_inputs(golden) -> dict[str, np.ndarray]:
    """Name -> float32 array in PyTorch's layout: unit normals of the stream "in:NAME", times the scale, plus the shift."""
    return {
        entry["name"]: np.float32(entry["scale"]) * detw.normal(f"in:{entry['name']}", entry["shape"], golden.index["salt"])
        + np.float32(entry["shift"])
        for entry in golden.index["inputs"]
    }
