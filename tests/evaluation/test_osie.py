"""stajax/evaluation/osie.py: the protocol of docs/evaluation.md on images made here, and its known value on OSIE."""

import numpy as np
import pytest

from stajax.data.fixations import fixation_map
from stajax.data.osie import osie_split
from stajax.evaluation import metrics
from stajax.evaluation.osie import score, truth


def test_others_are_ten_other_images_of_the_same_part(small_osie):
    masks = [fixation_map(small_osie.fixations(i), (300, 400)) for i in range(60)]
    for name, part in osie_split(60).items():
        for i in part:
            _, _, other = truth(small_osie, i)
            inside = [j for j in range(60) if j != i and (other & masks[j]).sum() == masks[j].sum()]
            assert len(inside) == 10, name
            assert set(inside) <= set(part)
            np.testing.assert_array_equal(other, np.any([masks[j] for j in inside], axis=0))
    assert not np.array_equal(truth(small_osie, 4)[2], truth(small_osie, 4, seed=1)[2])


def test_score_equals_the_metrics_of_each_image(small_osie):
    rng = np.random.default_rng(1)
    indices = [9, 3, 4]
    maps = rng.random((3, 30, 40))
    scores = score(small_osie, indices, maps)
    assert scores.names == ("009.png", "003.png", "004.png")
    for k, i in enumerate(indices):
        fixations, density, other = truth(small_osie, i)
        assert scores.per_image["nss"][k] == metrics.nss(maps[k], fixations)
        assert scores.per_image["cc"][k] == metrics.cc(maps[k], density)
        assert scores.per_image["auc_shuffled"][k] == metrics.auc_shuffled(maps[k], fixations, other)
    assert scores.mean["nss"] == pytest.approx(scores.per_image["nss"].mean())
    assert scores.dropped == 0


def test_score_is_the_same_for_arrays_dicts_functions_and_subsets(small_osie):
    maps = np.random.default_rng(2).random((60, 30, 40)).astype(np.float32)
    part = osie_split(60)["validation"]
    expected = score(small_osie, part, maps[part])
    as_dict = score(small_osie, part, dict(enumerate(maps)))
    as_function = score(small_osie, part, lambda image: maps[image[0, 0, 0]])
    subset = score(small_osie, part[:4], maps[part[:4]])
    for name, values in expected.per_image.items():
        np.testing.assert_array_equal(values, as_dict.per_image[name])
        np.testing.assert_array_equal(values, as_function.per_image[name])
        np.testing.assert_array_equal(values[:4], subset.per_image[name])


def test_the_truth_itself_scores_best_and_a_constant_map_is_dropped(small_osie):
    density = truth(small_osie, 3)[1]
    scores = score(small_osie, [3, 8], [density, np.full((300, 400), 0.3)])
    assert scores.mean["cc"] == pytest.approx(1)
    assert scores.mean["similarity"] == pytest.approx(1)
    assert scores.mean["nss"] > 2
    assert scores.dropped == 1
    assert np.isnan(scores.per_image["nss"][1])


@pytest.mark.parametrize(
    ("indices", "maps", "message"),
    [
        ([3, 8], np.zeros((3, 5, 5)), "3 maps for 2 images"),
        ([3, 8], {3: np.eye(5)}, "no map for image 8, 008.png"),
        ([3], np.full((1, 5, 5), np.nan), "image 3, 003.png: the saliency map holds NaN"),
        ([60], np.zeros((1, 5, 5)), r"must lie in 0\.\.59"),
    ],
)
def test_wrong_arguments_are_one_line(small_osie, indices, maps, message):
    with pytest.raises(ValueError, match=rf"^OSIE: [^\n]*{message}[^\n]*$"):
        score(small_osie, indices, maps)


def test_half_of_the_observers_predict_the_other_half_as_known(real_osie):
    """The data's README gives an NSS of 3.64 for some halves; even and odd observers are others."""
    from stajax.data.fixations import density_map

    values = []
    for i in osie_split()["validation"]:
        even = real_osie.subjects(i) % 2 == 0
        prediction = density_map(real_osie.fixations(i)[even], (300, 400), 12)
        values.append(metrics.nss(prediction, fixation_map(real_osie.fixations(i)[~even], (300, 400))))
    assert np.mean(values) == pytest.approx(3.64, abs=0.2)
