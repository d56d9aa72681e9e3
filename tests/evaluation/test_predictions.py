"""Predictions on disk: each layout against the arrays that were written, and what is wrong with one in one line."""

import numpy as np
import pytest
from PIL import Image

from stajax.data.fixations import DataError
from stajax.evaluation.predictions import MapsArchive, Predictions
from stajax.evaluation.protocols.base import Video

MAPS = np.random.default_rng(0).random((4, 6, 8)).astype(np.float16)
LEVELS = np.random.default_rng(1).integers(0, 256, (4, 6, 8), np.uint8)


def video(first=0, **changes):
    return Video(**{"dataset": "Set", "name": "clip", "frames": range(first, first + 4), "first": first} | changes)


def save(path, levels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels).save(path, **options)


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(("first", "name"), [(0, "maps.npz"), (1, "maps.npz"), (0, "pseudo.npz")])
def test_maps_npz_counts_as_the_data_set(tmp_path, write, first, name):
    (tmp_path / "clip").mkdir()
    write(tmp_path / "clip" / name, settings=np.array("{}"), maps=MAPS, time=np.arange(4.0))
    maps = Predictions(tmp_path).find(video(first))
    assert list(maps.frames) == list(range(first, first + 4))
    for i in range(4):
        read = maps.read(first + i)
        np.testing.assert_array_equal(read, MAPS[i])
        assert read.dtype == np.float64


def test_what_stajax_predict_writes_is_read(tmp_path):
    from stajax.inference.outputs import MapsFile

    with MapsFile(tmp_path / "maps.npz") as file:
        for i in range(4):
            file.append(MAPS[i], i / 25)
        file.finish(fps=np.float64(25), settings=np.array("{}"))
    maps = MapsArchive(tmp_path / "maps.npz", 0)
    np.testing.assert_array_equal([maps.read(i) for i in range(4)], MAPS)


def test_an_uncompressed_archive_is_not_loaded_whole(tmp_path):
    np.savez(tmp_path / "maps.npz", maps=MAPS)
    maps = MapsArchive(tmp_path / "maps.npz", 0)
    maps.read(2)
    assert isinstance(maps._maps, np.memmap)


def test_an_archive_in_column_order_is_read_right(tmp_path):
    np.savez(tmp_path / "maps.npz", maps=np.asfortranarray(MAPS))
    np.testing.assert_array_equal(MapsArchive(tmp_path / "maps.npz", 0).read(3), MAPS[3])


@pytest.mark.parametrize(("first", "begin"), [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)])
def test_numbered_pictures_count_as_the_data_set_or_from_zero(tmp_path, first, begin):
    for i in range(4):
        save(tmp_path / f"clip/map_{begin + i:04d}.png", LEVELS[i])
    maps = Predictions(tmp_path).find(video(first))
    start = first if begin == 0 or first == 0 else begin
    assert sorted(maps.frames) == list(range(start, start + 4))
    np.testing.assert_array_equal(maps.read(start + 2), LEVELS[2] / 255)


def test_a_shelf_goes_before_the_folder_itself_and_png_of_predict_is_found(tmp_path):
    save(tmp_path / "shelf/clip/png/000000.png", LEVELS[0])
    save(tmp_path / "clip/000000.png", LEVELS[1])
    np.testing.assert_array_equal(Predictions(tmp_path).find(video(shelves=("no", "shelf"))).read(0), LEVELS[0] / 255)
    np.testing.assert_array_equal(Predictions(tmp_path).find(video()).read(0), LEVELS[1] / 255)


def test_stavis_results_have_a_part_per_split_and_only_jpg_counts(tmp_path):
    save(tmp_path / "split1_results/set/clip/pred_sal_000009.jpg", LEVELS[0], quality=100)
    save(tmp_path / "split1_results/set/clip/pred_sal_000010.png", LEVELS[1])
    save(tmp_path / "split3_results/set/clip/pred_sal_000009.jpg", LEVELS[2], quality=100)
    predictions = Predictions(tmp_path)
    assert predictions.splits == ("1", "3")
    clip = video(first=1, shelves=("set",))
    assert list(predictions.find(clip, "1").frames) == [9]
    with Image.open(tmp_path / "split3_results/set/clip/pred_sal_000009.jpg") as file:
        np.testing.assert_array_equal(predictions.find(clip, "3").read(9), np.asarray(file) / 255)
    assert predictions.find(clip, "2") is None


