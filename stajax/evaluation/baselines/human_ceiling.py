"""What people tell about people: some observers' fixations as a map, scored on the others'."""

import numpy as np

from stajax.data.fixations import density_map, fixation_map, inside
from stajax.evaluation.metrics import five


def human(fixations, observers, shape, other, *, sigma, protocol="leave-one-out", draws=5, seed=0, measure=five):
    """The metrics of observers as a model of other observers, on one image.

    "leave-one-out" scores each observer against a map of all the others; "halves" a random half against the other, and the
    other way round. The map is the others' density, with the same sigma as the truth.

    NSS and s-AUC compare with a model's scores on all observers. The others do not: with fewer fixations in the truth, AUC-J
    has a higher chance level (`metrics.auc_judd_chance`), and the truth's density is sparser, so CC and SIM are lower,
    most of all in "leave-one-out".

    Args:
        fixations: (n, 2) x, y in pixels. Those outside the image are left out.
        observers: (n,) whose each is; any labels.
        shape: (h, w).
        other: (h, w), > 0 where the shuffled AUC takes its negatives.
        sigma: of the density maps, px, as in the truth that models are scored against.
        protocol: "leave-one-out" or "halves".
        draws: of halves, whose scores are averaged.
        seed: of the draws; int or `numpy.random.Generator`.
        measure: what scores a map, `metrics.five` or a function like it.

    Returns:
        Metric -> float, as `measure`: the mean over the observers (or halves) scored, NaN ones left out.

    Raises:
        ValueError: another number of observers than of fixations, fewer than 2 observers with a fixation on the image, an
            unknown protocol, draws below 1.
    """
    fixations, observers = np.asarray(fixations, float).reshape(-1, 2), np.asarray(observers)
    if observers.shape != (len(fixations),):
        raise ValueError(f"human: {len(fixations)} fixations, but observers of shape {observers.shape}")
    kept = inside(fixations, shape)
    fixations, observers = fixations[kept], observers[kept]
    scores = [
        measure(
            density_map(fixations[~tested], shape, sigma),
            fixation_map(fixations[tested], shape),
            density_map(fixations[tested], shape, sigma),
            other,
        )
        for tested in _tested(observers, protocol, draws, seed)
    ]
    values = {metric: np.array([score[metric] for score in scores]) for metric in scores[0]}
    return {metric: float(v[~np.isnan(v)].mean()) if not np.isnan(v).all() else np.nan for metric, v in values.items()}


def _tested(observers, protocol, draws, seed):
    """(n,) bool per scoring: which fixations are the truth."""
    people = np.unique(observers)
    if len(people) < 2:
        raise ValueError(f"human: needs 2 observers with fixations on the image, got {len(people)}")
    if protocol == "leave-one-out":
        return [observers == person for person in people]
    if protocol != "halves":
        raise ValueError(f"human: protocol {protocol!r}, give 'leave-one-out' or 'halves'")
    if draws < 1:
        raise ValueError(f"human: draws is {draws}, must be at least 1")
    rng = np.random.default_rng(seed)
    halves = [np.isin(observers, rng.permutation(people)[: len(people) // 2]) for _ in range(draws)]
    return [tested for half in halves for tested in (half, ~half)]
