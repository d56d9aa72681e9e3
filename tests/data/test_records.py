"""Records give back every field of a clip to the bit, any shard written whole is readable, and nothing else passes for one."""

import json
import pickle
import resource
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields

import numpy as np
import pytest

from stajax.data.clip import example, features
from stajax.data.fixations import DataError
from stajax.data.records import Clip, Entry, Records, decode, encode, write_records
from stajax.data.shards import is_done, shard_path
from stajax.media import MediaWarning, OutputError

CLASSES = {"Bark": ("dog",), "Violin, fiddle": ()}


def clip(i, frames=3, maps=False):
    rng = np.random.default_rng(i)
    return Clip(
        name=f"clip/{i} é",
        tags=rng.integers(0, 2, i % 3),
        frames=[rng.bytes(20) + b"\0" for _ in range(frames)],
        times=rng.random(frames, np.float32),
        fps=25 / 3,
        sound=rng.integers(-32768, 32768, 10 * i).astype(np.int16),
        maps=rng.integers(0, 256, (frames, 4, 5)).astype(np.uint8) if maps else None,
        valid=rng.random(frames) < 0.5 if maps else None,
    )


def assert_same(one, other):
    for field in fields(Clip):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name == "fps":
            a, b = np.float32(a), np.float32(b)
        np.testing.assert_array_equal(a, b, field.name)
        assert getattr(a, "dtype", None) == getattr(b, "dtype", None), field.name


@pytest.mark.parametrize(
    ("i", "frames", "maps"), [(0, 3, False), (1, 1, False), (2, 0, False), (5, 7, False), (2, 3, True), (5, 1, True)]
)
def test_a_clip_comes_back(i, frames, maps):
    assert_same(decode(encode(clip(i, frames, maps))), clip(i, frames, maps))


@pytest.mark.parametrize("maps", [False, True])
def test_the_bytes_are_those_of_tfds_in_an_order_that_is_always_the_same(maps):
    theirs = features(maps).serialize_example(example(clip(4, maps=maps)))
    (ours,) = {encode(clip(4, maps=maps)) for _ in range(5)}
    assert sorted(theirs) == sorted(ours)
    assert_same(decode(theirs), decode(ours))


def test_tensorflow_is_not_imported():
    encode(clip(0))
    assert "tensorflow" not in sys.modules


def test_tfds_reads_a_record():
    """The features say all that another program needs to know."""
    found = features(maps=True).deserialize_example_np(encode(clip(2, maps=True)))
    np.testing.assert_array_equal(found["maps"], clip(2, maps=True).maps)
    assert found["name"].decode() == clip(2).name and list(found["frames"]) == clip(2).frames


@pytest.mark.parametrize("what", ["times", "maps", "valid"])
def test_parts_that_do_not_fit_are_refused(what):
    good = clip(1, maps=True)
    bad = Clip(**{field.name: getattr(good, field.name) for field in fields(Clip)} | {what: getattr(good, what)[1:]})
    with pytest.raises(DataError, match=f"clip clip/1 é: 3 frames, but {what} of shape"):
        encode(bad)


@pytest.mark.parametrize("data", [b"", b"nothing", encode(clip(1))[:-5]])
def test_bytes_that_are_no_record_are_one_line(data):
    with pytest.raises(DataError, match="not a clip record") as error:
        decode(data)
    assert "\n" not in str(error.value)


def test_shards_hold_every_clip_and_their_lists_say_which(tmp_path):
    clips = [clip(i) for i in range(7)]
    records = write_records(tmp_path, clips, CLASSES, name="dogs", shards=3)
    order = [0, 3, 6, 1, 4, 2, 5]
    assert len(records) == 7 and records.classes == CLASSES
    assert records.entries == [Entry(clips[i].name, tuple(clips[i].tags), 3, 10 * i) for i in order]
    for at, i in enumerate(order):
        assert_same(records[at], clips[i])
    assert_same(records[-1], clips[5])
    with pytest.raises(IndexError):
        records[7]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["classes.json", *(f"dogs-0000{k}-of-00003.{end}" for k in range(3) for end in ("array_record", "json"))]
    )


def test_threads_and_other_processes_read(tmp_path):
    clips = [clip(i, frames=50) for i in range(20)]
    records = pickle.loads(pickle.dumps(write_records(tmp_path, clips, CLASSES)))
    with ThreadPoolExecutor(8) as pool:
        for found, wanted in zip(pool.map(records.__getitem__, list(range(20)) * 5), clips * 5, strict=True):
            assert_same(found, wanted)


class Asked(list):
    """Clips that note which of them were asked for."""

    def __init__(self, clips, fails_at=None):
        super().__init__(clips)
        self.asked, self.fails_at = [], fails_at

    def __getitem__(self, i):
        self.asked.append(i)
        if i == self.fails_at:
            raise KeyboardInterrupt
        return super().__getitem__(i)


def test_a_killed_write_resumes_shard_by_shard(tmp_path):
    clips = [clip(i) for i in range(6)]
    with pytest.raises(KeyboardInterrupt):
        write_records(tmp_path, Asked(clips, fails_at=4), CLASSES, shards=3)  # shard 1 is clips 1 and 4
    with pytest.raises(DataError, match="1 of 3 shards; the preparation was not finished"):
        Records(tmp_path)
    again = Asked(clips)
    records = write_records(tmp_path, again, CLASSES, shards=3)
    assert again.asked == [1, 4, 2, 5]
    assert [entry.name for entry in records.entries] == [clips[i].name for i in (0, 3, 1, 4, 2, 5)]
    assert not list(tmp_path.glob(".*"))


