"""stajax/evaluation/compat.py and missing.py against the steps of STAViS' script, and the reasons that one can see."""

import math

import numpy as np
import pytest

from stajax.evaluation import metrics

RNG = np.random.default_rng(0)
SALIENCY, DENSITY = RNG.random((2, 24, 32))
FIXATIONS, OTHER = RNG.random((2, 24, 32)) < 0.03
ZERO = np.zeros((24, 32))
HALF = ZERO + 0.5
FIVE = ("auc_judd", "similarity", "auc_shuffled", "cc", "nss")


def test_stavis_postprocess_equals_its_thirteen_taps():
    picture = np.random.default_rng(1).integers(30, 200, (9, 11)).astype(np.uint8)
    scaled = (picture - 1.0 * picture.min()) / (picture.max() - 1.0 * picture.min())
    taps = np.exp(-(np.arange(-6, 7) ** 2) / 8)
    window = np.outer(taps, taps) / taps.sum() ** 2
    mirrored = np.pad(scaled, 6, mode="symmetric")
    expected = [[(mirrored[y : y + 13, x : x + 13] * window).sum() for x in range(11)] for y in range(9)]
    np.testing.assert_allclose(metrics.stavis_postprocess(picture), expected, atol=1e-14)
    np.testing.assert_allclose(metrics.stavis_postprocess(picture / 255), expected, atol=1e-14)


def test_compat_stavis_equals_mit_after_postprocessing_at_the_maps_own_size():
    small = RNG.random((7, 9))
    expected = metrics.five(metrics.stavis_postprocess(small), FIXATIONS, DENSITY, OTHER)
    assert metrics.five(small, FIXATIONS, DENSITY, OTHER, compat="stavis") == expected
    picture = (255 * small).astype(np.uint8)
    assert metrics.nss(picture, FIXATIONS, compat="stavis") == metrics.nss(picture / 255, FIXATIONS, compat="stavis")


def test_compat_stavis_scores_nothing_for_an_all_zero_map():
    assert all(map(math.isnan, metrics.five(ZERO, FIXATIONS, DENSITY, OTHER, compat="stavis").values()))


@pytest.mark.parametrize("compat", ["mit", "stavis"])
@pytest.mark.parametrize(
    ("arguments", "reasons"),
    [
        ((SALIENCY, FIXATIONS, DENSITY, OTHER), {}),
        ((SALIENCY, ZERO, DENSITY, OTHER), dict.fromkeys(("auc_judd", "auc_shuffled", "nss"), "no fixation")),
        ((SALIENCY, ZERO, ZERO, OTHER), dict.fromkeys(("auc_judd", "auc_shuffled", "nss", "cc"), "no fixation")),
        ((SALIENCY, FIXATIONS, HALF, OTHER), dict.fromkeys(("cc", "similarity"), "constant density")),
        ((SALIENCY, FIXATIONS, DENSITY, ZERO), {"auc_shuffled": "no other fixation"}),
        ((SALIENCY, HALF, DENSITY, OTHER), {"auc_judd": "nothing but fixations"}),
        ((HALF, FIXATIONS, DENSITY, OTHER), dict.fromkeys(("auc_shuffled", "cc", "nss", "similarity"), "constant map")),
        ((np.where(FIXATIONS, np.nan, HALF + SALIENCY), FIXATIONS, DENSITY, OTHER), None),
    ],
)
def test_why_missing_names_the_reason_of_each_nan(arguments, reasons, compat):
    scores = metrics.five(*arguments, compat=compat, nan_policy="matlab")
    why = metrics.why_missing(scores, *arguments)
    if reasons is None:
        reasons = {name: "NaN in the map" for name, value in scores.items() if math.isnan(value)}
        assert "nss" in reasons
    assert why == dict.fromkeys(FIVE, "") | reasons


def test_why_missing_tells_an_all_zero_map_from_a_constant_one():
    for compat, missing in (("mit", {"auc_shuffled", "cc", "nss"}), ("stavis", set(FIVE))):
        scores = metrics.five(ZERO, FIXATIONS, DENSITY, OTHER, compat=compat)
        why = metrics.why_missing(scores, ZERO, FIXATIONS, DENSITY, OTHER)
        assert why == {name: "all-zero map" if name in missing else "" for name in FIVE}
