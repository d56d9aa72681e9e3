"""Clips as records in ArrayRecord files: one record a clip, its frames as JPEG, its sound as 16 kHz mono.

A record is a `tf.train.Example`, serialised by TFDS without TensorFlow. Records lie in shards
``NAME-00000-of-00004.array_record``, each with a ``.json`` of the same name beside it that lists its clips, so that choosing
clips needs no reading of records; ``classes.json`` names the classes that tags are numbers of. A shard appears whole or
not at all, its list before it.
"""

from __future__ import annotations

import json
import os
import re
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stajax.data.fixations import DataError
from stajax.media.atomic import replacing, writing
from stajax.media.errors import MediaWarning, OutputError

CLASSES = "classes.json"
_SHARD = re.compile(r"(?P<name>.+?)(?:-(?P<at>\d{5})-of-(?P<of>\d{5})\.array_record|\.array_record-(?P<tfds>\d{5}-of-\d{5}))")
# JPEG does not compress further; group_size 1 is what makes reading one record cost one record.
_WRITER_OPTIONS = "group_size:1,uncompressed"
_READER_OPTIONS = {"options": "readahead_buffer_size:0", "file_reader_buffer_size": 1 << 15}


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip, as a record holds it."""

    name: str
    tags: np.ndarray  # (n,) int64, indices into the data set's classes; empty = untagged
    frames: list[bytes]  # JPEG of each kept frame
    times: np.ndarray  # (T,) float32 seconds from the start of the clip
    fps: float  # of the kept frames
    sound: np.ndarray  # (S,) int16 mono at 16 kHz, sample 0 at time 0; empty = no sound track
    maps: np.ndarray | None = None  # (T, h, w) uint8, pseudo-fixations times 255
    valid: np.ndarray | None = None  # (T,) bool: the frame has a map

    def waveform(self) -> np.ndarray:
        """(S,) float32 in [-1, 1], as the nets hear it."""
        return self.sound.astype(np.float32) / 32768


class Entry(NamedTuple):
    """What the list beside a shard says of a clip."""

    name: str
    tags: tuple[int, ...]
    frames: int
    samples: int  # of sound; 0 = no sound track


@cache
def features(maps: bool = False):
    """The record as a `tfds.features.FeaturesDict`; `maps`: with pseudo-fixations."""
    import tensorflow_datasets as tfds

    f = tfds.features
    raw = f.Encoding.BYTES  # a tenth of the time that a list of integers takes
    record = {
        "name": f.Text(),
        "tags": f.Tensor(shape=(None,), dtype=np.int64),
        "frames": f.Sequence(f.Text()),  # bytes; an Image feature needs TensorFlow
        "times": f.Tensor(shape=(None,), dtype=np.float32),
        "fps": np.float32,
        "sound": f.Tensor(shape=(None,), dtype=np.int16, encoding=raw),
    }
    if maps:
        record["maps"] = f.Tensor(shape=(None, None, None), dtype=np.uint8, encoding=raw)
        record["valid"] = f.Tensor(shape=(None,), dtype=np.bool_)
    return f.FeaturesDict(record)


def example(clip: Clip) -> dict:
    """`clip` as the dict that `features` encodes. Raises DataError where its parts do not fit together."""
    frames = len(clip.frames)
    values = {
        "name": clip.name,
        "tags": np.asarray(clip.tags, np.int64),
        "frames": list(clip.frames),
        "times": np.asarray(clip.times, np.float32),
        "fps": np.float32(clip.fps),
        "sound": np.asarray(clip.sound, np.int16),
    }
    if clip.maps is not None:
        values |= {"maps": np.asarray(clip.maps, np.uint8), "valid": np.asarray(clip.valid, np.bool_)}
    for what in ("times", "maps", "valid"):
        if what in values and values[what].shape[:1] != (frames,):
            raise DataError(f"clip {clip.name}: {frames} frames, but {what} of shape {values[what].shape}")
    return values


def encode(clip: Clip) -> bytes:
    """`clip` as one serialised record, always the same bytes. Raises DataError where its parts do not fit together."""
    kind = features(clip.maps is not None)
    message = _serializer(clip.maps is not None).get_tf_example(kind.encode_example(example(clip)))
    return message.SerializeToString(deterministic=True)  # `kind.serialize_example` orders the fields by chance


def decode(data: bytes) -> Clip:
    """The clip of a serialised record; its frames stay JPEG. Raises DataError for bytes that are no such record."""
    try:
        parsed = _parser().parse_example(data)
        kind = features(maps=parsed["valid"] is not None)
        values = kind.decode_example_np({key: parsed[key] for key in kind})
    except Exception as error:  # protobuf, TFDS and NumPy each have their own
        raise DataError(f"not a clip record ({_reason(error)})") from error
    values |= {"name": values["name"].decode(), "frames": list(values["frames"])}
    return Clip(**values)


@cache
def _serializer(maps: bool):
    from tensorflow_datasets.core.example_serializer import ExampleSerializer

    return ExampleSerializer(features(maps).get_serialized_info())


@cache
def _parser():
    from tensorflow_datasets.core.example_parser import ExampleParserNp

    return ExampleParserNp(features(maps=True).get_serialized_info())


class Records(Sequence):
    """Clips in shards, by number: `records[i]` reads and parses one record and no other.

    Threads may read at once, and an object may be pickled to another process; files are opened on first use.

    Args:
        paths: a folder of shards, a shard, or several of them.
        name: the shards' NAME, needed where a folder holds several; FOLDER/NAME as the path says it too.

    Attributes:
        entries: [Entry], what the lists say of each clip.
        classes: {class: aliases} of the `classes.json` beside the shards; empty where there is none.
        damaged: {clip: reason} of what `get` has left out so far.

    Raises:
        DataError: no shards, some of them missing, a list that cannot be read, or folders of different classes.
    """

    def __init__(self, paths: str | os.PathLike | Sequence[str | os.PathLike], *, name: str | None = None):
        paths = [paths] if isinstance(paths, (str, os.PathLike)) else paths
        self.shards = [shard for path in paths for shard in _shards(Path(path), name)]
        lists = [read_list(shard) for shard in self.shards]
        self.entries = [Entry(key, tuple(tags), *rest) for found in lists for key, tags, *rest in found["clips"]]
        self._places = [(shard, at) for shard, found in enumerate(lists) for at in range(len(found["clips"]))]
        tables = {folder: read_classes(folder) for folder in dict.fromkeys(shard.parent for shard in self.shards)}
        self.classes = next(iter(tables.values()), {})
        if other := [str(folder) for folder, classes in tables.items() if list(classes) != list(self.classes)]:
            raise DataError(f"{', '.join(other)}: other classes than those of {next(iter(tables))}")
        self.damaged: dict[str, str] = {}
        self._readers, self._lock = {}, threading.Lock()

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Clip:
        """The clip. Raises DataError, which names it, for a damaged record."""
        index = range(len(self))[index]  # negative ones; IndexError
        shard, at = self._places[index]
        try:
            return decode(self._reader(shard).read([at])[0])
        except (DataError, RuntimeError, IndexError, OSError) as error:  # RuntimeError: ArrayRecord's for a wrong checksum
            where = f"{self.shards[shard]}: record {at} ({self.entries[index].name})"
            raise DataError(f"{where} is damaged ({_reason(error)}); delete the shard and make it again") from error

    def get(self, index: int) -> Clip | None:
        """The clip, or None with one MediaWarning for a damaged record, which `damaged` then counts."""
        try:
            return self[index]
        except DataError as error:
            name = self.entries[index].name
            if name not in self.damaged:
                self.damaged[name] = str(error)
                warnings.warn(str(error), MediaWarning, stacklevel=2)
            return None

    def __iter__(self) -> Iterator[Clip]:
        """The clips in order, without damaged ones; see `get`."""
        return (clip for index in range(len(self)) if (clip := self.get(index)) is not None)

    def _reader(self, shard: int):
        from array_record.python.array_record_module import ArrayRecordReader

        with self._lock:
            if shard not in self._readers:
                reader = ArrayRecordReader(str(self.shards[shard]), **_READER_OPTIONS)
                wanted = sum(of == shard for of, _ in self._places)
                if reader.num_records() != wanted:  # a file that broke off, or is gone, reads as 0 records
                    raise DataError(f"the file holds {reader.num_records()} records, not {wanted}")
                self._readers[shard] = reader
            return self._readers[shard]

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_readers": {}, "_lock": None}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


def write_records(
    folder: str | os.PathLike,
    clips: Sequence[Clip],
    classes: Mapping[str, Sequence[str]] | Sequence[str],
    *,
    name: str = "clips",
    shards: int = 1,
    made_of: str = "",
) -> Records:
    """Write `clips` to `shards` shards in `folder`, which is made if need be.

    A shard that is there already is kept, and its clips are not asked for: a sequence that makes its clips when indexed
    resumes where a killed run stopped.

    Args:
        clips: len() and [i]; shard k holds clips k, k + shards, k + 2 * shards, ...
        classes: names of the classes that tags are numbers of, or a mapping from names to aliases.
        name: of the shards.
        made_of: what the clips were made of, in any words; a shard made of something else is written again.

    Raises:
        DataError: clips whose parts do not fit together, or a folder that holds this name in another number of shards.
        OutputError: the folder cannot be written.
    """
    write_classes(folder, classes)
    for shard in range(shards):
        path = shard_path(folder, name, shard, shards)
        if not is_done(path, made_of):
            write_shard(path, (clips[i] for i in range(shard, len(clips), shards)), made_of=made_of)
    return Records(folder, name=name)


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
        raise DataError(f"{path}: not a list of clips ({_reason(error)}); delete it, it is made anew") from error
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
        _write_json(folder / CLASSES, wanted)


def read_classes(folder: str | os.PathLike) -> dict[str, tuple[str, ...]]:
    """{class: aliases} of a folder of records, in the order of their numbers; empty where there is no `classes.json`."""
    path = Path(folder) / CLASSES
    try:
        return {str(name): tuple(map(str, aliases)) for name, aliases in json.loads(path.read_text()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DataError(f"{path}: not a table of classes ({_reason(error)}); it should be {{class: [aliases]}}") from error


def _shards(folder: Path, name: str | None) -> list[Path]:
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


def _scan(shard: Path) -> list[Entry]:
    from array_record.python.array_record_module import ArrayRecordReader

    reader, entries = ArrayRecordReader(str(shard), **_READER_OPTIONS), []
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


def _write_json(path: Path, value) -> None:
    with replacing(path) as part, writing(path):
        part.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def _reason(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
