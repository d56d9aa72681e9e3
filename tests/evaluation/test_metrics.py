"""stajax/evaluation/metrics.py against the MIT benchmark's MATLAB code (goldens; their README says how they were made),
and against second implementations written out here."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from stajax.evaluation import metrics

FOLDER = Path(__file__).parents[1] / "goldens/metrics"
ARRAYS = np.load(FOLDER / "cases.npz")
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
CASES = list(EXPECTED)


def load(name):
    """The arrays of a case: saliency, fixations, density, other."""

    def picture(key):
        return ARRAYS[f"{name}/{key}_u8"] / 255.0 if f"{name}/{key}_u8" in ARRAYS else ARRAYS[f"{name}/{key}"]

    shape = EXPECTED[name]["fix_shape"]
    fixations, other = np.zeros(shape), np.zeros(shape)
    if EXPECTED[name].get("fix_all_ones"):
        fixations[:] = 1
    else:
        rows, columns, values = ARRAYS[f"{name}/fix_rcv"].T
        fixations[rows, columns] = values
    other[tuple(ARRAYS[f"{name}/other_rc"].T)] = 1
    return picture("sal"), fixations, picture("gt"), other


def compute(name):
    """Every value of a case by its name in expected.json."""
    saliency, fixations, density, other = load(name)
    shape, policy = fixations.shape, {"nan_policy": "matlab"}
    if f"{name}/U" in ARRAYS:
        jitter = ARRAYS[f"{name}/U"]
    else:
        jitter = np.random.default_rng(EXPECTED[name]["jitter_seed"]).random(shape)
    y, x = np.mgrid[: shape[0], : shape[1]] + 1
    baseline = np.exp(-(((y - shape[0] / 2) / (shape[0] / 3)) ** 2 + ((x - shape[1] / 2) / (shape[1] / 3)) ** 2) / 2)
    values = {
        "AUC_Judd_nojitter": metrics.auc_judd(saliency, fixations, jitter="none", **policy),
        "AUC_Judd_jitterU": metrics.auc_judd(saliency, fixations, jitter=jitter, **policy),
        "AUC_Judd_expected_exact": metrics.auc_judd(saliency, fixations, **policy),
        "sAUC_injected_matlab_colon": metrics.auc_shuffled(
            saliency, fixations, other, negatives=ARRAYS[f"{name}/other_sel"], **policy
        ),
        "sAUC_expected_exact_matlab_colon": metrics.auc_shuffled(saliency, fixations, other, **policy),
        "NSS": metrics.nss(saliency, fixations, **policy),
        "CC": metrics.cc(saliency, density, **policy),
        "SIM": metrics.similarity(saliency, density, **policy),
        "KLdiv": metrics.kl_divergence(saliency, density, **policy),
        "InfoGain": metrics.info_gain(saliency, fixations, baseline, **policy),
    }
    if f"{name}/Ub" in ARRAYS:
        # Column-major pixel numbers to row-major ones.
        column, row = np.divmod(np.floor(ARRAYS[f"{name}/Ub"] * fixations.size).astype(int), shape[0])
        negatives = row * shape[1] + column
        values["AUC_Borji_injected"] = metrics.auc_borji(saliency, fixations, negatives=negatives, **policy)
    return values


@pytest.mark.parametrize("name", CASES)
def test_values_equal_matlab(name):
    values = compute(name)
    expected = EXPECTED[name]["octave"] | EXPECTED[name]["derived"] | EXPECTED[name].get("matlab_resize_semantics", {})
    wrong = {}
    for key, value in values.items():
        golden = expected[key]["re"] if isinstance(expected.get(key), dict) else expected.get(key, "absent")
        golden = math.nan if golden is None else golden
        if golden != "absent" and not np.isclose(value, golden, rtol=0, atol=1e-9, equal_nan=True):
            wrong[key] = (value, golden)
    print(name, wrong)
    assert not wrong
