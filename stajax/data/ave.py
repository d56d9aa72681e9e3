"""AVE (Tian et al. 2018): 4143 clips of 10 s in 28 classes, as it is downloaded.

    AVE_Dataset/Annotations.txt        Category&VideoID&Quality&StartTime&EndTime, one event a line
    AVE_Dataset/trainSet.txt           the same lines, of 3339 clips; valSet.txt and testSet.txt have 402 each
    AVE_Dataset/AVE/<VideoID>.mp4

46 videos have two events, of two classes: they are one clip with two tags here, so a split has a few clips fewer than lines.
"""

from __future__ import annotations

import os
from pathlib import Path

from stajax.data.clip_lists import ListedClip
from stajax.data.fixations import DataError
from stajax.data.tags import AVE_CLASSES

SPLITS = {"train": "trainSet.txt", "validation": "valSet.txt", "test": "testSet.txt", "all": "Annotations.txt"}
_HEADER = "Category&"


def read_ave(folder: str | os.PathLike, split: str = "train") -> list[ListedClip]:
    """The clips of a split of AVE, in the order of its list; whether the videos exist is for the reader of clips to say.

    Args:
        folder: of the download.
        split: ``train``, ``validation``, ``test``, or ``all``.

    Raises:
        DataError: no such split, no list of it, or a line that is not one of AVE's.
    """
    if split not in SPLITS:
        raise DataError(f"AVE has no split {split!r}; it has {', '.join(SPLITS)}")
    path = Path(folder) / SPLITS[split]
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise DataError(f"AVE: no {path}; the download has {', '.join(SPLITS.values())} and AVE/<VideoID>.mp4") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"AVE: {path} cannot be read ({error})") from error
    tags: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(_HEADER):
            continue
        category, *rest = line.strip().split("&")
        if len(rest) != 4 or category not in AVE_CLASSES:
            raise DataError(
                f"AVE: {path}, line {number}: {line.strip()[:80]!r} is not Category&VideoID&Quality&StartTime&EndTime"
            )
        of_video = tags.setdefault(rest[0], [])
        if category not in of_video:
            of_video.append(category)
    if not tags:
        raise DataError(f"AVE: {path} lists no clips")
    return [ListedClip(Path(folder) / "AVE" / f"{video}.mp4", tuple(found), video) for video, found in tags.items()]
