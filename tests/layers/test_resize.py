"""stajax/layers/resize.py against JAX, MATLAB's semantics (goldens) and the formulas themselves."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stajax.layers.resize import imresize, resize, resize_matrix

GOLDENS = np.load(Path(__file__).parents[1] / "goldens/metrics/resize_postprocess.npz")
CASES = sorted(key.split("/")[1] for key in GOLDENS.files if key.startswith("resize/") and key.endswith("/in"))
SIZES = [((7, 9), (20, 33)), ((20, 33), (7, 9)), ((12, 5), (6, 17)), ((1, 3), (4, 1)), ((5, 5), (5, 8))]


@pytest.mark.parametrize("name", CASES)
def test_imresize_equals_matlab(name):
    image, expected = GOLDENS[f"resize/{name}/in"], GOLDENS[f"resize/{name}/matlab_semantics"]
    np.testing.assert_allclose(imresize(image, expected.shape), expected, atol=1e-14, rtol=0)
    inside_jit = jax.jit(lambda x: imresize(x, expected.shape))(jnp.asarray(image, jnp.float32))
    np.testing.assert_allclose(inside_jit, expected, atol=2e-5 * max(1, np.abs(expected).max()), rtol=0)


@pytest.mark.parametrize(("before", "after"), SIZES)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {"method": "bilinear", "antialias": False}),
        ({"antialias": True, "border": "drop"}, {"method": "bilinear", "antialias": True}),
        ({"method": "bicubic", "border": "drop"}, {"method": "cubic", "antialias": False}),
        ({"method": "bicubic", "border": "drop", "antialias": True}, {"method": "cubic", "antialias": True}),
    ],
    ids=["bilinear", "bilinear antialiased", "bicubic", "bicubic antialiased"],
)
def test_resize_equals_jax_image(before, after, ours, theirs):
    x = np.random.default_rng(0).random((2, *before, 3), dtype=np.float32)
    expected = jax.image.resize(x, (2, *after, 3), **theirs, precision="highest")
    np.testing.assert_allclose(resize(x, after, **ours), expected, atol=1e-5)
    np.testing.assert_allclose(resize(jnp.asarray(x), after, **ours), expected, atol=1e-5)


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_align_corners_equals_linear_interpolation_between_corners(before, after):
    x = np.random.default_rng(1).random(before)

    def along(axis_in, axis_out, values):
        return np.interp(np.linspace(0, axis_in - 1, axis_out) if axis_out > 1 else [0], np.arange(axis_in), values)

    expected = np.apply_along_axis(lambda v: along(before[1], after[1], v), 1, x)
    expected = np.apply_along_axis(lambda v: along(before[0], after[0], v), 0, expected)
    np.testing.assert_allclose(resize(x, after, align_corners=True), expected, atol=1e-12)


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
@pytest.mark.parametrize("border", ["edge", "mirror", "drop"])
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("align_corners", [False, True])
def test_constant_stays_constant(method, border, antialias, align_corners):
    for n_in, n_out in [(1, 5), (5, 1), (4, 9), (9, 4), (3, 100), (100, 3)]:
        options = {"method": method, "border": border, "antialias": antialias, "align_corners": align_corners}
        np.testing.assert_allclose(resize_matrix(n_in, n_out, **options).sum(1), 1, atol=1e-12)


def test_jit_gradient_is_the_transpose():
    x = jnp.asarray(np.random.default_rng(2).random((4, 6)), jnp.float32)
    weight = np.random.default_rng(3).random((9, 5)).astype(np.float32)
    gradient = jax.jit(jax.grad(lambda x: (resize(x, (9, 5)) * weight).sum()))(x)
    expected = resize_matrix(4, 9).T @ weight @ resize_matrix(6, 5)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5)


def test_types_and_axes():
    x = np.random.default_rng(4).integers(0, 255, (2, 3, 6, 8, 1), dtype=np.uint8)
    assert resize(x, (3, 4)).dtype == np.float64
    assert resize(x.astype(np.float32), (3, 4)).dtype == np.float32
    assert resize(jnp.asarray(x), (3, 4)).dtype == jnp.float32
    assert resize(jnp.asarray(x, jnp.bfloat16), (3, 4)).dtype == jnp.bfloat16
    assert resize(x, (3, 4)).shape == (2, 3, 3, 4, 1)
    np.testing.assert_array_equal(resize(x, (3, 4))[1, 2, ..., 0], resize(x[1, 2, ..., 0], (3, 4)))
    assert resize(x, (6, 8)).dtype == np.float64
    floating = x.astype(np.float32)
    assert resize(floating, (6, 8)) is floating
    assert not resize_matrix(3, 4).flags.writeable


@pytest.mark.parametrize(
    "call",
    [
        lambda: resize(np.zeros(3), (1, 1)),
        lambda: resize(np.zeros((3, 3)), (0, 2)),
        lambda: resize_matrix(3, 4, method="nearest"),
        lambda: resize_matrix(3, 4, border="wrap"),
    ],
)
def test_wrong_arguments_are_one_line(call):
    with pytest.raises(ValueError, match=r"^resize: [^\n]+$"):
        call()
