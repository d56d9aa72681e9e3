"""A frame comes back from JPEG as it was, up to what JPEG loses; broken bytes are one line."""

import numpy as np
import pytest

from stajax.data.fixations import DataError
from stajax.data.jpeg import decode_jpeg, encode_jpeg

Y, X = np.mgrid[:48, :64]
SMOOTH = np.stack([4 * X, 5 * Y, 255 - 2 * X - 2 * Y], axis=2).astype(np.uint8)


def test_a_smooth_picture_comes_back_within_a_few_levels():
    found = decode_jpeg(encode_jpeg(SMOOTH))
    assert found.dtype == np.uint8 and found.shape == SMOOTH.shape
    assert np.abs(found.astype(int) - SMOOTH).mean() < 2


def test_a_higher_quality_is_closer_and_larger():
    low, high = encode_jpeg(SMOOTH, 30), encode_jpeg(SMOOTH, 98)
    errors = [np.abs(decode_jpeg(data).astype(int) - SMOOTH).mean() for data in (low, high)]
    assert errors[0] > errors[1] and len(low) < len(high)


@pytest.mark.parametrize("data", [b"", b"nothing", encode_jpeg(SMOOTH)[:300]])
def test_broken_bytes_are_one_line(data):
    with pytest.raises(DataError, match="not a readable JPEG") as error:
        decode_jpeg(data)
    assert "\n" not in str(error.value)
