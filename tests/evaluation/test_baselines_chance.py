"""stajax/evaluation/baselines/random_maps.py: the expectations that its docstrings state."""

import numpy as np
import pytest

from stajax.data.fixations import density_map
from stajax.evaluation import metrics
from stajax.evaluation.baselines import chance, constant

SHAPE = (30, 40)
IMAGE = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)
POINTS = np.random.default_rng(1).random((6, 2)) * (40, 30)
FIXATED = np.zeros(SHAPE, bool)
FIXATED[POINTS[:, 1].astype(int), POINTS[:, 0].astype(int)] = True
DENSITY = density_map(POINTS, SHAPE, 4)
OTHER = np.random.default_rng(2).random(SHAPE) > 0.95


def test_chance_has_the_expectations_that_it_states():
    rows = []
    for seed in range(1500):
        random = chance(IMAGE, seed=seed)
        rows.append({**metrics.five(random, FIXATED, DENSITY, OTHER), "auc": metrics.auc(random, FIXATED)})
    relative = DENSITY / DENSITY.mean()
    expected = {
        "auc_judd": metrics.auc_judd_chance(FIXATED.sum()),
        "auc": 0.5,
        "auc_shuffled": 0.5,
        "nss": 0,
        "cc": 0,
    }
    for metric, value in expected.items():
        scores = np.array([row[metric] for row in rows])
        assert abs(scores.mean() - value) < 4 * scores.std() / np.sqrt(len(scores)), metric
    similarity = np.mean([row["similarity"] for row in rows])
    assert similarity == pytest.approx(np.where(relative > 2, 1, relative - relative**2 / 4).mean(), abs=2e-3)


def test_chance_depends_on_image_and_seed_alone():
    random = chance(IMAGE)
    assert random.shape == SHAPE
    assert random.dtype == np.float32
    np.testing.assert_array_equal(random, chance(np.asfortranarray(IMAGE)))
    assert np.abs(random - chance(IMAGE, seed=1)).mean() > 0.2
    other = IMAGE.copy()
    other[0, 0, 0] ^= 1
    assert np.abs(random - chance(other)).mean() > 0.2


def test_a_constant_map_scores_as_it_states():
    scores = metrics.five(constant(IMAGE), FIXATED, DENSITY, OTHER)
    assert scores.pop("auc_judd") == pytest.approx(metrics.auc_judd_chance(FIXATED.sum()))
    assert np.isnan(list(scores.values())).all()
    assert metrics.auc(constant(IMAGE), FIXATED) == pytest.approx(0.5)
