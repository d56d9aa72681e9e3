"""stajax/evaluation/baselines: fits to points whose distribution is known, what all share, and their standing on OSIE."""

import builtins
import importlib
import pkgutil

import numpy as np
import pytest

from stajax.data.fixations import density_map
from stajax.data.osie import osie_split
from stajax.evaluation import baselines
from stajax.evaluation.baselines import BASELINES, centre_prior, spectral_residual
from stajax.evaluation.osie import score


def test_gaussian_prior_recovers_the_gaussian_it_was_drawn_from():
    mean, covariance = np.array([70.0, 40.0]), np.array([[300.0, 60.0], [60.0, 80.0]])
    points = np.random.default_rng(0).multivariate_normal(mean, covariance, 20000)
    prior = centre_prior([points[:5000], points[5000:]], (90, 140), form="gaussian")
    y, x = np.mgrid[:90, :140] + 0.5
    z = np.stack([x, y], -1) - mean
    expected = np.exp(-0.5 * (z @ np.linalg.inv(covariance) * z).sum(-1))
    np.testing.assert_allclose(prior, expected, atol=0.02)


def test_density_prior_weighs_images_alike():
    one, many = np.array([[10.0, 10.0]]), np.tile([[30.0, 10.0]], (50, 1))
    prior = centre_prior([one, many, np.zeros((0, 2))], (20, 40), sigma=2)
    both = density_map(np.concatenate([one, many[:1]]), (20, 40), 2)
    np.testing.assert_allclose(prior, both, atol=1e-12)


@pytest.mark.parametrize(
    ("fixations", "form"),
    [([], "density"), ([np.ones((5, 2))], "gaussian"), ([], "gaussian"), ([np.ones((1, 2))], "x")],
)
def test_a_prior_that_cannot_be_fitted_is_one_line(fixations, form):
    with pytest.raises(ValueError, match=r"^centre_prior: [^\n]+$"):
        centre_prior(fixations, (5, 5), form=form)


def test_spectral_residual_finds_the_odd_one():
    pytest.importorskip("cv2", reason="no OpenCV")
    image = np.full((120, 160, 3), 90, np.uint8)
    image[50:62, 100:112] = (250, 20, 20)
    saliency = spectral_residual(image)
    assert saliency.shape == (120, 160)
    assert saliency.dtype == np.float32
    row, column = np.unravel_index(saliency.argmax(), saliency.shape)
    assert 44 <= row <= 68
    assert 94 <= column <= 118
    with pytest.raises(ValueError, match="uint8"):
        spectral_residual(image.astype(np.float32))


def test_spectral_residual_without_opencv_says_what_to_install(monkeypatch):
    real_import = builtins.__import__

    def no_cv2(name, *args, **kwargs):
        if name == "cv2":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_cv2)
    with pytest.raises(ImportError, match="opencv-contrib"):
        spectral_residual(np.zeros((8, 8, 3), np.uint8))


def test_public_names_stay_functions_when_all_modules_are_loaded():
    for module in pkgutil.iter_modules(baselines.__path__):
        importlib.import_module(f"{baselines.__name__}.{module.name}")
    for name in set(baselines.__all__) - {"BASELINES"}:
        assert callable(getattr(baselines, name)), name


OF_IMAGES = [name for name, baseline in BASELINES.items() if baseline.needs in ("size", "picture")]


@pytest.mark.parametrize("name", OF_IMAGES)
def test_baselines_of_images_take_an_image_and_give_a_map(name):
    if name == "spectral_residual":
        pytest.importorskip("cv2", reason="no OpenCV")
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    before = image.copy()
    function = getattr(baselines, name)
    saliency = function(image)
    assert saliency.shape == (48, 64)
    assert saliency.dtype == np.float32
    assert saliency.min() >= 0
    assert saliency.max() <= 1
    np.testing.assert_array_equal(saliency, function(image))
    np.testing.assert_array_equal(image, before)
    for bad in (image[..., 0], image.astype(np.float32), image[:0]):
        with pytest.raises(ValueError, match=rf"^{name}: [^\n]+$"):
            function(bad)


def test_every_baseline_is_the_function_of_its_name():
    assert set(BASELINES) == set(baselines.__all__) - {"BASELINES", "constant"}
    assert len(OF_IMAGES) == 4


def test_standing_on_osie(real_osie):
    """As measured on validation: centre prior NSS 0.880, s-AUC 0.503; spectral residual NSS 1.116, s-AUC 0.702."""
    split = osie_split()
    prior = centre_prior([real_osie.fixations(i) for i in split["train"]], (300, 400))
    centre = score(real_osie, split["validation"], lambda image: prior).mean
    assert centre["nss"] == pytest.approx(0.880, abs=2e-3)
    assert centre["auc_shuffled"] == pytest.approx(0.5, abs=0.02)  # the metric's reason to be
    pytest.importorskip("cv2", reason="no OpenCV")
    spectral = score(real_osie, split["validation"], spectral_residual).mean
    assert spectral["nss"] == pytest.approx(1.116, abs=2e-2)  # OpenCV's resizing may change a little
    assert spectral["auc_shuffled"] > centre["auc_shuffled"] + 0.1


def test_gbvs_is_above_itti_and_itti_above_chance_on_osie(real_osie):
    """As published for photographs. As measured on these 20 validation images: NSS -0.009, 1.187, 1.498."""
    some = osie_split()["validation"][::5]
    nss = {name: score(real_osie, some, getattr(baselines, name)).mean["nss"] for name in ("chance", "itti", "gbvs")}
    assert nss == pytest.approx({"chance": -0.009, "itti": 1.187, "gbvs": 1.498}, abs=1e-2)
