"""Which clips a data set is made of: from a CSV of paths and tags, or from a folder with a subfolder for each tag."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from stajax.data.fixations import DataError
from stajax.data.tags import Classes, find, split

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".ogv")
SUFFIXES += (".3gp", ".gif")


class ListedClip(NamedTuple):
    """A clip that is to become a record."""

    path: Path
    tags: tuple[str, ...]  # names or aliases of classes; () = untagged
    name: str  # the record's, unique in its set


def read_clips(path: str | os.PathLike, columns: tuple[str, str] = ("path", "tag")) -> list[ListedClip]:
    """The clips of a folder (`read_folder`) or of a CSV (`read_csv`). Raises DataError."""
    return read_folder(path) if Path(path).is_dir() else read_csv(path, columns)


def read_csv(path: str | os.PathLike, columns: tuple[str, str] = ("path", "tag")) -> list[ListedClip]:
    """The clips of a CSV with a header.

    Columns `path` (relative to the CSV) and `tag` (several tags with `;` between them, none for an untagged clip), or others
    of the same meaning by `columns`; the rest are for people. A clip's name is its path without its suffix. Whether the files
    exist is for the reader of clips to say.

    Raises:
        DataError: no such file, not UTF-8, no header with these columns, no clips, a row without a path or that does not fit
        the header, or a clip that is listed twice.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file, strict=True)
            header = [cell.strip().lower() for cell in next(rows, [])]
            for column in columns:
                if header.count(column) != 1:
                    found = ", ".join(header) or "nothing"
                    raise DataError(f"{path}: its first line must name one column {column}; it has {found}")
            clips, lines = [], {}
            for row in rows:
                if not any(cell.strip() for cell in row):
                    continue
                where = f"{path}, line {rows.line_num}"
                if len(row) != len(header):
                    quote = "; a tag with a comma needs quotes" if len(row) > len(header) else ""
                    raise DataError(f"{where}: {len(row)} cells, not {len(header)}{quote}")
                cells = {column: cell.strip() for column, cell in zip(header, row, strict=True)}
                if not cells[columns[0]]:
                    raise DataError(f"{where}: no path")
                clip = path.parent / cells[columns[0]]
                if (first := lines.setdefault(os.path.normpath(clip), rows.line_num)) != rows.line_num:
                    raise DataError(
                        f"{where}: {cells[columns[0]]} is on line {first} already; put all its tags there, with ; between"
                    )
                clips.append((clip, split(cells[columns[1]])))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file or folder") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a readable CSV in UTF-8 ({error})") from error
    if not clips:
        raise DataError(f"{path}: no clips in this list")
    return named(clips, path.parent)


def read_folder(path: str | os.PathLike) -> list[ListedClip]:
    """The clips below `path`/TAG for each tag, sorted; TAG may be several tags with `;` between them.

    Hidden files and what is no clip are left out. A clip's name is its path below the folder without its suffix.

    Raises:
        DataError: no such folder, no clips in it, or clips that lie beside the tags' folders.
    """
    path = Path(path)
    if not path.is_dir():
        raise DataError(f"{path}: no such folder")
    clips = sorted(found for found in path.rglob("*") if found.suffix.lower() in SUFFIXES and found.is_file())
    clips = [clip for clip in clips if not any(part.startswith(".") for part in clip.relative_to(path).parts)]
    if beside := [clip.name for clip in clips if clip.parent == path]:
        raise DataError(f"{path}: {beside[0]} lies in no tag's folder; move it to {path}/TAG, or list the clips in a CSV")
    if not clips:
        raise DataError(f"{path}: no clips in its folders (looked for {', '.join(SUFFIXES)})")
    return named([(clip, split(clip.relative_to(path).parts[0])) for clip in clips], path)


def named(clips: Iterable[tuple[str | os.PathLike, Sequence[str]]], root: str | os.PathLike) -> list[ListedClip]:
    """(path, tags) with names: the path below `root` without its suffix; with it, where two clips would share a name.

    Raises:
        DataError: two clips share a name nevertheless.
    """
    clips = [(Path(path), tuple(tags)) for path, tags in clips]
    below = [Path(os.path.relpath(path, root)) for path, _ in clips]
    below = [Path(*(part for part in path.parts if part != "..")) for path in below]  # clips may lie beside their list
    uses = Counter(path.with_suffix("") for path in below)
    names = [(path if uses[path.with_suffix("")] > 1 else path.with_suffix("")).as_posix() for path in below]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"two clips have the name {twice[0]}; rename one of them")
    return [ListedClip(path, tags, name) for (path, tags), name in zip(clips, names, strict=True)]


def tag_names(clips: Iterable[ListedClip]) -> list[str]:
    """The tags of the clips, sorted: the classes of a set that names none itself. "Dog" and "dog" are one class."""
    first: dict[str, str] = {}
    for clip in clips:
        for tag in clip.tags:
            first.setdefault(tag.lower(), tag)
    return sorted(first.values())


def of_frequent_tags(clips: Sequence[ListedClip], least: int) -> list[ListedClip]:
    """The clips without the tags that fewer than `least` of them have; those that are left without a tag go."""
    uses = Counter(tag.lower() for clip in clips for tag in clip.tags)
    kept = [clip._replace(tags=tuple(tag for tag in clip.tags if uses[tag.lower()] >= least)) for clip in clips]
    return [clip for clip in kept if clip.tags]


def check_tags(clips: Iterable[ListedClip], classes: Classes) -> None:
    """Raises a DataError that names a clip whose tag is none of the classes."""
    for clip in clips:
        for tag in clip.tags:
            try:
                find(tag, classes)
            except DataError as error:
                raise DataError(f"{clip.path}: {error}") from None
