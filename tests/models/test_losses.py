"""stajax/models/losses.py against the golden of Eq. 17, and Eq. 7, 17 and 20 in float64 NumPy."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from restatement import bce_and_kl, soft_margin

from stajax.models.losses import (
    binary_cross_entropy,
    company_fixation_loss,
    fixation_loss,
    kl_divergence,
    multilabel_soft_margin,
)

GOLDEN = np.load(Path(__file__).parents[1] / "goldens/nets/paper/eq17_losses.npz")
PREDICTION, TARGET = GOLDEN["in_pred"], GOLDEN["in_gt"]
LOGITS = np.log(PREDICTION.astype(np.float64) / (1 - PREDICTION.astype(np.float64))).astype(np.float32)


def test_binary_cross_entropy_of_logits_equals_the_golden_of_probabilities():
    np.testing.assert_allclose(binary_cross_entropy(LOGITS, TARGET), GOLDEN["out_bce_mean"], rtol=1e-5)


@pytest.mark.parametrize(("normalise", "key"), [("image", "out_kl_per_image"), ("batch", "out_kl_whole_batch")])
def test_kl_divergence_equals_the_golden(normalise, key):
    actual = kl_divergence(jnp.asarray(PREDICTION), TARGET, normalise=normalise)
    assert actual.shape == GOLDEN[key].shape
    np.testing.assert_allclose(actual, GOLDEN[key], rtol=1e-5)


@pytest.mark.parametrize(("normalise", "key"), [("image", "out_kl_per_image"), ("batch", "out_kl_whole_batch")])
def test_fixation_loss_of_logits_is_the_sum_of_both_goldens(normalise, key):
    loss, aux = jax.jit(lambda x, y: fixation_loss(x, y, normalise=normalise))(LOGITS, TARGET)
    np.testing.assert_allclose(aux["bce"], GOLDEN["out_bce_mean"], rtol=1e-5)
    np.testing.assert_allclose(aux["kl"], GOLDEN[key].mean(), rtol=1e-5)
    np.testing.assert_allclose(loss, aux["bce"] + aux["kl"], rtol=1e-6)


def test_both_ways_to_normalise_agree_for_one_image():
    one, target = jnp.asarray(PREDICTION[:1]), TARGET[:1]
    batch = kl_divergence(one, target, normalise="batch")
    np.testing.assert_allclose(kl_divergence(one, target)[0], batch, rtol=1e-6)


def test_kl_divergence_is_zero_only_for_equal_shapes_of_maps_and_ignores_scale():
    target = jnp.asarray(TARGET)
    np.testing.assert_allclose(kl_divergence(3 * target, target), 0, atol=1e-6)
    np.testing.assert_allclose(kl_divergence(jnp.asarray(PREDICTION), 7 * target), GOLDEN["out_kl_per_image"], rtol=1e-5)
    assert (np.asarray(kl_divergence(target[::-1], target)) > 1e-3).all()


def test_kl_divergence_is_of_the_target_from_the_prediction():
    """sum q log(q/p): a prediction that misses mass is punished without bound, a target that is narrower is not."""
    broad, narrow = np.ones((4, 4), np.float32), np.zeros((4, 4), np.float32)
    narrow[:2] = 1
    np.testing.assert_allclose(kl_divergence(broad, narrow), np.log(2), rtol=1e-5)
    assert kl_divergence(narrow, broad) > 10


def test_losses_of_extreme_logits_are_finite_and_equal_float64():
    logits = np.array([[[-300.0, 300.0, 0.0, 20.0]]], np.float32)
    target = np.array([[[0.0, 1.0, 0.25, 0.5]]], np.float32)
    x, y = logits.astype(np.float64), target.astype(np.float64)
    expected = np.mean(np.logaddexp(0, -x) * y + np.logaddexp(0, x) * (1 - y))
    np.testing.assert_allclose(binary_cross_entropy(logits, target), expected, rtol=1e-6)


@pytest.mark.parametrize("normalise", ["image", "batch"])
def test_blank_and_full_maps_give_finite_losses_and_gradients(normalise):
    loss = jax.jit(jax.value_and_grad(lambda x, y: fixation_loss(x, y, normalise=normalise), has_aux=True))
    for logit in (-300.0, -40.0, 300.0):
        for target in (TARGET, np.zeros_like(TARGET)):
            (value, aux), gradient = loss(jnp.full(TARGET.shape, logit), target)
            assert np.isfinite(value) and np.isfinite(gradient).all()
            assert target.any() or aux["kl"] == 0


@pytest.fixture(scope="module")
def maps():
    """Logits and targets (4, 3, 5, 6): four items of three nodes, and a weight (4, 3) of each map, 0 among them."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (4, 3, 5, 6)).astype(np.float32)
    weight = np.array([[1, 0, 0.5], [1, 1, 0], [0, 1, 0], [2, 0, 0]], np.float32)
    return logits, rng.random((4, 3, 5, 6)).astype(np.float32) ** 3, weight


