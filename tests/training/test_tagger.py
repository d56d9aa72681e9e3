"""The tagger hears what labelled sounds are, hears each clip once, and its file survives a kill."""

from dataclasses import replace

import numpy as np
import pytest

from stajax.data.heard import HEARD, HOP, columns, count_hops, heard, read_heard, switch_labels
from stajax.data.records import Clip, write_records
from stajax.data.tags import ESC10, table
from stajax.encoders.yamnet import CLASSES
from stajax.media import read_sound
from stajax.training import tagger

SECONDS = 3.0


def clip(name, sound, tags=()):
    times = np.arange(0, SECONDS, 0.04, dtype=np.float32)
    return Clip(name, np.array(tags, np.int64), [b"jpeg"] * len(times), times, 25.0, np.round(sound * 32767).astype(np.int16))


@pytest.fixture(scope="module")
def sounds():
    """Columns of ESC-10's classes."""
    return columns(table(ESC10), tagger.sound_names())


def test_scores_are_the_encoders_own_and_silence_is_heard_as_silence():
    scores = tagger.sound_scores(np.zeros(1000, np.float32), 35)  # more than a batch
    assert scores.shape == (35, CLASSES) == (35, len(tagger.sound_names()))
    assert {tagger.sound_names()[i] for i in scores.argmax(1)} == {"Silence"}
    assert tagger.sound_scores(np.zeros(0, np.float32), 0).shape == (0, CLASSES)


def test_windows_do_not_depend_on_their_batch():
    noise = np.random.default_rng(0).normal(0, 0.1, 8 * 16000).astype(np.float32)
    whole = tagger.sound_scores(noise, 40)
    np.testing.assert_allclose(tagger.sound_scores(noise, 7), whole[:7], rtol=1e-4, atol=1e-6)
    shifted = tagger.sound_scores(noise[round(10 * HOP * 16000) :], 25)
    np.testing.assert_allclose(shifted[3:], whole[13:35], rtol=1e-4, atol=1e-6)  # window i is around i * 0.2 s


def test_labelled_sounds_are_heard_as_what_they_are(shared, sounds):
    """ESC-10, the first sound of the fifth fold of each class: most windows that are heard at all are its own."""
    right = []
    for number, folder in enumerate(sorted(path for path in (shared / "data/esc10").iterdir() if path.is_dir())):
        waveform = read_sound(min(folder.glob("5-*.ogg")))
        found = heard(tagger.sound_scores(waveform, 26), sounds)
        right.append(np.bincount(found[found >= 0], minlength=10).argmax() == number)
    assert sum(right) >= 8  # sneezes and helicopters are the hard ones


def test_a_clip_without_sound_hears_nothing(sounds):
    found = tagger.heard_in(clip("a", np.zeros(0)), sounds)
    np.testing.assert_array_equal(found, np.full(count_hops(SECONDS - 0.04), -1))


@pytest.fixture
def records(shared, tmp_path):
    bark = read_sound(min((shared / "data/esc10/001 - Dog bark").glob("5-*.ogg")))[: round(SECONDS * 16000)]
    clips = [clip("bark", bark, [0]), clip("mistagged", bark, [1]), clip("mute", np.zeros(0), [0])]
    return write_records(tmp_path, clips, table(ESC10))


def test_the_file_holds_what_is_heard_in_every_clip(records, tmp_path):
    calls = []
    found = tagger.tag_records(records, report=lambda *numbers: calls.append(numbers))
    assert calls == [(1, 3), (2, 3), (3, 3)]
    stored = read_heard(tmp_path)
    for name in ("bark", "mistagged", "mute"):
        np.testing.assert_array_equal(stored[name], found[name])
        assert len(found[name]) == count_hops(SECONDS - 0.04)
    np.testing.assert_array_equal(found["bark"], found["mistagged"])
    shares = [switch_labels(found[entry.name], entry.tags).mean() for entry in records.entries]
    assert shares[0] > 0.3 and shares[1:] == [0, 0]


def test_a_killed_run_goes_on_and_other_settings_begin_again(records, tmp_path, monkeypatch):
    heard_now = []
    whole = tagger.heard_in

    def hear(clip, *args):
        if len(heard_now) == 2:
            raise KeyboardInterrupt
        heard_now.append(clip.name)
        return whole(clip, *args)

    monkeypatch.setattr(tagger, "heard_in", hear)
    monkeypatch.setattr(tagger, "_SAVED_EVERY", 1)
    with pytest.raises(KeyboardInterrupt):
        tagger.tag_records(records)
    assert list(read_heard(tmp_path)) == ["bark", "mistagged"]
    heard_now.clear()
    tagger.tag_records(records)
    assert heard_now == ["mute"]
    heard_now.clear()
    assert list(tagger.tag_records(records)) == ["bark", "mistagged", "mute"] and not heard_now
    monkeypatch.setattr(tagger, "heard_in", lambda clip, *args: heard_now.append(clip.name) or whole(clip, *args))
    tagger.tag_records(records, threshold=0.99)
    assert heard_now == ["bark", "mistagged", "mute"]
    assert (tmp_path / HEARD).is_file()


def test_another_folder_takes_the_file(records, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    tagger.tag_records(records, tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / HEARD).is_file() and not (tmp_path / HEARD).exists()


def test_the_waveform_of_a_record_is_what_was_recorded():
    sound = np.linspace(-1, 1, 9)
    np.testing.assert_allclose(clip("a", sound).waveform(), sound, atol=1 / 16384)
    assert replace(clip("a", sound), sound=np.array([-32768], np.int16)).waveform() == -1
