"""OSIE through `evaluate` against `evaluation.osie.score`, with the same maps."""

import numpy as np
import pytest
from PIL import Image

from stajax.data.osie import OSIE_SHAPE, osie_split
from stajax.evaluation.baselines import centre_prior, human
from stajax.evaluation.evaluate import evaluate
from stajax.evaluation.osie import SIGMA, score, truth
from stajax.evaluation.results import METRICS


@pytest.fixture(scope="module")
def folder(small_osie):
    table = np.zeros((len(small_osie.points), 5), np.float32)
    table[:, 0] = np.repeat(np.arange(60), 20)
    table[:, 1], table[:, 2:4], table[:, 4] = small_osie.subject, small_osie.points * 2, 1
    np.savez(small_osie.root / "fixations.npz", names=np.array(small_osie.names), fixations=table, width=800, height=600)
    return small_osie.root


def test_pictures_score_as_in_osie_score(small_osie, folder, tmp_path):
    indices = osie_split(60)["validation"]
    maps = np.random.default_rng(0).integers(0, 256, (len(indices), 30, 40), np.uint8)
    for i, saliency in zip(indices, maps, strict=True):
        Image.fromarray(saliency).save(tmp_path / f"{i:03d}.png")
    e = evaluate(tmp_path, folder, "osie", splits=["validation"])
    expected = score(small_osie, indices, maps / 255)
    assert e.rows["video"].tolist() == [name.removesuffix(".png") for name in expected.names]
    for metric in METRICS:
        np.testing.assert_array_equal(e.rows[metric], expected.per_image[metric])
        assert e.per_dataset()[0].scores[metric].mean == pytest.approx(expected.mean[metric], rel=1e-13)


def test_baselines_equal_their_functions(small_osie, folder):
    e = evaluate(None, folder, "osie", splits=["test"], baselines=("centre_prior", "human"))
    split = osie_split(60)
    prior = centre_prior([small_osie.fixations(i) for i in split["train"]], OSIE_SHAPE, sigma=SIGMA)
    expected = score(small_osie, split["test"], lambda image: prior)
    for metric in METRICS:
        np.testing.assert_array_equal(e.select(model="centre_prior")[metric], expected.per_image[metric])
    i = split["test"][2]
    people = human(small_osie.fixations(i), small_osie.subjects(i), OSIE_SHAPE, truth(small_osie, i)[2], sigma=SIGMA)
    assert {metric: e.select(model="human")[metric][2] for metric in METRICS} == people


def test_maps_of_stajax_predict_are_found_by_image_name(real_osie, shared, tmp_path):
    indices = osie_split()["test"][:2]
    maps = np.random.default_rng(1).random((2, 8, 10)).astype(np.float16)
    for i, saliency in zip(indices, maps, strict=True):
        (tmp_path / real_osie.names[i][:-4]).mkdir()
        np.savez(tmp_path / real_osie.names[i][:-4] / "maps.npz", maps=saliency[None], time=np.zeros(1))
    e = evaluate(tmp_path, shared / "data/osie", "osie")
    expected = score(real_osie, indices, maps)
    for metric in METRICS:
        np.testing.assert_array_equal(e.rows[metric], expected.per_image[metric])
    assert len(e.settings["videos_without_prediction"]) == 98


def test_unknown_splits_are_refused(folder):
    with pytest.raises(ValueError, match="osie: no split testing; there are train, validation, test"):
        evaluate(None, folder, "osie", splits=["testing"], baselines=["chance"])
