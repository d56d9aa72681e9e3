"""Folders of pseudo-fixations: what is written, what a rerun repeats, and what a failure leaves behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from inference.tagged import CLASSES, SIDE
from inference.tiny import arrays, files, no_file_over, swelling
from media.made import clip

from stajax.data.fixations import DataError
from stajax.inference import pseudofix
from stajax.inference.bank import of_clips
from stajax.inference.pseudofix import pseudo_fixations
from stajax.inference.pseudofix_clips import pseudofix_clips
from stajax.inference.pseudofix_outputs import strip
from stajax.inference.source import VideoSource
from stajax.inference.tag_banks import write_banks
from stajax.media import OutputError, probe, read_frames


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    sound = {"rate": 16000, "sound_codec": "pcm_s16le"}
    clip(folder / "dog.mkv", n=22, size=(96, 64), sound=swelling(0.9)[None], **sound)
    clip(folder / "long.mkv", n=90, size=(96, 64), sound=swelling(3.6)[None], **sound)
    whole = Path(clip(folder / "whole.mp4", n=75, sound=swelling(3)[None].repeat(3, 1), options={"movflags": "+faststart"}))
    (folder / "broken.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    (folder / "text.mp4").write_text("no film\n" * 50)
    return folder


def test_files_hold_what_pseudo_fixations_gives(scam, made, tmp_path):
    path, seen = made / "dog.mkv", []
    summary = pseudofix_clips(scam, [path], "mare", tmp_path / "out", report=seen.append)
    assert summary.done == [path] and (summary.frames, summary.bank_views) == (22, 66)
    assert files(tmp_path / "out") == ["dog/overlay.mp4", "dog/pseudo.npz", "dog/strip.png"]
    stored, found = arrays(tmp_path / "out/dog/pseudo.npz"), pseudo_fixations(scam, VideoSource(probe(path)), "Horse")
    assert {name: (array.dtype, array.shape) for name, array in stored.items() if name not in ("settings", "sources")} == {
        "maps": (np.float16, (22, SIDE, SIDE)),
        "scam": (np.float16, (22, SIDE, SIDE)),
        "valid": (np.bool_, (22,)),
        "time": (np.float64, (22,)),
        "fps": (np.float64, ()),
        "boxes": (np.float32, (22, 4)),
        "confidence": (np.float32, (22, 6, 1)),
        "sure": (np.bool_, (22, 6, 1)),
    }
    np.testing.assert_array_equal(stored["maps"], found.maps.astype(np.float16))
    np.testing.assert_array_equal(stored["scam"], found.scam)
    np.testing.assert_array_equal(stored["valid"], found.valid)
    for k, name in enumerate(stored["sources"].tolist()):
        np.testing.assert_array_equal(stored["confidence"][:, k], found.confidence[name])
    settings = json.loads(str(stored["settings"]))
    assert settings["clip"] == "dog.mkv" and settings["tags"] == [2] and settings["banks"] == ""
    shown, frames = list(read_frames(tmp_path / "out/dog/overlay.mp4")), list(read_frames(path))
    np.testing.assert_allclose([frame.time for frame in shown], [frame.time for frame in frames], atol=2e-3)
    stages = [(progress.stage, progress.frames) for progress in seen if progress.kind == "frame"]
    assert stages == [(stage, k) for stage in ("coarse", "fine", "overlay") for k in range(1, 23)]
    (warning,) = [progress.message for progress in seen if progress.kind == "warning"]
    assert warning == f"{path}: no other clip of its tag at hand; ST+cross gets long-term company"


def test_the_strip_has_a_row_for_each_moment_and_a_column_for_each_step(scam, made):
    found = pseudo_fixations(scam, VideoSource(probe(made / "dog.mkv")), "Horse")
    images = {number: frame.image for number, frame in enumerate(read_frames(made / "dog.mkv")) if number in (0, 5, 21)}
    picture = strip(found, images)
    height, width = round(160 * 64 / 96), 160
    columns = 3 + 6 + 2  # frame and box, coarse, crop; six sources; SCAM and SCAM+
    assert picture.shape == (3 * (height + 26) + 6, columns * (width + 6) + 6, 3) and picture.dtype == np.uint8
    for row, number in enumerate(images):
        for k, name in enumerate(found.confidence):
            top, left = 6 + row * (height + 26), 6 + (3 + k) * (width + 6)
            cell = picture[top : top + height, left : left + width].astype(int)
            grey = np.ptp(cell, axis=-1).max() == 0
            assert grey != found.sure[name][number].any(), "who does not count is grey"


def test_a_rerun_repeats_what_changed_and_nothing_else(scam, scam_folder, made, tmp_path):
    path, out = shutil.copy2(made / "dog.mkv", tmp_path / "dog.mkv"), tmp_path / "out"

    def run(tag="Horse", model=scam, **options):
        summary = pseudofix_clips(model, [path], tag, out, **options)
        assert len(summary.done) + len(summary.skipped) == 1
        return bool(summary.done)

    assert run() and not run() and not run("mare") and not run(overlay=False)
    first = (out / "dog/pseudo.npz").read_bytes()
    assert run(overwrite=True) and (out / "dog/pseudo.npz").read_bytes() == first
    assert run("Cat", overlay=False) and files(out) == ["dog/pseudo.npz", "dog/strip.png"]
    (out / "dog/strip.png").unlink()
    assert run("Cat", overlay=False) and not run("Cat", overlay=False)
    other = pseudofix.load(scam_folder, batch=4, settings=pseudofix.Settings(side=8, fine=False, company=False))
    assert run("Cat", other, overlay=False) and not run("Cat", other, overlay=False)


def test_banks_that_the_model_carries_are_used_and_count_as_settings(scam, scam_folder, made, tmp_path):
    carrying = shutil.copytree(scam_folder, tmp_path / "model")
    bank = of_clips(scam.whole, scam.crossing, [VideoSource(probe(made / "long.mkv"))], count=1).banks
    model = pseudofix.PseudofixModel(**{**vars(scam), "path": carrying})
    path, out, seen = made / "dog.mkv", tmp_path / "out", []
    pseudofix_clips(model, [path], "Horse", out, overlay=False)
    alone = arrays(out / "dog/pseudo.npz")
    write_banks(carrying, {"Horse": bank})
    assert pseudofix_clips(model, [path], "Horse", out, overlay=False, report=seen.append).done == [path]
    assert [progress for progress in seen if progress.kind == "warning"] == []
    stored = arrays(out / "dog/pseudo.npz")
    expected = pseudo_fixations(model, VideoSource(probe(path)), "Horse", banks=model.banks([2]))
    np.testing.assert_array_equal(stored["maps"], expected.maps.astype(np.float16))
    cross = stored["sources"].tolist().index("ST+cross")
    assert np.abs(stored["confidence"] - alone["confidence"]).max((0, 2)).argmax() == cross
    assert pseudofix_clips(model, [path], "Horse", out, overlay=False).skipped == [path]


def test_a_damaged_file_is_used_up_to_there_and_no_film_is_left_out(scam, made, tmp_path):
    given, seen = [made / "broken.mp4", made / "text.mp4", made / "dog.mkv"], []
    summary = pseudofix_clips(scam, given, "Horse", tmp_path, overlay=False, report=seen.append)
    assert summary.done == [given[0], given[2]] and list(summary.failed) == [given[1]]
    stored = arrays(tmp_path / "broken/pseudo.npz")
    (warning,) = [progress.message for progress in seen if progress.kind == "warning" and progress.number == 1]
    assert 20 < len(stored["maps"]) < 70 and f"stopped after {len(stored['maps'])} frames" in warning
    assert len(stored["maps"]) == len(stored["valid"]) == len(stored["confidence"])


def test_a_full_disk_is_one_error_and_leaves_what_was_there(scam, made, tmp_path):
    path = shutil.copy2(made / "dog.mkv", tmp_path / "dog.mkv")
    pseudofix_clips(scam, [path], "Horse", tmp_path / "out", overlay=False)
    before = {name: (tmp_path / "out" / name).read_bytes() for name in files(tmp_path / "out")}
    with no_file_over(3000), pytest.raises(OutputError, match="cannot be written"):
        pseudofix_clips(scam, [path], "Cat", tmp_path / "out", overlay=False)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in files(tmp_path / "out")} == before


def test_unknown_tags_are_told_before_any_work(scam, made, tmp_path):
    with pytest.raises(DataError, match=f"knows: {'; '.join(CLASSES)}"):
        pseudofix_clips(scam, [made / "dog.mkv"], ["Bark", "Zebra"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


KILLED = """
import os, signal, sys
from stajax.inference import pseudofix
from stajax.inference.pseudofix_clips import pseudofix_clips

def report(progress):
    if progress.number == 2 and (progress.stage, progress.frames) == ("overlay", 60):
        os.kill(os.getpid(), signal.SIGKILL)

pseudofix_clips(pseudofix.load(sys.argv[1], batch=4), sys.argv[2:4], "Horse", sys.argv[4], report=report)
"""


def test_a_killed_run_resumes_to_the_same_result(scam, scam_folder, made, tmp_path):
    given, killed, whole = [made / "dog.mkv", made / "long.mkv"], tmp_path / "killed", tmp_path / "whole"
    run = subprocess.run([sys.executable, "-c", KILLED, scam_folder, *given, killed], capture_output=True, env=os.environ)
    assert run.returncode == -signal.SIGKILL, run.stderr.decode()
    left = files(killed)
    assert "dog/pseudo.npz" in left and "long/.overlay.mp4.part" in left and "long/pseudo.npz" not in left
    summary = pseudofix_clips(scam, given, "Horse", killed)
    assert summary.skipped == given[:1] and summary.done == given[1:]
    pseudofix_clips(scam, given, "Horse", whole)
    assert files(killed) == files(whole) and not any("/." in name for name in files(killed))
    assert all((killed / name).read_bytes() == (whole / name).read_bytes() for name in files(whole))
