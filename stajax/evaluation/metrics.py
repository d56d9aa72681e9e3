"""The metrics of saliency research, as the MIT benchmark's MATLAB code defines them, without its chance.

Needs only NumPy and `stajax.layers.resize` (compat="stavis": SciPy as well). `five` gives the five of the paper together,
sharing the work; `metrics_jax.five` gives them for a batch. Written from the definitions; the values equal those of the
implementations named by `compat` to 1e-9 (tests/evaluation/test_metrics_goldens.py). Where that code draws random
numbers, the default here is their exact expectation:

- AUC-Judd's jitter only orders ties, so in expectation the j-th of p fixated pixels that tie with n others has passed
  n j / (p + 1) of them.
- The shuffled AUC's thresholds are fixed, so its area is linear in the false positives, and the mean over all draws
  of negatives equals the area with every candidate as a negative.

Common to all functions here:

- A saliency map is (h, w), any real numbers, any type; computation is in float64. If its size differs from the truth's,
  `imresize` (MATLAB's) brings it there. `fixations` and `other` are (h, w), a pixel counts once where it is > 0.
- `compat`: "mit", "stavis" or "pysaliency", see `compat.py`. The docstrings here describe "mit".
- The result is a float, NaN where the metric says nothing (no fixation, a constant map: each docstring says when).
  `why_missing` says why in words.
- `nan_policy`: NaN or infinity in a map is a ValueError under "raise"; "matlab" lets it through, with the (odd) result
  that the implementation gives.
- ValueError, in one line: an array that is not 2-D, truths of different sizes, an option that there is not.
"""

from functools import cache

import numpy as np

from stajax.evaluation import roc
from stajax.evaluation.compat import COMPAT, choices, stavis_postprocess
from stajax.evaluation.maps import Map, blocks, fixated_pixels
from stajax.evaluation.missing import why_missing

__all__ = [
    "BESIDE",
    "COMPAT",
    "FIVE",
    "auc",
    "auc_borji",
    "auc_judd",
    "auc_judd_chance",
    "auc_shuffled",
    "cc",
    "five",
    "info_gain",
    "kl_divergence",
    "measure",
    "nss",
    "similarity",
    "stavis_postprocess",
    "why_missing",
]

FIVE = ("auc_judd", "similarity", "auc_shuffled", "cc", "nss")  # in the order of the paper's Table 7
BESIDE = ("auc", "auc_judd_chance", "auc_borji", "kl_divergence", "info_gain")


def five(saliency, fixations, density, other, *, compat="mit", nan_policy="raise"):
    """The paper's five metrics of one map, with the work shared.

    Args:
        saliency: the predicted map.
        fixations: (h, w), > 0 where somebody looked.
        density: (h, w), the continuous ground truth.
        other: (h, w), > 0 where the shuffled AUC takes its negatives.
        compat, nan_policy: see the module.

    Returns:
        {"auc_judd", "similarity", "auc_shuffled", "cc", "nss"}: what the functions of these names return by default.
    """
    return measure(FIVE, saliency, fixations, density, other, compat=compat, nan_policy=nan_policy)


def measure(names, saliency, fixations, density, other, *, baseline=None, compat="mit", nan_policy="raise"):
    """Any metrics of one map, with the work shared.

    Args:
        names: out of FIVE and BESIDE.
        saliency, fixations, density, other, compat, nan_policy: as for `five`.
        baseline: for "info_gain", see there.

    Returns:
        name -> float, in the order of `names`: what the functions of these names return by default. "auc_judd_chance" is
        that of the number of fixated pixels, NaN where "auc_judd" is.

    Raises:
        ValueError: see the module; a name that there is not; no baseline for "info_gain".
    """
    how = choices(compat)
    fixated, shape = fixated_pixels(fixations, "fixations")
    truth = _truth(density, shape, nan_policy)
    candidates = _candidates(other, shape)
    saliency = Map(saliency, shape, "saliency", nan_policy, how.postprocess)
    judd = cache(lambda: _judd(saliency, fixated, "expected", how))
    functions = {
        "auc_judd": judd,
        "similarity": lambda: _similarity(saliency, truth, how),
        "auc_shuffled": lambda: _area(saliency, fixated, candidates, how.thresholds, how),
        "cc": lambda: _cc(saliency, truth, how),
        "nss": lambda: _nss(saliency, fixated, how),
        "auc": lambda: _auc(saliency, fixated, how),
        "auc_judd_chance": lambda: np.nan if np.isnan(judd()) else auc_judd_chance(fixated.size),
        "auc_borji": lambda: _borji(saliency, fixated, slice(None), how.thresholds, how),
        "kl_divergence": lambda: _kl(saliency, truth, how),
        "info_gain": lambda: _info_gain(saliency, fixated, Map(baseline, shape, "baseline", nan_policy), how),
    }
    if unknown := [name for name in names if name not in functions]:
        raise ValueError(f"no metric {unknown[0]!r}; there are {', '.join(functions)}")
    if "info_gain" in names and baseline is None:
        raise ValueError("info_gain needs a baseline, such as a centre prior")
    return {name: functions[name]() for name in names}


