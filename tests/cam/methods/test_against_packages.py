"""Every method that grad-cam 1.5.7 or torchcam 0.5.0 has, on the same weights (tests/goldens/cam; no PyTorch here)."""

import jax
import numpy as np
import pytest
from nets import GOLDENS, TARGETS, images, model

from stajax.cam.methods import score, smooth
from stajax.cam.methods.ablation import ablation_cam
from stajax.cam.methods.eigen import eigen_cam, eigen_grad_cam
from stajax.cam.methods.gradient import activations_and_gradients, grad_cam, grad_cam_pp, layer_cam, xgrad_cam
from stajax.cam.methods.linear import class_activation_map
from stajax.cam.methods.maps import weighted_sum
from stajax.cam.methods.targets import scorer

OURS = {"GradCAM": grad_cam, "GradCAMPlusPlus": grad_cam_pp, "XGradCAM": xgrad_cam, "LayerCAM": layer_cam}
EIGEN = {"EigenCAM": eigen_cam, "EigenGradCAM": eigen_grad_cam}


def close(ours, theirs, tolerance=2e-5):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


@pytest.mark.parametrize("head", ["linear", "deep"])
def test_logits_equal_pytorch(head):
    close(model(head).logits(images()), GOLDENS[f"logits/{head}"])


@pytest.mark.parametrize("head", ["linear", "deep"])
@pytest.mark.parametrize("name", OURS)
def test_gradient_methods_equal_grad_cam_raw_and_finished(name, head):
    # Its eps of 1e-6 beside g^2 in Grad-CAM++ shows where gradients are small; with that eps the formula agrees to 1e-6.
    tolerance = 1e-3 if name == "GradCAMPlusPlus" else 2e-5
    raw = OURS[name](model(head), images(), TARGETS, relu=False)
    close(raw, GOLDENS[f"grad-cam/{name}/{head}"], tolerance)
    final = OURS[name](model(head), images(), TARGETS, normalise=True, size=(12, 18))
    close(final, GOLDENS[f"grad-cam/{name}/{head}/final"], tolerance)


@pytest.mark.parametrize("head", ["linear", "deep"])
@pytest.mark.parametrize("name", EIGEN)
def test_eigen_methods_equal_grad_cam_with_the_largest_coordinate_made_positive(name, head):
    theirs = GOLDENS[f"grad-cam/{name}/{head}"]
    signs = [np.sign(item.flat[np.abs(item).argmax()]) for item in theirs]
    close(EIGEN[name](model(head), images(), TARGETS, relu=False), np.array(signs)[:, None, None] * theirs)


@pytest.mark.parametrize("head", ["linear", "deep"])
def test_ablation_cam_equals_grad_cam_and_is_not_turned_over_by_a_negative_score(head):
    logits = GOLDENS[f"logits/{head}"]
    best = ablation_cam(model(head), images(), relu=False)
    close(best, GOLDENS[f"grad-cam/AblationCAM/{head}/best"])
    worst = ablation_cam(model(head), images(), logits.argmin(1), relu=False)
    close(worst, -GOLDENS[f"grad-cam/AblationCAM/{head}/worst"])


def test_score_cam_equals_grad_cam_where_nothing_is_enlarged():
    close(score.score_cam(model("deep", stride=1), images("small"), TARGETS, relu=False), GOLDENS["grad-cam/ScoreCAM/deep"])


@pytest.mark.parametrize("name", ["GradCAM", "XGradCAM", "LayerCAM"])
def test_gradient_methods_equal_torchcam(name):
    close(OURS[name](model("deep"), images(), TARGETS), GOLDENS[f"torchcam/{name}/deep"])


def test_cam_equals_torchcam():
    close(class_activation_map(model("linear"), images(), TARGETS, relu=False), GOLDENS["torchcam/CAM/linear"])


def test_score_cam_equals_torchcam_enlarged_three_times():
    close(score.score_cam(model("deep"), images(), TARGETS), GOLDENS["torchcam/ScoreCAM/deep"])


def test_is_cam_equals_torchcam_with_its_running_sum_of_steps():
    scales = np.cumsum(np.arange(1, 4) / 3)
    close(score.is_cam(model("deep"), images(), TARGETS, scales=scales), GOLDENS["torchcam/ISCAM/deep"])


def test_ss_cam_equals_torchcam_with_its_noise():
    noise = jax.numpy.asarray(GOLDENS["torchcam/SSCAM/deep/noise"])  # (samples, N, channels, h, w)
    options = {"relu": True, "normalise": False, "size": None}
    maps = score._by_score(model("deep"), images(), TARGETS, lambda mask, k, i: mask + noise[i, :, k], 3, 4, **options)
    close(maps, GOLDENS["torchcam/SSCAM/deep"])


def test_smooth_grad_cam_pp_has_torchcams_weights_with_its_noise():
    """One sample, and gradients alike at all places: what torchcam does else is in docs/cam.md. It weighs noisy activations."""
    name = "torchcam/SmoothGradCAMpp/mlp"
    noise = jax.numpy.asarray(GOLDENS[f"{name}/noise"].transpose(0, 1, 3, 4, 2))
    net = model("mlp")
    maps = smooth._smooth(net, images(), TARGETS, 1, lambda i: noise[i])
    close(maps, weighted_sum(net.features(images()), GOLDENS[f"{name}/weights"]))
    noisy = weighted_sum(net.features(images() + noise[0]), GOLDENS[f"{name}/weights"])
    close(np.maximum(noisy, 0), GOLDENS[name])


def test_torchcam_is_no_oracle_for_grad_cam_pp_because_its_alpha_is_never_divided():
    """It divides a masked copy, so that alpha stays g^2."""
    net = model("mlp")
    activations, gradients = activations_and_gradients(net, images(), TARGETS)
    weights = (gradients**2 * np.maximum(gradients, 0)).sum((1, 2))
    close(np.maximum(weighted_sum(activations, weights), 0), GOLDENS["torchcam/GradCAMpp/mlp"])


def test_the_score_goldens_do_not_hang_on_one_channel():
    """Else equal maps would say little about the weights."""
    net = model("deep")
    score_of = scorer(TARGETS, net.logits(images()))
    ablated = np.array([score_of(net.head(net.features(images()).at[..., k].set(0))) for k in range(6)])
    assert np.ptp(ablated, axis=0).min() > 0.1
