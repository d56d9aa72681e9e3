"""Records in files: ArrayRecord shards, written whole or not at all, each with a list of its clips beside it.

``NAME-00000-of-00004.array_record`` has ``NAME-00000-of-00004.json``, which is there first and tells its clips, what they were
made of, and what was left out. ``classes.json`` names the classes that tags are numbers of.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from stajax.data.clip import Clip, decode, encode, reason
from stajax.data.fixations import DataError
from stajax.media.atomic import replacing, writing
from stajax.media.errors import OutputError

CLASSES = "classes.json"
_SHARD = re.compile(r"(?P<name>.+?)(?:-(?P<at>\d{5})-of-(?P<of>\d{5})\.array_record|\.array_record-(?P<tfds>\d{5}-of-\d{5}))")
# JPEG does not compress further; group_size 1 is what makes reading one record cost one record.
_WRITER_OPTIONS = "group_size:1,uncompressed"
_READER_OPTIONS = {"options": "readahead_buffer_size:0", "file_reader_buffer_size": 1 << 15}


class Entry(NamedTuple):
    """What the list beside a shard says of a clip."""

    name: str
    tags: tuple[int, ...]
    frames: int
    samples: int  # of sound; 0 = no sound track


def find_shards(folder: Path, name: str | None) -> list[Path]:
    """The shard itself, or all shards of NAME in a folder, which may be written FOLDER/NAME."""
    if folder.is_file():
        return [folder]
    if name is None and not folder.exists() and folder.parent.is_dir():
        folder, name = folder.parent, folder.name
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.array_record*")):
        if match := _SHARD.fullmatch(path.name):
            found.setdefault(match["name"], []).append(path)
    if not found or (name is not None and name not in found):
        what = f"{name}-*.array_record" if name else "*.array_record files"
        raise DataError(f"{folder}: no {what} here{'; it holds ' + ', '.join(found) if found else ''}")
    if name is None and len(found) > 1:
        raise DataError(f"{folder}: holds several sets of records ({', '.join(found)}); name one of them")
    shards = found[name or next(iter(found))]
    count = int(shards[0].name.removesuffix(".array_record").rpartition("-")[2])
    if len(shards) != count:
        raise DataError(f"{folder}: {len(shards)} of {count} shards; the preparation was not finished, run it again")
    return shards


def shard_path(folder: str | os.PathLike, name: str, shard: int, shards: int) -> Path:
    """FOLDER/NAME-00000-of-00004.array_record. Raises DataError where the folder holds NAME in another number of shards."""
    for other in Path(folder).glob(f"{name}-*.array_record"):
        found = _SHARD.fullmatch(other.name)
        if found and found["name"] == name and int(found["of"]) != shards:
            there = int(found["of"])
            raise DataError(f"{folder}: holds {name} in {there} shards, not {shards}; delete it or give another folder")
    return Path(folder) / f"{name}-{shard:05d}-of-{shards:05d}.array_record"


def write_shard(path: Path, clips: Iterable[Clip | bytes], *, made_of: str = "", notes: Mapping | None = None) -> None:
    """Write one shard and its list, whole or not at all.

    Args:
        clips: taken one by one; encoded ones are written as they are.
        made_of: see `write_records`.
        notes: kept in the list, read once the clips are written; plain JSON.

    Raises:
        DataError: a clip whose parts do not fit together. OutputError: it cannot be written.
    """
    from array_record.python.array_record_module import ArrayRecordWriter

    with replacing(path) as part:
        with writing(path, RuntimeError):
            path.unlink(missing_ok=True)  # else the new list might stand beside the old shard
            writer, entries = ArrayRecordWriter(str(part), _WRITER_OPTIONS), []
        try:
            for clip in clips:
                clip, data = (decode(clip), clip) if isinstance(clip, bytes) else (clip, encode(clip))
                entries.append(_entry(clip))
                with writing(path, RuntimeError):
                    writer.write(data)
        finally:
            with writing(path, RuntimeError):
                writer.close()
        _write_json(_list_path(path), {"made_of": made_of, "clips": entries, "notes": dict(notes or {})})


def is_done(shard: Path, made_of: str = "") -> bool:
    """Whether the shard is there and was made of that."""
    return shard.is_file() and _list_path(shard).is_file() and read_list(shard)["made_of"] == made_of


def read_list(shard: Path) -> dict:
    """The list beside a shard: `made_of`, `clips` (the fields of an Entry each), `notes`.

    A shard that another program wrote has none: it is read through once, and the list is left beside it where that is possible.
    """
    path = _list_path(shard)
    try:
        found = json.loads(path.read_text())
        return {"made_of": found["made_of"], "clips": found["clips"], "notes": found["notes"]}
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a list of clips ({reason(error)}); delete it, it is made anew") from error
    found = {"made_of": "", "clips": _scan(shard), "notes": {}}
    with suppress(OutputError):  # a folder that cannot be written can still be read
        _write_json(path, found)
    return found


def write_classes(folder: str | os.PathLike, classes: Mapping[str, Sequence[str]] | Sequence[str]) -> None:
    """Write `classes.json`: {class: aliases}, in the order of their numbers; makes the folder.

    Raises:
        DataError: the folder's records are of other classes. OutputError: it cannot be written.
    """
    folder = Path(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    aliases = classes if isinstance(classes, Mapping) else dict.fromkeys(classes, ())
    wanted = {name: tuple(known) for name, known in aliases.items()}
    there = read_classes(folder)
    if there and list(there) != list(wanted):
        raise DataError(f"{folder}: holds records of other classes ({'; '.join(there)}); give another folder")
    if there != wanted:
        _write_json(folder / CLASSES, wanted, shared=True)


def read_classes(folder: str | os.PathLike) -> dict[str, tuple[str, ...]]:
    """{class: aliases} of a folder of records, in the order of their numbers; empty where there is no `classes.json`."""
    path = Path(folder) / CLASSES
    try:
        return {str(name): tuple(map(str, aliases)) for name, aliases in json.loads(path.read_text()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DataError(f"{path}: not a table of classes ({reason(error)}); it should be {{class: [aliases]}}") from error


def open_shard(shard: Path):
    """An `ArrayRecordReader`; of a file that broke off, or is gone, it has 0 records."""
    from array_record.python.array_record_module import ArrayRecordReader

    return ArrayRecordReader(str(shard), **_READER_OPTIONS)


def _scan(shard: Path) -> list[Entry]:
    reader, entries = open_shard(shard), []
    for at in range(reader.num_records()):
        try:
            entries.append(_entry(decode(reader.read([at])[0])))
        except (DataError, RuntimeError):
            entries.append(Entry(f"{shard.name}[{at}]", (), 0, 0))  # stays in its place, and fails when it is read
    if not entries:
        raise DataError(f"{shard}: no records in this file; it is damaged or not an ArrayRecord file")
    return entries


def _entry(clip: Clip) -> Entry:
    return Entry(clip.name, tuple(clip.tags.tolist()), len(clip.frames), len(clip.sound))


def _list_path(shard: Path) -> Path:
    return shard.with_name(shard.name.removesuffix(".array_record") + ".json")


def _write_json(path: Path, value, *, shared: bool = False) -> None:
    with replacing(path, shared=shared) as part, writing(path):
        part.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")
