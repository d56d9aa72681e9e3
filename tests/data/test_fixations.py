"""stajax/data: the OSIE reader on a folder made here and on the real one, the maps against their formulas."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stajax.data.fixations import DataError, density_map, fixation_map
from stajax.data.osie import load_osie, osie_split

OSIE = Path(os.environ.get("STAJAX_DATA", "../shared")) / "data/osie"
needs_osie = pytest.mark.skipif(not OSIE.is_dir(), reason=f"no {OSIE}: set STAJAX_DATA to the folder that holds data/osie")

TABLE = np.array(
    [  # image index, subject, x, y, ms in 800x600 pixels
        [0, 0, 400, 300, 200],
        [0, 0, 10.5, 20, 150],
        [1, 0, 799.9, 599.9, 100],
        [1, 1, 800, 10, 100],  # outside, as are the next two
        [1, 1, 10, -0.1, 100],
        [2, 1, np.nan, 10, 100],
        [2, 1, 50, 60, 300],
        [0, 2, 30, 40, 250],
    ],
    np.float32,
)
NAMES = np.array(["b.png", "c.png", "a.png"])  # not in sorted order


def write(root, **changes):
    arrays = {"names": NAMES, "fixations": TABLE, "width": np.array(800), "height": np.array(600)} | changes
    (root / "stimuli").mkdir(exist_ok=True)
    for value, name in enumerate("abc"):
        Image.fromarray(np.full((300, 400, 3), value, np.uint8)).save(root / "stimuli" / f"{name}.png")
    np.savez(root / "fixations.npz", **{key: array for key, array in arrays.items() if array is not None})
    return root


def test_reader_sorts_scales_and_drops(tmp_path):
    osie = load_osie(write(tmp_path))
    assert osie.names == ("a.png", "b.png", "c.png")
    assert len(osie) == 3
    assert osie.dropped == 3
    np.testing.assert_array_equal(osie.fixations(0), np.float32([[25, 30]]))
    np.testing.assert_array_equal(osie.fixations(1), np.float32([[200, 150], [5.25, 10], [15, 20]]))
    np.testing.assert_allclose(osie.fixations(2), [[399.95, 299.95]], rtol=1e-6)
    np.testing.assert_array_equal(osie.subjects(1), [0, 0, 2])
    np.testing.assert_array_equal(osie.durations(1), [200, 150, 250])
    np.testing.assert_array_equal(osie.fixations(-1), osie.fixations(2))
    for i in range(3):
        image = osie.image(i)
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, np.full((300, 400, 3), i))


def test_image_without_fixations_and_index_out_of_range(tmp_path):
    osie = load_osie(write(tmp_path, fixations=TABLE[:2]))
    assert osie.fixations(0).shape == (0, 2)
    with pytest.raises(IndexError):
        osie.fixations(3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fixations": TABLE[:, :4]}, "shape"),
        ({"fixations": TABLE.astype(str)}, "numbers"),
        ({"fixations": TABLE + np.float32([1, 0, 0, 0, 0])}, "images outside 0..2"),
        ({"fixations": TABLE + np.float32([0.5, 0, 0, 0, 0])}, "images outside 0..2"),
        ({"names": np.array(["a.png"] * 3)}, "different"),
        ({"names": np.array([{}])}, "readable"),
        ({"width": None}, "lacks an array"),
    ],
)
def test_wrong_arrays_are_one_line(tmp_path, changes, message):
    with pytest.raises(DataError, match=rf"^OSIE: [^\n]*{message}[^\n]*$"):
        load_osie(write(tmp_path, **changes))


def test_missing_or_broken_files_are_one_line(tmp_path):
    with pytest.raises(DataError, match="no folder"):
        load_osie(tmp_path / "nowhere")
    with pytest.raises(DataError, match="must hold"):
        load_osie(tmp_path)
    osie = load_osie(write(tmp_path))
    (tmp_path / "stimuli/a.png").unlink()
    (tmp_path / "stimuli/b.png").write_bytes(b"no picture")
    Image.new("RGB", (40, 30)).save(tmp_path / "stimuli/c.png")
    for i, message in enumerate(["no image", "not a readable image", "is 40x30"]):
        with pytest.raises(DataError, match=message):
            osie.image(i)
    (tmp_path / "fixations.npz").write_bytes(b"PK no archive")
    with pytest.raises(DataError, match="readable"):
        load_osie(tmp_path)


def test_split_is_a_partition():
    split = osie_split(500)
    assert {key: len(index) for key, index in split.items()} == {"train": 300, "validation": 100, "test": 100}
    np.testing.assert_array_equal(np.sort(np.concatenate(list(split.values()))), np.arange(500))
    assert split["validation"][0] == 3
    assert split["test"][0] == 4


def test_fixation_map_marks_each_pixel_once():
    points = [[0, 0], [2.999, 1.5], [2.1, 1.1], [3, 0], [-0.01, 0], [0, 2]]
    np.testing.assert_array_equal(fixation_map(points, (2, 3)), [[True, False, False], [False, False, True]])
    assert not fixation_map([], (2, 3)).any()


def test_density_map_equals_the_sum_of_gaussians():
    points = np.array([[3.2, 4.9], [10.0, 0.3], [3.2, 4.9], [-1, 2]])
    y, x = np.mgrid[:9, :12] + 0.5
    expected = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 1.7**2)) for px, py in points[:3])
    np.testing.assert_allclose(density_map(points, (9, 12), 1.7), expected / expected.max(), atol=1e-14)
    assert not density_map(np.zeros((0, 2)), (4, 5), 1).any()
    with pytest.raises(ValueError, match="sigma"):
        density_map(points, (4, 5), 0)


@needs_osie
def test_the_real_osie():
    osie = load_osie(OSIE)
    assert len(osie) == 500
    assert osie.dropped == 0
    assert len(osie.points) == 70345
    assert osie.names == tuple(sorted(path.name for path in (OSIE / "stimuli").iterdir()))
    assert osie.image(499).shape == (300, 400, 3)
    np.testing.assert_array_equal(np.unique(osie.subjects(7)), np.arange(15))
    np.testing.assert_allclose(osie.fixations(0)[0], [395.5 / 2, 265.7 / 2])
