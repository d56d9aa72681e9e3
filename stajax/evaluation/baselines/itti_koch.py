"""The saliency map of Itti, Koch and Niebur 1998: what differs from its surround, where little else does."""

import numpy as np
from scipy import ndimage

from stajax.evaluation.baselines.features import feature_pyramid
from stajax.evaluation.baselines.rgb import require_rgb
from stajax.layers.resize import resize

CENTRES, DELTAS = (2, 3, 4), (3, 4)  # centre scale c, surround scale s = c + delta
FLAT = 1e-5  # a map with less range holds rounding noise
SPOT = 0.01  # of a map's range: what a local maximum must reach, or flat areas would count for their rounding noise
MAP_SCALE = 4


def itti(image):
    """Saliency by Itti, Koch and Niebur, "A model of saliency-based visual attention for rapid scene analysis", PAMI 1998.

    1. Intensity, R, G, B, Y and four orientations at scales 2 to 8 (`feature_pyramid`, with its deviations).
    2. 42 feature maps, |centre - surround| across scales, of intensity, R - G, B - Y and the orientations (Eqs. 1 to 4). Eqs. 2
       and 3 print another change of sign, |(R - G)(c) - (G - R)(s)|, which would answer to plain colour; their text
       describes double opponency: the difference.
    3. Each map through N(.) (`normalise`), reduced to scale 4 and added: conspicuity maps (Eqs. 5 to 7). Orientations are
       added within an angle, and each angle's sum goes through N(.) again.
    4. The mean of N(.) of the three (Eq. 8), stretched to the image (bilinear). No winner-take-all.

    Args:
        image: (h, w, 3) uint8 RGB.

    Returns:
        (h, w) float32 in [0, 1], maximum 1; all zero for an image of one colour.

    Raises:
        ValueError: not an image.
    """
    require_rgb(image, "itti")
    scales = range(min(CENTRES), max(CENTRES) + max(DELTAS) + 1)
    features = {scale: _opponent(level) for scale, level in feature_pyramid(image, scales).items()}
    total = np.zeros_like(features[MAP_SCALE])
    for centre in CENTRES:
        for delta in DELTAS:
            difference = np.abs(features[centre] - resize(features[centre + delta], features[centre].shape[:2]))
            total += resize(normalise(difference), total.shape[:2], antialias=True)
    conspicuity = [total[..., 0], total[..., 1] + total[..., 2], normalise(total[..., 3:]).sum(-1)]
    saliency = resize(normalise(np.stack(conspicuity, -1)).mean(-1), image.shape[:2])
    return saliency / (saliency.max() or 1)


def _opponent(level):
    """(h, w, 7): intensity, R - G, B - Y, four orientations, of a level of `feature_pyramid`."""
    intensity, red, green, blue, yellow = np.moveaxis(level[..., :5], -1, 0)
    return np.concatenate([np.stack([intensity, red - green, blue - yellow], -1), level[..., 5:]], -1)


def normalise(maps):
    """The operator N(.) of section 2.2: promotes maps with one strong peak over maps with many alike.

    Each map is scaled to [0, 1] (M = 1), then multiplied by (M - m)^2, m the mean of its local maxima other than the global one
    (0 if there is none). A local maximum is above 0.01 and no lower than its 8 neighbours.

    Args:
        maps: (h, w, n) float.

    Returns:
        (h, w, n) in [0, 1]; a flat map gives zeros.
    """
    low, high = maps.min((0, 1)), maps.max((0, 1))
    scaled = np.where(high - low > FLAT, (maps - low) / np.maximum(high - low, FLAT), 0)
    peaks = (scaled == ndimage.maximum_filter(scaled, (3, 3, 1), mode="nearest")) & (scaled > SPOT)
    others = np.maximum(peaks.sum((0, 1)) - 1, 0)
    mean = ((scaled * peaks).sum((0, 1)) - 1) / np.maximum(others, 1) * (others > 0)
    return (scaled * (1 - mean) ** 2).astype(maps.dtype)
