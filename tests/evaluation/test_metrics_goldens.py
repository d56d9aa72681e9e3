"""stajax/evaluation/metrics.py against every value that MATLAB's code (MIT, STAViS; under Octave) and pysaliency gave.

`pytest tests/evaluation --metric-goldens DIR`; the last line of the report says how many values were compared.
"""

import numpy as np
import pytest

from stajax.evaluation import metrics, roc
from stajax.layers.resize import imresize

_OCTAVE_RESIZE = "Octave does not normalise the weights when shrinking by a fraction; see matlab_resize_semantics"
_OCTAVE_COLON = "Octave's 0:.1:1 is not MATLAB's to the last bit, and values sit on it; see *_matlab_colon"
_FIRST_THRESHOLD = "its first threshold, the highest value + 1, is an infinity as well, and the pixel counts"
_RESIZED = ("AUC_Judd_nojitter", "AUC_Judd_jitterU", "AUC_Judd_default_mean", "AUC_shuffled_injected", "AUC_Borji_injected")
_RESIZED += ("NSS", "CC", "SIM", "KLdiv", "InfoGain")
_GRID = ("AUC_shuffled_injected", "AUC_shuffled_default_mean", "AUC_Borji_injected", "AUC_Borji_default_mean")
# Values that are not followed, and why. A test fails if one of them is met after all.
EXCEPTIONS = {
    ("expected", "gt_constant", "octave", "CC"): "NaN here; there the rounding noise of the constant 0.3",
    ("expected", "one_inf", "octave", "AUC_Judd_default_mean"): "scaling by an infinity swallows the jitter there",
    ("expected", "u8_ties_on_grid", "derived", "sAUC_expected_exact"): _OCTAVE_COLON,
    ("pysaliency", "one_inf", "", "AUC_Judd_nojitter"): _FIRST_THRESHOLD,
    ("pysaliency", "one_inf", "", "AUC_Judd_jitter"): _FIRST_THRESHOLD,
    **{("expected", "u8_ties_on_grid", "octave", name): _OCTAVE_COLON for name in _GRID},
    **{("expected", "down_97x131_to_60x80", "octave", name): _OCTAVE_RESIZE for name in _RESIZED},
    **{("resize_postprocess", case, "resize", "octave"): _OCTAVE_RESIZE for case in ("down_frac", "mixed")},
}


def compare(goldens, selected, functions):
    """Runs the function of each selected key and returns those whose value is wrong: (section, name) -> (ours, theirs)."""
    wrong, results = {}, {}
    for key in selected:
        _, _, section, name = key
        value = results[name] = results[name] if name in results else functions[name]()
        equal = np.allclose(value, goldens.values[key], rtol=0, atol=goldens.tolerance(key), equal_nan=True)
        if equal == (key in EXCEPTIONS):
            wrong[section, name] = (value, goldens.values[key])
        goldens.compared.add(key)
        if key in EXCEPTIONS:
            goldens.differing.add(key)
    return wrong


