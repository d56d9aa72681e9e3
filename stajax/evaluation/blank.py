"""Maps that say nothing about where people look: how to tell them, and what they score if they are to count at chance."""

import numpy as np

from stajax.evaluation.compat import choices
from stajax.evaluation.maps import Map
from stajax.evaluation.metrics import auc_judd_chance, kl_divergence

_LEVELS = {"auc_shuffled": 0.5, "nss": 0.0, "auc": 0.5, "auc_borji": 0.5}


def blank(saliency):
    """What is blank about a map: "NaN in the map" (or infinity), "all-zero map", "constant map", or ""."""
    low, high = saliency.min(), saliency.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        return "NaN in the map"
    if low < high:
        return ""
    return "all-zero map" if high == 0 else "constant map"


def at_chance(names, fixations, density, other, *, baseline=None):
    """What a map that says nothing scores: of the AUCs, NSS and CC what random maps have in expectation; of SIM, KL and the
    information gain, where that differs from map to map, what the same density everywhere has.

    Args:
        names: of `metrics.FIVE` and `metrics.BESIDE`.
        fixations, density, other, baseline: as for `metrics.measure`; without a baseline there is no information gain.

    Returns:
        name -> float. NaN where the truth does not allow the metric: no fixation, no candidate, a constant density; SIM is 0
        where the density is all zero.
    """
    fixated, size = np.flatnonzero(fixations > 0), np.size(fixations)
    values = dict.fromkeys(_LEVELS, np.nan) if not fixated.size else dict(_LEVELS)
    values["auc_judd"] = auc_judd_chance(fixated.size) if 0 < fixated.size < size else np.nan
    values["auc_judd_chance"] = values["auc_judd"]
    if fixated.size == size:
        values["auc"] = np.nan
    if fixated.size < 2:
        values["auc_borji"] = np.nan
    if not np.any(other > 0):
        values["auc_shuffled"] = np.nan
    low, high = density.min(), density.max()
    values["cc"] = 0.0 if low < high else np.nan
    values["similarity"] = 0.0 if low == high == 0 else np.nan
    if low < high:
        values["similarity"] = float(np.minimum((density - low) / np.sum(density - low), 1 / size).sum())
    values["kl_divergence"] = kl_divergence(np.ones(np.shape(density)), density)
    values["info_gain"] = np.nan
    if baseline is not None and fixated.size:
        prior = Map(baseline, np.shape(fixations), "baseline", "raise")
        eps = choices("mit").eps
        gain = np.log2(eps + 1 / size) - np.log2(eps + prior.unit(fixated) / prior.unit().sum())
        values["info_gain"] = float(gain.mean())
    return {name: values[name] for name in names}