def test_grey_stored_in_colour_and_sixteen_bits_are_read(tmp_path):
    save(tmp_path / "clip/0.png", np.repeat(LEVELS[0][..., None], 3, axis=2))
    save(tmp_path / "clip/1.png", LEVELS[1].astype(np.uint16) * 257)
    maps = Predictions(tmp_path).find(video())
    np.testing.assert_array_equal(maps.read(0), LEVELS[0] / 255)
    np.testing.assert_allclose(maps.read(1), LEVELS[1] / 255, rtol=1e-15)


def test_numbers_from_one_are_found_where_not_every_frame_is_scored(tmp_path):
    for i in range(4):
        save(tmp_path / f"clip/{i + 1}.png", LEVELS[i])
    maps = Predictions(tmp_path).find(video(frames=range(0, 4, 2)))
    np.testing.assert_array_equal(maps.read(2), LEVELS[2] / 255)


@pytest.mark.parametrize("name", ["net.v2_0002", "a.b.0002", "0002.sal", "img_0002_map"])
def test_the_last_number_of_a_name_counts_whatever_its_dots(tmp_path, name):
    save(tmp_path / f"clip/{name}.png", LEVELS[0])
    assert list(Predictions(tmp_path).find(video()).frames) == [2]


def test_in_stavis_folders_the_name_ends_at_its_first_dot(tmp_path):
    save(tmp_path / "split1_results/clip/pred_sal_000003.v2_0001.jpg", LEVELS[0])
    assert list(Predictions(tmp_path).find(video(), "1").frames) == [3]


def test_no_maps_is_none(tmp_path):
    save(tmp_path / "another/0.png", LEVELS[0])
    save(tmp_path / "clip/poster.png", LEVELS[0])
    assert Predictions(tmp_path).find(video()) is None


def broken(folder, kind):
    (folder / "clip").mkdir(parents=True)
    path = folder / "clip/maps.npz"
    if kind == "text":
        path.write_text("no archive")
    elif kind == "cut":
        np.savez(path, maps=MAPS)
        path.write_bytes(path.read_bytes()[:300])
    elif kind == "bits":  # deflated data that is not: zlib.error, which is no OSError
        np.savez_compressed(path, maps=MAPS)
        content = bytearray(path.read_bytes())
        content[60:120] = b"\xff" * 60
        path.write_bytes(content)
    elif kind == "name":
        np.savez(path, saliency=MAPS)
    elif kind == "shape":
        np.savez(path, maps=MAPS[0])
    elif kind == "objects":
        np.savez(path, maps=np.full((2, 2, 2), None))
    elif kind == "colour":
        path = folder / "clip/0.png"
        Image.new("RGB", (8, 6), (200, 30, 30)).save(path)
    elif kind == "picture":
        path = folder / "clip/0.png"
        path.write_text("no picture")
    elif kind == "double":
        for suffix in (".png", ".jpg"):
            save(folder / f"clip/0{suffix}", LEVELS[0])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "not a readable npz"),
        ("cut", "not a readable npz"),
        ("bits", "not a readable npz"),
        ("name", "lacks an array: maps"),
        ("shape", "maps must be numbers of shape"),
        ("objects", "maps must be numbers of shape"),
        ("colour", "is in colour"),
        ("picture", "not a readable image"),
        ("double", "are both frame 0"),
    ],
)
def test_broken_predictions_are_one_clear_line(tmp_path, kind, message):
    broken(tmp_path, kind)
    with pytest.raises(DataError, match=message) as error:
        Predictions(tmp_path).find(video()).read(0)
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


def test_a_folder_that_is_missing_or_empty(tmp_path):
    with pytest.raises(DataError, match="no folder of predictions"):
        Predictions(tmp_path / "no")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is empty"):
        Predictions(tmp_path / "empty")
