"""The models that ship: they are what their cards say."""

import re
from pathlib import Path

import numpy as np
import pytest

import stajax
from stajax.data import load_osie, osie_split
from stajax.data.clip_lists import read_clips, tag_names
from stajax.data.composites import Composites
from stajax.data.preparation import prepare
from stajax.data.recording import Recording
from stajax.data.records import Records
from stajax.encoders.params import WEIGHTS
from stajax.evaluation.osie import score
from stajax.inference import pseudofix
from stajax.inference.source import ArraySource
from stajax.layers.resize import resize
from stajax.media import read_frames
from stajax.models import folder
from stajax.pipeline.predicted import maps_of

BUNDLED = Path(__file__).parents[2] / "third_party" / "media" / "big_buck_bunny.mp4"
# name -> by what factor its NSS is above the best baseline's, at least; how far a peak is above the mean of its map, at least
FIXATION = {"sta-lite": (1.5, 5), "weak-lite": (1.0, 4)}
HEARD = {"vas_dog_video_02677", "avsync_dog_foleycrafter0", "vas_drum_video_02480", "vas_gun_video_00819"}
EVERY = 5  # so manyth photograph of the test split is scored here


@pytest.fixture(scope="module", params=list(FIXATION))
def model(request):
    return stajax.load(request.param, batch=2)


@pytest.fixture(scope="module")
def frames():
    return [frame.image for _, frame in zip(range(12), read_frames(BUNDLED, max_side=320), strict=False)]


def test_all_weights_together_are_small_enough_to_ship():
    assert folder.shipped() == ["scam-lite", *FIXATION]
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*.npz")) <= 25e6


@pytest.mark.parametrize("name", list(FIXATION))
def test_scores_on_osie_are_those_of_the_card(name, shared):
    """Of every fifth photograph of the test split; the card has a row of these, so that this takes seconds."""
    osie = load_osie(shared / "data" / "osie")
    indices = osie_split(len(osie))["test"][::EVERY]
    single = stajax.load(name, batch=1)  # no room for 15 more frames with each photograph
    maps = {int(i): resize(single.predict(osie.image(i)[None]).maps[0], (300, 400)) for i in indices}
    found = score(osie, indices, maps)
    rows = re.findall(r"^\| ([a-zA-Z][\w, -]*?) \|((?: [\d.]+ \|){5})$", single.model_card.partition("| UCF")[0], re.MULTILINE)
    table = {row: [float(cell) for cell in cells.strip(" |").split("|")] for row, cells in rows}
    expected = table.pop(f"{name}, every {EVERY}th")
    mean = [found.mean[metric] for metric in ("auc_judd", "auc_shuffled", "nss", "cc", "similarity")]
    np.testing.assert_allclose(mean, expected, atol=0.005)
    nss = table.pop(name)[2]
    assert set(table) == {"GBVS", "spectral residual", "centre prior"}
    assert nss >= FIXATION[name][0] * max(row[2] for row in table.values())


def test_motion_moves_the_maps_of_the_bundled_clip(model, frames):
    moving = model.predict(frames).maps
    still = np.stack([model.predict(frame[None]).maps[0] for frame in frames[::4]])
    assert moving.shape == (12, *model.output_size) and 1e-4 < np.abs(still - moving[::4]).max() < 0.95


def test_a_sound_moves_the_maps(model, frames):
    noise = np.random.default_rng(0).normal(size=16000).astype(np.float32) * 0.1
    silent = model.predict(frames[:6]).maps
    assert 1e-4 < np.abs(model.predict(frames[:6], sound=noise).maps - silent).max() < 0.95


@pytest.mark.parametrize("name", list(FIXATION))
def test_what_is_heard_draws_the_eye(name, shared, tmp_path):
    """Two clips in a picture, with the sound of either: the half whose sound is heard has more of the map than unheard."""
    listed = read_clips(shared / "data" / "clips" / "labels.csv", ("file", "coarse"))
    listed = [clip for clip in listed if clip.path.stem in HEARD]
    prepare(listed, tag_names(listed), tmp_path, recording=Recording(fps=12.5, short_side=128, seconds=3), workers=1)
    composites, engine = Composites(Records(tmp_path), 12, seconds=0.6, seed=1), stajax.load(name, nets="sta").engine
    gains = []
    for i in range(0, len(composites), 2):
        heard, unheard = (maps_of(engine, composites[j]) for j in (i, i + 1))
        part = [slice(int(side.start * 64), int(side.stop * 64)) for side in composites.heard_half(i)]
        gains.append(heard[:, *part].sum() / heard.sum() - unheard[:, *part].sum() / unheard.sum())
    assert min(gains) > 0 and np.mean(gains) > 0.05


def test_the_bundled_clip_draws_the_eye_to_something(model, frames):
    maps = model.predict(frames).maps
    assert maps.min() >= 0 and maps.max() <= 1
    peak = maps.reshape(len(maps), -1).max(1) / maps.mean((1, 2))
    assert (peak > FIXATION[model.name][1]).all(), "a map should single something out"


def test_scam_lite_makes_pseudo_fixations_of_a_tag_and_knows_its_aliases(frames):
    model = pseudofix.load("scam-lite", batch=4)
    assert model.numbers("Bark") == model.numbers("dog")
    assert model.crops is not None and {"S", "ST", "SA", "S+short", "SA+long"} <= {*model.whole.nets, *model.crops.nets}
    found = pseudofix.pseudo_fixations(model, ArraySource(frames[:6], None, 25.0), list(model.classes))  # some tag is likeliest
    assert found.maps.shape == (6, 64, 64) and found.valid.all()
    np.testing.assert_allclose(found.maps.max((1, 2)), 1, atol=1e-6)
    np.testing.assert_allclose(found.maps.min((1, 2)), 0, atol=1e-6)
