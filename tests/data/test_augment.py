"""Crops and jitter of training views, held against the transforms that they are made of."""

import numpy as np
import pytest

from stajax.data import transforms
from stajax.data.augment import Augment, Crop, augment, crop_map

SIZE = 32
CHANGES = ("brightness", "contrast", "saturation", "hue")
CROP_ONLY = Augment(enlarge=40 / 32)


def views_of(nodes, frames, side, seed=0):
    """(nodes, frames, side, side, 3): channels 0 and 1 are the column and row, so that a crop tells where it lay."""
    grid = np.stack([*np.meshgrid(np.arange(side), np.arange(side)), np.full((side, side), 100)], -1)
    return np.broadcast_to(grid.astype(np.uint8), (nodes, frames, side, side, 3)).copy()


def test_nothing_drawn_changes_nothing():
    views = np.random.default_rng(0).integers(0, 256, (2, 3, SIZE, SIZE, 3), dtype=np.uint8)
    same, crops = augment(views, Augment.none(), SIZE, np.random.default_rng(1))
    np.testing.assert_array_equal(same, views)
    assert crops == [Crop(0, 0, SIZE, SIZE, False)] * 2


def test_one_draw_a_fragment_or_one_a_frame():
    views = views_of(6, 3, 40)
    for per_frame in (False, True):
        config = Augment(enlarge=40 / 32, brightness=0.3, hue=0.1, per_frame=per_frame)
        augmented, _ = augment(views, config, SIZE, np.random.default_rng(0))
        alike = [(node == node[0]).all() for node in augmented]
        assert alike == [not per_frame] * 6
        assert len({node.tobytes() for node in augmented}) == 6  # nodes differ from each other


def test_crops_are_uniform_and_say_where_they_lay():
    views, places = views_of(50, 1, 40), []
    augmented, crops = augment(views, CROP_ONLY, SIZE, np.random.default_rng(0))
    for view, crop in zip(augmented[:, 0], crops, strict=True):
        assert view[0, 0, :2].tolist() == [crop.left, crop.top]
        places += [crop.left, crop.top]
    assert set(places) == set(range(9))


def test_mirrored_fragments_are_mirrored():
    views = views_of(40, 3, SIZE)
    augmented, crops = augment(views, Augment(flip=True), SIZE, np.random.default_rng(0))
    mirrored = np.array([crop.mirrored for crop in crops])
    assert 10 < mirrored.sum() < 30
    np.testing.assert_array_equal(augmented[mirrored], views[mirrored][:, :, :, ::-1])
    np.testing.assert_array_equal(augmented[~mirrored], views[~mirrored])


@pytest.mark.parametrize("field", CHANGES)
def test_each_jitter_is_the_release_s_transform_within_its_reach(field):
    """Every drawn view is the transform's at some factor of a fine grid over the range, and the draws span the range."""
    view = np.random.default_rng(3).integers(60, 160, (SIZE, SIZE, 3), dtype=np.uint8)
    reach, middle = (0.1, 0) if field == "hue" else (0.3, 1)
    config = Augment(**{field: reach}, linear=False)
    augmented, _ = augment(np.tile(view, (30, 1, 1, 1, 1)), config, SIZE, np.random.default_rng(0))
    grid = np.linspace(middle - reach, middle + reach, 401)
    table = np.stack([getattr(transforms, f"adjust_{field}")(view, amount) for amount in grid]).astype(int)
    errors = np.array([np.abs(table - x[0].astype(int)).reshape(401, -1).mean(1) for x in augmented])
    assert errors.min(axis=1).max() < 0.3
    found = grid[errors.argmin(axis=1)]
    assert found.max() - found.min() > 1.5 * reach


@pytest.mark.parametrize("seed", range(5))
def test_the_affine_map_is_the_release_s_jitter_without_clipping(seed):
    """Colours from 90 to 150 stay within the levels; each transform rounds downwards, the map rounds once."""
    views = np.random.default_rng(seed).integers(90, 150, (1, 1, SIZE, SIZE, 3), dtype=np.uint8)
    options = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3}
    found, expected = (
        augment(views, Augment(**options, linear=linear), SIZE, np.random.default_rng(seed))[0].astype(int)
        for linear in (True, False)
    )
    assert np.abs(found - views).mean() > 4
    assert np.abs(found - expected).max() <= 3 and np.abs(found - expected).mean() < 2


