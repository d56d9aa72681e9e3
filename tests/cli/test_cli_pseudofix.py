"""`stajax pseudofix` as a user sees it."""

import re

import numpy as np
import pytest
from commands import bad, stajax
from inference.tagged import record, write_scam
from inference.tiny import swelling
from media.made import clip

from stajax.data.records import Records, write_records


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_scam(tmp_path_factory.mktemp("models") / "scam")


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    sound = {"rate": 16000, "sound_codec": "pcm_s16le"}
    for k in range(2):
        clip(folder / f"{k}.mkv", n=6, size=(96, 64), sound=swelling(0.24, k)[None], **sound)
    (folder / "text.mp4").write_text("no film")
    (folder / "clips.csv").write_text("path,tag\n0.mkv,Bark\n1.mkv,dog\ntext.mp4,Cat\n")
    return folder


QUICK = ("--coarse", "--scam", "--sources", "S,SA", "--batch", "4")


def test_a_clip_and_a_rerun(model, films, tmp_path):
    command = ("pseudofix", films / "0.mkv", "--tag", "dog; Horse", "-o", tmp_path / "out", "--weights", model, *QUICK)
    result = stajax(*command)
    assert (result.code, result.out) == (0, f"1 done; results in {tmp_path / 'out'}\n")
    assert re.fullmatch(r"\[1/1\] 0\.mkv: 6 frames, \d+ frames/s", result.lines[-1])
    with np.load(tmp_path / "out/0/pseudo.npz") as stored:
        assert stored["maps"].shape == (6, 16, 16) and stored["sources"].tolist() == ["S", "SA"]
        assert stored["confidence"].shape == (6, 2, 2)
    assert {path.name for path in (tmp_path / "out/0").iterdir()} == {"pseudo.npz", "overlay.mp4", "strip.png"}
    again = stajax(*command)
    assert again.out == f"1 skipped; results in {tmp_path / 'out'}\n" and again.lines == ["[1/1] 0.mkv: done already"]
    other = stajax(*command[:2], "--tag", "mare;Bark", *command[4:], "--no-overlay", "--average", "--smooth", "--side", "8")
    assert other.code == 0 and {path.name for path in (tmp_path / "out/0").iterdir()} == {"pseudo.npz", "strip.png"}


def test_a_list_becomes_records_with_a_summary(model, films, tmp_path):
    command = ("pseudofix", "--manifest", films / "clips.csv", "-o", tmp_path, "--weights", model, "--shards", "2", *QUICK)
    result = stajax(*command)
    assert result.code == 2, "a clip could not be read"
    clips, rate, views, place = result.out.splitlines()
    assert re.fullmatch(r"2 clips, 1 left out, 12 frames, \d+\.\d% valid", clips)
    assert re.fullmatch(r"\d+\.\d\d clips/s, \d+\.\d frames/s", rate)
    assert (views, place) == ("views through the encoders per frame: coarse 1.00", f"results in {tmp_path}")
    (line,) = [line for line in result.lines if "text.mp4" in line]
    assert line.startswith(f"stajax: {films / 'text.mp4'}: not a readable media file")
    found = Records(tmp_path)
    assert [entry.name for entry in found.entries] == ["0", "1"] and found[0].maps.shape == (6, 16, 16)
    again = stajax(*command)
    assert again.code == 2 and again.out.startswith("2 clips (2 from an earlier run), 1 left out, 12 frames")


def test_records_shared_by_two_runs(model, tmp_path):
    records = [record(name, [k], 3, k) for k, name in enumerate("abc")]
    write_records(tmp_path / "in", records, ["Bark", "Cat", "Horse"])
    command = ("pseudofix", "--records", tmp_path / "in", "-o", tmp_path / "out", "--weights", model, "--shards", "2", *QUICK)
    for process in (0, 1):
        assert stajax(*command, "--process", process, "--processes", "2").code == 0
    assert sorted(entry.name for entry in Records(tmp_path / "out").entries) == ["a", "b", "c"]


def test_bad_arguments_are_one_line(model, films, tmp_path):
    film, out = films / "0.mkv", ["-o", tmp_path / "out", "--weights", model]
    assert bad("pseudofix", film, *out) == "stajax: --tag is missing: what do the clips show?"
    assert bad("pseudofix", *out) == "stajax: give clips and their --tag, or --manifest CSV, or --records DIR"
    assert "give clips and their --tag, or" in bad("pseudofix", film, "--tag", "dog", "--manifest", "x.csv", *out)
    assert "--tag goes with clips" in bad("pseudofix", "--records", tmp_path, "--tag", "dog", *out)
    assert "count from 0 to 1" in bad("pseudofix", "--records", tmp_path, "--process", "2", "--processes", "2", *out)
    line = bad("pseudofix", film, "--tag", "Zebra", *out)
    assert line == "stajax: unknown tag 'Zebra'; the model tiny-scam knows: Bark; Cat; Horse"
    assert "no tag" in bad("pseudofix", film, "--tag", " ; ", *out)
    assert "no such file or folder" in bad("pseudofix", films / "nowhere.mp4", "--tag", "dog", *out)
    assert "no such file or folder" in bad("pseudofix", "--manifest", films / "none.csv", *out)
    assert "no *.array_record files here" in bad("pseudofix", "--records", films, *out)
    assert "among Q; it makes no pseudo-fixations" in bad("pseudofix", film, "--tag", "dog", "--sources", "Q", *out)
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_missing_or_of_another_kind_is_one_line(films, tmp_path):
    command = ("pseudofix", films / "0.mkv", "--tag", "dog", "-o", tmp_path / "out", "--weights")
    assert "no-such-model: no such model folder, nor a model that ships" in bad(*command, "no-such-model")
    assert "no classification nets in this model; it makes no pseudo-fixations" in bad(*command, "sta-lite")


def test_a_place_that_cannot_be_written_is_a_failure(model, films, tmp_path):
    (tmp_path / "out").write_text("in the way")
    film = ("pseudofix", films / "0.mkv", "--tag", "dog", "-o", tmp_path / "out", "--weights", model, *QUICK)
    assert "cannot be written" in bad(*film, code=1)
    clips = ("pseudofix", "--manifest", films / "clips.csv", "-o", tmp_path / "out", "--weights", model, *QUICK)
    assert "cannot be written" in bad(*clips, code=1)
