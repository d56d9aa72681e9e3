"""Crops against Pillow and jax.image, pastes against the release's `recover`, and one after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from stajax import cam
from stajax.layers.resize import resize


@pytest.fixture
def frames():
    return np.random.default_rng(0).random((4, 30, 44, 3)).astype(np.float32)


BOXES = np.array([[0, 0, 30, 44], [3, 5, 17, 40], [2.25, 1.5, 9.75, 43.5], [12.3, 20.1, 14.6, 21.9]], np.float32)


@pytest.mark.parametrize("size", [(8, 8), (20, 24), (56, 60)])
def test_crops_equal_pillow_on_boxes_of_whole_and_of_broken_numbers(frames, size):
    found = cam.crop_resize(frames, BOXES, size)
    assert found.shape == (4, *size, 3) and found.dtype == jnp.float32
    for frame, box, ours in zip(frames, BOXES, found, strict=True):
        top, left, bottom, right = box.tolist()
        for channel in range(3):
            image = Image.fromarray(frame[..., channel])
            theirs = image.resize(size[::-1], Image.Resampling.BILINEAR, box=(left, top, right, bottom))
            np.testing.assert_allclose(ours[..., channel], theirs, atol=2e-5)


def test_crops_equal_jax_image_scale_and_translate(frames):
    size, box = (20, 24), BOXES[2]
    scale = np.asarray(size, np.float32) / (box[2:] - box[:2])
    theirs = jax.image.scale_and_translate(frames[2], (*size, 3), (0, 1), scale, -box[:2] * scale, "linear", antialias=True)
    np.testing.assert_allclose(cam.crop_resize(frames[2], box, size), theirs, atol=2e-5)


def test_the_whole_frame_as_box_equals_the_plain_resize(frames):
    expected = resize(frames[0], (11, 13), antialias=True, border="drop")
    np.testing.assert_allclose(cam.crop_resize(frames[0], BOXES[0], (11, 13)), expected, atol=1e-6)


def test_bytes_keep_their_range_and_a_box_of_the_output_size_is_a_cut():
    frame = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    found = cam.crop_resize(frame, np.array([4, 7, 12, 19]), (8, 12))
    np.testing.assert_allclose(found, frame[4:12, 7:19], atol=1e-3)


def test_a_batch_of_crops_and_pastes_equals_the_loop(frames):
    maps = frames[:, :10, :12, 0]
    for batch, one in (
        (cam.crop_resize(frames, BOXES, (9, 9)), [cam.crop_resize(x, b, (9, 9)) for x, b in zip(frames, BOXES, strict=True)]),
        (cam.paste(maps, BOXES, (30, 44)), [cam.paste(x, b, (30, 44)) for x, b in zip(maps, BOXES, strict=True)]),
    ):
        np.testing.assert_allclose(batch, np.stack(one), atol=1e-6)


@pytest.mark.parametrize("box", [(0, 0, 30, 44), (3, 5, 17, 40), (29, 43, 30, 44), (0, 2, 2, 3), (10, 0, 13, 44)])
@pytest.mark.parametrize("shape", [(9, 11), (16, 12), (40, 5)])
def test_paste_equals_the_released_recover_on_boxes_of_whole_numbers(box, shape):
    fine = np.random.default_rng(2).random(shape)
    expected = cam.recover(fine, box, (30, 44))
    assert (expected != 0).any()
    np.testing.assert_allclose(cam.paste(fine, np.array(box), (30, 44)), expected, atol=1e-5)


def test_crop_then_paste_of_a_smooth_map_gives_it_back_inside_the_box():
    y, x = np.mgrid[:60, :80] + 0.5
    smooth = np.exp(-((y - 28) ** 2 + (x - 35) ** 2) / (2 * 12**2))
    box = np.array([10, 15, 50, 60])
    for method in ("bicubic", "bilinear"):
        back = cam.paste(cam.crop_resize(smooth[..., None], box, (64, 64))[..., 0], box, (60, 80), method=method)
        np.testing.assert_allclose(back[10:50, 15:60], smooth[10:50, 15:60], atol=5e-3)
        outside = np.asarray(back).copy()
        outside[10:50, 15:60] = 0
        assert (outside == 0).all()


def test_a_bilinear_paste_stays_in_range_and_covers_border_pixels_in_part():
    found = cam.paste(np.ones((6, 6)), np.array([1.25, 2.0, 4.0, 5.5]), (8, 8), method="bilinear")
    np.testing.assert_allclose(found[:, 3], [0, 0.75, 1, 1, 0, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(found[2], [0, 0, 1, 1, 1, 0.5, 0, 0], atol=1e-6)
    spikes = cam.paste(np.eye(6), np.array([1.25, 2.0, 7.0, 7.5]), (8, 8), method="bilinear")
    assert spikes.min() >= 0 and spikes.max() <= 1


def test_gradients_are_finite_with_respect_to_values_and_boxes(frames):
    frames, boxes = frames[:2], BOXES[1:3]
    crops = jax.jit(jax.grad(lambda x, b: (cam.crop_resize(x, b, (30, 44)) ** 2).sum(), (0, 1)))(frames, boxes)
    pastes = jax.jit(jax.grad(lambda x, b: (cam.paste(x[..., 0], b, (30, 44)) ** 2).sum(), (0, 1)))(frames, boxes)
    assert all(jnp.isfinite(g).all() and jnp.abs(g).max() > 0 for g in (*crops, *pastes))


def test_boxes_without_area_or_outside_the_frame_are_never_nan(frames):
    boxes = np.array([[5, 5, 5, 5], [0, 0, 0, 44], [-90, -90, -50, -50], [100, 100, 120, 120]], np.float32)
    found = cam.crop_resize(frames, boxes, (6, 6))
    assert jnp.isfinite(found).all()
    np.testing.assert_array_equal(found[2:], 0)
    np.testing.assert_array_equal(cam.paste(frames[..., 0], boxes, (30, 44)), 0)
    assert cam.crop_resize(frames[:0], boxes[:0], (6, 6)).shape == (0, 6, 6, 3)


def test_bad_boxes_and_methods_are_errors():
    with pytest.raises(ValueError, match="not one of whole pixels inside a frame of 8x9"):
        cam.recover(np.ones((4, 4)), (2, 2, 9, 5), (8, 9))
    with pytest.raises(ValueError, match="not one of whole pixels"):
        cam.recover(np.ones((4, 4)), (2, 2, 4.5, 5), (8, 9))
    with pytest.raises(ValueError, match="method 'nearest', give one of bilinear, bicubic"):
        cam.paste(np.ones((4, 4)), np.array([0, 0, 4, 4]), (8, 8), method="nearest")
