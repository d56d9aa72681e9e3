"""`read_npz` gives back what was written, and whatever is wrong with a file is a `DataError` of one line that names it."""

import numpy as np
import pytest

from stajax.data.archives import read_npz
from stajax.data.diem import load_gaze
from stajax.data.fixations import DataError
from stajax.data.osie import load_osie
from stajax.data.ucf import FIXATIONS, load_ucf

ARRAY = np.random.default_rng(0).random((20, 20))


def test_arrays_come_in_the_order_asked_for(tmp_path):
    np.savez(tmp_path / "a.npz", one=ARRAY, two=ARRAY + 1)
    two, one = read_npz(tmp_path / "a.npz", ("two", "one"), "Set")
    np.testing.assert_array_equal(one, ARRAY)
    np.testing.assert_array_equal(two, ARRAY + 1)


def test_every_byte_of_an_archive_damaged_is_read_or_one_line(tmp_path):
    """A byte turned over raises zipfile's, zlib's, NumPy's or the tokenizer's errors, depending on where it lies."""
    path = tmp_path / "a.npz"
    np.savez_compressed(path, one=ARRAY[:2, :3])
    whole, refused = path.read_bytes(), 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            read_npz(path, ("one",), "Set")
        except DataError as error:
            refused += 1
            assert str(error).startswith(f"Set: {path} ") and "\n" not in str(error)
    assert refused > len(whole) / 2


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "no file"),
        (lambda path: path.write_text("nothing"), "not a readable npz"),
        (lambda path: path.write_bytes(b""), "not a readable npz"),
        (lambda path: np.save(path.open("wb"), ARRAY), "not a readable npz"),
        (lambda path: np.savez(path, two=ARRAY), "lacks an array: one"),
        (lambda path: np.savez(path, one=np.array([None])), "not a readable npz"),
    ],
)
def test_bad_files_are_one_line(tmp_path, write, message):
    path = tmp_path / "a.npz"
    write(path)
    with pytest.raises(DataError, match=message) as error:
        read_npz(path, ("one",), "Set")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("load", "file"), [(load_osie, "fixations.npz"), (load_ucf, FIXATIONS), (load_gaze, "a_64x48.npz")])
def test_each_reader_refuses_a_single_array(tmp_path, load, file):
    (tmp_path / "stimuli").mkdir()
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/1.png").touch()
    np.save((tmp_path / file).open("wb"), ARRAY)
    with pytest.raises(DataError, match=f"{file} is not a readable npz of plain arrays"):
        load(tmp_path / file if load is load_gaze else tmp_path)
