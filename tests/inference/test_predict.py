"""`load` and `Model`: a file and its decoded arrays give the same maps; bad input is one line."""

import gc
import os
import threading
import warnings

import jax
import numpy as np
import pytest
from inference.tiny import noise, swelling
from media.made import clip, pictures, tone

import stajax
from stajax.encoders.params import WeightsError
from stajax.inference.predict import stretch
from stajax.media import MediaError, MediaWarning, read_frames, read_sound, save_png


@pytest.fixture(scope="module")
def sounding(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    sound = swelling(1.0).repeat(3)[None]
    return {
        "25 fps": clip(folder / "a.mp4", n=23, sound=sound),
        "30 fps, odd size": clip(
            folder / "b.mkv", n=31, fps=30, size=(65, 49), pix_fmt="yuv444p", sound=sound, sound_codec="pcm_s16le"
        ),
        "1 fps, 8 kHz": clip(folder / "c.mkv", n=9, fps=1, sound=sound[:, :24000], rate=8000, sound_codec="pcm_s16le"),
    }


@pytest.mark.parametrize("kind", ["25 fps", "30 fps, odd size", "1 fps, 8 kHz"])
def test_a_file_equals_its_decoded_arrays(model, sounding, kind):
    path = sounding[kind]
    prediction = model.predict(path)
    frames, times = zip(*read_frames(path), strict=True)
    again = model.predict(np.stack(frames), sound=read_sound(path), rate=16000, fps=prediction.fps)
    assert np.array_equal(prediction.maps, again.maps)
    assert prediction.maps.shape == (len(frames), 16, 16) and prediction.maps.dtype == np.float32
    assert 0 <= prediction.maps.min() < prediction.maps.max() <= 1
    assert prediction.time.tolist() == list(times)
    np.testing.assert_allclose(again.time, times, atol=1e-3)  # Matroska keeps milliseconds
    assert not np.array_equal(prediction.maps, model.predict(frames, fps=prediction.fps).maps)  # it listens


def test_sound_of_any_kind_is_the_same_sound(model):
    frames, sound = noise(20), np.rint(swelling(1.0) * 20000).astype(np.int16)
    maps = model.predict(frames, sound=sound).maps
    assert np.array_equal(maps, model.predict(list(frames), sound=np.stack([sound, sound], 1)).maps)
    assert np.array_equal(maps, model.predict(iter(frames), sound=sound / np.float32(32768)).maps)
    slow = model.predict(frames, sound=sound.repeat(3), rate=48000).maps
    assert 0 < np.abs(maps - slow).mean() < 0.01


def test_size_stretches_as_jax_image_does(model):
    """Against a second implementation of bilinear resizing with antialias, up and down."""
    plain = model.predict(noise(3)).maps
    for width, height in ((40, 24), (9, 31), (16, 16), (1, 1)):
        maps = model.predict(noise(3), size=(width, height)).maps
        expected = jax.image.resize(plain, (3, height, width), "bilinear", antialias=True)
        np.testing.assert_allclose(maps, expected, atol=2e-6)
        assert 0 <= maps.min() <= maps.max() <= 1
    assert stretch(plain[0], (40, 24)).shape == (24, 40)


def test_a_picture_is_a_clip_of_one_frame(model, tmp_path):
    image = pictures(1, 64, 48)[0]
    save_png(tmp_path / "a.png", image)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nobody expects sound from a picture
        prediction = model.predict(tmp_path / "a.png")
    assert prediction.maps.shape == (1, 16, 16) and prediction.time.tolist() == [0]
    assert np.array_equal(prediction.maps, model.predict(image).maps)


def test_a_clip_without_sound_says_so_once(model, tmp_path):
    path = clip(tmp_path / "a.mp4", n=7)
    with pytest.warns(MediaWarning, match="no sound track") as caught:
        prediction = model.predict(path)
    assert len(caught) == 1
    assert np.array_equal(prediction.maps, model.predict([frame.image for frame in read_frames(path)]).maps)


def test_shown_pairs_frames_with_their_maps(model, sounding):
    path = sounding["25 fps"]
    shown, prediction = list(model.shown(path)), model.predict(path)
    assert all(np.array_equal(a.image, b.image) and a.time == b.time for a, b in zip(shown, read_frames(path), strict=True))
    assert np.array_equal(np.stack([item.map for item in shown]), prediction.maps)


def test_an_abandoned_generator_leaves_no_thread_and_no_file(model, tmp_path):
    path = clip(tmp_path / "a.mp4", n=200, sound=tone(8, 16000)[None], rate=16000)
    gc.collect()  # what earlier tests left behind
    before = threading.active_count(), len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    items = model.shown(path)
    next(items)
    assert threading.active_count() > before[0]
    del items
    gc.collect()
    after = threading.active_count(), len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after == before


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda m: m.predict("nowhere.mp4"), "no such file"),
        (lambda m: m.predict("clip.mp4", sound=np.zeros(5)), "brings its own"),
        (lambda m: m.predict([]), "no frames"),
        (lambda m: m.predict(np.zeros((0, 48, 64, 3), np.uint8), sound=np.zeros(5)), "no frames"),
        (lambda m: m.predict(np.zeros((2, 48, 64, 3))), "uint8 is needed"),
        (lambda m: m.predict(noise(2), sound=np.array([np.nan])), "NaN"),
        (lambda m: m.predict(noise(2), sound=np.zeros((4, 4, 4))), "sound array of shape"),
        (lambda m: m.predict(noise(2), sound=np.zeros(5), rate=0), "sample rate"),
        (lambda m: m.predict(noise(2), fps=0), "must be positive"),
        (lambda m: m.predict(noise(2), size=(0, 5)), "at least 1"),
    ],
)
def test_bad_input_is_one_line(model, call, match):
    with pytest.raises(ValueError, match=match) as caught:
        call(model)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_clip_is_refused_at_once(model, tmp_path):
    (tmp_path / "a.mp4").write_text("no film")
    with pytest.raises(MediaError, match="not a readable media file"):
        model.shown(tmp_path / "a.mp4")


def test_load_by_path_and_what_it_tells(model, model_folder):
    assert model.name == "tiny" and model.model_card == "# Tiny\n" and model.output_size == (16, 16)
    assert stajax.load is not None and isinstance(model, stajax.Model)


@pytest.mark.parametrize(
    "options, error, match", [({"batch": 0}, ValueError, "at least 1"), ({"nets": ["long"]}, ValueError, "it has sta")]
)
def test_load_refuses(model_folder, options, error, match):
    with pytest.raises(error, match=match):
        stajax.load(model_folder, **options)


def test_an_unknown_name_lists_what_ships():
    from stajax.models.folder import shipped

    with pytest.raises(WeightsError, match="no such model folder") as caught:
        stajax.load("sta-huge")
    assert all(name in str(caught.value) for name in shipped())
