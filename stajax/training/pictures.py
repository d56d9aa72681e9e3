"""Pictures of an evaluation for TensorBoard: frames under the map that the net makes, and the target beside it."""

from __future__ import annotations

import numpy as np

from stajax.data.jpeg import decode_jpeg
from stajax.data.records import Records
from stajax.media import contact_sheet, overlay, squash

COUNT, SIDE = 8, 160


def picture(records: Records, batch: dict[str, np.ndarray], maps: np.ndarray, classes: list[str]) -> np.ndarray:
    """(h, w, 3) uint8: the first rows of an evaluation's batch, with their tags."""
    images, labels = [], []
    for row in range(min(COUNT, len(maps))):
        clip = records.get(int(batch["record"][row]))
        if clip is None or batch["weight"][row] == 0:
            continue
        frame = squash(decode_jpeg(clip.frames[int(batch["moment"][row])]), SIDE)
        images.append(overlay(frame, maps[row]))
        labels.append(", ".join(classes[tag] for tag in clip.tags)[:24])
        if "maps" in batch:
            images.append(overlay(frame, batch["maps"][row, 0]))
            labels.append("target")
    return contact_sheet(images, 4, labels) if images else np.zeros((8, 8, 3), np.uint8)
