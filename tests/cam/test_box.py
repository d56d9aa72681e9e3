"""The coarse box against a restatement pixel by pixel, and what must hold of any box."""

import numpy as np
import pytest

from stajax import cam


@pytest.fixture
def maps():
    return np.random.default_rng(0).random((40, 9, 13)).astype(np.float32) ** 6


def test_boxes_hold_all_pixels_over_twice_the_mean_and_no_smaller_ones_do(maps):
    found = np.asarray(cam.coarse_boxes(maps)).astype(int)
    for one, (top, left, bottom, right) in zip(maps, found, strict=True):
        rows, columns = np.nonzero(one > 2 * one.astype(np.float64).mean())
        assert (top, left, bottom, right) == (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)


def test_a_box_of_one_pixel_at_each_corner():
    for row in (0, 8):
        for column in (0, 12):
            one = np.zeros((9, 13))
            one[row, column] = 1
            np.testing.assert_array_equal(cam.coarse_boxes(one), [row, column, row + 1, column + 1])


@pytest.mark.parametrize("value", [0, 0.3, np.nan])
def test_a_map_with_nothing_over_twice_its_mean_keeps_the_whole_frame(value):
    np.testing.assert_array_equal(cam.coarse_boxes(np.full((2, 9, 13), value)), [[0, 0, 9, 13]] * 2)


def test_a_higher_factor_marks_less(maps):
    loose, tight = (np.asarray(cam.coarse_boxes(maps, factor)) for factor in (1.5, 3.0))
    assert (tight[:, :2] >= loose[:, :2]).all() and (tight[:, 2:] <= loose[:, 2:]).all()


@pytest.mark.parametrize("frame", [(356, 356), (480, 640), (1080, 1919), (9, 13)])
def test_scaled_boxes_stay_in_the_frame_and_the_whole_map_becomes_the_whole_frame(maps, frame):
    boxes = np.asarray(cam.scale_boxes(cam.coarse_boxes(maps), (9, 13), frame))
    assert (boxes >= 0).all() and (boxes[:, 2:] <= frame).all()
    np.testing.assert_allclose(boxes, cam.coarse_boxes(maps) * np.array([frame[0] / 9, frame[1] / 13] * 2), rtol=1e-6)
    np.testing.assert_allclose(cam.scale_boxes(np.array([0, 0, 9, 13]), (9, 13), frame), [0, 0, *frame], rtol=1e-6)


def test_widened_boxes_hold_the_box_inside_the_frame_and_are_wide_enough():
    rng = np.random.default_rng(1)
    near = rng.uniform(0, (80, 110), (50, 2))
    far = near + rng.uniform(0, 1, (50, 2)) * ((90, 130) - near)
    boxes = np.concatenate([near, far], 1).astype(np.float32)
    found = np.asarray(cam.widen_boxes(boxes, (90, 130), 35.0))
    assert (found >= 0).all() and (found[:, 2:] <= (90, 130)).all()
    assert (found[:, :2] <= boxes[:, :2]).all() and (found[:, 2:] >= boxes[:, 2:]).all()
    assert (found[:, 2:] - found[:, :2] >= 35 - 1e-4).all()
    wide_enough = (boxes[:, 2:] - boxes[:, :2] >= 35).all(1)
    assert wide_enough.any() and not wide_enough.all()
    np.testing.assert_array_equal(found[wide_enough], boxes[wide_enough])


def test_widening_keeps_the_centre_away_from_the_borders_and_stops_at_the_frame():
    np.testing.assert_array_equal(cam.widen_boxes(np.array([40.0, 60, 44, 66]), (90, 130), 20.0), [32, 53, 52, 73])
    np.testing.assert_array_equal(cam.widen_boxes(np.array([40.0, 60, 44, 66]), (90, 130), 500.0), [0, 0, 90, 130])
    np.testing.assert_array_equal(cam.widen_boxes(np.array([-5.0, 120, 10, 200]), (90, 130), 20.0), [0, 110, 20, 130])


def test_boxes_smoothed_over_time_stay_in_the_frame(maps):
    boxes = np.asarray(cam.coarse_boxes(maps))
    found = np.asarray(cam.temporal_mean(boxes, radius=3))
    assert (found >= 0).all() and (found[:, 2:] <= np.array([9, 13]) + 1e-5).all()
    assert np.abs(np.diff(found, axis=0)).sum() < np.abs(np.diff(boxes, axis=0)).sum() / 2
