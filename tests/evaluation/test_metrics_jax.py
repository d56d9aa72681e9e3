"""stajax/evaluation/metrics_jax.py against metrics.py in float64, to 2e-5."""

from collections import defaultdict

import jax.numpy as jnp
import numpy as np
import pytest

from stajax.evaluation import metrics, metrics_jax


def assert_equal_numpy(scores, maps, *, atol=2e-5):
    """scores of `metrics_jax.five` against `metrics.five` of each of the maps, (saliency, fixations, density, other)."""
    rows = [metrics.five(*one, nan_policy="matlab") for one in zip(*maps, strict=True)]
    for name in rows[0]:
        np.testing.assert_allclose(scores[name], [row[name] for row in rows], rtol=0, atol=atol, err_msg=name)


def random_maps(seed, shape=(4, 21, 30), levels=None, size=None):
    rng = np.random.default_rng(seed)
    saliency = rng.random((shape[0], *(size or shape[1:])))
    if levels:
        saliency = np.floor(saliency * levels) / levels
    return saliency, rng.random(shape) < 0.02, rng.random(shape), rng.random(shape) < 0.1


@pytest.mark.slow  # compiles for fifteen combinations of shapes
def test_five_equals_numpy_on_the_golden_cases(metric_goldens):
    groups = defaultdict(list)
    for name, case in metric_goldens.expected.items():
        maps = metric_goldens.case(name)
        if np.isfinite(maps[0]).all():
            groups[tuple(case["sal_shape"]), tuple(case["fix_shape"])].append(maps)
    for group in groups.values():
        maps = [np.stack(arrays) for arrays in zip(*group, strict=True)]
        assert_equal_numpy(metrics_jax.five(*maps), maps)


@pytest.mark.parametrize("maps_at_once", [1, 3, 4])
@pytest.mark.parametrize("levels", [None, 2, 5])
def test_five_equals_numpy_with_ties_however_many_maps_at_once(levels, maps_at_once):
    maps = random_maps(0, levels=levels)
    assert_equal_numpy(metrics_jax.five(*maps, maps_at_once=maps_at_once), maps)


def test_values_on_the_thresholds_of_the_grid_count_as_in_numpy():
    """Whole numbers hit k/10 of their range exactly."""
    rng = np.random.default_rng(9)
    saliency = np.stack([rng.integers(3, 4 + span, (21, 30)) for span in range(10, 250, 10)])
    maps = saliency, *(np.resize(one, saliency.shape) for one in random_maps(9)[1:])
    assert_equal_numpy(metrics_jax.five(*maps), maps)


@pytest.mark.parametrize("size", [(9, 13), (40, 50)])
def test_five_equals_numpy_after_resizing(size):
    maps = random_maps(1, size=size)
    maps[0][2] = 0.3
    assert_equal_numpy(metrics_jax.five(*maps), maps)


def test_five_equals_numpy_at_full_size_where_sums_are_long():
    saliency, _, density, _ = random_maps(2, (2, 480, 640))
    rng = np.random.default_rng(3)
    fixations, other = rng.random((2, 480, 640)) < 1e-4, rng.random((2, 480, 640)) < 2e-3
    maps = saliency**8, fixations, density**8, other
    assert_equal_numpy(metrics_jax.five(*maps), maps)


@pytest.mark.parametrize("convert", [lambda x: (x * 255).astype(np.uint8), lambda x: x * 1e-9 - 3e-8, jnp.asarray])
def test_five_takes_any_real_type_and_range(convert):
    saliency, *truth = random_maps(4)
    saliency = convert(saliency)
    assert_equal_numpy(metrics_jax.five(saliency, *truth), (np.asarray(saliency), *truth))


def test_listed_pixels_and_their_padding_do_not_matter():
    saliency, fixations, density, other = random_maps(5)
    expected = metrics_jax.five(saliency, fixations, density, other)
    listed = [metrics_jax.pixel_numbers(maps) for maps in (fixations, other)]
    for numbers, maps in zip(listed, (fixations, other), strict=True):
        for row, one in zip(numbers, maps, strict=True):
            assert row[row >= 0].tolist() == np.flatnonzero(one).tolist()
    wider = [np.pad(numbers[:, ::-1], ((0, 0), (5, 60)), constant_values=-1) for numbers in listed]
    for fixated, candidates in (listed, wider):
        scores = metrics_jax.five(saliency, fixated, density, candidates)
        for name, values in scores.items():
            np.testing.assert_allclose(values, expected[name], atol=1e-6)


def test_lengths_of_lists_are_few_and_wide_enough():
    lengths = {n: metrics_jax.pixel_numbers(np.arange(300)[None, None] < n).shape[1] for n in range(301)}
    assert all(n <= length <= max(16, 1.5 * n) for n, length in lengths.items())
    assert sorted(set(lengths.values())) == [16, 24, 32, 48, 64, 96, 128, 192, 256, 384]


def test_missing_values_are_missing_where_numpy_has_none():
    saliency, fixations, density, other = random_maps(6, (8, 12, 15))
    fixations[0], fixations[1], other[2], density[3], density[4], saliency[5], saliency[6] = 0, 1, 0, 0, 0.25, 0, 0.25
    saliency[7], density[7] = 0, 0
    maps = saliency, fixations, density, other
    assert_equal_numpy(metrics_jax.five(*maps), maps)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_map_that_is_not_finite_has_no_score_and_leaves_the_others_alone(value):
    saliency, fixations, density, other = random_maps(7)
    expected = metrics_jax.five(saliency, fixations, density, other)
    saliency[1, 2, 3], density[2, 4, 5] = value, value
    scores = metrics_jax.five(saliency, fixations, density, other)
    for name, values in scores.items():
        lost = [1, 2] if name in ("cc", "similarity") else [1]
        assert np.flatnonzero(np.isnan(values)).tolist() == lost
        np.testing.assert_array_equal(np.delete(values, lost), np.delete(expected[name], lost))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, f, d, o: (s[0], f, d, o), r"must be \(B, h, w\)"),
        (lambda s, f, d, o: (s[:2], f, d, o), r"must be \(B, h, w\)"),
        (lambda s, f, d, o: (s, f[:, :5], d, o), "fixations has shape"),
        (lambda s, f, d, o: (s, f, d, o[:2]), "other has shape"),
        (lambda s, f, d, o: (s, f, d, np.full((4, 3), 21 * 30)), "other has pixel numbers outside a map of 21x30"),
    ],
)
def test_wrong_arguments_are_one_line(change, message):
    with pytest.raises(ValueError, match=rf"^metrics_jax.five: [^\n]*{message}[^\n]*$"):
        metrics_jax.five(*change(*random_maps(8)))
