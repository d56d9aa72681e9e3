"""What nets say of a clip, and what becomes of it: CAMs on one grid (Eq. 1), fused (Eq. 2, 8, 22), boxes (section 3.2).

All frame by frame in chunks of one size, so that nothing is compiled anew for a clip of another length.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stajax import cam
from stajax.layers.resize import resize

_CHUNK = 64  # frames at once


@dataclass(frozen=True, eq=False)
class Evidence:
    """Of each source, frame and tag.

    whole, crops: (T, tags, h, w), the tag's class map of the frame, and of what lies in its box; a source in both counts by the
    latter. boxes: (T, 4) top, left, bottom, right as parts of the frame. confidence: (T, tags, 2), of the tag and of the
    strongest other class.
    """

    whole: dict[str, np.ndarray]
    crops: dict[str, np.ndarray]
    boxes: np.ndarray
    confidence: dict[str, np.ndarray]

    def of(self, frames: np.ndarray | slice) -> Evidence:
        """That of some frames."""
        parts = jax.tree.map(lambda x: x[frames], (self.whole, self.crops, self.boxes, self.confidence))
        return Evidence(*parts)

    def only(self, names: Collection[str]) -> Evidence:
        """That of some sources."""
        whole, crops, confidence = (
            {name: x for name, x in part.items() if name in names} for part in (self.whole, self.crops, self.confidence)
        )
        return Evidence(whole, crops, self.boxes, confidence)


def fused(evidence: Evidence, side: int, selective: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Fused maps (T, side, side) float32 in [0, 1], zeros where not valid, and valid (T,).

    selective: by soft-filtered confidences (SCAM, Eq. 2; SCAM+, Eq. 8); without it the average of all CAMs (Eq. 22). Of several
    tags the mean of the maps of those that are valid, once more normalised.
    """
    maps, valid = _in_chunks(lambda *parts: _fuse(*parts, side, selective), evidence)
    return maps, valid


def on_grid(evidence: Evidence, side: int) -> dict[str, np.ndarray]:
    """The CAM of each source, (T, tags, side, side) float32 in [0, 1]; what was seen in a box is in its place."""
    return _in_chunks(lambda *parts: _cams(*parts[:3], side), evidence)


def coarse_boxes(maps: np.ndarray, valid: np.ndarray, factor: float, min_side: float, steady: int) -> np.ndarray:
    """(T, 4) float32 as parts of the frame: around what maps (T, side, side) mark, the whole frame where not valid.

    factor: of the threshold. min_side: shortest side of a box. steady: frames to each side that are averaged over.
    """
    count, (maps, valid) = len(maps), _padded(maps, valid)
    valid = valid & (np.arange(len(valid)) < count)
    return np.asarray(_boxes(maps, valid, factor, min_side, steady))[:count]


def smoothed(maps: np.ndarray) -> np.ndarray:
    """The release's smoothing over time, of maps (T, h, w)."""
    (longer,) = _padded(maps)  # it reads the last map again at the end, as the padding does
    return np.asarray(cam.recursive_smooth(longer))[: len(maps)]


@partial(jax.jit, static_argnames="side")
def _cams(whole: dict, crops: dict, boxes: jax.Array, side: int) -> dict[str, jax.Array]:
    """Class maps (T, tags, h, w) to CAMs (T, tags, side, side)."""

    def placed(maps: jax.Array) -> jax.Array:
        of_tags = jnp.broadcast_to(boxes[:, None] * side, (*maps.shape[:2], 4))
        return cam.paste(cam.min_max(maps), of_tags, (side, side), method="bilinear")

    seen = {name: resize(cam.min_max(x)[..., None], (side, side))[..., 0] for name, x in whole.items() if name not in crops}
    return {name: placed(crops[name]) if name in crops else seen[name] for name in {**whole, **crops}}


@partial(jax.jit, static_argnames=("side", "selective"))
def _fuse(whole: dict, crops: dict, boxes: jax.Array, confidence: dict, side: int, selective: bool) -> tuple:
    found = _cams(whole, crops, boxes, side)
    cams = jnp.stack(list(found.values()), 2)  # (T, tags, K, side, side)
    sureness = jnp.stack([confidence[name] for name in found], 2)  # (T, tags, K, 2), the tag's first
    if selective:
        maps, valid, *_ = cam.fuse_scam(cams, sureness, jnp.zeros(cams.shape[:2], int))
    else:
        maps = cam.min_max(cam.fuse_average(cams))
        valid = maps.max((-2, -1)) > 0
    return cam.min_max((maps * valid[..., None, None]).sum(1)), valid.any(1)


@partial(jax.jit, static_argnames="steady")
def _boxes(maps: jax.Array, valid: jax.Array, factor: float, min_side: float, steady: int) -> jax.Array:
    side = maps.shape[-1]
    boxes = cam.widen_boxes(cam.coarse_boxes(maps, factor), (side, side), min_side * side)
    boxes = jnp.where(valid[:, None], boxes, jnp.float32([0, 0, side, side]))
    return jnp.clip(cam.temporal_mean(boxes, steady, valid) / side, 0, 1)


def _in_chunks(function: Callable, evidence: Evidence) -> Any:
    """`function` of whole, crops, boxes, confidence, `_CHUNK` frames at a time; what it gives, in one piece."""
    count, parts = len(evidence.boxes), []
    for start in range(0, count, _CHUNK):
        part = evidence.of(slice(start, start + _CHUNK))
        given = jax.tree.map(lambda x: _padded(x)[0], (part.whole, part.crops, part.boxes, part.confidence))
        parts.append(jax.device_get(function(*given)))
    return jax.tree.map(lambda *x: np.concatenate(x)[:count], *parts)


def _padded(*arrays: np.ndarray) -> list[np.ndarray]:
    """To a multiple of `_CHUNK` rows, the last one repeated."""
    return [np.concatenate([x, np.repeat(x[-1:], -len(x) % _CHUNK, axis=0)]) for x in arrays]
