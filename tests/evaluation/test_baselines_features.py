"""stajax/evaluation/baselines/features.py: the paper's formulas pixel by pixel, and filters written out."""

import numpy as np
import pytest
from scipy import ndimage

from stajax.evaluation.baselines.features import CHANNELS, feature_pyramid, orientation_energy, tuned_colours


def test_halving_is_the_binomial_filter_1331_on_even_sides():
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    features = feature_pyramid(image, (0, 1))
    fine, coarse = (features[scale][..., 0].astype(np.float64) for scale in (0, 1))
    np.testing.assert_allclose(fine, image.mean(-1) / 255, atol=1e-6)
    kernel = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
    expected = np.einsum("ij,rcij->rc", kernel, np.lib.stride_tricks.sliding_window_view(fine, (4, 4))[1::2, 1::2])
    np.testing.assert_allclose(coarse[1:-1, 1:-1], expected, atol=1e-6)


def test_scales_round_up_and_start_at_640():
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    features = feature_pyramid(image, range(2, 9))
    assert list(features) == list(range(2, 9))
    assert {scale: level.shape for scale, level in features.items()} == {
        scale: (-(-480 // 2**scale), -(-640 // 2**scale), 9) for scale in range(2, 9)
    }
    assert [range(9)[part] for part in CHANNELS.values()] == [range(1), range(1, 5), range(5, 9)]


def test_broadly_tuned_colours_follow_the_formulas_pixel_by_pixel():
    image = np.random.default_rng(0).random((4, 5, 3))
    image[0, 0] = 0.01, 0.05, 0.02  # below a tenth of the brightest
    found = tuned_colours(image)
    brightest = max(sum(pixel) / 3 for pixel in image.reshape(-1, 3))
    for row in range(4):
        for column in range(5):
            intensity = sum(image[row, column]) / 3
            r, g, b = image[row, column] / intensity if intensity > brightest / 10 else (0.0, 0.0, 0.0)
            red, green, blue = max(r - (g + b) / 2, 0), max(g - (r + b) / 2, 0), max(b - (r + g) / 2, 0)
            yellow = max((r + g) / 2 - abs(r - g) / 2 - b, 0)
            np.testing.assert_allclose(found[row, column], (red, green, blue, yellow), atol=1e-12)
    assert not found[0, 0].any()


def test_black_has_no_colour():
    assert not tuned_colours(np.zeros((3, 3, 3))).any()


def test_orientation_energy_equals_two_dimensional_gabor_filters():
    level = np.random.default_rng(0).random((17, 23)).astype(np.float32)
    envelope = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    band = level - ndimage.correlate(level.astype(np.float64), envelope, mode="nearest")
    y, x = np.mgrid[-2:3, -2:3]
    found = orientation_energy(level)
    for k, angle in enumerate(np.deg2rad([0, 45, 90, 135])):
        gabor = envelope * np.exp(0.5j * np.pi * (x * np.cos(angle) + y * np.sin(angle)))
        expected = np.abs(ndimage.correlate(band.astype(complex), gabor, mode="constant"))
        np.testing.assert_allclose(found[..., k], expected, atol=1e-6)


@pytest.mark.parametrize("k", range(4))
def test_a_grating_is_strongest_in_its_orientation(k):
    y, x = np.mgrid[:24, :24]
    angle = k * np.pi / 4
    energy = orientation_energy(np.cos(np.pi / 2 * (x * np.cos(angle) + y * np.sin(angle))).astype(np.float32))
    assert (energy[6:-6, 6:-6].argmax(-1) == k).all()


def test_a_plain_picture_has_no_orientation_up_to_its_border():
    assert orientation_energy(np.full((6, 7), 0.4, np.float32)).max() < 1e-6
