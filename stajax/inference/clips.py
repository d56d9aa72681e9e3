"""Many clips to a folder of results: what to do, what is done already, one after the other."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stajax.inference.outputs import ClipWriter
from stajax.inference.predict import Model
from stajax.media import MediaError, MediaWarning, OutputError, probe

SUFFIXES = frozenset(
    [
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".mpg",
        ".mpeg",
        ".ts",
        ".mts",
        ".m2ts",
        ".wmv",
        ".flv",
        ".ogv",
        ".3gp",
        ".gif",
        ".jpg",
        ".jpeg",
        ".png",
        ".bmp",
        ".webp",
    ]
)


@dataclass(frozen=True)
class Job:
    """One clip and the folder its results go to."""

    clip: Path
    folder: Path


@dataclass
class Summary:
    """How a run of `predict_clips` went."""

    done: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)  # clip -> what was wrong with it
    frames: int = 0


@dataclass(frozen=True)
class Progress:
    """What `predict_clips` reports while it works. kind: start, frame, warning, done, skipped or failed."""

    kind: str
    clip: Path
    number: int  # of this clip, from 1
    count: int  # of all clips
    frames: int = 0  # of this clip so far
    expected: int | None = None  # frames of this clip, an estimate
    message: str = ""


def jobs(inputs: Sequence[str | os.PathLike], out: str | os.PathLike) -> list[Job]:
    """What `predict` is to do: files as given, folders searched for clips, each to `out`/<name without suffix>.

    Below a folder the results keep its subfolders. Two clips that would share a folder keep their suffixes.

    Raises:
        MediaError: an input that does not exist, or a folder without clips.
    """
    found: list[tuple[Path, Path]] = []  # clip, its name relative to what was given
    for item in map(Path, inputs):
        if item.is_dir():
            inside = sorted(p for p in item.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file() and not _hidden(p, item))
            inside = [p for p in inside if Path(out).resolve() not in p.resolve().parents]
            if not inside:
                raise MediaError(f"{item}: no clips in this folder (looked for {', '.join(sorted(SUFFIXES))})")
            found += [(path, path.relative_to(item)) for path in inside]
        elif item.exists():
            found.append((item, Path(item.name)))
        else:
            raise MediaError(f"{item}: no such file or folder")
    found = list(dict.fromkeys(found))
    stems = [name.with_suffix("") for _, name in found]
    folders = [stem if stems.count(stem) == 1 else name for stem, (_, name) in zip(stems, found, strict=True)]
    for folder, (clip, _) in zip(folders, found, strict=True):
        if folders.count(folder) > 1:
            raise MediaError(f"{clip}: another clip of the same name is given; give them in separate runs or folders")
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

    A clip that is done with the same model and settings is skipped; one that cannot be read is reported and the others go
    on. A killed run leaves no half-written result.

    Args:
        inputs: clips and folders of clips.
        size: (width, height) of the maps; by default the net's output size.
        overlay, png: write `overlay.mp4`; write each map as an 8-bit grey picture.
        overwrite: predict again what is done already.

    Raises:
        MediaError: an input does not exist. OutputError: results cannot be written (no space, no permission).
    """
    summary, todo = Summary(), jobs(inputs, out)
    for number, job in enumerate(todo, 1):

        def tell(kind: str, frames: int = 0, expected: int | None = None, message: str = "", _at=(job.clip, number)) -> None:
            report(Progress(kind, *_at, len(todo), frames, expected, message))

        settings = _settings(model, job.clip, size)
        wanted = ["maps.npz"] + ["overlay.mp4"] * overlay + ["png"] * png
        if not overwrite and all((job.folder / name).exists() for name in wanted) and _stored(job.folder) == settings:
            summary.skipped.append(job.clip)
            tell("skipped")
            continue
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", MediaWarning)
                info = probe(job.clip)
                expected = info.n_frames
                tell("start", 0, expected)
                with ClipWriter(job.folder, info, settings, size=size, overlay=overlay, png=png) as writer:
                    for frames, shown in enumerate(model.shown(job.clip), 1):
                        writer.write(shown)
                        tell("frame", frames, expected)
            for warning in caught:
                if issubclass(warning.category, MediaWarning):
                    tell("warning", message=str(warning.message))
        except OutputError:
            raise
        except MediaError as error:
            summary.failed[job.clip] = str(error)
            tell("failed", message=str(error))
            continue
        summary.done.append(job.clip)
        summary.frames += writer.frames
        tell("done", writer.frames, writer.frames)
    return summary


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _settings(model: Model, clip: Path, size: tuple[int, int] | None) -> dict:
    """What the maps depend on: the clip, the weights, the options."""
    stat = clip.stat()
    return {
        "clip": clip.name,
        "bytes": stat.st_size,
        "modified": stat.st_mtime,
        "model": model.name,
        "weights": _fingerprint(model.folder.path),
        "nets": list(model.engine.nets),
        "size": list(size or reversed(model.output_size)),
    }


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in [folder / "config.json", *sorted((folder / "params").glob("*"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _stored(folder: Path) -> dict | None:
    """Settings in the `maps.npz` of a folder; None if it has none or cannot be read."""
    try:
        with np.load(folder / "maps.npz", allow_pickle=False) as archive:
            return json.loads(str(archive["settings"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
