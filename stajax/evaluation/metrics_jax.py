"""The paper's five metrics for a batch of maps, compiled, in float32: `metrics.five` to 2e-5 (compat "mit").

    scores = metrics_jax.five(saliency, fixations, density, other)   # {"auc_judd": (B,), ...}

Nothing is sorted, searched or scattered at the size of a map, all of which XLA does slowly: AUC-Judd counts the pixels at
or above each fixation's value, the shuffled AUC gathers values at listed pixels. Those lists are padded to a few lengths,
so that a data set compiles a few times and not at every frame.

Missing values are NaN in the same places as in `metrics.five`: no fixation, nothing but fixations, no candidate, constant
maps; SIM is 0 where one map is all zero. Unlike there, NaN or infinity in a map raises nothing, for that would wait for
the device: all metrics that read the map are NaN. `metrics.why_missing` tells which it was.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from stajax.layers.resize import imresize


def five(saliency, fixations, density, other, *, maps_at_once=None):
    """The five metrics of each map of a batch.

    Compiles once for each combination of shapes: keep B, complete a last short batch.

    Args:
        saliency: (B, h', w'), predicted maps, NumPy or JAX, any real type. float32 must resolve them: take off an offset
            that dwarfs the range. Brought to (h, w) by MATLAB's imresize.
        fixations: (B, h, w), > 0 where somebody looked; or the pixels' flat (row-major) numbers, (B, K) integers, each
            number once, filled up with -1 (`pixel_numbers` makes them).
        density: (B, h, w), continuous ground truth.
        other: as `fixations`: where the shuffled AUC takes its negatives.
        maps_at_once: how many maps are worked on together. None: one on CPU, where a map then stays in the cache; all on
            an accelerator.

    Returns:
        {"auc_judd", "similarity", "auc_shuffled", "cc", "nss"}, each (B,) float32, JAX arrays.

    Raises:
        ValueError: shapes that do not fit together; a pixel number outside the map.
    """
    if saliency.ndim != 3 or density.ndim != 3 or len(saliency) != len(density) or not len(saliency):
        raise ValueError(f"metrics_jax.five: saliency {saliency.shape} and density {density.shape} must be (B, h, w)")
    shape = tuple(density.shape)
    fixations, other = _listed(fixations, "fixations", shape), _listed(other, "other", shape)
    if maps_at_once is None:
        maps_at_once = 1 if jax.default_backend() == "cpu" else shape[0]
    return _batch(saliency, fixations, density, other, maps_at_once)


def pixel_numbers(maps):
    """Where maps are > 0, as `five` wants it.

    Args:
        maps: (B, h, w) NumPy.

    Returns:
        (B, K) int32, the flat numbers of those pixels of each map, filled up with -1. K is 16, 24, 32, 48, 64, 96, ..:
        few different lengths, at most half more than needed.
    """
    maps = np.asarray(maps)
    numbers = [np.flatnonzero(one > 0) for one in maps]
    filled = np.full((len(maps), _bucket(max(map(len, numbers), default=0))), -1, np.int32)
    for row, pixels in zip(filled, numbers, strict=True):
        row[: pixels.size] = pixels
    return filled


def _bucket(n):
    power = 16
    while power < n:
        power *= 2
    return power * 3 // 4 if power > 16 and n <= power * 3 // 4 else power


def _listed(pixels, name, shape):
    pixels = np.asarray(pixels)
    if pixels.shape == shape:
        return pixel_numbers(pixels)
    if pixels.ndim != 2 or len(pixels) != shape[0] or not np.issubdtype(pixels.dtype, np.integer):
        raise ValueError(f"metrics_jax.five: {name} has shape {pixels.shape}, must be {shape} or pixel numbers (B, K)")
    if pixels.size and (pixels.min() < -1 or pixels.max() >= shape[1] * shape[2]):
        raise ValueError(f"metrics_jax.five: {name} has pixel numbers outside a map of {shape[1]}x{shape[2]}")
    fill = _bucket(pixels.shape[1]) - pixels.shape[1]
    return np.pad(pixels.astype(np.int32), ((0, 0), (0, fill)), constant_values=-1)


@partial(jax.jit, static_argnums=4)
def _batch(saliency, fixations, density, other, maps_at_once):
    return jax.lax.map(lambda one: _one(*one), (saliency, fixations, density, other), batch_size=maps_at_once)


def _one(saliency, fixations, density, other):
    """The metrics of one map: (h', w'), (K,), (h, w), (L,)."""
    saliency, density = saliency.astype(jnp.float32), density.astype(jnp.float32)
    if saliency.shape != density.shape:
        constant = saliency.min() == saliency.max()  # resizing would leave rounding noise
        saliency = jnp.where(constant, saliency[0, 0], imresize(saliency, density.shape))
    low, span = saliency.min(), saliency.max() - saliency.min()
    s, g = _scaled(saliency), _scaled(density)
    s_off, g_off = s - _sum(s) / s.size, g - _sum(g) / g.size
    s_power, g_power = _sum(s_off**2), _sum(g_off**2)
    fixated, candidates = fixations >= 0, other >= 0
    at_fixations, at_candidates = saliency.ravel()[fixations], saliency.ravel()[other]
    at_mean = jnp.sum(jnp.where(fixated, s_off.ravel()[fixations], 0)) / fixated.sum()
    return {
        "auc_judd": jnp.where(jnp.isfinite(span), _judd(saliency, at_fixations, fixated), jnp.nan),
        "similarity": jnp.where(_either_is_zero(saliency, density), 0, _common(s, g)),
        "auc_shuffled": _grid_area(at_fixations - low, fixated, at_candidates - low, candidates, span),
        "cc": _sum(s_off * g_off) / (jnp.sqrt(s_power) * jnp.sqrt(g_power)),
        "nss": at_mean / jnp.sqrt(s_power / (s.size - 1)),
    }


def _scaled(x):
    """To [0, 1]; all NaN if the map is constant or not finite."""
    span = x.max() - x.min()
    return (x - x.min()) * (1 / span) + 0 * span


def _common(s, g):
    return _sum(jnp.minimum(s * (_sum(g) / _sum(s)), g)) / _sum(g)


def _either_is_zero(a, b):
    """And the other is zero as well or has a range; false if one of them has NaN or infinity."""
    zero, ranges = zip(*((~jnp.any(x), jnp.isfinite(x.max() - x.min()) & (x.max() > x.min())) for x in (a, b)), strict=True)
    return (zero[0] & (zero[1] | ranges[1])) | (zero[1] & ranges[0])


def _sum(x):
    """Over both axes, one after the other: float32 keeps six digits only over short sums."""
    return x.sum(axis=0).sum()


def _judd(saliency, values, fixated):
    """`roc.judd_curve` with ties "expected", and the area under it; NaN without a fixation or with nothing else."""
    n, total = fixated.sum(), saliency.size
    values = -jnp.sort(jnp.where(fixated, -values, jnp.inf))
    at_least, above = _count(saliency, values, n)
    tied = jnp.sum(values == values[:, None], axis=1)
    rank = jnp.arange(1, values.size + 1)
    place = rank - jnp.sum(values > values[:, None], axis=1)
    passed = (above + place - rank) + (at_least - above - tied) * place / (tied + 1)
    real = rank <= n
    hit, false = jnp.where(real, rank / n, 1), jnp.where(real, passed / (total - n), 1)
    return jnp.where((n > 0) & (n < total), _trapezoid(hit, false), jnp.nan)


def _count(saliency, thresholds, n):
    """How many pixels are >= and how many are > each of the first n thresholds: (K,) int32 each.

    The pixels go into columns of 120, so that both counts of a column fit the bytes of one int16: XLA on CPU reads the map
    once for each sum, and narrow integers fill its vectors. Three times as fast as sums in int32.
    """
    rows, lanes = 120, 256
    fill = -saliency.size % (rows * lanes)
    columns = jnp.pad(saliency.ravel(), (0, fill), constant_values=-jnp.inf).reshape(-1, rows, lanes)

    def count_one(k, counts):
        both, one, none = jnp.int16(257), jnp.int16(1), jnp.int16(0)
        counted = jnp.where(columns > thresholds[k], both, jnp.where(columns >= thresholds[k], one, none))
        packed = jnp.sum(counted, axis=1, dtype=jnp.int16).astype(jnp.int32)
        pair = jnp.stack([jnp.sum(packed & 0xFF), jnp.sum(packed >> 8)])
        return jax.lax.dynamic_update_slice(counts, pair[None], (k, 0))

    counts = jax.lax.fori_loop(0, n, count_one, jnp.zeros((thresholds.size, 2), jnp.int32))
    return counts[:, 0], counts[:, 1]


def _grid_area(positives, is_positive, negatives, is_negative, span):
    """The area under the ROC through the thresholds 1, 0.9, .. 0 of the span; NaN without positives or negatives.

    Compared as 10 x >= k span, for XLA divides by a scalar through its reciprocal, and the highest value would miss the
    threshold 1.
    """
    thresholds = (jnp.arange(10, -1, -1) * span)[:, None]
    hit = jnp.sum((10 * positives >= thresholds) & is_positive, axis=1) / is_positive.sum()
    false = jnp.sum((10 * negatives >= thresholds) & is_negative, axis=1) / is_negative.sum()
    return jnp.where((span > 0) & jnp.isfinite(span), _trapezoid(hit, false), jnp.nan)


def _trapezoid(hit, false):
    """The area under the ROC through (0, 0), the given points, and (1, 1)."""
    hit, false = (jnp.concatenate([jnp.zeros(1), points, jnp.ones(1)]) for points in (hit, false))
    return jnp.sum((false[1:] - false[:-1]) * (hit[1:] + hit[:-1])) / 2
