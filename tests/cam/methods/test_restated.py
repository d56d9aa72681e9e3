"""Every method against its paper's formula in float64 NumPy, gradients by central differences."""

import jax
import numpy as np
import pytest
from nets import TARGETS, WEIGHTS, deep64, features64, gradients64, images, model

from stajax.cam.methods.ablation import ablation_cam
from stajax.cam.methods.eigen import eigen_cam, eigen_grad_cam
from stajax.cam.methods.gradient import grad_cam, grad_cam_pp, layer_cam, xgrad_cam
from stajax.cam.methods.linear import class_activation_map
from stajax.cam.methods.score import is_cam, score_cam, ss_cam
from stajax.cam.methods.smooth import smooth_grad_cam_pp

KEY = jax.random.key(7)
ROWS = np.arange(2)


def close(ours, reference):
    np.testing.assert_allclose(ours, reference, rtol=0, atol=2e-5 * np.abs(reference).max())


def weigh(a, weights):
    return np.maximum((a * weights[:, None, None]).sum(-1), 0)


@pytest.fixture(scope="module")
def a():
    return features64(images())


@pytest.fixture(scope="module")
def g(a):
    return gradients64(a, TARGETS)


def test_cam_is_equation_2_in_float64(a):
    close(class_activation_map(model("linear"), images(), TARGETS), weigh(a, WEIGHTS["linear.weight"][TARGETS]))


def test_grad_cam_is_its_equations_in_float64(a, g):
    close(grad_cam(model("deep"), images(), TARGETS), weigh(a, g.mean((1, 2))))


def test_grad_cam_pp_is_its_equations_in_float64_with_the_exponential(a, g):
    y = np.exp(deep64(a)[ROWS, TARGETS])[:, None, None, None]
    alpha = y * g**2 / (2 * y * g**2 + a.sum((1, 2), keepdims=True) * y * g**3)
    weights = (alpha * np.maximum(y * g, 0)).sum((1, 2)) / y[:, 0, 0]
    close(grad_cam_pp(model("deep"), images(), TARGETS), weigh(a, weights))


def test_xgrad_cam_is_equation_8_in_float64(a, g):
    close(xgrad_cam(model("deep"), images(), TARGETS), weigh(a, (g * a / a.sum((1, 2), keepdims=True)).sum((1, 2))))


def test_layer_cam_is_its_equations_in_float64(a, g):
    close(layer_cam(model("deep"), images(), TARGETS), (np.maximum(g, 0) * a).sum(-1))


@pytest.mark.parametrize("method", [eigen_cam, eigen_grad_cam])
def test_eigen_methods_are_the_first_singular_vector_in_float64(method, a, g):
    values = a if method is eigen_cam else a * g
    for ours, item in zip(method(model("deep"), images(), TARGETS, relu=False), values, strict=True):
        rows = item.reshape(-1, 6) - item.reshape(-1, 6).mean(0)
        projection = rows @ np.linalg.svd(rows)[2][0]
        close(ours.ravel(), projection if projection.max() >= -projection.min() else -projection)


def test_ablation_cam_is_equation_3_in_float64(a):
    whole = deep64(a)[ROWS, TARGETS]
    without = np.stack([deep64(a * (np.arange(6) != k))[ROWS, TARGETS] for k in range(6)], axis=1)
    close(ablation_cam(model("deep"), images(), TARGETS), weigh(a, (whole[:, None] - without) / np.abs(whole)[:, None]))


def test_smooth_grad_cam_pp_is_its_equations_in_float64(a):
    x, samples, std = images(), 3, 0.4
    noise = [std * np.asarray(jax.random.normal(jax.random.fold_in(KEY, i), x.shape)) for i in range(samples)]
    g = np.stack([gradients64(features64(x + n), TARGETS) for n in noise])
    d1, d2, d3 = (np.mean(g**p, axis=0) for p in (1, 2, 3))
    alpha = d2 / (2 * d2 + a.sum((1, 2), keepdims=True) * d3)
    ours = smooth_grad_cam_pp(model("deep"), x, TARGETS, key=KEY, samples=samples, std=std)
    close(ours, weigh(a, (alpha * np.maximum(d1, 0)).sum((1, 2))))


# The masking methods, at a factor that is no integer: (11, 16) to (5, 7).
X = images()[:, :11, :16]


def masks64(a, size):
    """(6, N, *size): each channel enlarged by interpolating rows and columns, then on [0, 1]."""

    def along(values, n_out):  # the last axis
        centres = (np.arange(n_out) + 0.5) * values.shape[-1] / n_out - 0.5
        return np.apply_along_axis(lambda line: np.interp(centres, np.arange(line.size), line), -1, values)

    large = along(along(a.transpose(3, 0, 2, 1), size[0]).swapaxes(2, 3), size[1])
    large = large - large.min((2, 3), keepdims=True)
    return large / large.max((2, 3), keepdims=True)


def by_score64(a, change):
    """change(mask, k) -> masks whose scores are averaged."""
    scores = [
        np.mean([deep64(features64(X * m[..., None], 2))[ROWS, TARGETS] for m in change(mask, k)], axis=0)
        for k, mask in enumerate(masks64(a, X.shape[1:3]))
    ]
    scores = np.exp(np.array(scores) - np.max(scores, axis=0))
    return weigh(a, (scores / scores.sum(0)).T)


def test_score_cam_is_its_algorithm_in_float64():
    a = features64(X, 2)
    close(score_cam(model("deep", 2), X, TARGETS), by_score64(a, lambda mask, k: [mask]))


def test_is_cam_is_its_algorithm_in_float64():
    a = features64(X, 2)
    close(is_cam(model("deep", 2), X, TARGETS, samples=4), by_score64(a, lambda mask, k: [mask * i / 4 for i in (1, 2, 3, 4)]))


def test_ss_cam_is_its_algorithm_in_float64():
    a = features64(X, 2)

    def noisy(mask, k):
        keys = [jax.random.fold_in(jax.random.fold_in(KEY, k), i) for i in range(3)]
        return [mask + 0.5 * np.asarray(jax.random.normal(key, mask.shape)) for key in keys]

    close(ss_cam(model("deep", 2), X, TARGETS, key=KEY, samples=3, std=0.5), by_score64(a, noisy))
