"""Areas under ROC curves from saliency values, in NumPy: what the AUCs of `metrics.py` are made of.

Arrays are flat float64. `positives` are the values at fixations, `negatives` those at the pixels they compete with.
"""

import numpy as np

_GRID = np.arange(10, -1, -1) / 10  # correctly rounded, as in MATLAB; np.arange(0, 1, 0.1) is not
_BINS = 4096
_BLOCK = 16384


def judd_curve(values, positives, span, ties):
    """The ROC of AUC-Judd: one point per fixation, in descending order of the values there.

    As in MATLAB, a NaN comes first among the positives and is above nothing.

    Args:
        values: of all pixels, the fixated ones included.
        positives: of the fixated pixels.
        span: lowest and highest of `values`; None if there are NaN or infinities among them.
        ties: "expected" over the orders that a vanishing jitter gives; "against" the map (a pixel at the threshold
            counts as above it, MATLAB without jitter); or "together" (tied fixations share one point, pysaliency).

    Returns:
        hit rates and false alarm rates, float64, as many as positives.
    """
    n, n_negatives = positives.size, values.size - positives.size
    positives = np.sort(positives)
    thresholds, rank = positives[::-1], np.arange(1, n + 1)
    at_least, above = count(values, thresholds, span)
    first, last = np.searchsorted(positives, thresholds), np.searchsorted(positives, thresholds, "right")
    if ties == "together":
        hits = n - first
        return hits / n, (at_least - hits) / n_negatives
    if ties == "expected":
        # The j-th of p tied positives has passed n j / (p + 1) of the n negatives that tie with them.
        tied, place = last - first, rank - (n - last)
        at_least = above + place + (at_least - above - tied) * place / (tied + 1)
    at_least = np.where(np.isnan(thresholds), 0, at_least)
    return rank / n, (at_least - rank) / n_negatives


def count(values, thresholds, span):
    """How many values are >= and how many are > each threshold. A NaN is neither.

    Values and thresholds go into bins by a monotone function, so only those in a threshold's own bin need comparing.
    Ten times as fast as sorting, and the time hardly grows with the number of thresholds.

    Args:
        values, thresholds: (n,) and (m,).
        span: lowest and highest of `values`, or None: compare all with all.

    Returns:
        two (m,) integer arrays.
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        scale = np.nan if span is None else _BINS / (span[1] - span[0])
    if not np.isfinite(scale):
        return (
            np.array([np.count_nonzero(values >= t) for t in thresholds], int),
            np.array([np.count_nonzero(values > t) for t in thresholds], int),
        )
    bins, marked = ((thresholds - span[0]) * scale).astype(np.intp), np.zeros(_BINS + 2, bool)
    marked[bins] = True
    totals, near = np.zeros(marked.size, np.intp), []
    for start in range(0, values.size, _BLOCK):  # pieces whose temporaries stay in the cache
        block = values[start : start + _BLOCK]
        bin_of = ((block - span[0]) * scale).astype(np.intp)
        totals += np.bincount(bin_of, minlength=marked.size)
        near.append(block[marked[bin_of]])
    near = np.sort(np.concatenate(near))
    totals[marked] = 0
    sure = np.cumsum(totals[::-1])[::-1][bins] + near.size
    return sure - np.searchsorted(near, thresholds), sure - np.searchsorted(near, thresholds, "right")


def grid_area(positives, negatives):
    """The area under the ROC through the thresholds 1, 0.9, .. 0, of values in [0, 1]; NaN without values.

    A threshold above every value adds nothing, so that MATLAB's stopping at the highest value needs no copy here.
    """
    if not positives.size or not negatives.size or np.isnan(positives).all():
        return np.nan
    hit, false = ([np.count_nonzero(values >= t) / values.size for t in _GRID] for values in (positives, negatives))
    return trapezoid(np.array(hit), np.array(false))


def whole_area(positives, negatives):
    """The area under the whole ROC: how often a positive is above a negative, ties half (Mann-Whitney)."""
    if not positives.size or not negatives.size or np.isnan(positives).any() or np.isnan(negatives).any():
        return np.nan
    thresholds, negatives = np.sort(positives), np.sort(negatives)
    below = np.searchsorted(negatives, thresholds, "left") + np.searchsorted(negatives, thresholds, "right")
    return float(below.mean() / (2 * negatives.size))


def trapezoid(hit, false):
    """The area under the ROC through (0, 0), the given points in their order, and (1, 1)."""
    hit, false = np.concatenate([[0], hit, [1]]), np.concatenate([[0], false, [1]])
    return float(np.sum(np.diff(false) * (hit[1:] + hit[:-1])) / 2)
