"""stajax/evaluation/metrics.py against the MIT benchmark's MATLAB code (tests/goldens/metrics),
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
EXCEPTIONS = {
    ("gt_constant", "CC"): "NaN here; there the rounding noise of a constant, 0.3",
    ("u8_ties_on_grid", "AUC_Borji_injected"): "Octave's 0:.1:1 is not MATLAB's to the last bit, and values sit on it",
}


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
    y, x = np.mgrid[: shape[0], : shape[1]]
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


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # of one_inf
@pytest.mark.parametrize("name", CASES)
def test_values_equal_matlab(name):
    values = compute(name)
    expected = EXPECTED[name]["octave"] | EXPECTED[name]["derived"] | EXPECTED[name].get("matlab_resize_semantics", {})
    wrong = {}
    for key, value in values.items():
        golden = expected.get(key)
        golden = golden["re"] if isinstance(golden, dict) else math.nan if golden is None else golden
        if (name, key) not in EXCEPTIONS and not np.isclose(value, golden, rtol=0, atol=1e-9, equal_nan=True):
            wrong[key] = (value, golden)
    assert not wrong


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # of one_inf
@pytest.mark.parametrize("name", CASES)
def test_five_equals_the_single_functions(name):
    saliency, fixations, density, other = load(name)
    if not np.isfinite(saliency).all():
        with pytest.raises(ValueError, match=r"^the saliency map holds NaN or infinity[^\n]*$"):
            metrics.five(saliency, fixations, density, other)
    together = metrics.five(saliency, fixations, density, other, nan_policy="matlab")
    arguments = {
        "auc_judd": (fixations,),
        "similarity": (density,),
        "auc_shuffled": (fixations, other),
        "cc": (density,),
        "nss": (fixations,),
    }
    assert list(together) == list(arguments)
    for key, truth in arguments.items():
        value = getattr(metrics, key)(saliency, *truth, nan_policy="matlab")
        assert type(value) is type(together[key]) is float
        np.testing.assert_array_equal(together[key], value)


@pytest.mark.parametrize("name", ["good_60x80", "levels4", "binary_map", "few_other", "u8_256x256"])
def test_draws_average_to_the_expectation(name):
    """MATLAB's stock values are means over a few calls, `n_repeat_of_default`; ours over 20 and 2000 draws."""
    saliency, fixations, _, other = load(name)
    expected = EXPECTED[name]["octave"]
    judd = [metrics.auc_judd(saliency, fixations, jitter="sample", seed=seed) for seed in range(20)]
    sampled = {
        "AUC_Judd": (metrics.auc_judd(saliency, fixations), np.mean(judd)),
        "AUC_shuffled": (
            metrics.auc_shuffled(saliency, fixations, other),
            metrics.auc_shuffled(saliency, fixations, other, n_splits=2000),
        ),
        "AUC_Borji": (metrics.auc_borji(saliency, fixations), metrics.auc_borji(saliency, fixations, n_splits=2000)),
    }
    for key, (exact, mean) in sampled.items():
        deviation = 5 * expected[f"{key}_default_std"] + 1e-9
        assert abs(exact - mean) <= deviation / np.sqrt(20)
        assert abs(exact - expected[f"{key}_default_mean"]) <= deviation / np.sqrt(expected["n_repeat_of_default"])


def random_case(seed, levels):
    rng = np.random.default_rng(seed)
    saliency = rng.integers(levels, size=(9, 13)) / levels
    fixations, other = rng.random((2, 9, 13)) < 0.15
    return saliency, fixations, other


@pytest.mark.parametrize("levels", [2, 3, 50, 10**6])
def test_auc_equals_all_pairs(levels):
    saliency, fixations, other = random_case(levels, levels)

    def all_pairs(positives, negatives):
        difference = positives[:, None] - negatives
        return ((difference > 0) + 0.5 * (difference == 0)).mean()

    np.testing.assert_allclose(metrics.auc(saliency, fixations), all_pairs(saliency[fixations], saliency[~fixations]))
    np.testing.assert_allclose(
        metrics.auc_shuffled(saliency, fixations, other, thresholds="all"),
        all_pairs(saliency[fixations], saliency[other]),
    )