def test_a_shard_without_its_list_or_of_something_else_is_made_again(tmp_path):
    write_records(tmp_path, [clip(0)], CLASSES, made_of="a")
    shard = shard_path(tmp_path, "clips", 0, 1)
    assert is_done(shard, "a") and not is_done(shard, "b")
    records = write_records(tmp_path, [clip(1)], CLASSES, made_of="b")
    assert_same(records[0], clip(1))
    shard.with_suffix(".json").unlink()
    assert not is_done(shard, "b")


def test_another_number_of_shards_or_other_classes_are_refused(tmp_path):
    write_records(tmp_path, [clip(0)], CLASSES)
    with pytest.raises(DataError, match="holds clips in 1 shards, not 2"):
        write_records(tmp_path, [clip(0)], CLASSES, shards=2)
    with pytest.raises(DataError, match=r"records of other classes \(Bark; Violin, fiddle\)"):
        write_records(tmp_path, [clip(0)], ["Bark"])


def test_a_damaged_record_is_named_and_left_out(tmp_path):
    clips = [clip(i, frames=2000) for i in range(4)]
    records = write_records(tmp_path, clips, CLASSES)
    (shard,) = records.shards
    data = bytearray(shard.read_bytes())
    data[data.index(clips[2].frames[1000])] ^= 1
    shard.write_bytes(data)
    records = Records(tmp_path)
    with pytest.raises(DataError, match=r"record 2 \(clip/2 é\) is damaged") as error:
        records[2]
    assert "\n" not in str(error.value)
    with pytest.warns(MediaWarning, match="clip/2 é") as caught:
        names = [found.name for found in records]
        assert records.get(2) is None
    assert names == [clips[i].name for i in (0, 1, 3)] and list(records.damaged) == [clips[2].name] and len(caught) == 1


@pytest.mark.parametrize("kept", [0, 0.5, 0.99])
def test_a_shard_that_broke_off_is_one_line(tmp_path, kept):
    records = write_records(tmp_path, [clip(i, frames=2000) for i in range(4)], CLASSES)
    (shard,) = records.shards
    shard.write_bytes(shard.read_bytes()[: int(kept * shard.stat().st_size)])
    with pytest.raises(DataError, match=r"record 0 \(clip/0 é\) is damaged") as error:
        Records(tmp_path)[0]
    assert "\n" not in str(error.value)


def test_shards_of_another_program_are_listed_once(tmp_path):
    """TFDS names its shards its own way and leaves no list."""
    records = write_records(tmp_path, [clip(i) for i in range(3)], CLASSES)
    (shard,) = records.shards
    renamed = shard.rename(tmp_path / "ave-train.array_record-00000-of-00001")
    shard.with_suffix(".json").unlink()
    found = Records(tmp_path, name="ave-train")
    assert found.entries == records.entries and found.shards == [renamed]
    assert_same(found[2], clip(2))
    assert json.loads((tmp_path / (renamed.name + ".json")).read_text())["clips"][1][0] == "clip/1 é"
    assert Records(tmp_path).entries == records.entries


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (lambda folder: None, None, r"no \*\.array_record files here"),
        (lambda folder: write_records(folder, [], CLASSES, name="a"), "b", "no b-.* here; it holds a"),
        (lambda folder: [write_records(folder, [], CLASSES, name=n) for n in "ab"], None, r"several sets of records \(a, b\)"),
        (lambda folder: (folder / "x-00000-of-00001.array_record").write_bytes(b""), None, "no records in this file"),
        (lambda folder: [write_records(folder, [], CLASSES), (folder / "classes.json").write_text("3")], None, "not a table"),
        (
            lambda folder: [write_records(folder, [], CLASSES), (folder / "clips-00000-of-00001.json").write_text("{}")],
            None,
            "not a list of clips",
        ),
    ],
)
def test_what_is_no_set_of_records_is_one_line(tmp_path, make, name, message):
    make(tmp_path)
    with pytest.raises(DataError, match=message) as error:
        Records(tmp_path, name=name)
    assert "\n" not in str(error.value)


def test_a_folder_of_several_sets_is_read_by_name(tmp_path):
    for name in "ab":
        write_records(tmp_path, [clip(ord(name))], CLASSES, name=name)
    for records in (Records(tmp_path, name="b"), Records(tmp_path / "b"), Records(shard_path(tmp_path, "b", 0, 1))):
        assert [entry.name for entry in records.entries] == ["clip/98 é"]
    with pytest.raises(DataError, match=r"no c-\*\.array_record here; it holds a, b"):
        Records(tmp_path / "c")


@contextmanager
def no_file_over(size):
    """A disk that fills up: writing beyond `size` bytes fails. (Python ignores the signal that would kill it.)"""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("size", [1000, 200_000, 327_000])  # of 328 kB
def test_a_full_disk_is_one_line_and_leaves_no_shard(tmp_path, size):
    clips = [clip(i, frames=2000) for i in range(4)]
    with no_file_over(size), pytest.raises(OutputError, match="cannot be written") as error:
        write_records(tmp_path, clips, CLASSES)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["classes.json"]
    assert len(write_records(tmp_path, clips, CLASSES)) == 4


def test_folders_of_the_same_classes_read_as_one(tmp_path):
    for name in "ab":
        write_records(tmp_path / name, [clip(0)], CLASSES)
    assert len(Records([tmp_path / "a", tmp_path / "b"])) == 2
    write_records(tmp_path / "c", [clip(0)], ["Bark"])
    with pytest.raises(DataError, match="c: other classes than those of"):
        Records([tmp_path / "a", tmp_path / "c"])
