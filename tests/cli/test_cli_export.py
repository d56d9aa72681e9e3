"""`stajax export`: an artefact that gives the model's maps, and one line for what cannot be exported."""

import numpy as np
import pytest

pytest.importorskip("flatbuffers", reason="jax.export serialises with flatbuffers, which is not installed")

from commands import bad, stajax
from inference.tiny import no_file_over, noise, write_model

import stajax as package
from stajax.inference import export


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


def test_an_artefact_with_the_maps_of_the_model(model, tmp_path):
    path = tmp_path / "tiny.stajax"
    result = stajax("export", model, "-o", path, "--platforms", "cpu")
    assert (result.code, result.err) == (0, "")
    size = path.stat().st_size / 1e6
    assert result.out == f"{path}: {size:.1f} MB for cpu; docs/export.md tells how to run it\n"
    artefact, frames = export.load(path), noise(4, (64, 64))
    rows = np.clip(np.arange(4)[:, None, None] + [-1, 0, 1], 0, 3).astype(np.int32)
    silent = {"frames": rows, "audio": np.zeros((4, 1), np.int32), "switch": np.zeros((4, 1), np.float32)}
    audio = {name: np.zeros((1, 8), np.float32) for name in artefact.encode_audio({"1600": np.zeros((1, 1600), np.float32)})}
    found = artefact.predict(artefact.encode_frames({"64": frames}), audio, {"sta": silent})
    np.testing.assert_allclose(found, package.load(model, batch=4).predict(frames).maps, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--nets", "ghost"], "no net ghost in this model; it has sta"),
        (["--fusion", "mean"], "unknown fusion 'mean'; known: paper, paper_agg, released_max"),
        (["--platforms", "cpu,abacus"], "unknown platforms abacus; known: cpu, cuda, tpu"),
        (["--platforms", ","], "',' names nothing"),
    ],
)
def test_bad_options_are_one_line(model, tmp_path, options, says):
    assert says in bad("export", model, "-o", tmp_path / "a.stajax", *options)
    assert not list(tmp_path.iterdir())


def test_bad_places_are_one_line(model, tmp_path):
    assert "no such model folder" in bad("export", tmp_path / "none", "-o", tmp_path / "a.stajax")
    assert "an artefact's name ends in .stajax; try a.stajax" in bad("export", model, "-o", tmp_path / "a.onnx")
    assert "make it first" in bad("export", model, "-o", tmp_path / "none/a.stajax", code=1)
    with no_file_over(1000):
        line = bad("export", model, "-o", tmp_path / "a.stajax", "--platforms", "cpu", code=1)
    assert "a.stajax: cannot be written (File too large)" in line and not list(tmp_path.iterdir())
