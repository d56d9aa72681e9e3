"""Why a metric has no value for a map, in words, for whoever averages over many maps and has to say what was left out."""

import numpy as np

_OF_DENSITIES = ("cc", "similarity", "kl_divergence")


def why_missing(scores, saliency, fixations, density, other):
    """The reason of each NaN among the scores of a map.

    Args:
        scores: metric -> value, as `metrics.five` returns them; other metrics of `metrics.py` may be among them.
        saliency, fixations, density, other: what was scored, as given to `metrics.five`.

    Returns:
        metric -> "" if it has a value, else the first that applies of "NaN in the map", "NaN in the density", "no
        fixation", "a single fixation", "nothing but fixations", "no other fixation", "constant density", "all-zero map",
        "constant map"; "unknown" if none does.
    """
    missing = [name for name, value in scores.items() if np.isnan(value)]
    return dict.fromkeys(scores, "") | {name: _reason(name, saliency, fixations, density, other) for name in missing}


def _reason(name, saliency, fixations, density, other):
    saliency, density = np.asarray(saliency), np.asarray(density)
    n_fixated = np.count_nonzero(np.asarray(fixations) > 0)
    flat = density.min() == density.max()
    against_density = name in _OF_DENSITIES
    reasons = {
        "NaN in the map": not np.isfinite(saliency).all(),
        "NaN in the density": against_density and not np.isfinite(density).all(),
        "no fixation": n_fixated == 0 and (flat or not against_density),
        "a single fixation": n_fixated == 1 and name == "auc_borji",
        "nothing but fixations": n_fixated == np.size(fixations) and name in ("auc_judd", "auc_judd_chance", "auc"),
        "no other fixation": name == "auc_shuffled" and not np.any(np.asarray(other) > 0),
        "constant density": against_density and flat,
        "all-zero map": not saliency.any(),
        "constant map": saliency.min() == saliency.max(),
    }
    return next((reason for reason, holds in reasons.items() if holds), "unknown")
