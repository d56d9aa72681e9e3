"""stajax/evaluation/metrics.py against second implementations written out here, and against itself.

test_metrics_goldens.py holds it against other people's values.
"""

import math

import numpy as np
import pytest

from stajax.evaluation import metrics, roc


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # of one_inf
@pytest.mark.parametrize("compat", ["mit", "stavis", "pysaliency"])
def test_five_equals_the_single_functions(metric_goldens, metric_case, compat):
    saliency, fixations, density, other = metric_goldens.case(metric_case)
    if not np.isfinite(saliency).all():
        with pytest.raises(ValueError, match=r"^the saliency map holds NaN or infinity[^\n]*$"):
            metrics.five(saliency, fixations, density, other, compat=compat)
    together = metrics.five(saliency, fixations, density, other, compat=compat, nan_policy="matlab")
    arguments = {
        "auc_judd": (fixations,),
        "similarity": (density,),
        "auc_shuffled": (fixations, other),
        "cc": (density,),
        "nss": (fixations,),
    }
    assert list(together) == list(arguments)
    for key, truth in arguments.items():
        value = getattr(metrics, key)(saliency, *truth, compat=compat, nan_policy="matlab")
        assert type(value) is type(together[key]) is float
        np.testing.assert_array_equal(together[key], value)


@pytest.mark.parametrize("name", ["good_60x80", "levels4", "binary_map", "few_other", "u8_256x256"])
def test_draws_average_to_the_expectation(metric_goldens, name):
    """Within what MATLAB's own draws spread; ours are 20 and 2000."""
    saliency, fixations, _, other = metric_goldens.case(name)
    expected = metric_goldens.expected[name]["octave"]
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
        (lambda: metrics.five(GOOD, GOOD, GOOD, GOOD, compat="octave"), "compat is 'octave'"),
        (lambda: metrics.stavis_postprocess(np.zeros(3)), "two axes"),
    ],
)
def test_wrong_arguments_are_one_line(call, message):
    with pytest.raises(ValueError, match=rf"^[^\n]*{message}[^\n]*$"):
        call()


def test_draws_follow_their_seed():
    saliency, fixations, _ = random_case(3, 4)
    for metric, arguments, options in (
        (metrics.auc_judd, (), {"jitter": "sample"}),
        (metrics.auc_shuffled, (~fixations,), {"n_splits": 3}),
        (metrics.auc_borji, (), {"n_splits": 3}),
    ):
        values = [metric(saliency, fixations, *arguments, **options, seed=seed) for seed in (1, 1, 2)]
        assert values[0] == values[1] != values[2]


@pytest.mark.parametrize("kind", ["noise", "levels", "constant", "tiny_range", "huge", "infinite", "nan"])
def test_count_equals_comparing_all_with_all(kind):
    rng = np.random.default_rng(0)
    values = rng.integers(7, size=40000) / 7 if kind == "levels" else rng.random(40000) - 0.5
    values = {"constant": 0 * values + 0.3, "tiny_range": 1 + values * 1e-15, "huge": values * 1e308}.get(kind, values)
    values[:2] = {"infinite": np.inf, "nan": np.nan}.get(kind, values[:2])
    thresholds = values[rng.integers(values.size, size=30)]
    span = (values.min(), values.max()) if np.isfinite(values).all() else None
    at_least, above = roc.count(values, thresholds, span)
    np.testing.assert_array_equal(at_least, (values >= thresholds[:, None]).sum(1))
    np.testing.assert_array_equal(above, (values > thresholds[:, None]).sum(1))
