"""Many clips to a folder of results: what to do, what is done already, one after the other."""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stajax.data.clip_lists import SUFFIXES as VIDEOS
from stajax.data.pictures import SUFFIXES as PICTURES
from stajax.inference.outputs import ClipWriter, locked
from stajax.inference.predict import Model, stream_clip, stream_of
from stajax.inference.source import VideoSource
from stajax.media import MediaError, MediaWarning, OutputError, VideoInfo, probe
from stajax.models.folder import fingerprint

NUMERICS = 2  # raise it when the same clip and weights would give other maps

SUFFIXES = frozenset((*VIDEOS, *PICTURES))


@dataclass(frozen=True)
class Job:
    """One clip and the folder its results go to."""

    clip: Path
    folder: Path


class Cost(NamedTuple):
    """What one clip took."""

    frames: int
    bank_views: int = 0  # frames that banks read before the clip began


@dataclass
class Summary:
    """How a run over many clips went."""

    done: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)  # done already, or another run is at them
    failed: dict[Path, str] = field(default_factory=dict)  # clip -> what was wrong with it
    frames: int = 0
    bank_views: int = 0


@dataclass(frozen=True)
class Progress:
    """What a run over many clips reports. kind: start, frame, warning, done, skipped or failed."""

    kind: str
    clip: Path
    number: int  # of this clip, from 1
    count: int  # of all clips
    frames: int = 0  # of this clip so far
    expected: int | None = None  # frames of this clip, an estimate
    message: str = ""  # what is wrong; for a skipped clip why, unless it is done already
    stage: str = ""  # of those that read all frames, where there are several
    bank_views: int = 0  # frames that banks read


def jobs(inputs: Sequence[str | os.PathLike], out: str | os.PathLike) -> list[Job]:
    """What is to be done: files as given, folders searched for clips, each to `out`/<name without suffix>.

    Below a folder the results keep its subfolders. Two clips that would share a folder keep their suffixes. Hidden files and
    results of earlier runs are no clips.

    Raises:
        MediaError: an input that does not exist, or a folder without clips.
    """
    found: list[tuple[Path, Path]] = []  # clip, its name relative to what was given
    for item in map(Path, inputs):
        if item.is_dir():
            inside = _inside(item, Path(out))
            if not inside:
                raise MediaError(f"{item}: no clips in this folder (looked for {', '.join(sorted(SUFFIXES))})")
            found += [(item / name, name) for name in inside]
        elif item.exists():
            found.append((item, Path(item.name)))
        else:
            raise MediaError(f"{item}: no such file or folder")
    found = list(dict.fromkeys(found))
    stems = Counter(name.with_suffix("") for _, name in found)
    folders = [name if stems[name.with_suffix("")] > 1 else name.with_suffix("") for _, name in found]
    uses = Counter(folders)
    for folder, (clip, _) in zip(folders, found, strict=True):
        if uses[folder] > 1:
            raise MediaError(f"{clip}: another clip of the same name is given; predict them to different -o folders")
    return [Job(clip, Path(out) / folder) for folder, (clip, _) in zip(folders, found, strict=True)]


