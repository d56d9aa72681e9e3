"""Folders of results: what is written, what a rerun repeats, and what a failure leaves behind."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from inference.tiny import arrays, files, no_file_over, noise, swelling, write_model
from media.made import clip

import stajax
from stajax.inference import clips, outputs, predict_clips
from stajax.inference.clips import SUFFIXES, jobs
from stajax.inference.outputs import ClipWriter, Display, MapsFile, locked
from stajax.inference.predict import Shown, stretch
from stajax.media import MediaError, OutputError, probe, read_frames


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Clips made once; tests copy what they need."""
    folder = tmp_path_factory.mktemp("made")
    clip(folder / "short.mp4", n=12, sound=swelling(0.5).repeat(3)[None])
    clip(folder / "other.mp4", n=7, size=(48, 64), sound=swelling(0.5, seed=1).repeat(3)[None])
    clip(folder / "long.mp4", n=150, sound=swelling(6.0)[None], rate=16000)
    return folder


@pytest.fixture
def bring(made, tmp_path):
    def copy(name, to=None):
        target = tmp_path / (to or name)
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy2(made / name, target))

    return copy


# What is written


def test_maps_equal_predict(model, bring, tmp_path):
    path = bring("short.mp4")
    summary = predict_clips(model, [path], tmp_path / "out")
    assert summary.done == [path] and not summary.skipped and not summary.failed and summary.frames == 12
    stored, prediction = arrays(tmp_path / "out/short/maps.npz"), model.predict(path)
    assert {name: (array.dtype, array.shape) for name, array in stored.items() if name != "settings"} == {
        "maps": (np.float16, (12, 16, 16)),
        "time": (np.float64, (12,)),
        "fps": (np.float64, ()),
    }
    assert np.array_equal(stored["maps"], prediction.maps.astype(np.float16))
    assert np.array_equal(stored["time"], prediction.time) and stored["fps"] == prediction.fps == 25
    assert json.loads(str(stored["settings"]))["clip"] == "short.mp4"
    assert files(tmp_path / "out") == ["short/maps.npz", "short/overlay.mp4"]


def test_overlay_has_every_frame_at_its_time_and_the_sound(model, bring, tmp_path):
    path = bring("short.mp4")
    predict_clips(model, [path], tmp_path / "out")
    overlay = tmp_path / "out/short/overlay.mp4"
    frames, source = list(read_frames(overlay)), list(read_frames(path))
    np.testing.assert_allclose([f.time for f in frames], [f.time for f in source], atol=1e-3)
    assert frames[0].image.shape == source[0].image.shape
    assert np.abs(frames[3].image.astype(int) - source[3].image).mean() > 5  # there is something on it
    with av.open(str(overlay)) as container:
        (sound,) = container.streams.audio
        assert abs(float(sound.duration * sound.time_base) - 12 / 25) < 0.05


def test_pictures_and_size(model, bring, tmp_path):
    path = bring("other.mp4")
    predict_clips(model, [path], tmp_path / "out", size=(20, 30), png=True, overlay=False)
    assert files(tmp_path / "out/other") == ["maps.npz", *(f"png/{k:06d}.png" for k in range(7))]
    maps = stretch(model.predict(path).maps, (20, 30))
    stored = arrays(tmp_path / "out/other/maps.npz")["maps"]
    assert stored.shape == (7, 30, 20) and np.array_equal(stored, maps.astype(np.float16))
    for k in range(7):
        picture = next(read_frames(tmp_path / f"out/other/png/{k:06d}.png")).image  # even sizes stay as they are
        assert np.array_equal(picture[..., 0], np.rint(maps[k] * 255)) and np.array_equal(picture[..., 0], picture[..., 2])


def test_maps_file_equals_savez(tmp_path):
    maps = np.random.default_rng(0).random((5, 3, 4))
    with MapsFile(tmp_path / "a.npz") as file:
        for k, saliency in enumerate(maps):
            file.append(saliency, k / 10)
        file.finish(fps=np.float64(10), name=np.array("x"))
    np.savez(tmp_path / "b.npz", maps=maps.astype(np.float16), time=np.arange(5) / 10, fps=np.float64(10), name=np.array("x"))
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
        assert set(a.files) == set(b.files)
        assert all(np.array_equal(a[name], b[name]) and a[name].dtype == b[name].dtype for name in b.files)
    assert files(tmp_path) == ["a.npz", "b.npz"]


