"""The metrics of saliency research, as the MIT benchmark's MATLAB code defines them, without its chance.

Needs only NumPy and `stajax.layers.resize`. `five` gives the five of the paper together, sharing the work. Written from
the definitions; the values equal the MATLAB code's to 1e-9 (tests/evaluation/test_metrics.py). Where that
code draws random numbers, the default here is their exact expectation:

- AUC-Judd's jitter only orders ties, so in expectation the j-th of p fixated pixels that tie with n others has passed
  n j / (p + 1) of them.
- The shuffled AUC's thresholds are fixed, so its area is linear in the false positives, and the mean over all draws
  of negatives equals the area with every candidate as a negative.

Common to all functions here. A saliency map is (h, w), any real numbers, any type; computation is in float64. If its
size differs from the truth's, `imresize` (MATLAB's) brings it there. `fixations` and `other` are (h, w), a pixel
counts once where it is > 0. The result is a float, NaN where the metric says nothing (no fixation, a constant map: each
docstring says when). ValueError, in one line: an array that is not 2-D, truths of different sizes, or NaN and infinity
in a map under `nan_policy="raise"`; "matlab" lets those through, with the (odd) result that MATLAB gives.
"""

from functools import cached_property

import numpy as np

from stajax.layers.resize import imresize

_EPS = 2.0**-52
_GRID = np.arange(10, -1, -1) / 10  # correctly rounded, as in MATLAB; np.arange(0, 1, 0.1) is not
_BLOCK = 16384
_POLICIES = ("raise", "matlab")


class _Map:
    """A map, flat and float64, with what several metrics need of it, each worked out once."""

    def __init__(self, values, shape, name, nan_policy):
        values = _plane(values, name)
        low, high = values.min(), values.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            if nan_policy not in _POLICIES:
                raise ValueError(f"nan_policy is {nan_policy!r}, give one of {', '.join(_POLICIES)}")
            if nan_policy == "raise":
                raise ValueError(f"the {name} map holds NaN or infinity: mend it, or pass nan_policy='matlab'")
        if values.shape != shape:
            # Resizing a constant would leave rounding noise, and noise has a standard deviation.
            values = np.full(shape, low) if low == high else imresize(values, shape)
            low, high = values.min(), values.max()
        if np.isnan(low):
            low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
        self.values, self.low, self.high = values.ravel(), low, high

    @cached_property
    def zero(self):
        return self.low == 0 == self.high and not np.isnan(self.values).any()

    def unit(self, pixels=slice(None)):
        """The values there scaled to [0, 1]; all NaN if the map is constant."""
        with np.errstate(invalid="ignore"):
            return (self.values[pixels] - self.low) / (self.high - self.low)

    @cached_property
    def moments(self):
        """Mean, and sum of squares about it, of values - low, neither NSS nor CC nor SIM seeing offset or scale.

        One pass is exact enough: with a pixel at 0 and one at the range r, the variance is at least r^2 / 2N.
        """
        total, squares = np.sum([(x.sum(), np.einsum("i,i->", x, x)) for (x,) in _blocks(self)], axis=0)
        mean = total / self.values.size
        return mean, squares - total * mean


def _blocks(*maps):
    """values - low of the maps, piece by piece: temporaries that stay in the cache. Twice as fast as whole maps,
    whose memory comes from the system and returns to it at every call. Dot products by einsum: BLAS wakes threads, and
    they cost more than the product on a busy machine."""
    for start in range(0, maps[0].values.size, _BLOCK):
        yield [m.values[start : start + _BLOCK] - m.low for m in maps]


def five(saliency, fixations, density, other, *, nan_policy="raise"):
    """The paper's five metrics of one map, with the work shared.

    Args:
        saliency: the predicted map.
        fixations: (h, w), > 0 where somebody looked.
        density: (h, w), the continuous ground truth.
        other: (h, w), > 0 where the shuffled AUC takes its negatives.
        nan_policy: see the module.

    Returns:
        {"auc_judd", "similarity", "auc_shuffled", "cc", "nss"}: what the functions of these names return by default.
    """
    fixated, shape = _fixated(fixations, "fixations")
    truth = _truth(density, shape, nan_policy)
    candidates = _candidates(other, shape)
    saliency = _Map(saliency, shape, "saliency", nan_policy)
    return {
        "auc_judd": _judd(saliency.values, saliency.values[fixated], "expected"),
        "similarity": _similarity(saliency, truth),
        "auc_shuffled": _auc_grid(saliency.unit(fixated), saliency.unit(candidates)),
        "cc": _cc(saliency, truth),
        "nss": _nss(saliency, fixated),
    }


