"""Classes are found by name, alias and number; every AudioSet name in the tables is the tagger's, and AVE's are AVE's."""

import csv
import json

import numpy as np
import pytest

from stajax.data.fixations import DataError
from stajax.data.tags import (
    AVE,
    AVE_CLASSES,
    CLIPS,
    ESC10,
    audioset_names,
    find,
    find_all,
    heard_by_release,
    split,
    table,
)
from stajax.encoders.params import WEIGHTS

TABLES = {"AVE": AVE, "CLIPS": CLIPS, "ESC10": ESC10}
KNOWN = json.loads((WEIGHTS / "encoders/yamnet_classes.json").read_text())


@pytest.mark.parametrize("name", TABLES)
def test_no_two_classes_share_a_name_or_an_alias(name):
    names = [known.lower() for tag in TABLES[name] for known in (tag.name, *tag.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", TABLES)
def test_every_sound_in_the_tables_is_one_of_audioset(name):
    sounds = {sound for tag in TABLES[name] for sound in tag.audioset or (tag.name,)}
    assert sounds <= set(KNOWN)


def test_ave_is_as_its_annotations_have_it(shared):
    rows = (shared / "data/metadata/AVE_Annotations.txt").read_text().splitlines()
    assert tuple(sorted({row.split("&")[0] for row in rows})) == AVE_CLASSES
    assert sum(name in KNOWN for name in AVE_CLASSES) == 26


def test_the_names_that_ship_are_those_of_the_tagger(shared):
    with (shared / "data/metadata/yamnet_class_map.csv").open(newline="") as file:
        assert [row["display_name"] for row in csv.DictReader(file)] == KNOWN


def test_the_coarse_classes_are_those_of_three_clips_or_more(shared):
    with (shared / "data/clips/labels.csv").open(newline="") as file:
        coarse = [row["coarse"] for row in csv.DictReader(file)]
    assert [tag.name for tag in CLIPS] == sorted(name for name in set(coarse) if coarse.count(name) >= 3)


def test_esc10_is_in_the_order_of_its_folders(shared):
    folders = sorted(path.name for path in (shared / "data/esc10").iterdir() if path.is_dir())
    assert [tag.name for tag in ESC10] == [folder.split(" - ")[1] for folder in folders]


@pytest.mark.parametrize("tag", ["Bark", " bark ", "DOG", "dog barking", 4, np.int64(4)])
def test_a_class_by_its_name_its_alias_and_its_number(tag):
    assert find(tag, table(AVE)) == 4


def test_a_name_comes_before_an_alias_of_another_class():
    assert find("train", {"Train horn": ("train",), "Train": ()}) == 1


@pytest.mark.parametrize(
    ("tag", "classes", "line"),
    [
        ("Zebra", ["Cat", "Violin, fiddle"], "unknown tag 'Zebra'; the data set knows: Cat; Violin, fiddle"),
        ("", ["Cat"], "unknown tag ''; the data set knows: Cat"),
        (1, ["Cat"], "class 1: the data set has classes 0..0"),
        (-1, ["Cat"], "class -1: the data set has classes 0..0"),
        ("Cat", {}, "unknown tag 'Cat'; the data set names no classes; give a number in 0..-1"),
    ],
)
def test_an_unknown_tag_is_one_line_that_lists_the_classes(tag, classes, line):
    with pytest.raises(DataError) as error:
        find(tag, classes)
    assert str(error.value) == line


def test_classes_without_names_go_by_number():
    assert find(9, {}, what="this model", count=10) == 9
    with pytest.raises(DataError, match=r"this model names no classes; give a number in 0\.\.9"):
        find("Cat", {}, what="this model", count=10)


def test_several_tags_in_one_text():
    assert split(" Bark; Violin, fiddle ;; Bark") == ("Bark", "Violin, fiddle")
    assert split("") == split(" ; ") == ()
    assert find_all(split("dog; Violin; bark"), table(AVE)) == (4, 27)


@pytest.mark.parametrize(
    ("name", "aliases", "sounds"),
    [
        ("Bark", (), ("Bark", "Dog", "Bow-wow", "Yip")),  # AVE's own
        ("violin", (), ("Violin, fiddle",)),  # an alias of AVE's
        ("Sneeze", (), ("Sneeze",)),  # an alias of ESC-10's
        ("Acoustic guitar", (), ("Acoustic guitar", "Guitar")),  # AVE's, with its alias there
        ("gunfire", (), ("Gunshot, gunfire",)),  # a part of AudioSet's
        ("my drone", ("helicopter", "MOSQUITO"), ("Helicopter", "Mosquito")),
        ("zebra", ("stripes",), ()),
    ],
)
def test_a_class_of_ones_own_finds_its_sounds(name, aliases, sounds):
    assert audioset_names({name: aliases}, KNOWN) == [sounds]


@pytest.mark.parametrize(
    ("ave", "vggsound", "same"),
    [
        ("Bark", "dog barking", True),
        ("Bark", "fox barking", False),
        ("Acoustic guitar", "playing electric guitar", True),
        ("Accordion", "playing accordion", True),
        ("Male speech, man speaking", "female speech, woman speaking", True),
        ("Female speech, woman speaking", "male speech, man speaking", False),
        ("Cat", "cattle mooing", True),
        ("Frying (food)", "chopping food", True),
        ("Clock", "alarm clock ringing", True),
        ("Church bell", "telephone bell ringing", False),
    ],
)
def test_the_release_compares_names_as_substrings(ave, vggsound, same):
    """SPEC of the release: lowercased AVE name, after 12 renamings, in VGGSound's name, mistakes included."""
    assert heard_by_release(ave, vggsound) is same
