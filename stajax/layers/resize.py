"""Resizing as two small matrices, S' = R S C^T: exact, differentiable, the same for NumPy and JAX.

`jax.image.resize`, PyTorch, PIL and MATLAB place the samples alike and differ in the kernel, in whether it widens when
shrinking, and in what they do beyond the border. A matrix per axis spells all of that out, so that one function equals
each of them, border included.
"""

from functools import lru_cache

import numpy as np


def _triangle(x):
    return np.maximum(1 - np.abs(x), 0)


def _keys_cubic(x, a=-0.5):
    """The cubic convolution kernel (Keys 1981); MATLAB, PIL and JAX take a = -0.5, PyTorch and OpenCV a = -0.75."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x**2 + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


_KERNELS = {"bilinear": (_triangle, 1), "bicubic": (_keys_cubic, 2)}  # kernel, radius in input pixels


@lru_cache(maxsize=256)
def resize_matrix(n_in, n_out, *, method="bilinear", antialias=False, border="edge", align_corners=False):
    """The matrix that resizes one axis; its rows sum to one, so that a constant stays constant.

    Args:
        n_in, n_out: length of the axis before and after, both >= 1.
        method: "bilinear" (triangle kernel) or "bicubic" (Keys, a = -0.5).
        antialias: widen the kernel by n_in / n_out when shrinking.
        border: a tap beyond the border reads the nearest pixel ("edge": PyTorch), the mirrored pixel ("mirror",
            ..3 2 1|1 2 3..: MATLAB), or is dropped and the others grow ("drop": JAX, PIL, PyTorch with antialias).
            Without antialias "edge" and "drop" are the same for bilinear.
        align_corners: the corner pixels' centres meet, instead of the images' edges (PyTorch's argument).

    Returns:
        (n_out, n_in) float64, cached and therefore read-only.

    Raises:
        ValueError: unknown method or border, a length below 1.
    """
    if method not in _KERNELS:
        raise ValueError(f"resize: method {method!r}, give one of {', '.join(_KERNELS)}")
    if border not in ("edge", "mirror", "drop"):
        raise ValueError(f"resize: border {border!r}, give one of edge, mirror, drop")
    if n_in < 1 or n_out < 1:
        raise ValueError(f"resize: from {n_in} to {n_out} pixels, both must be at least 1")
    kernel, radius = _KERNELS[method]
    if align_corners:
        centres = np.arange(n_out) * ((n_in - 1) / max(n_out - 1, 1))
    else:
        centres = (np.arange(n_out) + 0.5) * (n_in / n_out) - 0.5
    stretch = max(n_in / n_out, 1) if antialias else 1
    reach = int(np.ceil(radius * stretch)) + 1
    taps = np.floor(centres)[:, None].astype(int) + np.arange(-reach, reach + 1)
    weights = kernel((taps - centres[:, None]) / stretch)
    if border == "drop":
        weights = weights * ((taps >= 0) & (taps < n_in))
    if border == "mirror":
        taps = taps % (2 * n_in)
        taps = np.minimum(taps, 2 * n_in - 1 - taps)
    matrix = np.zeros((n_out, n_in))
    np.add.at(matrix, (np.arange(n_out)[:, None], np.clip(taps, 0, n_in - 1)), weights)
    matrix /= matrix.sum(axis=1, keepdims=True)
    matrix.setflags(write=False)
    return matrix


def resize(x, size, *, method="bilinear", antialias=False, border="edge", align_corners=False):
    """Resizes the two spatial axes of an image, a map or a batch.

    The defaults equal `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)`, and
    `jax.image.resize(method="bilinear", antialias=False)`.

    Args:
        x: (h, w), or (..., h, w, c): a stack of maps needs a channel axis. NumPy or JAX, traced or not.
        size: (h', w').
        method, antialias, border, align_corners: see `resize_matrix`.

    Returns:
        (h', w') or (..., h', w', c), an array of the library that `x` came from, of the same type if that is a floating
        one (JAX computes in float32 at least), else float64 in NumPy and float32 in JAX. The same size is the identity.

    Raises:
        ValueError: `x` has one axis or none; those of `resize_matrix`.
    """
    if x.ndim < 2:
        raise ValueError(f"resize: an image has at least two axes, got shape {tuple(x.shape)}")
    height, width = x.shape if x.ndim == 2 else x.shape[-3:-1]
    options = {"method": method, "antialias": antialias, "border": border, "align_corners": align_corners}
    rows = resize_matrix(height, int(size[0]), **options)
    columns = resize_matrix(width, int(size[1]), **options)
    equation = "ah,hw,bw->ab" if x.ndim == 2 else "ah,...hwc,bw->...abc"
    same = (height, width) == tuple(size)
    if isinstance(x, np.ndarray):
        x = x if np.issubdtype(x.dtype, np.floating) else x.astype(np.float64)
        return x if same else np.einsum(equation, rows.astype(x.dtype), x, columns.astype(x.dtype), optimize=True)
    import jax.numpy as jnp

    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)
    if same:
        return x
    working = jnp.promote_types(x.dtype, jnp.float32)
    rows, columns = jnp.asarray(rows, working), jnp.asarray(columns, working)
    # The default precision of TPUs and of recent GPUs rounds the weights to 8 or 10 bits.
    return jnp.einsum(equation, rows, x.astype(working), columns, precision="highest").astype(x.dtype)


def imresize(image, size):
    """Equals MATLAB's `imresize(image, [h w])` for floating images: bicubic, antialiased when shrinking, mirrored.

    Overshoot is not clipped. The same size is the identity. Octave differs when shrinking by a
    ratio that is no integer, for it does not normalise the weights.

    Args:
        image: (h, w) or (..., h, w, c), NumPy or JAX.
        size: (h', w').

    Returns:
        As `resize`.
    """
    return resize(image, size, method="bicubic", antialias=True, border="mirror")
