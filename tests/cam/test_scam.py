"""Eqs. 2, 3, 8 and 22 against the goldens, a float64 restatement, and what must hold of any selective fusion."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stajax import cam

PAPER = Path(__file__).parents[1] / "goldens" / "nets" / "paper"
SCAM = np.load(PAPER / "eq02_03_scam.npz")
SCAM_PLUS = np.load(PAPER / "eq08_scam_plus.npz")
AVERAGE = np.load(PAPER / "eq22_ac.npz")


@pytest.fixture
def batch():
    """CAMs (6, 3, 5, 4), confidences (6, 3, 7), tags (6,); among the frames are all numbers of sure sources."""
    rng = np.random.default_rng(0)
    cams = np.asarray(cam.min_max(rng.random((6, 3, 5, 4)).astype(np.float32)))
    tags = rng.integers(0, 7, 6)
    logits = rng.standard_normal((6, 3, 7))
    for frame, sure in enumerate([(), (0,), (1,), (2,), (0, 2), (0, 1, 2)]):
        logits[frame, :, tags[frame]] = -5
        logits[frame, list(sure), tags[frame]] = 3
    confidences = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return cams, confidences.astype(np.float32), tags


def restated(cams, confidences, tag, lam=1e-4):
    """One frame of Eqs. 2 and 3 in float64, source by source."""
    weights = np.zeros(len(cams))
    for source, c in enumerate(confidences.astype(np.float64)):
        if all(c[tag] > c[other] for other in range(len(c)) if other != tag):
            weights[source] = c[tag]
    raw = (sum(w * x for w, x in zip(weights, cams.astype(np.float64), strict=True)) + lam) / (weights.sum() + lam)
    spread = raw.max() - raw.min()
    return weights, raw, (raw - raw.min()) / spread if spread else np.zeros_like(raw)


@pytest.mark.parametrize("case", ["all", "two", "one", "none", "tie"])
def test_scam_equals_the_golden_of_equations_2_and_3(case):
    found = cam.fuse_scam(SCAM["in_Phi"], SCAM[f"in_C_{case}"], SCAM["in_tag"], lam=SCAM["in_lam"])
    np.testing.assert_allclose(found.weights, SCAM[f"out_weights_{case}"], atol=1e-6)
    if f"out_pre_{case}" in SCAM:
        np.testing.assert_allclose(found.raw, SCAM[f"out_pre_{case}"], atol=1e-6)
    if f"out_scam_{case}" in SCAM:
        np.testing.assert_allclose(found.maps, SCAM[f"out_scam_{case}"], atol=1e-6)
    assert found.valid == (case != "none")


def test_the_restatement_equals_the_golden_to_its_last_bit():
    for case in ("all", "two", "one"):
        weights, raw, maps = restated(SCAM["in_Phi"], SCAM[f"in_C_{case}"], SCAM["in_tag"])
        for name, found in (("weights", weights), ("pre", raw), ("scam", maps)):
            np.testing.assert_allclose(found, SCAM[f"out_{name}_{case}"], atol=1e-7)


def test_scam_plus_equals_the_golden_of_equation_8_with_and_without_z():
    arguments = SCAM_PLUS["in_Phi"], SCAM_PLUS["in_C"], SCAM_PLUS["in_tag"]
    found = cam.fuse_scam_plus(*arguments, lam=SCAM_PLUS["in_lam"])
    np.testing.assert_allclose(found.weights, SCAM_PLUS["out_weights"], atol=1e-6)
    np.testing.assert_allclose(found.raw, SCAM_PLUS["out_pre"], atol=1e-6)
    np.testing.assert_allclose(found.maps, SCAM_PLUS["out_Z"], atol=1e-6)
    np.testing.assert_array_equal(cam.fuse_scam_plus(*arguments, normalise=False).maps, found.raw)
    assert len(cam.SOURCES_PLUS) == len(SCAM_PLUS["in_Phi"])


def test_average_equals_the_golden_of_equation_22():
    np.testing.assert_allclose(cam.fuse_average(AVERAGE["in_Phi"]), AVERAGE["out"], atol=1e-6)


def test_a_batch_equals_the_restatement_frame_by_frame(batch):
    found = cam.fuse_scam(*batch)
    for frame, (cams, confidences, tag) in enumerate(zip(*batch, strict=True)):
        weights, raw, maps = restated(cams, confidences, tag)
        np.testing.assert_allclose(found.weights[frame], weights, atol=1e-6)
        np.testing.assert_allclose(found.raw[frame], raw, atol=1e-6)
        np.testing.assert_allclose(found.maps[frame], maps, atol=2e-6)
    np.testing.assert_array_equal(found.valid, [False, True, True, True, True, True])


def test_more_leading_axes_and_one_tag_for_all_frames_equal_the_flat_batch(batch):
    cams, confidences, _ = batch
    flat = cam.fuse_scam(cams, confidences, np.full(6, 2))
    deep = cam.fuse_scam(cams.reshape(2, 3, 3, 5, 4), confidences.reshape(2, 3, 3, 7), 2)
    np.testing.assert_array_equal(deep.maps.reshape(flat.maps.shape), flat.maps)


def test_a_source_that_is_wrong_about_the_tag_weighs_nothing_and_is_not_read(batch):
    cams, confidences, tags = batch
    wrong = confidences.argmax(-1) != tags[:, None]
    assert wrong.any() and not wrong.all()
    np.testing.assert_array_equal(cam.soft_filter(confidences, tags)[wrong], 0)
    spoilt = np.where(wrong[..., None, None], np.nan, cams)
    np.testing.assert_array_equal(cam.fuse_scam(spoilt, confidences, tags).maps, cam.fuse_scam(*batch).maps)


def test_scam_of_equal_maps_is_that_map(batch):
    cams, confidences, tags = batch
    found = cam.fuse_scam(np.repeat(cams[:, :1], 3, 1), confidences, tags)
    np.testing.assert_allclose(found.maps[1:], cams[1:, 0], atol=1e-6)


def test_the_order_of_the_sources_changes_nothing(batch):
    cams, confidences, tags = batch
    order = [2, 0, 1]
    found = cam.fuse_scam(cams[:, order], confidences[:, order], tags)
    np.testing.assert_allclose(found.maps, cam.fuse_scam(*batch).maps, atol=1e-6)


def test_no_sure_source_flat_maps_and_no_frames_are_invalid_zeros_never_nan(batch):
    cams, confidences, tags = batch
    unsure = [cam.fuse_scam(cams, confidences, -1), cam.fuse_scam(cams, np.full_like(confidences, 1 / 7), tags)]
    unsure += [cam.fuse_scam(cams, np.full_like(confidences, np.nan), tags), cam.fuse_scam(0 * cams, confidences, tags)]
    unsure += [cam.fuse_scam_plus(cams, confidences, -1, normalise=False)]
    for found in unsure:
        assert not found.valid.any()
        np.testing.assert_array_equal(found.maps, 0)
        assert jnp.isfinite(found.raw).all()
    assert cam.fuse_scam(cams[:0], confidences[:0], tags[:0]).maps.shape == (0, 5, 4)


def test_gradients_are_finite_the_invalid_frame_included(batch):
    cams, confidences, tags = batch
    gradients = jax.jit(jax.grad(lambda x, c: (cam.fuse_scam(x, c, tags).maps ** 2).sum(), (0, 1)))(cams, confidences)
    assert all(jnp.isfinite(g).all() for g in gradients)
    np.testing.assert_array_equal(gradients[0][0], 0)
    assert jnp.abs(gradients[0][1:]).max() > 0


def test_maps_and_confidences_of_different_sources_are_an_error(batch):
    cams, confidences, tags = batch
    with pytest.raises(ValueError, match="maps of 2 sources, but weights of 3"):
        cam.fuse_scam(cams[:, :2], confidences, tags)