def terms_in_float64(logits, target):
    """BCE and KL of every map: (..., 2)."""
    return np.array([bce_and_kl(*pair) for pair in zip(logits.reshape(-1, 5, 6), target.reshape(-1, 5, 6), strict=True)])


def test_fixation_loss_is_eq_17_of_each_map_weighted(maps):
    logits, target, weight = (x[:, 0] for x in maps)
    terms = terms_in_float64(logits, target)
    loss = jax.jit(fixation_loss)
    value, aux = loss(logits, target)
    np.testing.assert_allclose([aux["bce"], aux["kl"], value], [*terms.mean(0), terms.mean(0).sum()], rtol=1e-5)
    value, aux = loss(logits, target, weight=weight)
    expected = (weight[:, None] * terms).sum(0) / weight.sum()
    np.testing.assert_allclose([aux["bce"], aux["kl"], value], [*expected, expected.sum()], rtol=1e-5)
    np.testing.assert_allclose(loss(logits, target, weight=np.full(4, 0.3, np.float32))[0], terms.mean(0).sum(), rtol=1e-5)


def test_a_map_that_weighs_nothing_has_no_part_in_the_loss(maps):
    logits, target, weight = (x[:, 0] for x in maps)
    assert weight[2] == 0
    gradient = jax.jit(jax.value_and_grad(lambda x, y, w: fixation_loss(x, y, weight=w)[0]))
    value, by_logits = gradient(logits, target, weight)
    other, blank = target.copy(), np.zeros_like(weight)
    other[2] = 0  # as of a frame without a valid map
    np.testing.assert_array_equal(gradient(logits, other, weight)[0], value)
    assert not by_logits[2].any() and np.abs(by_logits[weight > 0]).max((1, 2)).min() > 0
    value, by_logits = gradient(logits, target, blank)
    assert value == 0 and not by_logits.any()


def test_weights_of_maps_and_one_kl_for_all_exclude_each_other(maps):
    logits, target, weight = (x[:, 0] for x in maps)
    with pytest.raises(ValueError, match="one KL for all of them"):
        fixation_loss(logits, target, normalise="batch", weight=weight)


def test_company_fixation_loss_is_eq_20(maps):
    logits, target, weight = maps
    terms, loss = terms_in_float64(logits, target).reshape(4, 3, 2), jax.jit(company_fixation_loss)
    value, aux = loss(logits, target)
    expected = terms.mean(0).sum(0)  # the items' mean, the nodes' sum
    np.testing.assert_allclose([aux["bce"], aux["kl"], value], [*expected, expected.sum()], rtol=1e-5)
    value, aux = loss(logits, target, weight=weight)
    expected = ((weight[..., None] * terms).sum(0) / weight.sum(0)[:, None]).sum(0)
    np.testing.assert_allclose([aux["bce"], aux["kl"], value], [*expected, expected.sum()], rtol=1e-5)
    weight = weight * [1, 1, 0]  # a node whose map is valid nowhere
    expected = sum((weight[:, k, None] * terms[:, k]).sum(0) / weight[:, k].sum() for k in (0, 1))
    np.testing.assert_allclose(loss(logits, target, weight=weight.astype(np.float32))[0], expected.sum(), rtol=1e-5)


def test_company_fixation_loss_of_a_target_alone_is_eq_17(maps):
    logits, target, _ = maps
    expected = fixation_loss(logits[:, 0], target[:, 0])[0]
    np.testing.assert_allclose(company_fixation_loss(logits[:, :1], target[:, :1])[0], expected, rtol=1e-6)


def test_multilabel_soft_margin_is_eq_7():
    rng = np.random.default_rng(0)
    logits, tags = rng.normal(0, 3, (5, 28)).astype(np.float32), (rng.random((5, 28)) < 0.1).astype(np.float32)
    expected = np.mean([soft_margin(*pair) for pair in zip(logits, tags, strict=True)])
    np.testing.assert_allclose(multilabel_soft_margin(logits, tags), expected, rtol=1e-5)
    assert len(set(tags.sum(1))) > 1  # clips of one tag, of several, of none
    np.testing.assert_allclose(multilabel_soft_margin(np.zeros((1, 3)), np.eye(3)[:1]), np.log(2), rtol=1e-6)
    np.testing.assert_allclose(multilabel_soft_margin(np.array([[400.0, -400.0]]), np.array([[0.0, 1.0]])), 400, rtol=1e-6)
