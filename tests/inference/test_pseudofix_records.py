"""Pseudo-fixations of sets against those of their clips one by one; what reruns, kills and several runs make of the shards."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from inference.tagged import CLASSES, SIDE, record
from inference.tiny import no_file_over, swelling
from media.made import clip

from stajax.data.clip_lists import read_clips
from stajax.data.fixations import DataError
from stajax.data.records import Records, write_records
from stajax.data.shards import read_list
from stajax.inference import pseudofix
from stajax.inference.bank import together
from stajax.inference.clip_sets import ListedSet, RecordSet
from stajax.inference.pseudofix import Settings, pseudo_fixations
from stajax.inference.pseudofix_records import banks_of_clips, pseudofix_records
from stajax.inference.source import RecordSource
from stajax.inference.tag_banks import write_banks
from stajax.media import OutputError

# Three dogs, one of them a cat too; the only horse; a clip without a tag and one without frames.
CLIPS = [
    record("a", [0], 9, 0),
    record("b", [0, 1], 5, 1),
    record("c", [2], 7, 2),
    record("untagged", [], 3, 3),
    record("d", [0], 6, 4, sound=False),
    record("empty", [0], 0),
]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return write_records(tmp_path_factory.mktemp("records"), CLIPS, CLASSES, shards=2)


@pytest.fixture(scope="module")
def whole(scam, records, tmp_path_factory):
    """A run in one go: the folder and its summary."""
    out = tmp_path_factory.mktemp("whole")
    return out, pseudofix_records(scam, records, out, shards=3)


def shards(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix == ".array_record"}


def test_records_hold_the_clips_with_their_maps(scam, records, whole):
    out, made = whole
    found = Records(out)
    assert found.classes == records.classes == CLASSES and {entry.name for entry in found.entries} == {"a", "b", "c", "d"}
    banks = banks_of_clips(scam, records)
    of_tag = {"a": banks["Bark"], "b": banks["Bark"], "d": banks["Bark"], "c": {}}
    for done in found:
        given = next(clip for clip in CLIPS if clip.name == done.name)
        assert (
            done.frames == given.frames
            and np.array_equal(done.sound, given.sound)
            and done.tags.tolist() == given.tags.tolist()
        )
        expected = pseudo_fixations(scam, RecordSource(given), given.tags.tolist(), banks=of_tag[done.name])
        np.testing.assert_array_equal(done.maps, np.rint(expected.maps * 255))
        np.testing.assert_array_equal(done.valid, expected.valid)
        assert done.maps.shape == (len(given.frames), SIDE, SIDE) and done.maps.dtype == np.uint8
    frames = sum(len(done.frames) for done in found)
    assert (made.clips, made.frames, made.valid) == (4, frames, sum(int(done.valid.sum()) for done in found))
    assert made.skipped == {"untagged": "no tag", "empty": "no frames"}


def test_the_summary_counts_views_and_says_whose_company_is_not_what_it_should_be(whole):
    _, made = whole
    frames = made.frames
    assert made.counts["coarse"] == made.counts["fine"] == frames
    own = 3 * sum(min(32, len(clip.frames)) for clip in CLIPS if clip.name in "abcd")  # SA+long of each clip; ST+cross of c
    shared = 3 * (8 + 5 + 6 + 8)  # Bark's, a quarter of a bank of each of four clips, of which one is empty
    assert made.counts["bank"] >= own and made.counts["bank"] - own <= shared + 3 * 5
    assert made.notes == {
        "c": ["no other clip of its tag at hand; ST+cross gets long-term company"],
        "d": ["no sound track; treated as silence"],
    }


def test_a_clip_of_several_tags_has_company_of_each(scam, records, tmp_path):
    clips = [*CLIPS[:2], record("cat", [1], 5, 9)]
    other = write_records(tmp_path / "in", clips, CLASSES)
    pseudofix_records(scam, other, tmp_path / "out", shards=1)
    banks = banks_of_clips(scam, other)
    both = {"ST+cross": together([banks["Bark"]["ST+cross"], banks["Cat"]["ST+cross"]])}
    expected = pseudo_fixations(scam, RecordSource(clips[1]), [0, 1], banks=both)
    done = next(clip for clip in Records(tmp_path / "out") if clip.name == "b")
    np.testing.assert_array_equal(done.maps, np.rint(expected.maps * 255))
    assert set(both["ST+cross"].clips) == {"a", "b", "cat"}


def test_a_lonely_tag_takes_the_bank_that_the_model_carries(scam, scam_folder, records, tmp_path):
    carrying = shutil.copytree(scam_folder, tmp_path / "model")
    write_banks(carrying, {"Horse": banks_of_clips(scam, records)["Bark"]})
    model = pseudofix.PseudofixModel(**{**vars(scam), "path": carrying})
    made = pseudofix_records(model, records, tmp_path / "out", shards=3)
    assert "c" not in made.notes
    done = next(clip for clip in Records(tmp_path / "out") if clip.name == "c")
    expected = pseudo_fixations(model, RecordSource(CLIPS[2]), 2, banks=model.banks([2]))
    np.testing.assert_array_equal(done.maps, np.rint(expected.maps * 255))


def test_processes_make_their_own_shards_and_together_the_same_set(scam, records, whole, tmp_path):
    parts = [pseudofix_records(scam, records, tmp_path, shards=3, process=k, processes=2) for k in range(2)]
    assert shards(tmp_path) == shards(whole[0])
    assert sum(part.clips for part in parts) == whole[1].clips and sum(part.frames for part in parts) == whole[1].frames
    assert {**parts[0].skipped, **parts[1].skipped} == whole[1].skipped


def test_a_rerun_keeps_what_is_done_and_tells_the_same(scam, records, whole, tmp_path):
    out, seen = shutil.copytree(whole[0], tmp_path / "out"), []
    (out / "clips-00001-of-00003.array_record").unlink()
    made = pseudofix_records(scam, records, out, shards=3, report=seen.append)
    lost = len(read_list(whole[0] / "clips-00001-of-00003.array_record")["clips"])
    assert made.kept == whole[1].clips - lost and shards(out) == shards(whole[0])
    assert (made.clips, made.frames, made.valid, made.skipped) == (4, whole[1].frames, whole[1].valid, whole[1].skipped)
    assert [progress.clip.name for progress in seen if progress.kind == "skipped"] == [
        "clips-00000-of-00003.array_record",
        "clips-00002-of-00003.array_record",
    ]
    assert {progress.count for progress in seen} == {6} and seen[-1].number == 6


def test_other_weights_settings_or_clips_make_it_anew(scam, scam_folder, records, whole, tmp_path):
    out = shutil.copytree(whole[0], tmp_path / "out")
    coarse = pseudofix.load(scam_folder, batch=4, settings=Settings(fine=False, sources=("S",)))
    assert pseudofix_records(coarse, records, out, shards=3).kept == 0
    assert pseudofix_records(coarse, records, out, shards=3).kept == 4
    more = write_records(tmp_path / "more", [*CLIPS[:-1], record("e", [1], 2)], CLASSES, shards=2)
    assert pseudofix_records(coarse, more, out, shards=3).kept == 0
    with pytest.raises(DataError, match="holds clips in 3 shards, not 2"):
        pseudofix_records(coarse, records, out, shards=2)


def test_classes_of_the_records_are_found_in_the_model_by_name(scam_folder, tmp_path):
    model = pseudofix.load(scam_folder, batch=4, settings=Settings(fine=False, company=False))
    clips = [record("a", [1], 4, 2), record("b", [0], 4, 3)]
    other = write_records(tmp_path / "in", clips, ["Horse", "dog"])
    pseudofix_records(model, other, tmp_path / "out", shards=1)
    for done, given, tag in zip(Records(tmp_path / "out"), clips, ("Bark", "Horse"), strict=True):
        np.testing.assert_array_equal(done.maps, np.rint(pseudo_fixations(model, RecordSource(given), tag).maps * 255))
        assert done.tags.tolist() == given.tags.tolist()
    strange = write_records(tmp_path / "strange", [record("a", [0], 2)], ["Zebra"])
    with pytest.raises(DataError, match="unknown tag 'Zebra'; the model tiny-scam knows: Bark; Cat; Horse"):
        pseudofix_records(model, strange, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_damaged_record_is_named_and_the_others_are_made(scam_folder, records, tmp_path):
    model = pseudofix.load(scam_folder, batch=4, settings=Settings(fine=False, company=False))
    given = shutil.copytree(records.shards[0].parent, tmp_path / "in")
    shard = given / "clips-00000-of-00002.array_record"
    data = bytearray(shard.read_bytes())
    at = data.index(CLIPS[2].frames[3])
    data[at : at + 50] = bytes(50)
    shard.write_bytes(data)
    made = pseudofix_records(model, Records(given), tmp_path / "out", shards=1)
    assert "c" in made.skipped and "damaged" in made.skipped["c"] and made.clips == 3


def test_a_full_disk_is_one_error_and_leaves_no_half_shard(scam_folder, records, tmp_path):
    model = pseudofix.load(scam_folder, batch=4, settings=Settings(fine=False, company=False))
    with no_file_over(9000), pytest.raises(OutputError, match="cannot be written"):
        pseudofix_records(model, records, tmp_path, shards=1)
    assert [path.name for path in tmp_path.iterdir()] == ["classes.json"]


KILLED = """
import os, signal, sys
from stajax.data.records import Records
from stajax.inference import pseudofix
from stajax.inference.pseudofix_records import pseudofix_records

