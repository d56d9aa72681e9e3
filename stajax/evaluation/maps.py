"""A saliency or density map with what several metrics need of it, each worked out once."""

from functools import cached_property

import numpy as np

from stajax.evaluation.compat import stavis_postprocess
from stajax.layers.resize import imresize

_BLOCK = 16384
_POLICIES = ("raise", "matlab")


class Map:
    """A map as the metrics see it.

    Args:
        values: (h, w), any real numbers.
        shape: the size to bring it to.
        name: for messages: "saliency", "density", "baseline".
        nan_policy: "raise" or "matlab", see `metrics.py`.
        postprocess: run it through `stavis_postprocess` first.

    Attributes:
        values: flat float64.
        low, high: of the values that are not NaN; NaN if all are.
        finite: no value is NaN or infinite.

    Raises:
        ValueError: not 2-D, empty, or NaN or infinity under "raise".
    """

    def __init__(self, values, shape, name, nan_policy, postprocess=False):
        given, values = values, _plane(values, name)
        low, high = values.min(), values.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            if nan_policy not in _POLICIES:
                raise ValueError(f"nan_policy is {nan_policy!r}, give one of {', '.join(_POLICIES)}")
            if nan_policy == "raise":
                raise ValueError(f"the {name} map holds NaN or infinity: mend it, or pass nan_policy='matlab'")
        if postprocess:
            values = stavis_postprocess(given)
            low, high = values.min(), values.max()
        if values.shape != shape:
            # Resizing a constant would leave rounding noise, and noise has a standard deviation.
            values = np.full(shape, low) if low == high else imresize(values, shape)
            low, high = values.min(), values.max()
        self.finite = bool(np.isfinite(low) and np.isfinite(high))
        if np.isnan(low):
            low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
        self.values, self.low, self.high = values.ravel(), low, high

    @property
    def constant(self):
        return self.low == self.high

    @cached_property
    def zero(self):
        return self.low == 0 == self.high and self.finite

    def unit(self, pixels=slice(None)):
        """The values there scaled to [0, 1]; all NaN if the map is constant."""
        with np.errstate(invalid="ignore"):
            return (self.values[pixels] - self.low) / (self.high - self.low)

    @cached_property
    def moments(self):
        """Mean, and sum of squares about it, of values - low, neither NSS nor CC nor SIM seeing offset or scale.

        One pass is exact enough: with a pixel at 0 and one at the range r, the variance is at least r^2 / 2N.
        """
        total, squares = np.sum([(x.sum(), np.einsum("i,i->", x, x)) for (x,) in blocks(self)], axis=0)
        mean = total / self.values.size
        return mean, squares - total * mean


def blocks(*maps):
    """values - low of the maps, piece by piece: temporaries that stay in the cache. Twice as fast as whole maps,
    whose memory comes from the system and returns to it at every call. Dot products by einsum: BLAS wakes threads, and
    they cost more than the product on a busy machine."""
    for start in range(0, maps[0].values.size, _BLOCK):
        yield [m.values[start : start + _BLOCK] - m.low for m in maps]


def _plane(array, name):
    array = np.asarray(array)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"the {name} map must have two axes and a pixel, got shape {array.shape}")
    return array.astype(np.float64, copy=False)


def fixated_pixels(fixations, name):
    """Flat indices of the pixels > 0, and the shape."""
    fixations = np.asarray(fixations)
    if fixations.ndim != 2:
        raise ValueError(f"the {name} map must have two axes, got shape {fixations.shape}")
    return np.flatnonzero(fixations > 0), fixations.shape