@pytest.mark.parametrize("levels", [2, 3, 50, 10**6])
def test_auc_judd_equals_the_mean_over_orders_of_the_ties(levels):
    saliency, fixations, _ = random_case(levels, levels)
    n = fixations.sum()
    rng = np.random.default_rng(0)

    def one_order():
        order = np.lexsort((rng.random(saliency.size), saliency.ravel()))[::-1]
        hits = fixations.ravel()[order]
        passed = np.cumsum(~hits)[hits] / (saliency.size - n)
        return np.trapezoid([0, *(np.arange(1, n + 1) / n), 1], [0, *passed, 1])

    orders = [one_order() for _ in range(2000)]
    assert abs(metrics.auc_judd(saliency, fixations) - np.mean(orders)) <= 5 * np.std(orders) / np.sqrt(2000) + 1e-12


def test_auc_judd_of_noise_is_at_its_chance_level():
    rng = np.random.default_rng(5)
    for n in (1, 10):
        values = []
        for _ in range(1500):
            fixations = np.zeros(400, bool)
            fixations[rng.choice(400, n, replace=False)] = True
            values.append(metrics.auc_judd(rng.random((20, 20)), fixations.reshape(20, 20)))
        assert abs(np.mean(values) - metrics.auc_judd_chance(n)) < 5 * np.std(values) / np.sqrt(1500)


def test_nss_and_cc_equal_their_formulas_whatever_scale_and_type():
    rng = np.random.default_rng(6)
    saliency, density, fixations = rng.integers(256, size=(40, 50)), rng.random((40, 50)), rng.random((40, 50)) < 0.02
    z = (saliency - saliency.mean()) / saliency.std(ddof=1)
    for scaled in (saliency, saliency.astype(np.uint8), saliency * -1e-9 - 7e-6, saliency.astype(np.float32) * 1e3):
        sign = np.sign(scaled.ravel()[saliency.argmax()])
        np.testing.assert_allclose(metrics.nss(scaled, fixations), sign * z[fixations].mean(), atol=1e-9)
        np.testing.assert_allclose(metrics.cc(scaled, density), sign * np.corrcoef(z.flat, density.flat)[0, 1], atol=1e-9)


def test_a_constant_stays_constant_when_resized():
    fixations = np.eye(60, 80)
    assert math.isnan(metrics.nss(np.full((7, 9), 0.3), fixations))
    assert math.isnan(metrics.cc(np.full((7, 9), 0.3), np.random.default_rng(0).random((60, 80))))


def test_metrics_import_no_jax():
    import subprocess
    import sys

    code = "import sys, stajax.evaluation.metrics; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


GOOD = np.eye(4, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.nss(np.zeros(3), GOOD), "two axes"),
        (lambda: metrics.nss(GOOD, np.zeros(3)), "two axes"),
        (lambda: metrics.cc(GOOD, np.where(GOOD > 0, np.nan, 0)), "density map holds NaN"),
        (lambda: metrics.nss(np.full((4, 5), np.inf), GOOD, nan_policy="skip"), "nan_policy"),
        (lambda: metrics.five(GOOD, GOOD, np.eye(3), GOOD), "density map has shape"),
        (lambda: metrics.five(GOOD, GOOD, GOOD, np.eye(3)), "other map has shape"),
        (lambda: metrics.auc_judd(GOOD, GOOD, jitter="some"), "jitter"),
        (lambda: metrics.auc_judd(GOOD, GOOD, jitter=np.zeros((2, 2))), "jitter"),
        (lambda: metrics.auc_shuffled(GOOD, GOOD, GOOD, thresholds="most"), "thresholds"),
    ],
)
def test_wrong_arguments_are_one_line(call, message):
    with pytest.raises(ValueError, match=rf"^[^\n]*{message}[^\n]*$"):
        call()
