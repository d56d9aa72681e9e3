"""What fine-tuning learns from the clips: Eq. 21 of a net's maps, made without sound, and of pseudo-fixations."""

import numpy as np
from inference.tiny import noise, swelling, write_model

from stajax.data.jpeg import encode_jpeg
from stajax.data.records import Clip, write_records
from stajax.inference.predict import load
from stajax.pipeline.humans import agreed_records
from stajax.pipeline.predicted import maps_of, silent


def unit(maps):
    low, high = (f(maps, (1, 2), keepdims=True) for f in (np.min, np.max))
    return (maps - low) / (high - low)


def test_maps_agree_by_eq_21_and_what_is_not_valid_stays_so(tmp_path):
    people, rng = load(write_model(tmp_path / "people", seed=3)), np.random.default_rng(0)
    sound = np.rint(32767 * swelling(1.0)).astype(np.int16)
    frames = [encode_jpeg(image) for image in noise(5, (64, 64))]
    maps, valid = rng.integers(0, 256, (5, 16, 16), np.uint8), np.array([1, 1, 0, 1, 1], bool)
    clip = Clip("dog", np.array([1]), frames, (np.arange(5) / 5).astype(np.float32), 5.0, sound, maps, valid)
    pseudo = write_records(tmp_path / "pseudo", [clip], ["Bark", "Horse"])
    made = agreed_records(people, pseudo, tmp_path / "agreed")
    assert (made.clips, made.frames, made.valid) == (1, 5, 4)
    (found,) = type(pseudo)(tmp_path / "agreed")
    seen, tagged = maps_of(people.engine, silent(clip)).astype(np.float64), maps / 255
    expected = unit(unit(seen) * unit(tagged)) / 2 + unit(seen + tagged) / 2
    np.testing.assert_allclose(found.maps / 255, expected, atol=0.6 / 255)
    assert found.valid.tolist() == valid.tolist() and found.sound.tolist() == sound.tolist()
