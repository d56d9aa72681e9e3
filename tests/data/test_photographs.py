"""Photographs as clips against Pillow's own resizing, and what must hold of stills, mirror images and pans."""

import numpy as np
import pytest
from PIL import Image

from stajax.data.fixations import DataError
from stajax.data.jpeg import decode_jpeg
from stajax.data.photographs import Pans, Photographs, pictures_in

GRID = np.linspace(0, 255, 80)
PICTURE = np.stack([np.tile(GRID, (60, 1)), np.tile(GRID[:60, None], (1, 80)), np.full((60, 80), 90.0)], -1).astype(np.uint8)
BLOB = np.exp(-((np.arange(80) - 20) ** 2 + (np.arange(60)[:, None] - 30) ** 2) / 50)


def photographs(**options):
    return Photographs(["a", "b"], lambda number: PICTURE, lambda number: BLOB, pans=Pans(size=64, side=16, **options))


def test_a_still_is_the_squashed_picture_and_its_map_and_the_mirror_image_mirrors_both():
    still, pan, mirrored, _ = (photographs()[i] for i in range(4))
    assert (still.name, pan.name, mirrored.name) == ("a", "a-pan1", "a-mirrored")
    expected = np.asarray(Image.fromarray(PICTURE).resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(decode_jpeg(still.frames[0]).astype(int) - expected).mean() < 3  # JPEG
    smaller = np.asarray(Image.fromarray(BLOB.astype(np.float32)).resize((16, 16), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(still.maps[0] / 255, smaller / smaller.max(), atol=0.003)
    np.testing.assert_allclose(mirrored.maps[0], still.maps[0][:, ::-1], atol=1)
    assert len(still.frames) == 1 and len(pan.frames) == 9 and still.valid.all() and not len(still.tags) + len(still.sound)


def test_in_a_pan_the_map_moves_with_the_picture():
    """The picture's red and green tell the place of each pixel; so the map's peak shows where the blob is."""
    checked = 0
    for seed in range(6):
        pan = Photographs(["a"], lambda n: PICTURE, lambda n: BLOB, pans=Pans(size=64, side=64), seed=seed)[1]
        for jpeg, saliency, valid in zip(pan.frames, pan.maps, pan.valid, strict=True):
            row, column = np.unravel_index(saliency.argmax(), saliency.shape)
            if valid and 4 < row < 60 and 4 < column < 60:
                red, green = decode_jpeg(jpeg)[row, column, :2].astype(float)
                assert abs(np.interp(red, GRID, np.arange(80)) - 20) < 4 and abs(np.interp(green, GRID, np.arange(80)) - 30) < 4
                checked += 1
    assert checked > 10


def test_a_part_that_nobody_looked_at_is_not_valid():
    corner = np.zeros((60, 80))
    corner[0, 0] = 1
    pans = [Photographs(["a"], lambda n: PICTURE, lambda n: corner, pans=Pans(size=32, side=16), seed=s)[1] for s in range(20)]
    assert not all(pan.valid.all() for pan in pans)
    for pan in pans:
        assert not pan.maps[~pan.valid].any() and (pan.maps[pan.valid].max((1, 2)) == 255).all()


def test_without_saliency_there_are_no_maps():
    clip = Photographs(["a"], lambda number: PICTURE, pans=Pans(mirrored=False, pans=0, size=32))[0]
    assert clip.maps is None and clip.valid is None


def test_pictures_of_a_folder_of_a_list_and_of_osies_training_split(tmp_path):
    stimuli = tmp_path / "stimuli"
    stimuli.mkdir()
    for i in range(10):
        Image.fromarray(PICTURE).save(stimuli / f"{i}.png")
    assert [path.name for path in pictures_in(stimuli)] == [f"{i}.png" for i in range(10)]
    assert [path.stem for path in pictures_in(f"osie_train:{tmp_path}")] == ["0", "1", "2", "5", "6", "7"]
    (tmp_path / "list.txt").write_text("stimuli/3.png\n\nstimuli/1.png\n")
    assert [path.stem for path in pictures_in(tmp_path / "list.txt")] == ["3", "1"]
    (tmp_path / "list.txt").write_text("stimuli/30.png\n")
    for bad in (tmp_path / "list.txt", tmp_path / "nothing", f"osie_train:{tmp_path}/nothing"):
        with pytest.raises(DataError):
            pictures_in(bad)