def test_display_rises_at_once_and_falls_slowly():
    display = Display(fall=0.5, floor=0.1)
    peaks = [display.scale(np.full((1, 1), value)).item() for value in (0.8, 0.2, 0.2, 0.001, 0.0)]
    np.testing.assert_allclose(peaks, [1, 0.2 / 0.4, 1, 0.001 / 0.1, 0])


# Which clips, and where to


def touched(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def named(tmp_path, inputs, out="out"):
    return {str(job.clip.relative_to(tmp_path)): str(job.folder.relative_to(tmp_path)) for job in jobs(inputs, tmp_path / out)}


def test_folders_keep_their_subfolders(tmp_path):
    touched(tmp_path / "in", "a.mp4", "deep/er/b.MOV", "deep/c.txt", ".hidden/d.mp4", ".e.mp4", "f.png")
    assert named(tmp_path, [tmp_path / "in"]) == {
        "in/a.mp4": "out/a",
        "in/deep/er/b.MOV": "out/deep/er/b",
        "in/f.png": "out/f",
    }


def test_same_stem_keeps_the_suffix(tmp_path):
    touched(tmp_path, "a.mp4", "a.mov", "b.mp4")
    found = named(tmp_path, [tmp_path / name for name in ("a.mp4", "a.mov", "b.mp4", "a.mp4")])
    assert found == {"a.mp4": "out/a.mp4", "a.mov": "out/a.mov", "b.mp4": "out/b"}


def test_same_name_from_two_folders_is_refused(tmp_path):
    touched(tmp_path, "x/a.mp4", "y/a.mp4")
    with pytest.raises(MediaError, match="same name is given; predict them to different -o folders"):
        jobs([tmp_path / "x/a.mp4", tmp_path / "y/a.mp4"], tmp_path)
    with pytest.raises(MediaError, match="same name"):
        jobs([tmp_path / "x", tmp_path / "y"], tmp_path)


def test_missing_and_empty_inputs_are_refused(tmp_path):
    touched(tmp_path, "in/readme.txt")
    with pytest.raises(MediaError, match="no such file or folder"):
        jobs([tmp_path / "nowhere"], tmp_path / "out")
    with pytest.raises(MediaError, match=r"no clips in this folder.*\.mp4"):
        jobs([tmp_path / "in"], tmp_path / "out")
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in SUFFIXES)


@pytest.mark.parametrize("out", ["in/out", "in", "."])
def test_results_among_the_clips_are_no_clips(tmp_path, out, monkeypatch):
    touched(tmp_path, "in/a.mp4", "in/a/b.mp4", "in/png/c.png")
    results = tmp_path / out / ("in" if out == "." else "") / "a"
    touched(results, "maps.npz", "overlay.mp4", "png/000000.png")
    monkeypatch.chdir(tmp_path)
    found = {str(job.clip): str(job.folder) for job in jobs(["in"], out)}
    prefix = "" if out == "." else f"{out}/"
    assert found == {"in/a.mp4": f"{prefix}a", "in/a/b.mp4": f"{prefix}a/b", "in/png/c.png": f"{prefix}png/c"}


# Reruns


