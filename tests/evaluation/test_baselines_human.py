"""stajax/evaluation/baselines/human_ceiling.py: against its definition spelled out, and OSIE's known ceiling."""

import numpy as np
import pytest

from stajax.data.fixations import density_map, fixation_map
from stajax.data.osie import OSIE_SHAPE
from stajax.evaluation.baselines import human
from stajax.evaluation.metrics import five
from stajax.evaluation.osie import truth

SHAPE = (40, 60)
POINTS = np.random.default_rng(0).random((12, 2)) * (60, 40)
OBSERVERS = np.repeat(["a", "b", "c", "d"], 3)
OTHER = np.random.default_rng(1).random(SHAPE) > 0.9


def one_on_other(tested):
    """Five metrics of the fixations that are not tested, as a model of those that are."""
    return five(
        density_map(POINTS[~tested], SHAPE, 4),
        fixation_map(POINTS[tested], SHAPE),
        density_map(POINTS[tested], SHAPE, 4),
        OTHER,
    )


def mean(scores):
    return {metric: np.mean([score[metric] for score in scores]) for metric in scores[0]}


def test_leave_one_out_equals_its_definition():
    found = human(POINTS, OBSERVERS, SHAPE, OTHER, sigma=4)
    assert found == pytest.approx(mean([one_on_other(np.isin(OBSERVERS, name)) for name in "abcd"]))


def test_halves_equal_their_definition_for_one_of_the_ways_to_halve():
    ways = [
        mean([one_on_other(np.isin(OBSERVERS, list(half))) for half in pair])
        for pair in (("ab", "cd"), ("ac", "bd"), ("ad", "bc"))
    ]
    found = [human(POINTS, OBSERVERS, SHAPE, OTHER, sigma=4, protocol="halves", draws=1, seed=seed) for seed in range(12)]
    drawn = {way for score in found for way in range(3) if score == pytest.approx(ways[way])}
    assert drawn == {0, 1, 2}
    assert all(any(score == pytest.approx(way) for way in ways) for score in found)


def test_halves_repeat_with_their_seed():
    options = {"sigma": 4, "protocol": "halves", "draws": 1}
    scores = [human(POINTS, OBSERVERS, SHAPE, OTHER, seed=seed, **options)["nss"] for seed in (0, 0, 1, 2, 3, 4)]
    assert scores[0] == scores[1]
    assert len(set(scores)) > 1


@pytest.mark.parametrize("protocol", ["leave-one-out", "halves"])
def test_those_who_look_alike_predict_each_other(protocol):
    place = np.repeat([[20.5, 10.5], [45.5, 30.5]], 4, axis=0)
    people = np.tile(np.arange(4), 2)
    alike = human(place, people, SHAPE, OTHER, sigma=4, protocol=protocol)
    assert alike["cc"] == pytest.approx(1)
    assert alike["similarity"] == pytest.approx(1)
    assert alike["nss"] > 2 * human(POINTS, OBSERVERS, SHAPE, OTHER, sigma=4, protocol=protocol)["nss"]


def test_fixations_outside_are_as_if_never_made():
    outside = np.array([[-1.0, 5.0], [60.0, 5.0], [np.nan, 5.0]])
    found = human(np.concatenate([POINTS, outside]), np.append(OBSERVERS, ["e", "f", "a"]), SHAPE, OTHER, sigma=4)
    assert found == human(POINTS, OBSERVERS, SHAPE, OTHER, sigma=4)


@pytest.mark.parametrize(
    ("points", "observers", "options"),
    [
        (POINTS, OBSERVERS[:-1], {}),
        (POINTS, np.zeros(12), {}),
        (np.zeros((0, 2)), np.zeros(0), {}),
        (POINTS, OBSERVERS, {"protocol": "thirds"}),
        (POINTS, OBSERVERS, {"protocol": "halves", "draws": 0}),
    ],
)
def test_bad_input_is_one_line(points, observers, options):
    with pytest.raises(ValueError, match=r"^human: [^\n]+$"):
        human(points, observers, SHAPE, OTHER, sigma=4, **options)


def test_osie_halves_reach_the_known_ceiling(real_osie):
    """NSS of one half of the observers on the other: 3.64, worked out elsewhere over all images; a sigma of 10 px gives it."""
    scores = []
    for i in range(0, 500, 5):
        fixations, observers, other = real_osie.fixations(i), real_osie.subjects(i), truth(real_osie, i)[2]
        scores.append(human(fixations, observers, OSIE_SHAPE, other, sigma=10, protocol="halves", draws=1)["nss"])
    assert np.mean(scores) == pytest.approx(3.64, abs=0.1)