def matlab_functions(goldens, case):
    """name -> the function that gives it, of the values of a case in expected.json."""
    saliency, fixations, density, other = goldens.case(case)
    shape, policy = fixations.shape, {"nan_policy": "matlab"}
    y, x = np.mgrid[: shape[0], : shape[1]]
    baseline = np.exp(-(((y - shape[0] / 2) / (shape[0] / 3)) ** 2 + ((x - shape[1] / 2) / (shape[1] / 3)) ** 2) / 2)
    shuffled_draws = goldens.arrays[f"{case}/other_sel"]

    def borji_injected():
        # Column-major pixel numbers to row-major ones.
        column, row = np.divmod(np.floor(goldens.arrays[f"{case}/Ub"] * fixations.size).astype(int), shape[0])
        return metrics.auc_borji(saliency, fixations, negatives=row * shape[1] + column, **policy)

    def judd_curve():
        unit = imresize(saliency, shape).ravel()
        unit = (unit - np.nanmin(unit)) / (np.nanmax(unit) - np.nanmin(unit))
        return roc.judd_curve(unit, unit[fixations.ravel() > 0], None, "against")

    def shuffled(**options):
        return metrics.auc_shuffled(saliency, fixations, other, **options, **policy)

    def judd(jitter):
        return metrics.auc_judd(saliency, fixations, jitter=jitter, **policy)

    return {
        "AUC_Judd_nojitter": lambda: judd("none"),
        "AUC_Judd_jitterU": lambda: judd(goldens.jitter(case)),
        "AUC_Judd_expected_exact": lambda: judd("exact"),
        "AUC_Judd_default_mean": lambda: judd("exact"),
        "judd_roc_tp": lambda: np.array([0, *judd_curve()[0], 1]),
        "judd_roc_fp": lambda: np.array([0, *judd_curve()[1], 1]),
        "AUC_shuffled_injected": lambda: shuffled(negatives=shuffled_draws),
        "sAUC_injected_matlab_colon": lambda: shuffled(negatives=shuffled_draws),
        "sAUC_expected_exact": shuffled,
        "sAUC_expected_exact_matlab_colon": shuffled,
        "AUC_shuffled_default_mean": shuffled,
        "AUC_Borji_injected": borji_injected,
        "AUC_Borji_default_mean": lambda: metrics.auc_borji(saliency, fixations, **policy),
        "NSS": lambda: metrics.nss(saliency, fixations, **policy),
        "CC": lambda: metrics.cc(saliency, density, **policy),
        "SIM": lambda: metrics.similarity(saliency, density, **policy),
        "KLdiv": lambda: metrics.kl_divergence(saliency, density, **policy),
        "InfoGain": lambda: metrics.info_gain(saliency, fixations, baseline, **policy),
    }


def pysaliency_functions(goldens, case):
    """name -> the function that gives it, of the values of a case in pysaliency_values.json."""
    saliency, fixations, density, other = goldens.case(case)
    options = {"compat": "pysaliency", "nan_policy": "matlab"}
    noise = np.random.RandomState(42).randn(*fixations.shape)  # its default jitter
    return {
        "NSS": lambda: metrics.nss(saliency, fixations, **options),
        "CC": lambda: metrics.cc(saliency, density, **options),
        "SIM": lambda: metrics.similarity(saliency, density, **options),
        "KLdiv": lambda: metrics.kl_divergence(saliency, density, **options),
        "AUC_Judd_nojitter": lambda: metrics.auc_judd(saliency, fixations, jitter="none", **options),
        "AUC_Judd_jitter": lambda: metrics.auc_judd(saliency, fixations, jitter=noise, **options),
        "AUC_uniform_all": lambda: metrics.auc(saliency, fixations, **options),
        "sAUC_full": lambda: metrics.auc_shuffled(saliency, fixations, other, **options),
    }


def resize_functions(goldens, case):
    """(kind, name) -> the function that gives it, of the arrays of a case in resize_postprocess.npz."""
    arrays = goldens.resize_postprocess

    def resized():
        return imresize(arrays[f"resize/{case}/in"], arrays[f"resize/{case}/octave"].shape)

    def postprocessed():
        return metrics.stavis_postprocess(arrays[f"postprocess/{case}/in_u8"])

    return {"octave": resized, "matlab_semantics": resized, "out": postprocessed}


FUNCTIONS = {"expected": matlab_functions, "pysaliency": pysaliency_functions, "resize_postprocess": resize_functions}


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # of one_inf
def test_values_equal_matlab(metric_goldens, metric_case):
    selected = [key for key in metric_goldens.values if key[:2] == ("expected", metric_case)]
    assert not compare(metric_goldens, selected, matlab_functions(metric_goldens, metric_case))


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # of one_inf
def test_values_equal_pysaliency(metric_goldens, pysaliency_case):
    selected = [key for key in metric_goldens.values if key[:2] == ("pysaliency", pysaliency_case)]
    assert not compare(metric_goldens, selected, pysaliency_functions(metric_goldens, pysaliency_case))


def test_resizing_and_postprocessing_equal_matlab(metric_goldens):
    keys = [key for key in metric_goldens.values if key[0] == "resize_postprocess"]
    for case in dict.fromkeys(key[1] for key in keys):
        selected = [key for key in keys if key[1] == case]
        assert not compare(metric_goldens, selected, resize_functions(metric_goldens, case)), case


def test_every_value_of_the_goldens_is_compared(metric_goldens):
    cases = {key[:2] for key in metric_goldens.values}
    functions = {(file, case): FUNCTIONS[file](metric_goldens, case) for file, case in cases}
    assert not [key for key in metric_goldens.values if key[3] not in functions[key[:2]]]