def auc_judd(saliency, fixations, *, jitter="exact", seed=0, compat="mit", nan_policy="raise"):
    """AUC-Judd: the ROC through the saliency at the fixations, the rest of the image being negative.

    Biased upwards when fixations are few, as everywhere: see `auc_judd_chance`, and `auc` for the unbiased one.

    Args:
        saliency, fixations, compat, nan_policy: see the module.
        jitter: how ties are ordered. "exact": the expectation over all orders; "none": against the map (MATLAB with
            jitter = 0; in pysaliency, tied fixations share a point of the ROC); "sample": one draw (MATLAB's default);
            or the uniform numbers themselves, (h, w) in [0, 1].
        seed: of "sample"; int or `numpy.random.Generator`.

    Returns:
        float in [0, 1]. NaN without a fixation or with nothing else; for a constant map only if jitter is "none".
    """
    how = choices(compat)
    fixated, shape = fixated_pixels(fixations, "fixations")
    saliency = Map(saliency, shape, "saliency", nan_policy, how.postprocess)
    if isinstance(jitter, str) and jitter == "exact":
        return _judd(saliency, fixated, "expected", how)
    if isinstance(jitter, str) and jitter == "none":
        return _judd(saliency, fixated, how.ties, how)
    if isinstance(jitter, str) and jitter == "sample":
        jitter = np.random.default_rng(seed).random(shape)
    if isinstance(jitter, str) or np.shape(jitter) != shape:
        raise ValueError(f"auc_judd: jitter must be 'exact', 'none', 'sample' or an array of shape {shape}")
    jittered = saliency.values.reshape(shape) + np.asarray(jitter, np.float64) / 1e7
    return _judd(Map(jittered, shape, "saliency", "matlab"), fixated, how.ties, how)


def auc_judd_chance(n_fixations):
    """What AUC-Judd gives a random map: 0.5 + 1 / (2 (P + 1)), for its curve has points only at fixations."""
    return 0.5 + 0.5 / (n_fixations + 1)


def auc(saliency, fixations, *, compat="mit", nan_policy="raise"):
    """The unbiased AUC, chance 0.5: how often a fixated pixel is above another one, ties half (Mann-Whitney).

    Equals `sklearn.metrics.roc_auc_score(fixations > 0, saliency)`. MATLAB's code has none; pysaliency's (`AUC` with
    uniform nonfixations) takes all pixels as negatives, the fixated ones included.

    Returns:
        float in [0, 1]. NaN without a fixation or with nothing else. A constant map: 0.5.
    """
    how = choices(compat)
    fixated, shape = fixated_pixels(fixations, "fixations")
    return _auc(Map(saliency, shape, "saliency", nan_policy, how.postprocess), fixated, how)