def auc_judd(saliency, fixations, *, jitter="exact", seed=0, nan_policy="raise"):
    """AUC-Judd: the ROC through the saliency at the fixations, the rest of the image being negative.

    Biased upwards when fixations are few, as everywhere: see `auc_judd_chance`, and `auc` for the unbiased one.

    Args:
        saliency, fixations, nan_policy: see the module.
        jitter: how ties are ordered. "exact": the expectation over all orders; "none": against the map (MATLAB with
            jitter = 0); "sample": one draw (MATLAB's default); or the uniform numbers themselves, (h, w) in [0, 1].
        seed: of "sample"; int or `numpy.random.Generator`.

    Returns:
        float in [0, 1]. NaN without a fixation or with nothing else; for a constant map only if jitter is "none".
    """
    fixated, shape = _fixated(fixations, "fixations")
    saliency = _Map(saliency, shape, "saliency", nan_policy)
    if isinstance(jitter, str) and jitter == "exact":
        return _judd(saliency.values, saliency.values[fixated], "expected")
    if isinstance(jitter, str) and jitter == "none":
        return _judd(saliency.unit(), saliency.unit(fixated), "against")
    if isinstance(jitter, str) and jitter == "sample":
        jitter = np.random.default_rng(seed).random(shape)
    if isinstance(jitter, str) or np.shape(jitter) != shape:
        raise ValueError(f"auc_judd: jitter must be 'exact', 'none', 'sample' or an array of shape {shape}")
    jittered = saliency.values.reshape(shape) + np.asarray(jitter, np.float64) / 1e7
    jittered = _Map(jittered, shape, "saliency", nan_policy)
    return _judd(jittered.unit(), jittered.unit(fixated), "against")


def auc_judd_chance(n_fixations):
    """What AUC-Judd gives a random map: 0.5 + 1 / (2 (P + 1)), for its curve has points only at fixations."""
    return 0.5 + 0.5 / (n_fixations + 1)


def auc(saliency, fixations, *, nan_policy="raise"):
    """The unbiased AUC, chance 0.5: how often a fixated pixel is above another one, ties half (Mann-Whitney).

    Equals `sklearn.metrics.roc_auc_score(fixations > 0, saliency)`.

    Returns:
        float in [0, 1]. NaN without a fixation or with nothing else. A constant map: 0.5.
    """
    fixated, shape = _fixated(fixations, "fixations")
    values = _Map(saliency, shape, "saliency", nan_policy).values
    return _mann_whitney(values[fixated], np.delete(values, fixated))


def auc_shuffled(saliency, fixations, other, *, thresholds="grid", n_splits=None, negatives=None, seed=0, nan_policy="raise"):
    """Shuffled AUC: as AUC, the negatives being other people's business, so that a centre prior gains nothing.

    Args:
        saliency, fixations, nan_policy: see the module.
        other: (h, w), > 0 at the candidates for negatives, say the fixations on other images.
        thresholds: "grid" 0, 0.1, .. 1 (MATLAB), or "all": the area under the whole curve.
        n_splits: None for the expectation over draws, else how many draws (MATLAB: 100) of min(fixations, candidates)
            negatives without replacement are averaged.
        negatives: the draws themselves: flat (row-major) indices of pixels, (n_splits, k).
        seed: of n_splits; int or `numpy.random.Generator`.

    Returns:
        float in [0, 1]. NaN without a fixation or a candidate, and for a constant map.
    """
    fixated, shape = _fixated(fixations, "fixations")
    candidates = _candidates(other, shape)
    unit = _Map(saliency, shape, "saliency", nan_policy).unit()
    if negatives is None and n_splits is not None:
        rng, k = np.random.default_rng(seed), min(fixated.size, candidates.size)
        negatives = rng.permuted(np.tile(candidates, (n_splits, 1)), axis=1)[:, :k]
    negatives = candidates if negatives is None else np.ravel(negatives)
    return _area(unit[fixated], unit[negatives], thresholds)


