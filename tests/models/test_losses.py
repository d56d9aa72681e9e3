"""stajax/models/losses.py against the golden of Eq. 17 and float64 NumPy."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stajax.models.losses import binary_cross_entropy, fixation_loss, kl_divergence

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
