"""stajax/layers/netvlad.py against float64 NumPy loops of the definition and PyTorch's functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from stajax.layers.netvlad import NetVLAD, unit

CLUSTERS, FEATURES = 3, 5


def normal(*shape):
    return np.random.default_rng(list(shape)).standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="module")
def parameters():
    return {
        "centroids": normal(CLUSTERS, FEATURES),
        "assignment": {"kernel": normal(1, 1, FEATURES, CLUSTERS), "bias": normal(CLUSTERS)},
    }


@pytest.fixture(scope="module")
def layer(parameters):
    graphdef, state = nnx.split(nnx.eval_shape(lambda: NetVLAD(FEATURES, CLUSTERS, rngs=nnx.Rngs(0))))
    shapes = jax.tree.map(lambda leaf: leaf.shape, nnx.to_pure_dict(state))
    assert shapes == jax.tree.map(lambda leaf: leaf.shape, parameters)
    return jax.jit(nnx.merge(graphdef, jax.tree.map(jnp.asarray, parameters)))


def netvlad_by_loops(p, x):
    centroids, kernel = p["centroids"].astype(np.float64), p["assignment"]["kernel"][0, 0].astype(np.float64)
    result = np.zeros((len(x), CLUSTERS, FEATURES))
    for n, i, j in np.ndindex(*x.shape[:3]):
        pixel = x[n, i, j].astype(np.float64)
        pixel = pixel / max(np.linalg.norm(pixel), 1e-12)
        scores = np.exp(pixel @ kernel + p["assignment"]["bias"])
        for k in range(CLUSTERS):
            result[n, k] += scores[k] / scores.sum() * (pixel - centroids[k])
    result /= np.maximum(np.linalg.norm(result, axis=2, keepdims=True), 1e-12)
    result = result.reshape(len(x), -1)
    return result / np.maximum(np.linalg.norm(result, axis=1, keepdims=True), 1e-12)


@pytest.mark.parametrize("size", [(4, 3), (1, 1), (9, 2)])
def test_netvlad_equals_loops(layer, parameters, size):
    x = normal(2, *size, FEATURES)
    x[0, 0, 0] = 0  # a dead pixel has no direction
    np.testing.assert_allclose(layer(x), netvlad_by_loops(parameters, x), atol=1e-6)


def test_netvlad_does_not_see_the_order_or_the_brightness_of_pixels(layer):
    x = normal(2, 4, 3, FEATURES)
    shuffled = np.random.default_rng(0).permutation(x.reshape(2, 12, FEATURES), axis=1).reshape(2, 6, 2, FEATURES)
    np.testing.assert_allclose(layer(3 * shuffled), layer(x), atol=1e-6)


def test_unit_and_its_gradient_are_finite_at_zero_and_equal_pytorch():
    torch = pytest.importorskip("torch")
    x = np.float32([[3, 4], [0, 0], [1e-13, 0], [-1e-3, 2]])
    theirs = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.normalize(theirs, dim=1)
    np.testing.assert_allclose(unit(x), expected.detach(), rtol=1e-6)
    weights = normal(*x.shape)
    (expected * torch.tensor(weights)).sum().backward()
    gradient = np.asarray(jax.grad(lambda x: jnp.sum(unit(x) * weights))(x))
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient[[0, 3]], theirs.grad[[0, 3]], rtol=1e-5, atol=1e-6)


def test_netvlad_equals_pytorchs_functions(layer, parameters):
    torch = pytest.importorskip("torch")
    x = normal(2, 4, 3, FEATURES)
    p = jax.tree.map(torch.tensor, parameters)
    pixels = torch.nn.functional.normalize(torch.tensor(x).permute(0, 3, 1, 2), dim=1)
    weights = torch.nn.functional.conv2d(pixels, p["assignment"]["kernel"].permute(3, 2, 0, 1), p["assignment"]["bias"])
    weights = weights.flatten(2).softmax(1)[:, :, None]  # N K 1 P
    residuals = pixels.flatten(2)[:, None] - p["centroids"][None, :, :, None]  # N K D P
    vlad = torch.nn.functional.normalize((weights * residuals).sum(-1), dim=2).flatten(1)
    np.testing.assert_allclose(layer(x), torch.nn.functional.normalize(vlad, dim=1), atol=1e-6)
