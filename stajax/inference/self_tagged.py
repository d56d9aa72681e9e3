"""Pseudo-fixations of pictures that nobody has tagged: the encoder's own ImageNet head tags them (Eq. 1, section 3.2).

The spatial source alone, coarse and fine. In the coarse stage it looks at the whole picture and at five parts of it, each with
the tag that it gives itself, weighted by its confidence as in Eq. 2; the fine stage looks into the box around what they mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from stajax import cam
from stajax.encoders.params import check_fit
from stajax.media import squash
from stajax.models import folder
from stajax.models.network import NetworkConfig, Structure

ENCODER = "efficientnet_lite0"
COARSE, FINE = 256, 356  # px
# Parts of the picture, (top, left, bottom, right): the whole, four corners, the middle.
PARTS = np.array(
    [(0, 0, 1, 1), *((y, x, y + 0.6, x + 0.6) for y in (0, 0.4) for x in (0, 0.4)), (0.2, 0.2, 0.8, 0.8)], np.float32
)


class SelfTagged:
    """Maps of pictures by EfficientNet-Lite0 with its ImageNet head. side: of the maps. factor, min_side: of the box."""

    def __init__(self, *, side: int = 64, factor: float = 2.0, min_side: float = 0.25):
        self.side, self.factor, self.min_side = side, factor, min_side
        self._look = {size: _compiled(size) for size in (COARSE, FINE)}

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(H, W, 3) uint8 -> map (side, side) float32 in [0, 1], and the confidences of the seven looks, the fine one last."""
        cams, sure = self._seen(image, PARTS, COARSE)
        coarse = _fused(cams, sure, PARTS, self.side)
        box = cam.widen_boxes(cam.coarse_boxes(coarse, self.factor), (self.side,) * 2, self.min_side * self.side) / self.side
        fine, certain = self._seen(image, np.asarray(box)[None], FINE)
        inside = _fused(fine, certain, np.asarray(box)[None], self.side)
        return np.asarray(cam.min_max(coarse + inside)), np.concatenate([sure, certain])

    def _seen(self, image: np.ndarray, boxes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """CAMs (K, h, w) of what each part is taken for, and the confidences (K,)."""
        height, width = image.shape[:2]
        views = [squash(image, size, box=box) for box in (boxes * [height, width, height, width]).tolist()]
        found = [self._look[size](view[None]) for view in views]
        return tuple(np.concatenate(x) for x in zip(*jax.device_get(found), strict=True))


def _compiled(size: int):
    structure = Structure(NetworkConfig(frames=ENCODER, sound=None, size=size, nets={}))
    variables = jax.device_put({"frames": check_fit(folder.read_shared(ENCODER), structure.shapes["frames"], ENCODER)})

    @jax.jit
    def look(variables, views):
        logits, aux = structure.apply(variables, lambda network, x: network.frames.classify(network.frames(x)), views)
        tags = logits.argmax(-1)
        maps = cam.cam_from_features(aux["features"], variables["frames"]["classifier"]["kernel"], tags)
        return maps, jax.nn.softmax(logits).max(-1)

    return partial(look, variables)


def _fused(cams: Sequence[np.ndarray], weights: np.ndarray, boxes: np.ndarray, side: int) -> jax.Array:
    """Pasted back, the mean by weight over the parts that show a pixel, then Z: (side, side)."""
    boxes = jnp.asarray(boxes) * side
    pasted = cam.paste(jnp.asarray(cams), boxes, (side, side), method="bilinear")
    shown = cam.paste(jnp.ones_like(jnp.asarray(cams)), boxes, (side, side), method="bilinear")
    total = (weights[:, None, None] * shown).sum(0)
    return cam.min_max((weights[:, None, None] * pasted).sum(0) / jnp.maximum(total, 1e-6))
