"""The TFDS builders, without TensorFlow and with or without Beam, make the records that preparation makes."""

import sys
import warnings

import numpy as np
import pytest
import tensorflow_datasets as tfds
from films import film

from stajax.data.ave import SPLITS, read_ave
from stajax.data.builders import Ave, ClipsConfig, TaggedFolder
from stajax.data.clip_lists import ListedClip
from stajax.data.fixations import DataError
from stajax.data.preparation import prepare
from stajax.data.recording import Recording
from stajax.data.records import Records
from stajax.data.tags import AVE, AVE_CLASSES, table
from stajax.media import MediaWarning

LISTS = {
    "train": ["Bark&a&good&0&10", "Clock&b&good&0&4", "Bark&b&good&2&10", "Cat&c&good&0&10", "Cat&gone&good&0&10"],
    "validation": ["Violin, fiddle&d&good&0&10"],
    "test": ["Bark&e&good&0&10", "Bark&e&good&3&10"],
}


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory):
    """AVE as it is unpacked: c cannot be read, "gone" is not there, b has two tags."""
    folder = tmp_path_factory.mktemp("AVE_Dataset")
    for i, video in enumerate("abde"):
        film(folder / f"AVE/{video}.mp4", frames=3 + i, seconds=0.2)
    (folder / "AVE/c.mp4").write_text("nothing")
    for split, lines in LISTS.items():
        (folder / SPLITS[split]).write_text("\n".join(lines) + "\n")
    lines = [line for of_split in LISTS.values() for line in of_split]
    (folder / SPLITS["all"]).write_text("\n".join(["Category&VideoID&Quality&StartTime&EndTime", *lines]) + "\n")
    return folder


def built(builder, **options):
    tfds.disable_progress_bar()
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(**options))
    return builder


@pytest.fixture(scope="module", params=[False, True], ids=["here", "beam"])
def ave(request, downloaded, tmp_path_factory):
    if request.param:
        pytest.importorskip("apache_beam")
    runner = {"beam_runner": "DirectRunner"} if request.param else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MediaWarning)
        builder = Ave(data_dir=str(tmp_path_factory.mktemp("data")), beam=request.param)
        return built(builder, manual_dir=str(downloaded), **runner)


def test_ave_has_its_splits_with_every_tag_of_a_clip(ave):
    found = {split: {e.name: e.tags for e in Records(ave.data_dir, name=f"ave-{split}").entries} for split in LISTS}
    bark, clock, violin = (AVE_CLASSES.index(name) for name in ("Bark", "Clock", "Violin, fiddle"))
    assert found == {"train": {"a": (bark,), "b": (clock, bark)}, "validation": {"d": (violin,)}, "test": {"e": (bark,)}}
    assert Records(ave.data_dir, name="ave-test").classes == table(AVE)
    assert {split: ave.info.splits[split].num_examples for split in LISTS} == {"train": 2, "validation": 1, "test": 1}


def test_clips_that_cannot_be_read_are_named(ave, downloaded):
    assert set(ave.skipped("train")) == {"c", "gone"} and ave.skipped("test") == {}
    assert ave.skipped("train")["c"].startswith(f"{downloaded}/AVE/c.mp4: ")


def test_its_records_are_those_of_preparation(ave, downloaded, tmp_path):
    prepare(read_ave(downloaded), table(AVE), tmp_path)
    wanted = {clip.name: clip for clip in Records(tmp_path)}
    for clip in Records(ave.data_dir, name="ave-train"):
        assert clip.frames == wanted[clip.name].frames and clip.fps == wanted[clip.name].fps
        for field in ("tags", "times", "sound"):
            np.testing.assert_array_equal(getattr(clip, field), getattr(wanted[clip.name], field))


def test_tfds_reads_them_without_tensorflow(ave):
    source = ave.as_data_source(split="validation")
    (example,) = source
    assert example["name"].decode() == "d" and len(example["frames"]) == 5
    assert ave.info.features["tags"].feature.int2str(int(example["tags"][0])) == "Violin, fiddle"
    assert "tensorflow" not in sys.modules


def test_a_folder_and_a_list_are_built(tmp_path):
    film(tmp_path / "clips/dog/1.mp4", frames=2)
    film(tmp_path / "clips/cat/1.mp4", frames=2, size=(96, 64))
    (tmp_path / "list.csv").write_text("path,tag\nclips/dog/1.mp4,dog; cat\n")
    clips = {"train": str(tmp_path / "clips"), "test": str(tmp_path / "list.csv")}
    config = ClipsConfig(name="mine", clips=clips, recording=Recording(short_side=16))
    builder = built(TaggedFolder(data_dir=str(tmp_path / "data"), config=config))
    train, test = (Records(builder.data_dir, name=f"tagged_folder-{split}") for split in ("train", "test"))
    assert {e.name: e.tags for e in train.entries} == {"cat/1": (0,), "dog/1": (1,)} and list(train.classes) == ["cat", "dog"]
    assert [e.tags for e in test.entries] == [(1, 0)]


def test_classes_of_a_folder_may_be_given(tmp_path):
    film(tmp_path / "clips/dog/1.mp4", frames=1)
    config = ClipsConfig(name="mine", clips=str(tmp_path / "clips"), classes=table(AVE))
    builder = built(TaggedFolder(data_dir=str(tmp_path / "data"), config=config))
    (entry,) = Records(builder.data_dir).entries
    assert entry.tags == (AVE_CLASSES.index("Bark"),)
    with pytest.raises(DataError, match="no clips; give config=ClipsConfig"):
        TaggedFolder(data_dir=str(tmp_path))


# AVE's lists


def test_the_lists_of_ave_give_each_video_once(downloaded):
    assert read_ave(downloaded)[:2] == [
        ListedClip(downloaded / "AVE/a.mp4", ("Bark",), "a"),
        ListedClip(downloaded / "AVE/b.mp4", ("Clock", "Bark"), "b"),
    ]
    assert [clip.name for clip in read_ave(downloaded, "all")] == ["a", "b", "c", "gone", "d", "e"]


def test_the_annotations_of_ave_are_read(shared, tmp_path):
    (tmp_path / SPLITS["all"]).write_bytes((shared / "data/metadata/AVE_Annotations.txt").read_bytes())
    clips = read_ave(tmp_path, "all")
    assert len(clips) == 4097 and sum(len(clip.tags) for clip in clips) == 4143
    assert next(clip.tags for clip in clips if clip.name == "-9_5_2i4igQ") == ("Violin, fiddle", "Acoustic guitar")


@pytest.mark.parametrize(
    ("text", "split", "message"),
    [
        (None, "train", "AVE: no .*trainSet.txt; the download has trainSet.txt, valSet.txt, testSet.txt"),
        ("", "train", "lists no clips"),
        ("Bark&a&good&0\n", "train", "line 1: 'Bark&a&good&0' is not Category&VideoID"),
        ("Bark&a&good&0&10\nDog&b&good&0&10\n", "train", "line 2: 'Dog&b"),
        ("", "val", "AVE has no split 'val'; it has train, validation, test, all"),
    ],
)
def test_bad_lists_of_ave_are_one_line(tmp_path, text, split, message):
    if text is not None:
        (tmp_path / "trainSet.txt").write_text(text)
    with pytest.raises(DataError, match=message) as error:
        read_ave(tmp_path, split)
    assert "\n" not in str(error.value)