def predict_clips(
    model: Model,
    inputs: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    *,
    size: tuple[int, int] | None = None,
    overlay: bool = True,
    png: bool = False,
    overwrite: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Summary:
    """Fixation maps, overlay videos and pictures of clips, streamed to `out`; see `outputs` for the files.

    Args:
        inputs: clips and folders of clips.
        size: (width, height) of the maps; by default the net's output size.
        overlay, png: write `overlay.mp4`; write each map as an 8-bit grey picture.
        overwrite, report: as in `each_clip`, as is what it raises.
    """

    def predict(job: Job, info: VideoInfo, settings: dict, outdated: bool, tell: Callable[..., None]) -> Cost:
        source = VideoSource(info)
        stream = stream_of(model.engine, source)
        with (
            closing(stream_clip(stream, source)) as items,
            ClipWriter(job.folder, info, settings, size=size, overlay=overlay, png=png, outdated=outdated) as writer,
        ):
            for frames, shown in enumerate(items, 1):
                writer.write(shown)
                tell("frame", frames=frames, expected=info.n_frames)
        return Cost(writer.frames, stream.bank_views)

    settings = {
        "model": model.name,
        "nets": list(model.engine.nets),
        "fusion": model.engine.fusion,
        "size": list(size or reversed(model.output_size)),
        "weights": fingerprint(model.members),
    }
    wanted = ["maps.npz"] + ["overlay.mp4"] * overlay + ["png"] * png
    return each_clip(inputs, out, predict, settings=settings, wanted=wanted, overwrite=overwrite, report=report)


def each_clip(
    inputs: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    make: Callable[..., Cost],
    *,
    settings: Mapping,
    wanted: Sequence[str],
    overwrite: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Summary:
    """One clip after the other to a folder of results each, resumable.

    A clip that is done with the same settings is skipped, as is one that another run is at; one that cannot be read, or whose
    folder holds the results of another clip, is reported and the others go on. A killed run leaves no half-written result.

    Args:
        inputs: clips and folders of clips.
        make: (job, what `probe` found, settings to store, whether what is there has others, tell) -> Cost. It writes the files,
            each of which appears whole, the first of `wanted` last. tell("frame", ...) takes fields of a `Progress`.
        settings: what the results depend on beside the clip, plain JSON.
        wanted: names of the files of a clip that is done; the first is an .npz that holds `settings`.
        overwrite: make again what is done already, and over the results of other clips.

    Raises:
        MediaError: an input does not exist. OutputError: results cannot be written (no space, no permission).
    """
    summary, todo = Summary(), jobs(inputs, out)
    for number, job in enumerate(todo, 1):

        def tell(kind: str, _at=(job.clip, number), **fields) -> None:
            report(Progress(kind, *_at, len(todo), **fields))

        try:
            own = _settings(job.clip, settings)
            with locked(job.folder) as free:
                cost = _one_clip(job, make, own, wanted, overwrite, tell) if free else None
        except OutputError:
            raise
        except MediaError as error:
            summary.failed[job.clip] = str(error)
            tell("failed", message=str(error))
            continue
        if cost is not None:
            summary.done.append(job.clip)
            summary.frames += cost.frames
            summary.bank_views += cost.bank_views
            tell("done", frames=cost.frames, expected=cost.frames, bank_views=cost.bank_views)
        else:
            summary.skipped.append(job.clip)
            tell("skipped", message="" if free else "another run is at it")
    return summary


def _one_clip(
    job: Job, make: Callable[..., Cost], settings: dict, wanted: Sequence[str], overwrite: bool, tell: Callable[..., None]
) -> Cost | None:
    """What one clip took, None if it is done already."""
    stored = _stored(job.folder / wanted[0])
    other = stored.get("source", "")
    if not overwrite and os.path.isfile(other) and not job.clip.samefile(other):
        raise MediaError(f"{job.clip}: {job.folder} holds the results of {other}; give another -o, or --overwrite")
    same = {**stored, "source": None} == {**settings, "source": None}  # a clip that moved is still the same
    if same and not overwrite and all((job.folder / name).exists() for name in wanted):
        return None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MediaWarning)
        info = probe(job.clip)
        tell("start", expected=info.n_frames)
        cost = make(job, info, settings, not same, tell)
    messages = [str(warning.message) for warning in caught if issubclass(warning.category, MediaWarning)]
    if messages:  # one for all: a file that breaks off does so for pictures and sound
        reasons = dict.fromkeys(message.removeprefix(f"{job.clip}: ") for message in messages)
        tell("warning", message=f"{job.clip}: {'; '.join(reasons)}")
    return cost


def _inside(item: Path, out: Path) -> list[Path]:
    """Clips below the folder `item`, relative to it. Results may lie below it too, or right beside the clips."""
    own = Path(os.path.relpath(out.resolve(), item.resolve()))
    names = [path.relative_to(item) for path in item.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
    names = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    return sorted(name for name in names if not (own.parts and name.is_relative_to(own)) and not _result(item / name))


def _result(path: Path) -> bool:
    """Whether an earlier run wrote `path`."""
    names = ("overlay.mp4", "strip.png")
    folder = path.parent.parent if path.parent.name == "png" else path.parent if path.name in names else None
    return folder is not None and any((folder / name).exists() for name in ("maps.npz", "pseudo.npz"))


def _settings(clip: Path, settings: Mapping) -> dict:
    """What results depend on: the clip, the given settings, our own arithmetic. And `source`, where the clip lay."""
    try:
        stat = clip.stat()
    except OSError as error:
        raise MediaError(f"{clip}: cannot be read any more ({error.strerror})") from None
    own = {"source": str(clip.resolve()), "clip": clip.name, "bytes": stat.st_size, "modified": stat.st_mtime}
    return {**own, **settings, "version": NUMERICS}


def _stored(path: Path) -> dict:
    """Settings in the archive of results at `path`; empty if there is none or it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict(json.loads(str(archive["settings"])))
    except (OSError, TypeError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}
