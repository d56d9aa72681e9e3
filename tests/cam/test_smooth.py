"""The release's smoothing against a float64 restatement with a real buffer, and the plain mean against a loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stajax import cam


def peaked_maps(n, seed=0):
    """(n, 12, 15): a blob that wanders, on noise: maps whose mean is far under a third."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:12, :15]
    centres = np.array([6, 7]) + np.cumsum(rng.standard_normal((n, 2)), 0)
    blobs = [np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 4) for cy, cx in centres]
    return np.stack(blobs) + 0.05 * rng.random((n, 12, 15)) if n else np.zeros((0, 12, 15))


def z(x):
    return (x - x.min()) / (x.max() - x.min())


def restated(maps):
    """The release's loop in float64, its frames counted from 1 as there: {frame: map} for the frames that it can make."""
    written, buffer = {}, None
    for frame in range(3, len(maps) - 1):
        if frame == 3:
            buffer = [z(maps[i - 1]) for i in (1, 2, 3, 4, 5)]
            continue
        buffer = [*buffer[1:], z(maps[frame + 2 - 1])]
        smoothed = z(sum(buffer) / 5)
        buffer[-1] = smoothed
        written[frame] = np.where(smoothed < 3 * smoothed.mean(), 0, smoothed)
    return written


def test_recursive_smoothing_equals_the_restated_release_where_it_writes():
    maps = peaked_maps(24)
    found, expected = cam.recursive_smooth(maps), restated(maps)
    assert sorted(expected) == list(range(4, 23))
    for frame, one in expected.items():
        assert 0 < (one > 0).mean() < 0.5
        threshold = 3 * one.mean()
        np.testing.assert_array_equal(np.asarray(found[frame - 1]) > 0, one > 0, err_msg=f"frame {frame}, cut {threshold}")
        np.testing.assert_allclose(found[frame - 1], one, atol=2e-6)


def test_the_recursion_is_no_plain_window_mean():
    maps = np.asarray(cam.min_max(peaked_maps(16).astype(np.float32)))
    window = np.asarray(cam.min_max(cam.temporal_mean(maps)))
    found = np.asarray(cam.recursive_smooth(maps, 0.0))
    np.testing.assert_allclose(found[3], window[3], atol=1e-6)
    assert np.abs(found[4:-2] - window[4:-2]).max((1, 2)).min() > 0.05


def test_first_and_last_frames_have_maps_too():
    maps = peaked_maps(9)
    found = np.asarray(cam.recursive_smooth(maps))
    head = z(np.mean([z(x) for x in maps[:5]], 0))
    for frame in range(3):
        np.testing.assert_allclose(found[frame], np.where(head < 3 * head.mean(), 0, head), atol=2e-6)
    longer = restated(np.concatenate([maps, maps[-1:], maps[-1:]]))
    np.testing.assert_allclose(found[3:], np.stack([longer[frame] for frame in range(4, 10)]), atol=2e-6)


@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_clips_shorter_than_the_window_are_finite_and_keep_their_length(n):
    found = cam.recursive_smooth(peaked_maps(n))
    assert found.shape == (n, 12, 15) and jnp.isfinite(found).all()


def test_frame_by_frame_equals_the_whole_clip():
    maps = peaked_maps(12)
    buffer, streamed = cam.min_max(maps[:5]), []
    for newest in maps[5:]:
        buffer, smoothed = cam.smooth_step(buffer, newest)
        streamed.append(smoothed)
    np.testing.assert_allclose(np.stack(streamed), cam.recursive_smooth(maps)[3:10], atol=1e-6)


def test_clips_side_by_side_equal_the_loop():
    clips = np.stack([peaked_maps(9, seed) for seed in (1, 2)], 1)
    expected = np.stack([cam.recursive_smooth(clips[:, i]) for i in range(2)], 1)
    np.testing.assert_allclose(cam.recursive_smooth(clips), expected, atol=1e-6)


def test_flat_maps_smooth_to_zeros_and_gradients_are_finite():
    np.testing.assert_array_equal(cam.recursive_smooth(np.full((9, 4, 4), 0.5)), 0)
    maps = peaked_maps(9).astype(np.float32)
    maps[3] = 0
    gradient = jax.jit(jax.grad(lambda x: cam.recursive_smooth(x).sum()))(maps)
    assert jnp.isfinite(gradient).all() and jnp.abs(gradient).max() > 0


@pytest.mark.parametrize("radius", [0, 1, 4])
def test_temporal_mean_equals_the_loop_and_skips_invalid_frames(radius):
    values = np.random.default_rng(0).random((11, 3, 2)).astype(np.float32)
    valid = np.arange(11) % 3 != 1
    valid[7:] = False
    expected = values.astype(np.float64).copy()
    for t in range(11):
        frames = [i for i in range(max(t - radius, 0), min(t + radius + 1, 11)) if valid[i]]
        if frames:
            expected[t] = values[frames].mean(0)
    np.testing.assert_allclose(cam.temporal_mean(values, radius, valid), expected, atol=1e-6)


def test_temporal_mean_of_a_constant_clip_is_itself_and_of_none_is_none():
    constant = np.full((7, 4), 2.5, np.float32)
    np.testing.assert_allclose(cam.temporal_mean(constant, 3), constant, atol=1e-6)
    assert cam.temporal_mean(constant[:0]).shape == (0, 4)
    unknown = np.full((3, 4), np.nan, np.float32)
    unknown[0] = 1
    np.testing.assert_array_equal(cam.temporal_mean(unknown, 1, np.array([True, False, False]))[:2], 1)