def auc_borji(saliency, fixations, *, thresholds="grid", n_splits=None, negatives=None, seed=0, nan_policy="raise"):
    """AUC-Borji: as `auc_shuffled` with all pixels as candidates, drawn with replacement.

    Returns:
        float in [0, 1]. NaN with fewer than two fixations, and for a constant map.
    """
    fixated, shape = _fixated(fixations, "fixations")
    unit = _Map(saliency, shape, "saliency", nan_policy).unit()
    if fixated.size < 2:
        return np.nan
    if negatives is None and n_splits is not None:
        negatives = np.random.default_rng(seed).integers(unit.size, size=(n_splits, fixated.size))
    return _area(unit[fixated], unit if negatives is None else unit[np.ravel(negatives)], thresholds)


def nss(saliency, fixations, *, nan_policy="raise"):
    """Normalised scanpath saliency: the mean over fixated pixels of the map in its standard deviations (N - 1).

    Returns:
        float. NaN without a fixation, and for a constant map.
    """
    fixated, shape = _fixated(fixations, "fixations")
    return _nss(_Map(saliency, shape, "saliency", nan_policy), fixated)


def similarity(saliency, density, *, nan_policy="raise"):
    """SIM: the common part of two maps, each scaled to [0, 1] and then to the sum 1.

    Returns:
        float in [0, 1]. NaN if one of them is constant but not zero; 0 if one of them is all zero, as in MATLAB: drop
        images without fixations before averaging, or know that they count as 0.
    """
    return _similarity(*_pair(saliency, density, nan_policy))


def cc(saliency, density, *, nan_policy="raise"):
    """Pearson's correlation of two maps.

    Returns:
        float in [-1, 1]. NaN if one of them is constant.
    """
    return _cc(*_pair(saliency, density, nan_policy))


def kl_divergence(saliency, density, *, nan_policy="raise"):
    """KL divergence of the saliency from the density, each divided by its sum, lower is better; eps = 2^-52.

    Not scaled to [0, 1] first, so a map should be non-negative. Where overshoot is negative, MATLAB's logarithm is
    complex; this is the real part.

    Returns:
        float, in nats. An all-zero map stays zero.
    """
    saliency, truth = _pair(saliency, density, nan_policy)
    s, g = (m.values if m.zero else m.values / m.values.sum() for m in (saliency, truth))
    with np.errstate(invalid="ignore"):
        return float(np.sum(g * np.log(np.abs(_EPS + g / (s + _EPS)))))


def info_gain(saliency, fixations, baseline, *, nan_policy="raise"):
    """Information gain over a baseline (a centre prior), both scaled to [0, 1] and then to the sum 1; eps = 2^-52.

    Args:
        saliency, fixations, nan_policy: see the module.
        baseline: a map; brought to the size of `fixations` like the saliency.

    Returns:
        float, in bits per fixation. NaN without a fixation, and if one of the maps is constant.
    """
    fixated, shape = _fixated(fixations, "fixations")
    if not fixated.size:
        return np.nan
    maps = (_Map(m, shape, name, nan_policy) for m, name in ((saliency, "saliency"), (baseline, "baseline")))
    gain, base = (np.log2(_EPS + m.unit(fixated) / m.unit().sum()) for m in maps)
    return float(np.mean(gain - base))


def _plane(array, name):
    array = np.asarray(array)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"the {name} map must have two axes and a pixel, got shape {array.shape}")
    return array.astype(np.float64, copy=False)


def _fixated(fixations, name):
    """Flat indices of the pixels > 0, and the shape."""
    fixations = np.asarray(fixations)
    if fixations.ndim != 2:
        raise ValueError(f"the {name} map must have two axes, got shape {fixations.shape}")
    return np.flatnonzero(fixations > 0), fixations.shape


