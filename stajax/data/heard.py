"""What a sound tagger hears in a clip, hop by hop, and the audio switch's labels that follow from it (section 3.3).

`heard.npz` beside a set of records: clip name -> (A,) int32, the class, as a number of the data set, of the window centred on
i * 0.2 s, or -1 for none of them. The switch should be open where that is one of the clip's tags.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from stajax.data.archives import reading_npz
from stajax.data.fixations import DataError
from stajax.data.tags import Classes, audioset_names
from stajax.media.atomic import replacing, writing

HEARD = "heard.npz"
HOP = 0.2  # seconds
THRESHOLD = 0.1  # of a score; docs/data.md has the shares of hops that it leaves
_MADE_OF = ".made_of"  # the one member that is no clip


def columns(classes: Classes, names: Sequence[str]) -> list[tuple[int, ...]]:
    """For each class the columns of a tagger's scores that mean it; () for one that it cannot hear.

    Args:
        names: what the tagger calls its classes: AudioSet's display names.
    """
    index = {name: column for column, name in enumerate(names)}
    return [tuple(index[name] for name in sounds) for sounds in audioset_names(classes, names)]


def heard(
    scores: np.ndarray,
    sounds: Sequence[Sequence[int]],
    tags: Iterable[int] = (),
    *,
    threshold: float = THRESHOLD,
    among: Literal["classes", "all"] = "classes",
) -> np.ndarray:
    """The class heard in each window: the one with the highest score, a class's score being that of its loudest column.

    Classes that the tagger cannot tell apart (men's and women's speech are one column of YAMNet) have the same score; then it
    is the clip's tag, if that is among them. Any other tie is heard as nothing.

    Args:
        scores: (A, N) in [0, 1], the tagger's.
        sounds: columns of each class; see `columns`.
        tags: of the clip.
        threshold: what the score must reach.
        among: what the class must be louder than: the other ``classes``, or ``all`` other columns too, as the paper has it
            (the category that the tagger predicts); that is for VGGSound, AudioSet's classes overlap (a dog is an animal too).

    Returns:
        (A,) int32, number of the class, or -1.
    """
    scores = np.asarray(scores)
    of_class = np.stack([scores[:, list(c)].max(1) if len(c) else np.full(len(scores), -1.0) for c in sounds], axis=1)
    best, tags = of_class.max(1), list(tags)
    tied = of_class == best[:, None]
    found = np.where(tied.sum(1) == 1, tied.argmax(1), -1)
    if tags:
        found = np.where(tied[:, tags].any(1), np.take(tags, tied[:, tags].argmax(1)), found)
    loud = best >= (threshold if among == "classes" else np.maximum(scores.max(1), threshold))
    return np.where(loud, found, -1).astype(np.int32)


def count_hops(seconds: float) -> int:
    """How many windows a clip has whose last frame is at `seconds`: the last one is the nearest to that frame."""
    return round(seconds / HOP) + 1


def hops(times, count: int) -> np.ndarray:
    """The windows nearest to `times` (seconds): numbers 0 to count - 1, int64."""
    return np.clip(np.rint(np.asarray(times, np.float64) / HOP).astype(np.int64), 0, count - 1)


def switch_labels(found: np.ndarray, tags: Sequence[int], times=None) -> np.ndarray:
    """The audio switch's labels: 1 where what is heard is one of the clip's tags.

    Args:
        found: (A,) of `heard`.
        times: (M,) seconds of the moments to label; by default the windows' own.

    Returns:
        (A,) float32, or (M,).
    """
    labels = np.isin(found, list(tags)).astype(np.float32)
    return labels if times is None else labels[hops(times, len(labels))]


def write_heard(folder: str | os.PathLike, heard: Mapping[str, np.ndarray], *, made_of: str = "") -> Path:
    """Write `heard.npz`, whole or not at all. made_of: what it depends on, in any words, for `read_heard`.

    Raises:
        OutputError: it cannot be written.
    """
    path = Path(folder) / HEARD
    with replacing(path) as part, writing(path), zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        # By hand: numpy.savez takes names as arguments, and a clip may be called "file".
        for name, array in {_MADE_OF: np.array(made_of), **heard}.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(
                    member, array if name == _MADE_OF else np.asarray(array, np.int32), allow_pickle=False
                )
    return path


def read_heard(folder: str | os.PathLike, *, made_of: str | None = None) -> dict[str, np.ndarray]:
    """{clip: (A,) int32} of a folder's `heard.npz`.

    Args:
        made_of: if given, a file that is not there or was made of something else gives nothing.

    Raises:
        DataError: there is none, or it is not of that form.
    """
    path = Path(folder) / HEARD
    if made_of is not None and not path.exists():
        return {}
    with reading_npz(path, "what is heard"), np.load(path, allow_pickle=False) as file:
        if made_of is not None and str(file.get(_MADE_OF)) != made_of:
            return {}
        found = {name: file[name] for name in file.files if name != _MADE_OF}
    if wrong := [name for name, classes in found.items() if classes.ndim != 1 or classes.dtype.kind != "i" or not len(classes)]:
        raise DataError(f"what is heard: {path} must hold a row of whole numbers for each clip, unlike for {wrong[0]}")
    return found
