"""The OSIE reader and its split."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stajax.data.archives import read_npz
from stajax.data.fixations import DataError, inside
from stajax.data.pictures import read_colour

OSIE_SHAPE = (300, 400)  # of the images at hand; the fixations are in pixels of the 800x600 originals


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

    def picture(self, i):
        """The path of image i."""
        return self.root / "stimuli" / self.names[i]

    def image(self, i):
        """Image i, (300, 400, 3) uint8 RGB; DataError if the file is missing, broken or of another size."""
        path = self.picture(i)
        image = read_colour(path, "OSIE")
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
    names, table, width, height = read_npz(path, ("names", "fixations", "width", "height"), "OSIE")
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
    kept = inside(points, OSIE_SHAPE)
    rows = np.flatnonzero(kept)[np.argsort(place[kept], kind="stable")]
    return Osie(
        root=root,
        names=tuple(names[order].tolist()),
        points=points[rows],
        subject=table[rows, 1].astype(np.int32),
        duration=table[rows, 4].astype(np.float32),
        start=np.searchsorted(place[rows], np.arange(len(names) + 1)),
        dropped=int(len(table) - kept.sum()),
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
