"""Pictures for people, held against their definition in float and against what an eye would check."""

import numpy as np
import pytest
from PIL import Image

from stajax.media import MediaError, contact_sheet, heatmap_colours, overlay, save_png


def test_colours_run_from_dark_blue_to_red():
    colours = heatmap_colours()
    assert colours.shape == (256, 3) and colours.dtype == np.uint8
    assert colours[0].argmax() == 2 and colours[0].sum() < 120 and colours[-1].argmax() == 0
    steps = np.abs(np.diff(colours.astype(int), axis=0)).max()
    assert steps <= 4  # smooth
    luma = colours @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(luma[:200]) >= -0.5).all()  # and brighter all the way to yellow


def test_overlay_of_a_flat_map_is_one_blend():
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    for value in (0.0, 0.3, 1.0):
        out = overlay(image, np.full((6, 8), value), strength=0.6)
        level = int(value * 255 + 0.5)
        alpha = 0.6 * (0.2 + 0.8 * (level / 255) ** 0.8)
        expected = (1 - alpha) * image + alpha * heatmap_colours()[level]
        assert out.shape == image.shape and out.dtype == np.uint8
        assert np.abs(out - expected).max() <= 2


def test_overlay_leaves_the_picture_readable():
    image = np.kron(np.indices((6, 8)).sum(0) % 2, np.ones((8, 8)))[..., None].repeat(3, 2).astype(np.uint8) * 255
    saliency = np.zeros((32, 32))
    saliency[10:14, 20:24] = 1
    out = overlay(image, saliency)
    dull, hot = out[:, :20], out[19, 43]
    assert dull.max() - int(dull.min()) > 180  # contrast where nothing is salient
    assert hot[0] > hot[2] + 60  # red where it is


def test_overlay_takes_any_values_and_sizes():
    image = np.zeros((31, 17, 3), np.uint8)
    wild = np.array([[np.nan, -3.0], [7.0, np.inf]])
    tame = np.array([[0.0, 0.0], [1.0, 1.0]])
    np.testing.assert_array_equal(overlay(image, wild), overlay(image, tame))
    assert overlay(image, np.ones((1, 1), np.float16)).shape == (31, 17, 3)
    with pytest.raises(MediaError, match="needed"):
        overlay(image, np.ones((2, 2, 1)))
    with pytest.raises(MediaError, match="needed"):
        overlay(image / 255, tame)


def test_contact_sheet_places_each_picture():
    images = [np.full((20, 30, 3), v, np.uint8) for v in (50, 100, 150)] + [np.full((10, 10), 0.8)]
    sheet = contact_sheet(images, 3)
    assert sheet.shape == (2 * 26 + 6, 3 * 36 + 6, 3)
    for i, value in enumerate((50, 100, 150, 204)):
        y, x = 6 + i // 3 * 26, 6 + i % 3 * 36
        assert (sheet[y : y + 20, x : x + 30] == value).all()
    labelled = contact_sheet(images, 2, labels=["one", "two", "drei: ü", "四"])
    assert labelled.shape == (2 * 46 + 6, 2 * 36 + 6, 3) and labelled[27:46].max() > 150
    for wrong in [([], 2, None), (images, 0, None), (images, 2, ["one"])]:
        with pytest.raises(MediaError, match="do not fit"):
            contact_sheet(*wrong)


def test_save_png_is_whole_or_not_there(tmp_path, monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    save_png(tmp_path / "a.png", image)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), image)

    def full_disk(self, path, **kwargs):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(MediaError, match="No space left"):
        save_png(tmp_path / "a.png", image)
    with pytest.raises(MediaError, match="no folder"):
        save_png(tmp_path / "absent" / "a.png", image)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
