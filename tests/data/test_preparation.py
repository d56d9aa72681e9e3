"""Preparation makes a record of every clip that can be read, names the others, and goes on where it was killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from films import film, numbers, truncated, without_frames

from stajax.data import preparation as module
from stajax.data.clip_lists import ListedClip, read_clips
from stajax.data.fixations import DataError
from stajax.data.preparation import prepare
from stajax.data.recording import Recording, record_clip
from stajax.data.records import Records
from stajax.media import OutputError

CLASSES = {"cat": (), "dog": ("bark",)}
BAD = ["cut off", "empty", "folder", "missing", "no frames", "text"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """dog/0 ... dog/4 of 3 to 7 frames, and every bad file below cat/."""
    folder = tmp_path_factory.mktemp("videos")
    for i in range(5):
        film(folder / f"dog/{i}.mp4", frames=3 + i, seconds=0.2 if i % 2 else None)
    truncated(film(folder / "cat/cut off.mp4", frames=30, size=(160, 120), faststart=True), 0.05)
    truncated(film(folder / "cat/broken.mp4", frames=38, size=(160, 120), faststart=True))
    without_frames(film(folder / "cat/no frames.mp4", faststart=True))
    film(folder / "cat/one.mp4", frames=1)
    (folder / "cat/empty.mp4").touch()
    (folder / "cat/text.mp4").write_text("nothing")
    (folder / "cat/folder.mp4").mkdir()
    return folder


@pytest.fixture
def clips(videos):
    """The good clips."""
    return [ListedClip(videos / f"dog/{i}.mp4", ("Dog",), f"dog/{i}") for i in range(5)]


def test_records_are_the_recorded_clips(clips, tmp_path):
    seen = []
    summary = prepare(clips, CLASSES, tmp_path, shards=2, recording=Recording(short_side=32), report=seen.append)
    assert (summary.records, summary.frames, summary.skipped, summary.notes, summary.kept) == (5, 25, {}, {}, 0)
    assert [(p.kind, p.clip, p.number, p.count) for p in seen] == [
        ("done", f"dog/{i}", at, 5) for at, i in enumerate((0, 2, 4, 1, 3), 1)
    ]
    records = Records(tmp_path)
    assert records.classes == CLASSES and [entry.tags for entry in records.entries] == [(1,)] * 5
    for found in records:
        wanted, _ = record_clip(next(c.path for c in clips if c.name == found.name), found.name, (1,), Recording(short_side=32))
        assert found.frames == wanted.frames
        np.testing.assert_array_equal(found.times, wanted.times)
        np.testing.assert_array_equal(found.sound, wanted.sound)


def test_processes_give_the_same_files(clips, tmp_path):
    for workers in (1, 2):
        prepare(clips, CLASSES, tmp_path / str(workers), shards=2, workers=workers)
    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()


def test_bad_files_are_named_skipped_and_counted(videos, tmp_path):
    listed = [ListedClip(videos / f"cat/{name}.mp4", ("cat",), name) for name in [*BAD, "broken", "one"]]
    seen = []
    summary = prepare(listed, CLASSES, tmp_path, report=seen.append)
    assert sorted(summary.skipped) == BAD and summary.records == 2
    assert [entry.name for entry in Records(tmp_path).entries] == ["broken", "one"]
    for name, reason in summary.skipped.items():
        assert reason.startswith(f"{videos}/cat/{name}.mp4: ") and "\n" not in reason
    assert list(summary.notes) == ["broken"] and "stopped after" in summary.notes["broken"][0]
    assert [(p.clip, p.message) for p in seen if p.kind == "skipped"] == list(summary.skipped.items())
    again = prepare(listed, CLASSES, tmp_path)
    assert again.skipped == summary.skipped and again.notes == summary.notes and again.kept == 2


def test_nothing_that_can_be_read_is_an_error(videos, tmp_path):
    with pytest.raises(DataError, match=r"not one of 2 clips can be read; the first: .*empty"):
        prepare([(videos / "cat/empty.mp4", ()), (videos / "cat/text.mp4", ())], CLASSES, tmp_path)


def test_a_folder_of_clips_becomes_records(videos, tmp_path):
    summary = prepare(read_clips(videos), CLASSES, tmp_path)
    assert summary.records == 7 and sorted(summary.skipped) == [
        f"cat/{name}" for name in BAD if name not in ("folder", "missing")
    ]


def test_pairs_are_named_below_their_common_folder(clips, tmp_path):
    prepare([(str(clip.path), clip.tags) for clip in clips], CLASSES, tmp_path)
    assert [entry.name for entry in Records(tmp_path).entries] == ["0", "1", "2", "3", "4"]


def test_a_rerun_makes_only_what_is_missing_or_different(clips, tmp_path, monkeypatch):
    recorded = []
    whole = module.record_clip

    def record(path, name, *args):
        recorded.append(name)
        return whole(path, name, *args)

    monkeypatch.setattr(module, "record_clip", record)

    def run(**changes):
        recorded.clear()
        return prepare(**{"clips": clips, "classes": CLASSES, "out": tmp_path, "shards": 2} | changes)

    run()
    assert len(recorded) == 5
    assert run().kept == 5 and recorded == []
    (tmp_path / "clips-00001-of-00002.array_record").unlink()
    assert run().kept == 3 and recorded == ["dog/1", "dog/3"]
    run(recording=Recording(quality=50))
    assert len(recorded) == 5
    run(clips=[*clips[:4], clips[4]._replace(tags=("cat",))], recording=Recording(quality=50))
    assert recorded == ["dog/0", "dog/2", "dog/4"]


def test_machines_share_the_shards(clips, tmp_path):
    parts = [prepare(clips, CLASSES, tmp_path, shards=3, process=(i, 2)) for i in range(2)]
    assert [part.records for part in parts] == [3, 2]
    assert len(Records(tmp_path)) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clips": []}, "no clips"),
        ({"classes": ["cat"]}, r"0\.mp4: unknown tag 'Dog'; the data set knows: cat"),
        ({"shards": 0}, "0 shards"),
        ({"workers": 0}, "0 workers"),
        ({"process": (2, 2)}, "process 2 of 2"),
    ],
)
def test_bad_arguments_are_one_line_and_write_nothing(clips, tmp_path, changes, message):
    with pytest.raises(DataError, match=message) as error:
        prepare(**{"clips": clips, "classes": CLASSES, "out": tmp_path} | changes)
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


def test_two_clips_of_one_name_and_a_folder_that_is_a_file(clips, tmp_path):
    with pytest.raises(DataError, match="two clips have the name dog/0"):
        prepare([clips[0], clips[0]], CLASSES, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        prepare(clips, CLASSES, tmp_path / "file")


def test_a_clip_that_kills_its_process_is_skipped(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "make_record", _record_or_die)
    summary = prepare([clips[0]._replace(name="killer"), *clips[:2]], CLASSES, tmp_path, workers=2)
    assert list(summary.skipped) == ["killer"] and "the process that decoded it died" in summary.skipped["killer"]
    assert [entry.name for entry in Records(tmp_path).entries] == ["dog/0", "dog/1"]


def _record_or_die(clip, **settings):
    if clip.name == "killer":
        os._exit(1)
    return _whole_record(clip, **settings)


_whole_record = module.make_record
SCRIPT = """
import sys, time
from stajax.data import preparation as module
from stajax.data.clip_lists import read_clips
whole = module.record_clip
def record(*args):
    time.sleep(0.2)
    return whole(*args)
