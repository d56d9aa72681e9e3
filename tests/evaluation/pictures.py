"""Pictures with one odd thing in them, and plain ones."""

import numpy as np


def discs(odd, *, shape=(240, 320), colour=(80, 120, 80), odd_colour=(200, 40, 40)):
    """A 3 x 4 grid of discs on grey, (h, w, 3) uint8, that with the number `odd` in another colour, and its centre (y, x).

    The two default colours have the same intensity, (r + g + b) / 3, so that only colour tells them apart.
    """
    image = np.full((*shape, 3), 128, np.uint8)
    y, x = np.indices(shape)
    centres = [((row + 0.5) * shape[0] / 3, (column + 0.5) * shape[1] / 4) for row in range(3) for column in range(4)]
    for number, (row, column) in enumerate(centres):
        image[(y - row) ** 2 + (x - column) ** 2 < 16**2] = odd_colour if number == odd else colour
    return image, centres[odd]


def bars(odd, *, shape=(240, 320), tilt=np.pi / 4):
    """As `discs`, of vertical white bars 6 x 40 on black, that with the number `odd` tilted by `tilt`."""
    image = np.zeros((*shape, 3), np.uint8)
    y, x = np.indices(shape)
    centres = [((row + 0.5) * shape[0] / 3, (column + 0.5) * shape[1] / 4) for row in range(3) for column in range(4)]
    for number, (row, column) in enumerate(centres):
        angle = tilt if number == odd else 0
        along = (y - row) * np.cos(angle) + (x - column) * np.sin(angle)
        across = (x - column) * np.cos(angle) - (y - row) * np.sin(angle)
        image[(abs(along) < 20) & (abs(across) < 3)] = 255
    return image, centres[odd]


def distance_of_peak(saliency, place):
    """Pixels from the maximum of a map to (y, x)."""
    return np.hypot(*np.subtract(np.unravel_index(saliency.argmax(), saliency.shape), place))


def patches(shape=(99, 150), *, seed=0):
    """A mosaic of random colours, (h, w, 3) uint8, sides of no special size."""
    colours = np.random.default_rng(seed).integers(0, 256, (-(-shape[0] // 11), -(-shape[1] // 12), 3), np.uint8)
    return np.kron(colours, np.ones((11, 12, 1), np.uint8))[: shape[0], : shape[1]]
