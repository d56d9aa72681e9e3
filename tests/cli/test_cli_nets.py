"""`stajax predict` with a model of several nets, one of which takes company from the whole clip."""

import json
import re
import shutil

import numpy as np
import pytest
from commands import bad, stajax
from inference.tiny import FAMILY, swelling, write_model
from media.made import clip

FRAMES = 40


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "family", nets=FAMILY, seed=4)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    return clip(folder / "a.mkv", n=FRAMES, sound=swelling(1.6)[None], rate=16000, sound_codec="pcm_s16le")


@pytest.fixture(scope="module")
def predict(model, film, tmp_path_factory):
    """maps and what was said = predict(options)."""

    def run(*options):
        out = tmp_path_factory.mktemp("out")
        result = stajax("predict", film, "-o", out, "--weights", model, "--no-overlay", *options)
        assert result.code == 0, result.err
        with np.load(out / "a/maps.npz") as stored:
            return stored["maps"].astype(np.float64), result.lines, json.loads(str(stored["settings"]))

    return run


def normalised(x):
    low, high = x.min((1, 2), keepdims=True), x.max((1, 2), keepdims=True)
    return (x - low) / (high - low)


def test_all_nets_are_fused_by_eq_21_and_the_frames_of_the_bank_are_told(predict):
    maps, lines, settings = predict()
    assert settings["nets"] == ["sta", "short", "long"]
    assert re.fullmatch(rf"\[1/1\] a\.mkv: {FRAMES} frames, 96 more for banks, \d+ frames/s", lines[-1])
    one = {net: predict("--nets", net) for net in FAMILY}
    of = [found[0] for found in one.values()]
    assert all(np.abs(a - b).max() > 0.01 for a, b in zip(of, of[1:] + of[:1], strict=True)), "each has its own say"
    expected = normalised(np.prod([normalised(x) for x in of], 0)) / 2 + normalised(sum(of)) / 2
    np.testing.assert_allclose(maps, expected, atol=5e-3)  # stored as float16
    assert ["96 more for banks" in found[1][-1] for found in one.values()] == [False, False, True]


def test_some_nets_in_any_order(predict):
    maps, lines, settings = predict("--nets", "short,sta", "--fusion", "released_max")
    assert settings["nets"] == ["sta", "short"] and "banks" not in lines[-1] and maps.shape == (FRAMES, 16, 16)


def test_a_net_that_the_model_lacks_is_one_line(model, film, tmp_path):
    line = bad("predict", film, "-o", tmp_path / "out", "--weights", model, "--nets", "sta,cross")
    assert line == "stajax: no net cross in this model; it has sta, short, long"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("nets", [[], ["--nets", "sta"]])
def test_a_net_without_weights_is_an_error_and_never_random(model, film, tmp_path, nets):
    """Whichever nets are asked for: the folder is damaged."""
    broken = shutil.copytree(model, tmp_path / "broken")
    (broken / "params/nets/long.npz").unlink()
    command = ("predict", film, "-o", tmp_path / "out", "--weights", broken, *nets)
    assert bad(*command) == f"stajax: {broken / 'params/nets/long.npz'}: no such weight file"
    config = json.loads((broken / "config.json").read_text())
    del config["params"]["nets"]["long"]
    (broken / "config.json").write_text(json.dumps(config))
    assert bad(*command) == f"stajax: {broken / 'config.json'}: 'long' is missing; a net without weights cannot be used"
    assert not (tmp_path / "out").exists()
