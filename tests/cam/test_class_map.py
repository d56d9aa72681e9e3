"""Eq. 1 against the golden, and what must hold of any class map."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stajax import cam

GOLDEN = np.load(Path(__file__).parents[1] / "goldens" / "nets" / "paper" / "eq01_cam.npz")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_cam_equals_the_golden_of_equation_1():
    features, weights = GOLDEN["in_f"].transpose(1, 2, 0), GOLDEN["in_W"].T
    raw = cam.class_evidence(features, weights, GOLDEN["in_cls"])
    np.testing.assert_allclose(raw, GOLDEN["out_raw"], rtol=1e-6, atol=1e-6 * np.abs(GOLDEN["out_raw"]).max())
    np.testing.assert_allclose(cam.cam_from_features(features, weights, GOLDEN["in_cls"]), GOLDEN["out_cam"], atol=1e-6)


def test_cam_of_a_1x1_convolution_equals_that_of_its_features_whatever_the_bias(rng):
    features, weights = rng.standard_normal((2, 3, 6, 5, 8)), rng.standard_normal((8, 7))
    tags = np.array([[4], [1]])
    class_maps = features @ weights + 10 * rng.standard_normal(7)
    found = cam.cam_from_class_maps(class_maps.astype(np.float32), tags)
    np.testing.assert_allclose(found, cam.cam_from_features(features, weights, tags), atol=2e-6)


def test_a_batch_of_tags_equals_the_loop(rng):
    class_maps, tags = rng.standard_normal((5, 4, 6, 3)).astype(np.float32), np.array([0, 2, 1, 1, 0])
    found = cam.tagged_map(class_maps, tags)
    np.testing.assert_array_equal(found, np.stack([x[..., tag] for x, tag in zip(class_maps, tags, strict=True)]))


@pytest.mark.parametrize("tag", [-1, 3])
def test_a_tag_that_is_no_class_gives_zeros(rng, tag):
    features = rng.standard_normal((4, 6, 3))
    np.testing.assert_array_equal(cam.cam_from_class_maps(features, tag), np.zeros((4, 6)))
    np.testing.assert_array_equal(cam.cam_from_features(features, np.eye(3), tag), np.zeros((4, 6)))


def test_min_max_spans_zero_to_one_and_constant_maps_do_as_told(rng):
    maps = jnp.asarray(np.stack([rng.standard_normal((4, 5)), np.full((4, 5), 0.7), np.zeros((4, 5))]), jnp.float32)
    found = cam.min_max(maps)
    assert found[0].min() == 0 and found[0].max() == 1
    np.testing.assert_array_equal(found[1:], 0)
    np.testing.assert_array_equal(cam.min_max(maps, constant="unchanged"), jnp.concatenate([found[:1], maps[1:]]))
    with pytest.raises(ValueError, match="constant 'ones', give 'zeros' or 'unchanged'"):
        cam.min_max(maps, constant="ones")


def test_min_max_takes_rounding_noise_for_constant_and_other_axes_for_maps(rng):
    noisy = np.float32(1) + np.spacing(np.float32(1)) * rng.integers(0, 3, (4, 5)).astype(np.float32)
    np.testing.assert_array_equal(cam.min_max(noisy), 0)
    values = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    found = cam.min_max(values, axes=(1, 2, 3))
    np.testing.assert_allclose(found, [(x - x.min()) / (x.max() - x.min()) for x in values], atol=1e-6)


def test_min_max_is_never_nan_not_even_where_the_range_underflows():
    maps = jnp.asarray([[1.5e-38, 1.2e-38], [np.nan, 1.0]])[:, None]
    assert jnp.isfinite(cam.min_max(maps)).all()
    assert cam.min_max(jnp.zeros((0, 3, 3))).shape == (0, 3, 3)


def test_gradients_of_the_class_map_are_finite_even_of_a_flat_one(rng):
    features, weights = rng.standard_normal((2, 4, 4, 3)).astype(np.float32), rng.standard_normal((3, 5)).astype(np.float32)
    features[0] = 1
    gradient = jax.grad(lambda x: (cam.cam_from_features(x, weights, np.array([1, 2])) ** 2).sum())(features)
    assert jnp.isfinite(gradient).all() and jnp.abs(gradient[1]).max() > 0


def test_the_room_imports_no_other_but_layers():
    names = "fuse_scam, coarse_boxes, crop_resize, recursive_smooth, cam_from_features, released_class_map"
    rooms = "sorted({m.split('.')[1] for m in sys.modules if m.startswith('stajax.')})"
    code = f"import sys; from stajax.cam import {names}; print({rooms})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "['cam', 'layers', 'lazy']"
