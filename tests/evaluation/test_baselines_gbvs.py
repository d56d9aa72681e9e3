"""stajax/evaluation/baselines/graph_based.py: its chains against eigenvectors and power iteration, pop-out, symmetry."""

import numpy as np
import pytest
from pictures import bars, discs, distance_of_peak, patches

from stajax.evaluation.baselines import gbvs
from stajax.evaluation.baselines.graph_based import activation, concentrate, proximity

GRID = (5, 6)


def near(sigma):
    """F(a, b) = exp(-(a^2 + b^2) / (2 sigma^2)) of the paper, node by node."""
    nodes = list(np.ndindex(GRID))
    return np.array([[np.exp(-((i - p) ** 2 + (j - q) ** 2) / (2 * sigma**2)) for p, q in nodes] for i, j in nodes])


def equilibrium(weights):
    """The distribution that the chain leaves as it is, by linear algebra: p (P - 1) = 0, sum p = 1."""
    steps = weights / weights.sum(1, keepdims=True)
    n = len(steps)
    equations = np.concatenate([steps.T - np.eye(n), np.ones((1, n))])
    return np.linalg.lstsq(equations, np.append(np.zeros(n), 1), rcond=None)[0]


def iterated(weights, *, times=5000):
    """The same by walking: from anywhere, step by step."""
    steps = weights / weights.sum(1, keepdims=True)
    p = np.full(len(steps), 1 / len(steps))
    for _ in range(times):
        p = p @ steps
    return p


def test_proximity_is_the_gaussian_of_distance_node_by_node():
    np.testing.assert_allclose(proximity(GRID, 1.3), near(1.3), rtol=1e-6)


@pytest.mark.parametrize("logarithm", [False, True])
def test_activation_equals_the_solved_and_the_iterated_chain(logarithm):
    values = np.random.default_rng(0).random(30) + 0.1
    values = np.log(values) if logarithm else values
    weights = abs(values[:, None] - values) * near(1.0)
    found = activation(values, near(1.0))
    np.testing.assert_allclose(found, equilibrium(weights), atol=1e-12)
    np.testing.assert_allclose(found, iterated(weights), atol=1e-10)


def test_concentration_equals_the_solved_and_the_iterated_chain():
    activations = np.random.default_rng(0).random((2, 30))
    activations[1, 4] = 0  # nobody walks to it
    found = concentrate(activations, near(0.7))
    for row, a in zip(found, activations, strict=True):
        weights = a[None, :] * near(0.7)
        np.testing.assert_allclose(row, equilibrium(weights), atol=1e-12)
        np.testing.assert_allclose(row, iterated(weights), atol=1e-10)
    assert found[1, 4] == 0


def test_concentration_draws_mass_to_where_it_is():
    a = np.full((1, 30), 1.0)
    a[0, 14] = 2.0
    assert concentrate(a, near(0.1))[0, 14] == pytest.approx(4 / 33)  # without neighbours: squared


@pytest.mark.parametrize("dissimilarity", ["difference", "log"])
@pytest.mark.parametrize("odd", [0, 5, 7, 10])
def test_the_odd_disc_pops_out(odd, dissimilarity):
    image, place = discs(odd)
    assert distance_of_peak(gbvs(image, dissimilarity=dissimilarity), place) < 16


@pytest.mark.parametrize("odd", [1, 5, 6, 7, 10])  # not in a corner, where the walker seldom is
def test_the_tilted_bar_pops_out(odd):
    image, place = bars(odd)
    assert distance_of_peak(gbvs(image), place) < 16


def test_a_mirrored_picture_has_the_mirrored_map():
    image = patches()
    for flip in (np.fliplr, np.flipud):
        np.testing.assert_allclose(gbvs(flip(image)), flip(gbvs(image)), atol=1e-5)


def test_it_prefers_the_centre_where_the_picture_does_not():
    saliency = np.mean([gbvs(patches((90, 120), seed=seed)) for seed in range(5)], axis=0)
    assert saliency[30:60, 40:80].mean() > 1.5 * np.delete(saliency, np.s_[8:-8], 0).mean()


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 0, 0), (13, 177, 99)])
def test_one_colour_says_nothing(colour):
    assert not gbvs(np.full((60, 83, 3), colour, np.uint8)).any()


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (7, 5)])
def test_sizes_at_the_limit(shape):
    saliency = gbvs(np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))
    assert saliency.shape == shape
    assert saliency.dtype == np.float32
    assert saliency.max() == (shape != (1, 1))


def test_an_unknown_dissimilarity_is_one_line():
    with pytest.raises(ValueError, match=r"^gbvs: dissimilarity 'ratio'[^\n]+$"):
        gbvs(patches(), dissimilarity="ratio")
