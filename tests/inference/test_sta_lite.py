"""The model that ships: it is what its card says."""

import re
from pathlib import Path

import numpy as np
import pytest

import stajax
from stajax.data import load_osie, osie_split
from stajax.encoders.params import WEIGHTS
from stajax.evaluation.osie import score
from stajax.layers.resize import resize

BUNDLED = Path(__file__).parents[2] / "third_party" / "media" / "big_buck_bunny.mp4"


@pytest.fixture(scope="module")
def model():
    return stajax.load("sta-lite", batch=2)


def test_the_weights_are_small_enough_to_ship():
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*.npz")) <= 15e6


def test_scores_on_osie_validation_are_those_of_the_card(model, shared):
    """Also 1.5 times the better baseline's NSS, which the card states too."""
    osie = load_osie(shared / "data" / "osie")
    indices = osie_split(len(osie))["validation"]
    single = stajax.load("sta-lite", batch=1)  # no room for 15 more frames with each photograph
    maps = {int(i): resize(single.predict(osie.image(i)[None]).maps[0], (300, 400)) for i in indices}
    rows = dict(re.findall(r"^\| ([a-z][\w ()-]*?) \|((?: [\d.]+ \|){5})$", model.model_card, re.MULTILINE | re.IGNORECASE))
    table = {name: [float(cell) for cell in row.strip(" |").split("|")] for name, row in rows.items()}
    mean = score(osie, indices, maps).mean
    found = [mean[name] for name in ("auc_judd", "auc_shuffled", "nss", "cc", "similarity")]
    np.testing.assert_allclose(found, table["sta-lite"], atol=0.005)
    baselines = [row[2] for name, row in table.items() if name != "sta-lite"]
    assert len(baselines) == 2 and found[2] >= 1.5 * max(baselines)


def test_sound_and_motion_move_the_maps_of_the_bundled_clip(model):
    from stajax.media import read_frames, read_sound

    frames = [frame.image for _, frame in zip(range(12), read_frames(BUNDLED, max_side=320), strict=False)]
    silent = model.predict(frames).maps
    noise = np.random.default_rng(0).normal(size=16000).astype(np.float32) * 0.1
    heard = model.predict(frames, sound=read_sound(BUNDLED)).maps
    other = model.predict(frames, sound=noise).maps
    single = stajax.load("sta-lite", batch=1)
    still = np.stack([single.predict(frame[None]).maps[0] for frame in frames])
    for changed in (heard, other, still):
        assert changed.shape == silent.shape and 1e-4 < np.abs(changed - silent).max() < 0.9
    assert np.abs(heard - other).max() > 1e-4


def test_the_bundled_clip_draws_the_eye_to_something(model):
    maps = np.stack([shown.map for _, shown in zip(range(20), model.shown(BUNDLED), strict=False)])
    assert maps.shape[1:] == model.output_size and maps.min() >= 0 and maps.max() <= 1
    peak = maps.reshape(len(maps), -1).max(1) / maps.mean((1, 2))
    assert (peak > 5).all(), "a map should single something out"
