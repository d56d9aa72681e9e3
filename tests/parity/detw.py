"""Deterministic weights and inputs of the released goldens: every number follows from a tensor's name. NumPy only.

The JSON of a golden gives its salt and names its inputs; the state-dict spec gives names and shapes of the weights.
"""

from __future__ import annotations

import math
import re
import zlib

import numpy as np

# Weights with a standard deviation of their own: unit-norm vectors go into the first, unit-norm pixels into the second.
ABSOLUTE = (
    (r"(extra_lineara|extra_audio_d|layerA_d)\.weight$", 1.0),
    (r"^(audio_model\.8|layerA\.8|audnet\.avgpool)\.conv\.weight$", 2.0),
)
# Factors on sqrt(2 / fan_in), all that match; they keep softmaxes, gates and tanh out of saturation.
GAINS = (
    (r"^fc\.weight$", 4.0),
    (r"(^|\.)Aup\.\d+\.weight$", 0.5),
    (r"extra_bilinear\.weight$", 0.5),
    (r"(extra_video_d[012]|layerV_d)\.weight$", 0.25),
    (r"^(extra_convs|extra_video_d)\.6\.weight$", 0.25),
    (r"^(extra_convs|extra_convsd0|extra_convsd1)\.weight$", 0.2),
    (r"extra_(projf|projg|proja|projb)\.weight$", 0.5),
    (r"extra_linearv\.weight$", 0.5),
)


def stream(name: str, salt: str = "") -> np.random.Generator:
    """The random stream of `name`."""
    return np.random.Generator(np.random.PCG64(zlib.crc32((salt + name).encode())))


def normal(name: str, shape, salt: str = "") -> np.ndarray:
    """Unit normals of `shape`, drawn in float64 and cast to float32."""
    return _draw(stream(name, salt), *shape)


def tensor_for(key: str, shape, keys, salt: str = "") -> np.ndarray:
    """The tensor `key` of `shape` of a net whose tensors are `keys`; PyTorch's layout, float32 (counters int64)."""
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    n = normal(key, shape, salt)
    if key.endswith("running_mean"):
        return (0.1 * n).astype(np.float32)
    if key.endswith("running_var"):
        return (1 + 0.1 * np.abs(n)).astype(np.float32)
    if key.endswith("centroids"):
        return (0.05 * n).astype(np.float32)
    if key.rsplit(".", 1)[-1] == "bias":
        return (0.01 * n).astype(np.float32)
    parent = key.rsplit(".", 1)[0]
    if f"{parent}.running_mean" in keys:
        return ((0.2 if _ends_a_block(parent, keys) else 1.0) * (1 + 0.1 * n)).astype(np.float32)
    return np.float32(_deviation(key, shape)) * n


def weights(spec, salt: str = "") -> dict[str, np.ndarray]:
    """The state dict of `spec`, the list ``tensors`` of a spec's JSON: entries with `name` and `shape`."""
    keys = {entry["name"] for entry in spec}
    return {entry["name"]: tensor_for(entry["name"], tuple(entry["shape"]), keys, salt) for entry in spec}


def image(name: str, batch: int, height: int, width: int | None = None, salt: str = "") -> np.ndarray:
    """(batch, 3, height, width) float32: 8x8 squares of colour under noise, in place of a normalised picture."""
    width = height if width is None else width
    random = stream(f"img:{name}", salt)
    coarse, noise = _draw(random, batch, 3, 8, 8), _draw(random, batch, 3, height, width)
    rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
    return coarse[:, :, rows[:, None], columns] + np.float32(0.5) * noise


def audio(name: str, batch: int, bins: int = 257, columns: int = 48, salt: str = "") -> np.ndarray:
    """(batch, bins, columns) float32, in place of a normalised log spectrogram."""
    random = stream(f"aud:{name}", salt)
    row, column, noise = (_draw(random, batch, *shape) for shape in ((bins, 1), (1, columns), (bins, columns)))
    return np.float32(0.5) * (row + column) + np.float32(0.7) * noise


def _draw(random: np.random.Generator, *shape: int) -> np.ndarray:
    return random.standard_normal(shape).astype(np.float32)


def _ends_a_block(norm: str, keys) -> bool:
    block, _, leaf = norm.rpartition(".")
    return leaf == "bn3" or (leaf == "bn2" and f"{block}.bn3.weight" not in keys)


def _deviation(key: str, shape) -> float:
    for pattern, deviation in ABSOLUTE:
        if re.search(pattern, key):
            return deviation
    transposed = re.search(r"(^|\.)Aup\.\d+\.weight$", key)
    fan_in = shape[0] if transposed else math.prod(shape[1:])
    return math.sqrt(2 / fan_in) * math.prod(gain for pattern, gain in GAINS if re.search(pattern, key))
