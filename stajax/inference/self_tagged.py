"""Pseudo-fixations of pictures that nobody has tagged: each place of the picture is tagged by the encoder's own ImageNet head.

The class maps of Eq. 1 are the head's scores of each place before pooling. Their softmax over the classes says how sure the
net is of what it sees there, and where it is surest of anything, something stands out. Seen at several sizes, from the whole
scene down to small things, which is the spatial source alone, coarse to fine.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from stajax import cam
from stajax.encoders.params import check_fit
from stajax.layers.resize import resize
from stajax.media import squash
from stajax.models import folder
from stajax.models.network import NetworkConfig, Structure

ENCODER = "efficientnet_lite0"
SIZES = (256, 384, 512, 768)  # px of the views


class SelfTagged:
    """Maps of pictures by EfficientNet-Lite0 with its ImageNet head.

    side: of the maps. sizes: px of the views, coarse to fine.
    """

    def __init__(self, *, side: int = 64, sizes: Sequence[int] = SIZES):
        self.side, self._look = side, {size: _compiled(size) for size in sizes}

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(H, W, 3) uint8 -> map (side, side) float32 in [0, 1], and the highest confidence of any place at each size."""
        seen = [np.asarray(look(squash(image, size)[None])[0]) for size, look in self._look.items()]
        return np.asarray(_fused(seen, self.side)), np.array([sure.max() for sure in seen])


def _compiled(size: int):
    structure = Structure(NetworkConfig(frames=ENCODER, sound=None, size=size, nets={}))
    variables = jax.device_put({"frames": check_fit(folder.read_shared(ENCODER), structure.shapes["frames"], ENCODER)})

    @jax.jit
    def look(variables, views):
        """(N, size, size, 3) -> (N, h, w), how sure the net is of the likeliest class of each place."""
        _, aux = structure.apply(variables, lambda network, x: network.frames.classify(network.frames(x)), views)
        head = variables["frames"]["classifier"]
        scores = aux["features"] @ head["kernel"].reshape(-1, head["kernel"].shape[-1]) + head["bias"]
        return jax.nn.softmax(scores).max(-1)

    return partial(look, variables)


def _fused(seen: Sequence[np.ndarray], side: int) -> jax.Array:
    """The mean of maps (h, w) of several sizes, each between 0 and 1, once more normalised: (side, side)."""
    stretched = [resize(cam.min_max(jnp.asarray(sure))[..., None], (side, side))[..., 0] for sure in seen]
    return cam.min_max(sum(stretched) / len(stretched))