def _candidates(other, shape):
    candidates, other_shape = _fixated(other, "other")
    if other_shape != shape:
        raise ValueError(f"the other map has shape {other_shape}, the fixations {shape}")
    return candidates


def _truth(density, shape, nan_policy):
    if np.shape(density) != shape:
        raise ValueError(f"the density map has shape {np.shape(density)}, the fixations {shape}")
    return _Map(density, shape, "density", nan_policy)


def _pair(saliency, density, nan_policy):
    truth = _Map(density, np.shape(density), "density", nan_policy)
    return _Map(saliency, np.shape(density), "saliency", nan_policy), truth


def _nss(saliency, fixated):
    if not fixated.size or saliency.low == saliency.high:
        return np.nan
    mean, power = saliency.moments
    deviation = np.sqrt(power / (saliency.values.size - 1))
    return float((saliency.values[fixated].mean() - saliency.low - mean) / deviation)


def _cc(a, b):
    if a.low == a.high or b.low == b.high:
        return np.nan
    (a_mean, a_power), (b_mean, b_power) = a.moments, b.moments
    product = sum(np.einsum("i,i->", x, y) for x, y in _blocks(a, b))
    return float((product - a.values.size * a_mean * b_mean) / np.sqrt(a_power * b_power))


def _similarity(a, b):
    constant = [m.low == m.high and not m.zero for m in (a, b)]
    if any(constant):
        return np.nan
    if a.zero or b.zero:
        return 0.0
    (a_mean, _), (b_mean, _) = a.moments, b.moments
    common = sum(np.minimum(x * (b_mean / a_mean), y).sum() for x, y in _blocks(a, b))
    return float(common / (b_mean * b.values.size))


def _judd(values, positives, ties):
    """AUC-Judd with ties "expected" over the orders that a vanishing jitter gives, or all "against" the map (a pixel at
    the threshold counts as above it). As in MATLAB, a NaN comes first among the positives and is above nothing."""
    n, n_negatives = positives.size, values.size - positives.size
    ordered, positives = np.sort(values), np.sort(positives)
    if not n or not n_negatives or np.isnan(ordered[0]):
        return np.nan
    rank, thresholds = np.arange(1, n + 1), positives[::-1]
    end, start = np.searchsorted(ordered, np.nan), np.searchsorted(ordered, thresholds)
    if ties == "against":
        above = end - start
    else:
        stop = np.searchsorted(ordered, thresholds, "right")
        first, last = np.searchsorted(positives, thresholds), np.searchsorted(positives, thresholds, "right")
        tied, place = last - first, rank - (n - last)  # place: 1..tied
        above = end - stop + place + (stop - start - tied) * place / (tied + 1)
    above = np.where(np.isnan(thresholds), 0, above)
    return _trapezoid(rank / n, (above - rank) / n_negatives)


def _area(positives, negatives, thresholds):
    if thresholds == "grid":
        return _auc_grid(positives, negatives)
    if thresholds == "all":
        return np.nan if np.isnan(positives).any() else _mann_whitney(positives, negatives)
    raise ValueError(f"thresholds is {thresholds!r}, give 'grid' or 'all'")


def _auc_grid(positives, negatives):
    """The area under the ROC through the thresholds 1, 0.9, .. 0. A threshold above every value adds nothing, so that
    MATLAB's stopping at the highest value needs no copy here."""
    if not positives.size or not negatives.size or np.isnan(positives).all():
        return np.nan
    hit, false = ([np.count_nonzero(values >= t) / values.size for t in _GRID] for values in (positives, negatives))
    return _trapezoid(np.array(hit), np.array(false))


def _mann_whitney(positives, negatives):
    if not positives.size or not negatives.size:
        return np.nan
    negatives = np.sort(negatives)
    below = np.searchsorted(negatives, positives, "left") + np.searchsorted(negatives, positives, "right")
    return float(below.mean() / (2 * negatives.size))


def _trapezoid(hit, false):
    """The area under the ROC through (0, 0), the given points in their order, and (1, 1)."""
    hit, false = np.concatenate([[0], hit, [1]]), np.concatenate([[0], false, [1]])
    return float(np.sum(np.diff(false) * (hit[1:] + hit[:-1])) / 2)