module.record_clip = record
module.prepare(read_clips(sys.argv[1]), ["dog"], sys.argv[2], shards=5, report=lambda p: print(p.clip, flush=True))
"""


@pytest.mark.parametrize("after", [1, 3])
def test_a_killed_preparation_goes_on(clips, tmp_path, after):
    """kill -9 in the middle of a clip: no shard is half there, and the rerun gives what an undisturbed run gives."""
    (tmp_path / "list").mkdir()
    (tmp_path / "list/dog").symlink_to(clips[0].path.parent)
    listed = read_clips(_csv(tmp_path / "list.csv", clips))
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "list.csv"), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        for _ in range(after):
            running.stdout.readline()
        time.sleep(0.1)
        running.send_signal(signal.SIGKILL)
    done = len(list((tmp_path / "out").glob("*.array_record")))
    assert after - 1 <= done < 5
    with pytest.raises(DataError, match="was not finished"):
        Records(tmp_path / "out")
    summary = prepare(listed, ["dog"], tmp_path / "out", shards=5)
    assert summary.kept == done and summary.records == 5
    prepare(listed, ["dog"], tmp_path / "whole", shards=5)
    names = {path.name for path in (tmp_path / "whole").iterdir()}
    assert names == {path.name for path in (tmp_path / "out").iterdir()}  # no temporary file is left either
    for name in names:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def _csv(path: Path, clips):
    path.write_text("path,tag\n" + "".join(f"{clip.path},dog\n" for clip in clips))
    return path


def test_frames_of_a_record_are_those_of_the_film(clips, tmp_path):
    prepare(clips, CLASSES, tmp_path)
    assert [numbers(clip.frames) for clip in Records(tmp_path)] == [list(range(3 + i)) for i in range(5)]
