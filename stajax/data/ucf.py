"""UCF Sports with gaze, a folder per video: frames, a density map for each, and the fixated pixels of all.

    ROOT/frames/*.jpg|png
    ROOT/maps/*.jpg|png                              of the same names, grey
    ROOT/fixation_pixels_frame_x_y.npz               fixations (N, 3): frame, x, y; width, height

`frame` is a place in the sorted list of the files, from 0, whatever numbers the names hold.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stajax.data.archives import read_npz
from stajax.data.fixations import DataError
from stajax.data.pictures import listed, read_colour, read_grey

FIXATIONS = "fixation_pixels_frame_x_y.npz"


@dataclass(frozen=True)
class UcfVideo:
    """One video. Read with `load_ucf`.

    Attributes:
        root: its folder.
        shape: (h, w).
        densities: paths of the density maps in sorted order; a frame is a place here.
        points: (N, 3) int: frame, x, y.
    """

    root: Path
    shape: tuple[int, int]
    densities: tuple[Path, ...]
    points: np.ndarray

    def fixations(self, frame):
        """(n, 2) float64, the centres of the fixated pixels of a frame."""
        return self.points[self.points[:, 0] == frame, 1:] + 0.5

    def density(self, frame):
        """(h, w) float64 in [0, 1]; DataError if it is missing, broken, in colour or of another size."""
        density = read_grey(self.densities[frame], "UCF")
        if density.shape != self.shape:
            size, expected = ("x".join(map(str, shape[::-1])) for shape in (density.shape, self.shape))
            raise DataError(f"UCF: {self.densities[frame]} is {size}, expected {expected}")
        return density

    def picture(self, frame):
        """The path of a frame's picture; DataError if there is none."""
        stem = self.densities[frame].stem
        found = [path for path in listed(self.root / "frames") if path.stem == stem]
        if not found:
            raise DataError(f"UCF: no picture {stem} in {self.root / 'frames'}")
        return found[0]

    def image(self, frame):
        """(h, w, 3) uint8 RGB."""
        return read_colour(self.picture(frame), "UCF")


def load_ucf(root):
    """Reads the fixations of a video and lists its maps.

    Raises:
        DataError: a missing file or folder, or arrays of the wrong shape or content.
    """
    root = Path(root)
    path = root / FIXATIONS
    densities = tuple(listed(root / "maps"))
    if not path.is_file() or not densities:
        raise DataError(f"UCF: {root} must hold {FIXATIONS} and the folder maps with a picture for each frame")
    points, width, height = read_npz(path, ("fixations", "width", "height"), "UCF")
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype.kind not in "iu":
        raise DataError(f"UCF: fixations in {path} must be (N, 3) whole numbers, got {points.dtype} of shape {points.shape}")
    if points.size and not (points[:, 0].min() >= 0 and points[:, 0].max() < len(densities)):
        raise DataError(f"UCF: fixations in {path} name frames outside 0..{len(densities) - 1}, the maps' places")
    return UcfVideo(root, (int(height), int(width)), densities, points.astype(int))