def auc_shuffled(
    saliency,
    fixations,
    other,
    *,
    thresholds=None,
    n_splits=None,
    negatives=None,
    seed=0,
    compat="mit",
    nan_policy="raise",
):
    """Shuffled AUC: as AUC, the negatives being other people's business, so that a centre prior gains nothing.

    Args:
        saliency, fixations, compat, nan_policy: see the module.
        other: (h, w), > 0 at the candidates for negatives, say the fixations on other images.
        thresholds: "grid" 0, 0.1, .. 1 (MATLAB), "all": the area under the whole curve (pysaliency), or None: as
            `compat` has it.
        n_splits: None for the expectation over draws, else how many draws (MATLAB: 100) of min(fixations, candidates)
            negatives without replacement are averaged.
        negatives: the draws themselves: flat (row-major) indices of pixels, (n_splits, k).
        seed: of n_splits; int or `numpy.random.Generator`.

    Returns:
        float in [0, 1]. NaN without a fixation or a candidate, and for a constant map.
    """
    how = choices(compat)
    fixated, shape = fixated_pixels(fixations, "fixations")
    candidates = _candidates(other, shape)
    saliency = Map(saliency, shape, "saliency", nan_policy, how.postprocess)
    if negatives is None and n_splits is not None:
        rng, k = np.random.default_rng(seed), min(fixated.size, candidates.size)
        negatives = rng.permuted(np.tile(candidates, (n_splits, 1)), axis=1)[:, :k]
    negatives = candidates if negatives is None else np.ravel(negatives)
    return _area(saliency, fixated, negatives, thresholds or how.thresholds, how)


def auc_borji(saliency, fixations, *, thresholds=None, n_splits=None, negatives=None, seed=0, compat="mit", nan_policy="raise"):
    """AUC-Borji: as `auc_shuffled` with all pixels as candidates, drawn with replacement.

    Returns:
        float in [0, 1]. NaN with fewer than two fixations, and for a constant map.
    """
    how = choices(compat)
    fixated, shape = fixated_pixels(fixations, "fixations")
    saliency = Map(saliency, shape, "saliency", nan_policy, how.postprocess)
    if negatives is None and n_splits is not None:
        negatives = np.random.default_rng(seed).integers(saliency.values.size, size=(n_splits, fixated.size))
    negatives = slice(None) if negatives is None else np.ravel(negatives)
    return _borji(saliency, fixated, negatives, thresholds or how.thresholds, how)


def nss(saliency, fixations, *, compat="mit", nan_policy="raise"):
    """Normalised scanpath saliency: the mean over fixated pixels of the map in its standard deviations (N - 1).

    Returns:
        float. NaN without a fixation, and for a constant map.
    """
    how = choices(compat)
    fixated, shape = fixated_pixels(fixations, "fixations")
    return _nss(Map(saliency, shape, "saliency", nan_policy, how.postprocess), fixated, how)


def similarity(saliency, density, *, compat="mit", nan_policy="raise"):
    """SIM: the common part of two maps, each scaled to [0, 1] and then to the sum 1.

    Returns:
        float in [0, 1]. NaN if one of them is constant but not zero; 0 if one of them is all zero, as in MATLAB: drop
        images without fixations before averaging, or know that they count as 0.
    """
    return _similarity(*_pair(saliency, density, compat, nan_policy), choices(compat))


def cc(saliency, density, *, compat="mit", nan_policy="raise"):
    """Pearson's correlation of two maps.

    Returns:
        float in [-1, 1]. NaN if one of them is constant.
    """
    return _cc(*_pair(saliency, density, compat, nan_policy), choices(compat))


def kl_divergence(saliency, density, *, compat="mit", nan_policy="raise"):
    """KL divergence of the saliency from the density, each divided by its sum, lower is better; eps = 2^-52.

    Not scaled to [0, 1] first, so a map should be non-negative. Where overshoot is negative, MATLAB's logarithm is
    complex; this is the real part.

    Returns:
        float, in nats. An all-zero map stays zero.
    """
    return _kl(*_pair(saliency, density, compat, nan_policy), choices(compat))


def info_gain(saliency, fixations, baseline, *, compat="mit", nan_policy="raise"):
    """Information gain over a baseline (a centre prior), both scaled to [0, 1] and then to the sum 1; eps = 2^-52.

    Args:
        saliency, fixations, compat, nan_policy: see the module.
        baseline: a map; brought to the size of `fixations` like the saliency.

    Returns:
        float, in bits per fixation. NaN without a fixation, and if one of the maps is constant.
    """
    how = choices(compat)
    fixated, shape = fixated_pixels(fixations, "fixations")
    saliency = Map(saliency, shape, "saliency", nan_policy, how.postprocess)
    return _info_gain(saliency, fixated, Map(baseline, shape, "baseline", nan_policy), how)


def _candidates(other, shape):
    candidates, other_shape = fixated_pixels(other, "other")
    if other_shape != shape:
        raise ValueError(f"the other map has shape {other_shape}, the fixations {shape}")
    return candidates