def test_hue_of_the_affine_map_turns_as_in_hsv():
    """A third of the circle is the same in both; between, the grey axis stays, and pure colours turn the same way."""
    views = np.random.default_rng(0).integers(0, 256, (1, 1, SIZE, SIZE, 3), dtype=np.uint8)
    turned = augment_with("hue", 1 / 3, views)
    np.testing.assert_array_equal(turned, np.roll(views, 1, axis=-1))
    grey = np.full((1, 1, 4, 4, 3), 130, np.uint8)
    np.testing.assert_allclose(augment_with("hue", 0.1, grey), grey, atol=1)
    orange = np.broadcast_to(np.uint8([200, 120, 80]), (1, 1, 4, 4, 3))
    hsv = transforms.adjust_hue(orange[0, 0], 0.05).astype(int)
    assert np.abs(augment_with("hue", 0.05, orange)[0, 0] - hsv).max() < 16
    assert np.abs(augment_with("hue", -0.05, orange)[0, 0] - hsv).max() > 40


def augment_with(field, amount, views):
    """The views with exactly this change."""

    class Fixed(np.random.Generator):
        def uniform(self, low, high):
            return amount if high > low else high

    return augment(views, Augment(**{field: 0.5}), views.shape[2], Fixed(np.random.PCG64(0)))[0]


def test_one_map_for_all_frames_of_a_fragment():
    """A fragment whose frames differ: the same colour comes out the same in each, its mean luminance notwithstanding."""
    views = np.random.default_rng(0).integers(60, 160, (1, 3, SIZE, SIZE, 3), dtype=np.uint8)
    views[0, 1] //= 2
    views[0, :, 0, 0] = (100, 120, 140)
    augmented, _ = augment(views, Augment(contrast=0.3, hue=0.1), SIZE, np.random.default_rng(0))
    assert len({tuple(colour) for colour in augmented[0, :, 0, 0].tolist()}) == 1


def test_the_order_of_the_jitter_is_random(monkeypatch):
    orders = set()
    for seed in range(40):
        seen = []
        for name in CHANGES:
            monkeypatch.setattr(
                transforms, f"adjust_{name}", lambda view, _, seen=seen, name=name: (seen.append(name), view)[1]
            )
        augment(views_of(1, 1, 300), Augment.released(), 256, np.random.default_rng(seed))
        assert len(seen) == 4
        orders.add(tuple(seen))
    assert len(orders) > 12


def test_a_map_is_cropped_as_its_view():
    """A map that is the picture's own red channel at half the size: it and the cropped view show the same ramp."""
    views = views_of(8, 3, 40)
    ramp = (np.arange(20) * 2 + 0.5) * np.ones((20, 1))  # means of pairs of columns
    config = Augment(enlarge=40 / 32, flip=True, per_frame=True)
    augmented, crops = augment(views, config, SIZE, np.random.default_rng(2))
    for node, crop in zip(augmented, crops, strict=True):
        expected = node[1, ..., 0].reshape(16, 2, 16, 2).mean((1, 3))
        found = crop_map(ramp, crop, (16, 16))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found[:, 1:-1], expected[:, 1:-1], atol=1e-3)


def test_a_whole_map_of_the_right_size_is_unchanged():
    saliency_map = np.random.default_rng(0).random((9, 12)).astype(np.float32)
    np.testing.assert_array_equal(crop_map(saliency_map, Crop(0, 0, SIZE, SIZE, False), (9, 12)), saliency_map)


def test_the_release_resizes_to_300_for_crops_of_256():
    assert Augment.released().side(256) == Augment.default().side(256) == 300
    assert Augment.released().per_frame and not Augment.released().linear
    assert not Augment.default().per_frame and not Augment.default().flip
