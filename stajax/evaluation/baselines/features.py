"""What Itti-Koch and GBVS see: intensity, colours and orientations at dyadic scales (Itti et al. 1998, section 2.1).

Deviations from that paper, each for a reason:

- Images are first brought to 640 pixels on their long side, the paper's 640x480, so that a scale means the same part of
  any picture.
- Halving is the binomial filter 1 3 3 1 on the axes, placed so that pixels keep their centres (`resize` with
  antialias; on an odd side, its nearest kin). With 1 4 6 4 1 and every other pixel, the coarse scales, a few
  pixels wide, would be off to one side, and a mirrored picture would not have the mirrored map.
- Outside the image an orientation filter sees nothing. With repeated or mirrored pixels it sees an edge along the border that
  outweighs the picture at coarse scales.
"""

import numpy as np
from scipy import ndimage

from stajax.layers.resize import resize

SIDE = 640  # px, the long side of scale 0
CHANNELS = {"intensity": slice(0, 1), "colour": slice(1, 5), "orientation": slice(5, 9)}
_ANGLES = np.arange(4) * (np.pi / 4)
_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16


def feature_pyramid(image, scales):
    """Nine features of an image at several scales.

    Args:
        image: (h, w, 3) uint8 RGB.
        scales: which; scale k is 2^k times smaller than scale 0, the image at a long side of `SIDE`, sides rounded up.

    Returns:
        scale -> (h', w', 9) float32 >= 0: intensity; red, green, blue, yellow (`tuned_colours`); energy at 0, 45, 90 and 135
        degrees (`orientation_energy`). `CHANNELS` slices the last axis.
    """
    height, width = image.shape[:2]
    shrink = SIDE / max(height, width)
    size = max(round(height * shrink), 1), max(round(width * shrink), 1)
    scaled = resize(image.astype(np.float32) / 255, size, antialias=True)
    level = np.concatenate([scaled.mean(-1, keepdims=True), tuned_colours(scaled)], -1)
    features = {}
    for scale in range(max(scales) + 1):
        if scale in scales:
            features[scale] = np.concatenate([level, orientation_energy(level[..., 0])], -1)
        level = resize(level, [-(-side // 2) for side in level.shape[:2]], antialias=True)
    return features


def tuned_colours(image):
    """The broadly tuned colours R, G, B, Y (section 2.1).

    Hue is taken out of the intensity I by r / I, g / I, b / I where I is above a tenth of its maximum, elsewhere 0.
    R = r - (g + b) / 2, G and B alike, Y = (r + g) / 2 - |r - g| / 2 - b; negative values become 0.

    Args:
        image: (h, w, 3) float >= 0.

    Returns:
        (h, w, 4) float >= 0.
    """
    intensity = image.mean(-1, keepdims=True)
    visible = intensity > intensity.max() / 10
    r, g, b = np.moveaxis(np.where(visible, image / np.where(visible, intensity, 1), 0), -1, 0)
    yellow = (r + g) / 2 - np.abs(r - g) / 2 - b
    return np.maximum(np.stack([r - (g + b) / 2, g - (r + b) / 2, b - (r + g) / 2, yellow], -1), 0)


def orientation_energy(intensity):
    """Gabor energy of one level, by the oriented pyramid that the paper cites (Greenspan et al. 1994).

    The level minus its blur (a Laplacian level), times the wave exp(i k.r) of period 4 pixels, k = pi/2 (cos, sin), blurred
    again: the response to a pair of Gabor filters with a binomial envelope, up to its phase, of which the modulus is free.

    Args:
        intensity: (h, w) float.

    Returns:
        (h, w, 4) float32 >= 0: waves along x, along both, along y, along y minus x; k turns from x to y (down), so 0 answers
        to vertical bars.
    """
    band = intensity - _blur(intensity, "nearest")
    y, x = np.indices(intensity.shape, np.float32)[..., None]
    phase = np.float32(np.pi / 2) * (x * np.cos(_ANGLES) + y * np.sin(_ANGLES))
    real, imaginary = (_blur(band[..., None] * wave(phase).astype(np.float32), "constant") for wave in (np.cos, np.sin))
    return np.hypot(real, imaginary)


def _blur(x, border):
    for axis in (0, 1):
        x = ndimage.correlate1d(x, _BINOMIAL, axis=axis, mode=border)
    return x