def _truth(density, shape, nan_policy):
    if np.shape(density) != shape:
        raise ValueError(f"the density map has shape {np.shape(density)}, the fixations {shape}")
    return Map(density, shape, "density", nan_policy)


def _pair(saliency, density, compat, nan_policy):
    truth = Map(density, np.shape(density), "density", nan_policy)
    return Map(saliency, np.shape(density), "saliency", nan_policy, choices(compat).postprocess), truth


def _nss(saliency, fixated, how):
    if not fixated.size:
        return np.nan
    if saliency.constant:
        return 0.0 if how.constant == "chance" else np.nan
    mean, power = saliency.moments
    deviation = np.sqrt(power / (saliency.values.size - how.ddof))
    return float((saliency.values[fixated].mean() - saliency.low - mean) / deviation)


def _cc(saliency, truth, how):
    if truth.constant or saliency.constant:
        return 0.0 if how.constant == "chance" and not truth.constant else np.nan
    (a_mean, a_power), (b_mean, b_power) = saliency.moments, truth.moments
    product = sum(np.einsum("i,i->", x, y) for x, y in blocks(saliency, truth))
    return float((product - saliency.values.size * a_mean * b_mean) / np.sqrt(a_power * b_power))


def _similarity(a, b, how):
    if how.shift:
        return float(np.minimum(_shifted(a), _shifted(b)).sum())
    if any(m.constant and not m.zero for m in (a, b)):
        return np.nan
    if a.zero or b.zero:
        return 0.0
    (a_mean, _), (b_mean, _) = a.moments, b.moments
    common = sum(np.minimum(x * (b_mean / a_mean), y).sum() for x, y in blocks(a, b))
    return float(common / (b_mean * b.values.size))


def _kl(saliency, truth, how):
    s, g = (_shifted(m) if how.shift else _by_sum(m) for m in (saliency, truth))
    with np.errstate(invalid="ignore"):
        return float(np.sum(g * np.log(np.abs(how.eps + g / (s + how.eps)))))


def _info_gain(saliency, fixated, baseline, how):
    if not fixated.size:
        return np.nan
    gain, base = (np.log2(how.eps + m.unit(fixated) / m.unit().sum()) for m in (saliency, baseline))
    return float(np.mean(gain - base))


def _by_sum(a):
    return a.values if a.zero else a.values / a.values.sum()


def _shifted(a):
    """pysaliency's density of a map."""
    values = a.values - min(a.low, 0)
    total = values.sum()
    with np.errstate(invalid="ignore"):
        return values / total if total else np.full(values.shape, 1 / values.size)


def _judd(saliency, fixated, ties, how):
    values, span = saliency.values, (saliency.low, saliency.high) if saliency.finite else None
    if not fixated.size or fixated.size == values.size:
        return np.nan
    if how.nan_auc is not None and np.isnan(values).any():
        return how.nan_auc
    if ties == "against":
        # MATLAB compares the scaled values, and scaling may merge neighbours.
        values, span = saliency.unit(), (0.0, 1.0) if saliency.finite else None
    if np.isnan(values).all():
        return np.nan
    return roc.trapezoid(*roc.judd_curve(values, values[fixated], span, ties))


def _auc(saliency, fixated, how):
    values = saliency.values
    return _whole_area(values[fixated], values if how.negatives == "all" else np.delete(values, fixated), how)


def _borji(saliency, fixated, negatives, thresholds, how):
    return np.nan if fixated.size < 2 else _area(saliency, fixated, negatives, thresholds, how)


def _area(saliency, fixated, negatives, thresholds, how):
    if thresholds not in ("grid", "all"):
        raise ValueError(f"thresholds is {thresholds!r}, give 'grid' or 'all'")
    if saliency.constant and how.constant == "nan":
        return np.nan
    if thresholds == "grid":
        return roc.grid_area(saliency.unit(fixated), saliency.unit(negatives))
    return _whole_area(saliency.values[fixated], saliency.values[negatives], how)


def _whole_area(positives, negatives, how):
    area = roc.whole_area(positives, negatives)
    broken = how.nan_auc is not None and positives.size and negatives.size and np.isnan(area)
    return how.nan_auc if broken else area
