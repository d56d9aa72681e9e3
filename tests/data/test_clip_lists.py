"""Lists and folders give every clip once, with its tags and a name of its own; what is wrong is one line with its place."""

from pathlib import Path

import pytest

from stajax.data.clip_lists import ListedClip, check_tags, named, read_clips, read_csv, read_folder, tag_names
from stajax.data.fixations import DataError


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def one_line(call, message):
    with pytest.raises(DataError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_a_list_gives_paths_beside_it_tags_and_names(tmp_path):
    text = 'path,tag\na.mp4,Bark\nsub/b.MP4,"Violin, fiddle; Bark"\n\n../c.mov,\n'
    found = read_clips(write(tmp_path / "list.csv", text))
    assert found == [
        ListedClip(tmp_path / "a.mp4", ("Bark",), "a"),
        ListedClip(tmp_path / "sub/b.MP4", ("Violin, fiddle", "Bark"), "sub/b"),
        ListedClip(tmp_path / "../c.mov", (), "c"),
    ]


@pytest.mark.parametrize("text", ["﻿path,tag\r\na.mp4,é\r\n", "note,Tag , PATH\nx,é,a.mp4\n"])
def test_excel_other_columns_and_their_order(tmp_path, text):
    assert read_csv(write(tmp_path / "list.csv", text)) == [ListedClip(tmp_path / "a.mp4", ("é",), "a")]


def test_absolute_paths_stay(tmp_path):
    (clip,) = read_csv(write(tmp_path / "list.csv", f"path,tag\n{tmp_path / 'other' / 'a.mp4'},x\n"))
    assert clip.path == tmp_path / "other/a.mp4" and clip.name == "other/a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must name one column path; it has nothing"),
        ("path,tag\n", "no clips in this list"),
        ("path,tag\n\n , \n", "no clips in this list"),
        ("a.mp4,Bark\n", "must name one column path; it has a.mp4, bark"),
        ("path,label\na.mp4,Bark\n", "must name one column tag; it has path, label"),
        ("path,tag,tag\na.mp4,Bark,Cat\n", "must name one column tag; it has path, tag, tag"),
        ("path,tag\na.mp4,Violin, fiddle\n", "line 2: 3 cells, not 2; a tag with a comma needs quotes"),
        ("path,tag\na.mp4,x\nb.mp4\n", "line 3: 1 cells, not 2"),
        ("path,tag\n,Bark\n", "line 2: no path"),
        ("path,tag\na.mp4,x\nb.mp4,x\n./a.mp4,y\n", r"line 4: \./a\.mp4 is on line 2 already; put all its tags there"),
        ('path,tag\n"a.mp4,x\n', "not a readable CSV"),
    ],
)
def test_a_bad_list_is_one_line(tmp_path, text, message):
    one_line(lambda: read_clips(write(tmp_path / "list.csv", text)), message)


def test_a_list_that_is_not_there_or_not_text(tmp_path):
    one_line(lambda: read_clips(tmp_path / "none.csv"), "no such file or folder")
    one_line(lambda: read_csv(write(tmp_path / "list.csv", "path,tag\na.mp4,é\n", "latin-1")), "not a readable CSV in UTF-8")
    one_line(lambda: read_csv(tmp_path), "not a readable CSV")


def folder(root, *files):
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_a_folder_gives_its_tags(tmp_path):
    folder(tmp_path, "dog/2.mp4", "dog/1.mkv", "Bark; Male speech/more/x.MP4", "cat/.hidden.mp4", "cat/notes.txt", "README.md")
    assert read_clips(tmp_path) == [
        ListedClip(tmp_path / "Bark; Male speech/more/x.MP4", ("Bark", "Male speech"), "Bark; Male speech/more/x"),
        ListedClip(tmp_path / "dog/1.mkv", ("dog",), "dog/1"),
        ListedClip(tmp_path / "dog/2.mp4", ("dog",), "dog/2"),
    ]


def test_a_bad_folder_is_one_line(tmp_path):
    one_line(lambda: read_folder(tmp_path / "none"), "no such folder")
    one_line(lambda: read_folder(tmp_path), "no clips in its folders")
    one_line(lambda: read_folder(folder(tmp_path, "dog/1.mp4", "2.mp4")), "2.mp4 lies in no tag's folder")


def test_clips_that_would_share_a_name_keep_their_suffix():
    found = named([("r/a.mp4", ()), ("r/a.mkv", ()), ("r/b.mp4", ())], "r")
    assert [clip.name for clip in found] == ["a.mp4", "a.mkv", "b"]
    one_line(lambda: named([("r/a.mp4", ()), ("r/../a.mp4", ())], "r"), "two clips have the name a.mp4")


def test_names_do_not_leave_the_folder(tmp_path):
    (clip,) = named([(tmp_path / "x/a.mp4", ())], tmp_path / "y/z")
    assert clip.name == "x/a" and ".." not in clip.name.split("/")


def test_tags_are_the_classes_where_none_are_given():
    clips = [ListedClip(Path("a"), ("dog", "Cat"), "a"), ListedClip(Path("b"), ("Dog",), "b"), ListedClip(Path("c"), (), "c")]
    assert tag_names(clips) == ["Cat", "dog"]
    check_tags(clips, tag_names(clips))
    one_line(lambda: check_tags(clips, ["dog"]), "a: unknown tag 'Cat'; the data set knows: dog")
