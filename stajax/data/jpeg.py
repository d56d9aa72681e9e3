"""Frames as JPEG bytes, as records hold them."""

from __future__ import annotations

from io import BytesIO

import numpy as np

from stajax.data.fixations import DataError


def encode_jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """`image` (h, w, 3) uint8 RGB -> JPEG, colour at half the resolution (4:2:0)."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return file.getvalue()


def decode_jpeg(data: bytes) -> np.ndarray:
    """JPEG -> (h, w, 3) uint8 RGB. Raises DataError for bytes that are no readable picture."""
    from PIL import Image

    try:
        with Image.open(BytesIO(data)) as file:
            return np.asarray(file.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{len(data)} bytes that are not a readable JPEG ({error})") from error
