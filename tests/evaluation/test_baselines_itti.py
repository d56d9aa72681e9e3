"""stajax/evaluation/baselines/itti_koch.py: the paper's 42 maps one by one, pop-out, symmetry."""

import numpy as np
import pytest
from pictures import bars, discs, distance_of_peak, patches

from stajax.evaluation.baselines import itti
from stajax.evaluation.baselines.features import feature_pyramid
from stajax.evaluation.baselines.itti_koch import normalise
from stajax.layers.resize import resize


def one_map_normalised(values):
    """N(.) in words: scale to [0, 1], list the local maxima by hand, times (1 - their mean without the greatest)^2."""
    if np.ptp(values) < 1e-5:
        return np.zeros_like(values)
    values = (values - values.min()) / np.ptp(values)
    peaks = []
    for row, column in np.ndindex(values.shape):
        around = values[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        if values[row, column] == around.max() and values[row, column] > 0.01:
            peaks.append(values[row, column])
    others = sorted(peaks)[:-1]
    return values * (1 - (np.mean(others) if others else 0)) ** 2


def test_normalisation_of_three_peaks_by_hand():
    values = np.full((9, 9), 3.0)
    values[1, 1], values[1, 6], values[6, 3] = 7.0, 5.0, 4.0  # of the range: 1, 1/2, 1/4
    alone = np.where(values == 7, values, 3.0)
    found = normalise(np.stack([values, alone, np.full((9, 9), 3.0)], -1))
    np.testing.assert_allclose(found[..., 0], (values - 3) / 4 * (1 - 3 / 8) ** 2)
    np.testing.assert_allclose(found[..., 1], (alone - 3) / 4)
    assert not found[..., 2].any()


def test_itti_equals_equations_1_to_8_map_by_map():
    image = patches((150, 200))
    pyramid = {scale: np.moveaxis(level.astype(float), -1, 0) for scale, level in feature_pyramid(image, range(2, 9)).items()}
    feature = {
        scale: {"I": i, "RG": r - g, "BY": b - y, 0: o0, 45: o45, 90: o90, 135: o135}
        for scale, (i, r, g, b, y, o0, o45, o90, o135) in pyramid.items()
    }
    total, n_maps = {}, 0
    for name in feature[2]:
        for c in (2, 3, 4):
            for s in (c + 3, c + 4):
                difference = abs(feature[c][name] - resize(feature[s][name], feature[c][name].shape))
                part = resize(one_map_normalised(difference), feature[4][name].shape, antialias=True)
                total[name] = total.get(name, 0) + part
                n_maps += 1
    assert n_maps == 42
    orientation = sum(one_map_normalised(total[angle]) for angle in (0, 45, 90, 135))
    conspicuity = (total["I"], total["RG"] + total["BY"], orientation)
    expected = resize(sum(one_map_normalised(m) for m in conspicuity) / 3, (150, 200))
    np.testing.assert_allclose(itti(image), expected / expected.max(), atol=1e-3)  # float32, and N(.) takes differences


@pytest.mark.parametrize("odd", [0, 5, 7, 10])
@pytest.mark.parametrize("picture", [discs, bars])
def test_the_odd_one_pops_out(picture, odd):
    image, place = picture(odd)
    assert distance_of_peak(itti(image), place) < 16


def test_a_mirrored_picture_has_the_mirrored_map():
    image = patches()
    for flip in (np.fliplr, np.flipud):
        np.testing.assert_allclose(itti(flip(image)), flip(itti(image)), atol=1e-2)  # N(.) jumps where peaks nearly tie


def test_brightness_alone_changes_no_colour_and_little_else():
    image = patches() // 2
    np.testing.assert_allclose(itti(2 * image), itti(image), atol=1e-2)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 0, 0), (13, 177, 99)])
def test_one_colour_says_nothing(colour):
    assert not itti(np.full((60, 83, 3), colour, np.uint8)).any()


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (7, 5)])
def test_sizes_at_the_limit(shape):
    saliency = itti(np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))
    assert saliency.shape == shape
    assert saliency.dtype == np.float32
    assert saliency.max() == (shape != (1, 1))
