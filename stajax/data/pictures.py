"""Pictures of a data set on disk: stimuli in colour, maps in grey. Errors are a `DataError` of one line."""

from pathlib import Path

import numpy as np

from stajax.data.fixations import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_GREY = 2  # levels: what a grey JPEG's channels may differ by when it was stored in colour


def read_colour(path, what="picture"):
    """(h, w, 3) uint8 RGB.

    Args:
        path: of the file.
        what: begins the message of an error, the data set's name.

    Raises:
        DataError: no such file, or not a readable picture.
    """
    from PIL import Image

    return _read(path, what, lambda file: np.asarray(file.convert("RGB")), Image)


def read_grey(path, what="map"):
    """(h, w) float64 in [0, 1]: 8-bit levels over 255, 16-bit levels over 65535.

    A picture stored in colour is read if it is grey nevertheless: its first channel, as STAViS does.

    Raises:
        DataError: no such file, not a readable picture, or one in colour.
    """
    from PIL import Image

    levels = _read(path, what, _levels, Image)
    if levels.ndim == 3:
        channels = levels[..., :3].astype(int) if levels.shape[2] > 2 else levels[..., :1]
        if np.ptp(channels, axis=2).max() > _GREY:
            raise DataError(f"{what}: {path} is in colour; a map must be grey")
        levels = levels[..., 0]
    return levels / (1.0 if levels.dtype == bool else np.iinfo(levels.dtype).max)


def shape_of(path, what="picture"):
    """(h, w) of a picture, from its header."""
    from PIL import Image

    width, height = _read(path, what, lambda file: file.size, Image)
    return height, width


def listed(folder, suffixes=SUFFIXES):
    """The pictures directly in a folder, sorted by name; empty where there is none. Hidden files are no pictures."""
    folder = Path(folder)
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith("."))


def _levels(file):
    if file.mode in ("P", "PA"):
        file = file.convert("RGB")
    levels = np.asarray(file)
    if levels.dtype == np.int32:  # Pillow's mode I: a 16-bit PNG in older releases
        levels = levels.astype(np.uint16)
    return levels


def _read(path, what, take, pillow):
    try:
        with pillow.open(path) as file:
            return take(file)
    except FileNotFoundError as error:
        raise DataError(f"{what}: no image {path}") from error
    except (OSError, ValueError, SyntaxError) as error:  # SyntaxError: Pillow's for a broken PNG
        raise DataError(f"{what}: {path} is not a readable image ({error})") from error