def test_a_rerun_skips_what_is_done_and_repeats_what_changed(model, bring, tmp_path):
    path, out = bring("short.mp4"), tmp_path / "out"

    def run(**options):
        summary = predict_clips(model, [path], out, **options)
        assert len(summary.done) + len(summary.skipped) == 1
        return bool(summary.done)

    assert run()
    first = (out / "short/maps.npz").read_bytes()
    assert not run() and not run(overlay=False)
    assert run(overwrite=True)
    assert (out / "short/maps.npz").read_bytes() == first
    assert run(size=(8, 8)) and not run(size=(8, 8)) and run()
    assert run(png=True) and not run()
    (out / "short/overlay.mp4").unlink()
    assert run() and not run()
    (out / "short/maps.npz").write_bytes(first[: len(first) // 2])
    assert run() and not run()
    os.utime(path, (1, 1))
    assert run() and not run()


def test_other_weights_repeat(model, model_folder, bring, tmp_path):
    path, out = bring("short.mp4"), tmp_path / "out"
    predict_clips(model, [path], out, overlay=False)
    moved = shutil.copytree(model_folder, tmp_path / "moved")
    assert predict_clips(stajax.load(moved, batch=5), [path], out, overlay=False).skipped == [path]
    other = stajax.load(write_model(tmp_path / "other", seed=1), batch=5)
    assert predict_clips(other, [path], out, overlay=False).done == [path]
    assert not np.array_equal(arrays(out / "short/maps.npz")["maps"], model.predict(path).maps.astype(np.float16))


def test_other_arithmetic_repeats(model, bring, tmp_path, monkeypatch):
    path = bring("other.mp4")
    predict_clips(model, [path], tmp_path / "out", overlay=False)
    monkeypatch.setattr(clips, "NUMERICS", clips.NUMERICS + 1)
    assert predict_clips(model, [path], tmp_path / "out", overlay=False).done == [path]
    assert predict_clips(model, [path], tmp_path / "out", overlay=False).skipped == [path]


@pytest.mark.parametrize("content", ["other.mp4", "short.mp4"])
def test_results_of_another_clip_are_kept(model, bring, tmp_path, content):
    """Even of one with the same bytes and time: it may be another one all the same, and says so."""
    first, second, out = bring("short.mp4", "d1/a.mp4"), bring(content, "d2/a.mp4"), tmp_path / "out"
    predict_clips(model, [first], out)
    before = (out / "a/maps.npz").read_bytes()
    summary = predict_clips(model, [second], out)
    message = f"{second}: {out / 'a'} holds the results of {first}; give another -o, or --overwrite"
    assert summary.failed == {second: message} and not summary.done
    assert (out / "a/maps.npz").read_bytes() == before and files(out) == ["a/maps.npz", "a/overlay.mp4"]
    assert predict_clips(model, [second], out, overwrite=True).done == [second]
    assert predict_clips(model, [second], out).skipped == [second] and list(predict_clips(model, [first], out).failed) == [
        first
    ]


def test_a_moved_clip_is_still_done_and_a_replaced_one_is_not(model, bring, tmp_path, monkeypatch):
    out = tmp_path / "out"
    predict_clips(model, [bring("short.mp4", "d1/a.mp4")], out)
    (tmp_path / "d1").rename(tmp_path / "d2")
    assert predict_clips(model, [tmp_path / "d2/a.mp4"], out).skipped
    (tmp_path / "link").symlink_to(tmp_path / "d2")
    monkeypatch.chdir(tmp_path)
    assert predict_clips(model, ["d2/a.mp4"], out).skipped and predict_clips(model, ["link/a.mp4"], out).skipped
    assert predict_clips(model, [bring("other.mp4", "d3/a.mp4")], out).done  # the old clip, at d1, is gone


def test_a_new_clip_takes_the_old_ones_pictures_with_it(model, bring, tmp_path):
    """Else a rerun with --png would find the pictures of the old clip, and take them for done."""
    out = tmp_path / "out"
    predict_clips(model, [bring("short.mp4", "a.mp4")], out, png=True)
    path = bring("other.mp4", "a.mp4")
    predict_clips(model, [path], out, overlay=False)
    assert files(out) == ["a/maps.npz"]
    predict_clips(model, [path], out, overlay=False)
    assert predict_clips(model, [path], out, png=True).done == [path]
    assert predict_clips(model, [path], out).skipped == [path]
    assert sum("png" in name for name in files(out)) == 7


# Two runs at once


def test_a_clip_that_another_run_predicts_is_skipped(model, bring, tmp_path):
    given, out, seen, inner = [bring("short.mp4"), bring("other.mp4")], tmp_path / "out", [], []

    def report(progress):
        if progress.number == 1 and progress.frames == 6:
            inner.append(predict_clips(model, given, out, png=True, report=seen.append))

    outer = predict_clips(model, given, out, png=True, report=report)
    assert inner[0].skipped == given[:1] and inner[0].done == given[1:]
    assert outer.done == given[:1] and outer.skipped == given[1:]
    assert (seen[0].kind, seen[0].message) == ("skipped", "another run is at it")
    assert len(arrays(out / "short/maps.npz")["maps"]) == 12 and not any("/." in name for name in files(out))


HOLDER = """
import sys
from pathlib import Path
from stajax.inference.outputs import locked

with locked(Path(sys.argv[1])) as free:
    print(free, flush=True)
    sys.stdin.read()
"""


def test_the_lock_of_a_killed_run_is_released(model, bring, tmp_path):
    path, out = bring("other.mp4"), tmp_path / "out"
    command = [sys.executable, "-c", HOLDER, out / "other"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"True\n"
        assert predict_clips(model, [path], out).skipped == [path] and files(out) == ["other/.lock"]
        holder.kill()
    assert files(out) == ["other/.lock"]
    assert predict_clips(model, [path], out).done == [path] and files(out) == ["other/maps.npz", "other/overlay.mp4"]


def test_a_lock_file_that_its_holder_removed_does_not_count(tmp_path, monkeypatch):
    """Opened before the other run ended, locked after it: a third run would make and lock a new file."""
    flock, folder = fcntl.flock, tmp_path / "out/a"

    def late(file, how):
        monkeypatch.setattr(fcntl, "flock", flock)
        (folder / ".lock").unlink()
        folder.rmdir()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(folder) as first, locked(folder) as second:
        assert first and not second
    assert not folder.exists()


def test_where_no_lock_can_be_had_the_run_goes_on(tmp_path, monkeypatch):
    def refuse(file, how):
        raise OSError("no locks here")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refuse)
        with locked(tmp_path / "a") as free:
            assert free
    monkeypatch.setattr(outputs, "fcntl", None)
    with locked(tmp_path / "b") as free:
        assert free
    assert not list(tmp_path.iterdir())


# Failures


def test_a_broken_clip_does_not_stop_the_others(model, bring, tmp_path):
    given = [bring("short.mp4", "in/1.mp4"), tmp_path / "in/2.mp4", bring("other.mp4", "in/3.mp4")]
    given[1].write_text("no film")
    seen = []
    summary = predict_clips(model, [tmp_path / "in"], tmp_path / "out", report=seen.append)
    assert summary.done == [given[0], given[2]] and list(summary.failed) == [given[1]]
    assert "\n" not in summary.failed[given[1]]
    assert files(tmp_path / "out") == ["1/maps.npz", "1/overlay.mp4", "3/maps.npz", "3/overlay.mp4"]
    assert not (tmp_path / "out/2").exists()
    kinds = [(progress.number, progress.kind) for progress in seen if progress.kind != "frame"]
    assert kinds == [(1, "start"), (1, "done"), (2, "failed"), (3, "start"), (3, "done")]
    frames = [progress.frames for progress in seen if progress.kind == "frame" and progress.number == 1]
    assert frames == list(range(1, 13)) and {progress.count for progress in seen} == {3}


def test_a_clip_that_goes_away_is_reported(model, bring, tmp_path):
    given = [bring("short.mp4"), bring("other.mp4")]

    def remove(progress):
        given[1].unlink(missing_ok=True)

    summary = predict_clips(model, given, tmp_path / "out", report=remove)
    assert summary.done == given[:1] and "cannot be read any more" in summary.failed[given[1]]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_what_was_there(model, bring, tmp_path, error):
    path, out = bring("long.mp4", "a.mp4"), tmp_path / "out"
    bring("short.mp4", "a.mp4")
    predict_clips(model, [path], out, png=True)
    before = {name: (out / name).read_bytes() for name in files(out)}
    bring("long.mp4", "a.mp4")

    def interrupt(progress):
        if progress.frames == 60:
            raise error

    threads = threading.active_count()
    with pytest.raises(error):
        within(30, lambda: predict_clips(model, [path], out, png=True, report=interrupt))
    assert {name: (out / name).read_bytes() for name in files(out)} == before
    assert threading.active_count() == threads
    with pytest.raises(error):
        within(30, lambda: predict_clips(model, [path], tmp_path / "fresh", png=True, report=interrupt))
    assert not (tmp_path / "fresh/a").exists()


@pytest.mark.parametrize("wait", ["put", "wait", "join"])
def test_control_c_while_the_rest_is_written_waits_for_it(made, tmp_path, monkeypatch, wait):
    """The last frames and the sound may take seconds after the last `write`; a daemon thread would die in the middle."""
    writer = ClipWriter(tmp_path / "out", info := probe(made / "short.mp4"), {})
    with pytest.raises(KeyboardInterrupt), writer:
        for k in range(20):
            writer.write(Shown(noise(1, (info.height, info.width))[0], k / 25, np.zeros((16, 16), np.float32)))
        where = {"put": writer._queue, "wait": writer._ended, "join": writer._thread}[wait]
        method = getattr(where, wait)

        def interrupted(*args):
            monkeypatch.setattr(where, wait, method)
            raise KeyboardInterrupt

        monkeypatch.setattr(where, wait, interrupted)
    assert not writer._thread.is_alive()
    assert not [name for name in files(tmp_path / "out") if "/." in f"/{name}"]


def within(seconds, call):
    """`call()`, or a failure of the test if it hangs."""
    result = []

    def run():
        try:
            call()
        except BaseException as error:
            result.append(error)
        else:
            result.append(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert result, "it hangs"
    if result[0] is not None:
        raise result[0]


def writing(folder, info, *, frames=100, **options):
    image, saliency = noise(1, (info.height, info.width))[0], np.zeros((16, 16), np.float32)
    with ClipWriter(folder, info, {}, **options) as writer:
        for k in range(frames):
            writer.write(Shown(image, k / 25, saliency))


@pytest.mark.parametrize("blocked", ["maps.npz", "overlay.mp4", ".png.part"])
def test_what_cannot_be_written_is_one_error_and_no_hang(made, tmp_path, blocked):
    """A folder in the place of a file shows after the last frame, a file in the place of a folder before the first."""
    info, folder = probe(made / "short.mp4"), tmp_path / "out"
    touched(folder, blocked if blocked == ".png.part" else f"{blocked}/full")
    before = files(folder)
    with pytest.raises(OutputError) as caught:
        within(30, lambda: writing(folder, info, png=True))
    assert "\n" not in str(caught.value) and "cannot be written" in str(caught.value)
    assert {name for name in files(folder) if not name.startswith("png/")} - {"overlay.mp4"} <= set(before)


def test_a_buffer_that_cannot_be_flushed_after_another_error_is_an_output_error(tmp_path):
    with no_file_over(100), pytest.raises(OutputError), MapsFile(tmp_path / "a.npz") as file:
        file.append(np.zeros((20, 20)), 0.0)
        raise OutputError("the overlay had no space")
    assert files(tmp_path) == []


def test_an_out_folder_that_is_a_file_is_an_output_error(model, bring, tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        predict_clips(model, [bring("short.mp4")], tmp_path / "out")


def test_a_writer_without_frames_writes_nothing(made, tmp_path):
    with pytest.raises(MediaError, match="no image was written"):
        within(30, lambda: writing(tmp_path / "out", probe(made / "short.mp4"), frames=0))
    assert not (tmp_path / "out").exists()


KILLED = """
import os, signal, sys
import stajax
from stajax.inference import predict_clips

def report(progress):
    if progress.number == 2 and progress.frames == 100:
        os.kill(os.getpid(), signal.SIGKILL)

predict_clips(stajax.load(sys.argv[1], batch=5), sys.argv[2:3], sys.argv[3], png=True, report=report)
"""


def test_a_killed_run_resumes_to_the_same_result(model, model_folder, bring, tmp_path):
    bring("short.mp4", "in/1.mp4"), bring("long.mp4", "in/2.mp4"), bring("other.mp4", "in/3.mp4")
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    run = subprocess.run([sys.executable, "-c", KILLED, model_folder, tmp_path / "in", killed], capture_output=True)
    assert run.returncode == -signal.SIGKILL, run.stderr.decode()
    left = {str(path.relative_to(killed)) for path in killed.rglob("*")}
    assert {"1/maps.npz", "2/.maps.npz.raw", "2/.png.part"} <= left and not {"2/maps.npz", "2/overlay.mp4", "2/png"} & left
    summary = predict_clips(model, [tmp_path / "in"], killed, png=True)
    assert [path.name for path in summary.skipped] == ["1.mp4"] and [path.name for path in summary.done] == ["2.mp4", "3.mp4"]
    predict_clips(model, [tmp_path / "in"], whole, png=True)
    assert files(killed) == files(whole) and not any(Path(name).name.startswith(".") for name in files(killed))
    assert all((killed / name).read_bytes() == (whole / name).read_bytes() for name in files(whole))
