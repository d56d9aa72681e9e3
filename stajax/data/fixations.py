"""Human fixations: the OSIE reader, its split, and the two maps that points become.

Points are (x, y) in pixels of the image that they lie on, continuous: pixel (row r, column c) covers
c <= x < c + 1, r <= y < r + 1, and its centre is (c + 0.5, r + 0.5).
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

OSIE_SHAPE = (300, 400)  # of the images at hand; the fixations are in pixels of the 800x600 originals


class DataError(ValueError):
    """Data on disk that is missing or not what its format says: one line, for people."""


@dataclass(frozen=True)
class Osie:
    """OSIE (Xu et al. 2014): photographs seen for 3 s by 15 observers. Read with `load_osie`.

    Attributes:
        root: the folder.
        names: file names, sorted; an image's index is its place here.
        points: (N, 2) float32, x and y in pixels of a 400x300 image, sorted by image, in the order of looking within
            image and observer.
        subject: (N,) int32, 0..14.
        duration: (N,) float32, ms.
        start: (images + 1,) int64; image i owns rows start[i]..start[i + 1].
        dropped: how many fixations lay outside their image (or were NaN) and are gone.
    """

    root: Path
    names: tuple
    points: np.ndarray
    subject: np.ndarray
    duration: np.ndarray
    start: np.ndarray
    dropped: int

    def __len__(self):
        return len(self.names)

    def image(self, i):
        """Image i, (300, 400, 3) uint8 RGB; DataError if the file is missing, broken or of another size."""
        from PIL import Image

        path = self.root / "stimuli" / self.names[i]
        try:
            with Image.open(path) as file:
                image = np.asarray(file.convert("RGB"))
        except FileNotFoundError as error:
            raise DataError(f"OSIE: no image {path}") from error
        except OSError as error:
            raise DataError(f"OSIE: {path} is not a readable image ({error})") from error
        if image.shape[:2] != OSIE_SHAPE:
            raise DataError(f"OSIE: {path} is {image.shape[1]}x{image.shape[0]}, expected 400x300")
        return image

    def _rows(self, i):
        i = range(len(self))[i]
        return slice(self.start[i], self.start[i + 1])

    def fixations(self, i):
        """All observers' fixations on image i, (n, 2) float32 x, y in 400x300 pixels, the first ones included."""
        return self.points[self._rows(i)]

    def subjects(self, i):
        """The observer of each fixation on image i, (n,) int32."""
        return self.subject[self._rows(i)]

    def durations(self, i):
        """The duration of each fixation on image i, (n,) float32 ms."""
        return self.duration[self._rows(i)]


def load_osie(root):
    """Reads OSIE's fixations; images are read when asked for.

    The first fixation of each observer is kept, as in the data: it starts at the centre, where the eye was before the
    picture came, and lifts a centre prior's NSS (validation: 0.88 with them, 0.80 without).

    Args:
        root: folder with `stimuli/*.jpg` and `fixations.npz`: `names` (M,), `fixations` (N, 5) image index, subject, x,
            y, duration in ms, and `width`, `height`: the frame of x and y.

    Returns:
        An `Osie`. Images are in sorted order of their names even where the file's are not.

    Raises:
        DataError: a missing folder or file, or arrays of the wrong shape or content.
    """
    root = Path(root)
    path = root / "fixations.npz"
    if not root.is_dir():
        raise DataError(f"OSIE: no folder {root}")
    if not path.is_file() or not (root / "stimuli").is_dir():
        raise DataError(f"OSIE: {root} must hold fixations.npz and the folder stimuli")
    try:
        with np.load(path, allow_pickle=False) as file:
            names, table, width, height = (file[key] for key in ("names", "fixations", "width", "height"))
    except KeyError as error:
        raise DataError(f"OSIE: {path} lacks an array: {error.args[0]}") from error
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"OSIE: {path} is not a readable npz of plain arrays ({error})") from error
    if names.ndim != 1 or len(set(names.tolist())) != len(names):
        raise DataError(f"OSIE: names in {path} must be a list of different file names")
    if table.ndim != 2 or table.shape[1] != 5 or table.dtype.kind not in "fiu":
        raise DataError(f"OSIE: fixations in {path} must be (N, 5) numbers, got {table.dtype} of shape {table.shape}")
    index = table[:, 0]
    if not np.all((index >= 0) & (index < len(names)) & (index == np.floor(index))):
        raise DataError(f"OSIE: fixations in {path} name images outside 0..{len(names) - 1}")

    order = np.argsort(names)
    place = np.argsort(order)[index.astype(int)]  # the file's image index -> place in sorted order
    points = (table[:, 2:4] * (OSIE_SHAPE[1] / width, OSIE_SHAPE[0] / height)).astype(np.float32)
    inside = _inside(points, OSIE_SHAPE)
    rows = np.flatnonzero(inside)[np.argsort(place[inside], kind="stable")]
    return Osie(
        root=root,
        names=tuple(names[order].tolist()),
        points=points[rows],
        subject=table[rows, 1].astype(np.int32),
        duration=table[rows, 4].astype(np.float32),
        start=np.searchsorted(place[rows], np.arange(len(names) + 1)),
        dropped=int(len(table) - inside.sum()),
    )


def osie_split(n=500):
    """The one split of OSIE, for every use: i % 5 == 4 test, == 3 validation, the rest training.

    Args:
        n: number of images, in sorted order of their names.

    Returns:
        {"train", "validation", "test"}: index arrays, int64, sorted, disjoint, together 0..n-1.
    """
    index = np.arange(n)
    return {"train": index[index % 5 < 3], "validation": index[index % 5 == 3], "test": index[index % 5 == 4]}


def _inside(points, shape):
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
    columns, rows = points[_inside(points, shape)].astype(int).T
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
    points = points[_inside(points, shape)]
    y, x = (np.exp(-0.5 * ((np.arange(shape[axis]) + 0.5 - points[:, [1 - axis]]) / sigma) ** 2) for axis in (0, 1))
    density = y.T @ x
    return density / density.max() if density.any() else density
