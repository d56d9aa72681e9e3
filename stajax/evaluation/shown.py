"""What was scored, to look at: the picture, map and truth of a frame of an evaluation, read from disk anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from stajax.data.fixations import DataError
from stajax.evaluation.predictions import Predictions
from stajax.evaluation.protocols import open_protocol
from stajax.evaluation.results import Evaluation


class Shown(NamedTuple):
    """What there is to see of a scored frame; None where a part is missing or cannot be read."""

    image: np.ndarray | None  # (h, w, 3) uint8 RGB
    saliency: np.ndarray | None  # (h', w'), the prediction's map as it is on disk
    fixations: np.ndarray | None  # (h'', w''), > 0 where somebody looked
    density: np.ndarray | None  # (h'', w'')


def look_up(evaluation: Evaluation) -> Callable[[str, str, str, int], Shown]:
    """A function from data set, split, video and frame, as in the rows, to what was scored there.

    Raises:
        ValueError: the folders that settings name are no longer there (`evaluate`'s errors).
    """
    settings = evaluation.settings
    where = settings["truth"], settings["datasets"], settings["splits"]
    rules = open_protocol(evaluation.protocol, *where, **settings["options"])
    predictions = Predictions(settings["pred"]) if settings["pred"] else None
    videos = {(video.dataset, video.name): video for video in rules.videos}

    def shown(dataset: str, split: str, name: str, frame: int) -> Shown:
        video = videos[dataset, name]
        truth = _unless_broken(lambda: rules.truth(video, frame, None)) or (None, None)
        part = split if predictions and predictions.splits else None
        maps = _unless_broken(lambda: predictions and predictions.find(video, part))
        saliency = _unless_broken(lambda: maps.read(frame)) if maps and frame in maps.frames else None
        return Shown(_unless_broken(lambda: rules.image(video, frame)), saliency, *truth[:2])

    return shown


def _unless_broken(read):
    try:
        return read()
    except DataError:
        return None
