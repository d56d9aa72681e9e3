"""Knowing nothing: a random map, and a constant one."""

import zlib

import numpy as np

from stajax.evaluation.baselines.rgb import require_rgb


def chance(image, *, seed=0):
    """Independent uniform numbers: the same image and seed, the same map.

    What the metrics give in expectation, P being the number of fixated pixels: AUC-J 0.5 + 1 / (2 (P + 1))
    (`metrics.auc_judd_chance`), the unbiased and the shuffled AUC 0.5, NSS 0, CC 0, all exactly, since the pixels are
    exchangeable. SIM is the mean over pixels of G - G^2 / 4 (of 1 where G > 2), G the density over its mean, up to the
    scaling of the random map to [0, 1].

    Args:
        image: (h, w, 3) uint8; its pixels enter the seed.
        seed: int.

    Returns:
        (h, w) float32 in [0, 1).

    Raises:
        ValueError: not an image.
    """
    require_rgb(image, "chance")
    content = zlib.crc32(np.ascontiguousarray(image))
    return np.random.default_rng([seed, content]).random(image.shape[:2], dtype=np.float32)


def constant(image):
    """Ones. AUC-J is its chance level, the unbiased AUC 0.5; the others say nothing (NaN).

    Args:
        image: (h, w, 3) uint8.

    Returns:
        (h, w) float32.

    Raises:
        ValueError: not an image.
    """
    require_rgb(image, "constant")
    return np.ones(image.shape[:2], np.float32)
