"""Human fixations: points, and the two maps that they become.

Points are (x, y) in pixels of the image that they lie on, continuous: pixel (row r, column c) covers
c <= x < c + 1, r <= y < r + 1, and its centre is (c + 0.5, r + 0.5).
"""

import numpy as np


class DataError(ValueError):
    """Data on disk that is missing or not what its format says: one line, for people."""


def inside(points, shape):
    """Which of the points (n, 2) lie on an image of shape (h, w): (n,) bool, False for NaN."""
    x, y = points[:, 0], points[:, 1]
    return (x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])


def fixation_map(points, shape):
    """The pixels that were looked at.

    Args:
        points: (n, 2) x, y in pixels. Those outside are left out.
        shape: (h, w).

    Returns:
        (h, w) bool; a pixel counts once, however often it was looked at.
    """
    points = np.asarray(points, float).reshape(-1, 2)
    columns, rows = points[inside(points, shape)].astype(int).T
    fixated = np.zeros(shape, bool)
    fixated[rows, columns] = True
    return fixated


def density_map(points, shape, sigma):
    """The sum of one Gaussian per point, scaled to a maximum of 1.

    Exact: each Gaussian stands at its point, not at a pixel's centre, is not truncated, and what falls outside the
    image is lost (no mirroring). A Gaussian is separable, so n of them on h x w pixels are an (h, n) by
    (n, w) product.

    Args:
        points: (n, 2) x, y in pixels. Those outside are left out. The same place twice counts twice.
        shape: (h, w).
        sigma: standard deviation in pixels, > 0.

    Returns:
        (h, w) float64 in [0, 1]; all zero without points.

    Raises:
        ValueError: sigma is not positive.
    """
    if not sigma > 0:
        raise ValueError(f"density_map: sigma is {sigma}, must be positive")
    points = np.asarray(points, float).reshape(-1, 2)
    points = points[inside(points, shape)]
    y, x = (np.exp(-0.5 * ((np.arange(shape[axis]) + 0.5 - points[:, [1 - axis]]) / sigma) ** 2) for axis in (0, 1))
    density = y.T @ x
    return density / density.max() if density.any() else density


def pixels_per_degree(pixels, length, distance):
    """How many pixels a degree of visual angle covers straight ahead.

    Args:
        pixels: of the picture as shown, along one side.
        length: of that side on the screen.
        distance: of the eye from the screen, in the unit of `length`.

    Returns:
        float. A Gaussian of so many degrees has sigma = degrees * pixels_per_degree(..) for `density_map`.
    """
    return pixels / length * distance * np.tan(np.pi / 180)