def report(progress):
    if progress.clip.name == "c" and (progress.stage, progress.frames) == ("fine", 3):
        os.kill(os.getpid(), signal.SIGKILL)

pseudofix_records(pseudofix.load(sys.argv[1], batch=4), Records(sys.argv[2]), sys.argv[3], shards=3, report=report)
"""


def test_a_killed_run_resumes_to_the_same_shards(scam, scam_folder, records, whole, tmp_path):
    given = records.shards[0].parent
    run = subprocess.run([sys.executable, "-c", KILLED, scam_folder, given, tmp_path], capture_output=True, env=os.environ)
    assert run.returncode == -signal.SIGKILL, run.stderr.decode()
    left = {path.name for path in tmp_path.iterdir()}
    assert "clips-00000-of-00003.array_record" in left and ".clips-00001-of-00003.array_record.part" in left
    made = pseudofix_records(scam, records, tmp_path, shards=3)
    assert 0 < made.kept < made.clips == 4 and shards(tmp_path) == shards(whole[0])
    assert not any(path.name.startswith(".") for path in tmp_path.iterdir())


# Lists of files


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("listed")
    sound = {"rate": 16000, "sound_codec": "pcm_s16le"}
    for k in range(3):
        clip(folder / f"{k}.mkv", n=6 + k, size=(96, 64), sound=swelling(0.4, k)[None], **sound)
    (folder / "broken.mkv").write_text("no film")
    (folder / "clips.csv").write_text("path,tag\n0.mkv,Bark\n1.mkv,dog; Cat\nbroken.mkv,Cat\n2.mkv,\n")
    return folder


def test_a_list_of_files_gives_what_its_records_give(scam, listed, tmp_path):
    clips = ListedSet(read_clips(listed / "clips.csv"), scam.classes)
    made = pseudofix_records(scam, clips, tmp_path / "out", shards=2)
    assert made.clips == 2 and list(made.skipped) == ["broken", "2"] and "not a readable media file" in made.skipped["broken"]
    found = {done.name: done for done in Records(tmp_path / "out")}
    as_records = dict(zip("0123", clips.each(range(4)), strict=True))
    for name, (given, lines) in list(as_records.items())[:2]:
        assert not lines and found[name].frames == given.frames and found[name].tags.tolist() == given.tags.tolist()
    banks = banks_of_clips(scam, clips)["Bark"]
    assert set(banks["ST+cross"].clips) == {"0", "1"}
    expected = pseudo_fixations(scam, RecordSource(as_records["0"][0]), 0, banks=banks)
    np.testing.assert_array_equal(found["0"].maps, np.rint(expected.maps * 255))
    again = pseudofix_records(scam, ListedSet(read_clips(listed / "clips.csv"), scam.classes), tmp_path / "out", shards=2)
    assert again.kept == 2 and again.skipped == made.skipped


def test_a_list_with_an_unknown_tag_is_refused(scam, tmp_path):
    (tmp_path / "clips.csv").write_text("path,tag\na.mp4,Zebra\n")
    with pytest.raises(DataError, match="unknown tag 'Zebra'"):
        ListedSet(read_clips(tmp_path / "clips.csv"), scam.classes)


def test_sets_change_their_digest_when_their_clips_do(records, listed, tmp_path):
    of_records = RecordSet(records).made_of
    other = write_records(tmp_path / "in", [*CLIPS[:-1], record("empty", [1], 0)], CLASSES, shards=2)
    assert of_records == RecordSet(Records(records.shards[0].parent)).made_of != RecordSet(other).made_of
    clips = read_clips(listed / "clips.csv")
    assert ListedSet(clips, CLASSES).made_of != ListedSet(clips[:-1], CLASSES).made_of
