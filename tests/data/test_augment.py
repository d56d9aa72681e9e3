"""Crops and jitter of training views, held against the transforms that they are made of."""

import numpy as np
import pytest

from stajax.data import transforms
from stajax.data.augment import Augment, Crop, augment, crop_map

SIZE = 32
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


@pytest.mark.parametrize(
    ("field", "change", "reach", "middle"),
    [
        ("brightness", transforms.adjust_brightness, 0.3, 1),
        ("contrast", transforms.adjust_contrast, 0.3, 1),
        ("saturation", transforms.adjust_saturation, 0.3, 1),
        ("hue", transforms.adjust_hue, 0.1, 0),
    ],
)
def test_each_jitter_is_the_release_s_transform_within_its_reach(field, change, reach, middle):
    """Every drawn view is the transform's at some factor of a fine grid over the range, and the draws span the range."""
    view = np.random.default_rng(3).integers(60, 160, (SIZE, SIZE, 3), dtype=np.uint8)
    augmented, _ = augment(np.tile(view, (30, 1, 1, 1, 1)), Augment(**{field: reach}), SIZE, np.random.default_rng(0))
    grid = np.linspace(middle - reach, middle + reach, 401)
    table = np.stack([change(view, amount) for amount in grid]).astype(int)
    errors = np.array([np.abs(table - x[0].astype(int)).reshape(401, -1).mean(1) for x in augmented])
    assert errors.min(axis=1).max() < 0.3
    found = grid[errors.argmin(axis=1)]
    assert found.max() - found.min() > 1.5 * reach


def test_the_order_of_the_jitter_is_random(monkeypatch):
    orders = set()
    for seed in range(40):
        seen = []
        for name in ("brightness", "contrast", "saturation", "hue"):
            monkeypatch.setattr(
                transforms, f"adjust_{name}", lambda view, _, seen=seen, name=name: (seen.append(name), view)[1]
            )
        augment(views_of(1, 1, 300), Augment.default(), 256, np.random.default_rng(seed))
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
    assert Augment.released().per_frame and not Augment.default().per_frame and not Augment.default().flip
