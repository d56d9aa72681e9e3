"""stajax/layers/pool.py against float64 NumPy loops and PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stajax.layers.pool import max_pool

CASES = [(2, 2, 0), (3, 2, 1), (3, 1, 1), (3, 3, 0), (2, 1, 1), (1, 2, 0)]


def negative(*shape):
    """Numbers below zero: padding with zeros instead of minus infinity would win every maximum at the border."""
    return -1 - np.random.default_rng(list(shape)).uniform(size=shape).astype(np.float32)


@pytest.mark.parametrize(("window", "stride", "padding"), CASES)
@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
def test_max_pool_equals_loops(size, window, stride, padding):
    x = negative(2, *size, 3)
    rows, columns = ((n + 2 * padding - window) // stride + 1 for n in size)
    expected = np.empty((2, rows, columns, 3))
    for i, j in np.ndindex(rows, columns):
        top, left = i * stride - padding, j * stride - padding
        square = x[:, max(top, 0) : top + window, max(left, 0) : left + window]
        expected[:, i, j] = square.max((1, 2))
    np.testing.assert_array_equal(jax.jit(lambda x: max_pool(x, window, stride, padding))(x), expected)


@pytest.mark.parametrize(("window", "stride", "padding"), CASES)
def test_max_pool_and_its_gradient_equal_pytorch(window, stride, padding):
    torch = pytest.importorskip("torch")
    x = np.round(4 * negative(2, 7, 6, 3)) / 4  # quarters: ties, of which PyTorch's gradient takes the first
    theirs = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    pooled = torch.nn.functional.max_pool2d(theirs, window, stride, padding)
    (pooled**2).sum().backward()
    np.testing.assert_array_equal(max_pool(x, window, stride, padding), pooled.detach().permute(0, 2, 3, 1))
    gradient = jax.grad(lambda x: jnp.sum(max_pool(x, window, stride, padding) ** 2))(x)
    np.testing.assert_allclose(gradient, theirs.grad.permute(0, 2, 3, 1), rtol=1e-6)
