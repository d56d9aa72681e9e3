"""The authors' image transforms and their export of class maps, against Pillow's and OpenCV's own numbers."""

from __future__ import annotations

import re
import zlib

import detw
import numpy as np
import pytest
from part_inputs import part_inputs

from stajax.cam.released_export import released_class_map, resize_linear
from stajax.data import transforms
from stajax.encoders import imagenet


def covers(name: str) -> bool:
    return name == "preprocess"


def test_transforms_and_class_maps_equal_the_authors_code(golden):
    image = _image(golden)
    assert zlib.crc32(image.tobytes()) == golden.index["params"]["image_crc32"]
    maps = [x.transpose(1, 2, 0) for x in part_inputs(golden).values()]
    tag = golden.index["params"]["class"]
    found = {tap: _tap(tap, image, maps, tag) for tap in golden.taps}
    golden.check(found)
    for name, tap in golden.taps.items():
        if found[name].dtype == np.uint8:
            sample = found[name].reshape(-1)[:: tap["stride"]]
            np.testing.assert_array_equal(sample, golden.samples(tap), err_msg=name)


def _tap(name: str, image: np.ndarray, maps: list, tag: int) -> np.ndarray:
    """The tap of this name, whose numbers are sizes and factors."""
    if match := re.fullmatch(r"resize(\d+)_(bilinear|lanczos)_u8", name):
        return transforms.resize_square(image, int(match[1]), resample=match[2])
    if match := re.fullmatch(r"normalized(\d+)_chw", name):
        return np.asarray(imagenet.normalise(transforms.resize_square(image, int(match[1])))).transpose(2, 0, 1)
    if match := re.fullmatch(r"(brightness|contrast|saturation|hue)_(-?[\d.]+)_u8", name):
        return getattr(transforms, f"adjust_{match[1]}")(image, float(match[2]))
    if re.fullmatch(r"cam_u8_\d+x\d+", name):
        return released_class_map(*maps, tag, size=None)
    if match := re.fullmatch(r"cam_u8_(\d+) \(cv2 INTER_LINEAR\)", name):
        return released_class_map(*maps, tag, size=int(match[1]))
    pytest.fail(f"preprocess: no transform of ours is {name}")


def _image(golden) -> np.ndarray:
    """(H, W, 3) uint8: 8x8 squares of colour under noise."""
    height, width = golden.index["params"]["hw"]
    random = detw.stream("u8:pre:img", golden.index["salt"])
    coarse, noise = random.integers(0, 256, (8, 8, 3)), random.integers(-40, 41, (height, width, 3))
    rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
    return np.clip(coarse[rows[:, None], columns] + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("turns", [0.0, 0.5, -0.5])
def test_hue_equals_its_definition_and_wraps(turns):
    """A pure colour has saturation and value 255, so that turning its hue by half a circle gives the opposite colour."""
    red, cyan = np.uint8([[[255, 0, 0]]]), np.uint8([[[0, 255, 255]]])
    turned = transforms.adjust_hue(red, turns).astype(int)
    np.testing.assert_allclose(turned, cyan if turns else red, atol=12)  # two levels of hue, of 6 levels of a colour each


def test_hue_out_of_range_is_an_error():
    with pytest.raises(ValueError, match=r"0\.6 turns; give a number from -0\.5 to 0\.5"):
        transforms.adjust_hue(np.zeros((2, 2, 3), np.uint8), 0.6)


def test_resize_linear_equals_opencv():
    cv2 = pytest.importorskip("cv2")
    random = np.random.default_rng(0)
    shapes = [
        ((8, 8), (220, 220)),
        ((32, 32), (220, 220)),
        ((356, 356), (220, 220)),
        ((440, 440), (220, 220)),
        ((1, 2), (7, 5)),
    ]
    shapes += [tuple(map(tuple, random.integers(1, 90, (2, 2)).tolist())) for _ in range(40)]
    for shape, size in shapes:
        image = random.integers(0, 256, shape, dtype=np.uint8)
        expected = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR).reshape(size)
        np.testing.assert_array_equal(resize_linear(image, size), expected, err_msg=f"{shape} -> {size}")


def test_a_class_without_evidence_gives_zeros():
    nowhere = np.full((8, 8, 3), -1.0, np.float32)
    np.testing.assert_array_equal(released_class_map(nowhere, nowhere, 2), np.zeros((220, 220), np.uint8))
