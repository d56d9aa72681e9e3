"""Does the sound matter? Maps of the same frames with their own sound, with none, and with another clip's.

    python benchmarks/sound.py stajax/weights/sta-lite runs/shipped/records --every 4      # of real clips, those held out
    python benchmarks/sound.py runs/tiny/model runs/tiny/records/test -o sound.png         # of synthetic ones, with a picture

Prints how much the map changes: the mean total variation distance of maps that sum to 1 (0 is the same map, 1 no overlap).

Where it is known what sounds, it prints the share of the map there, too: in the sounding object of synthetic clips, and of real
ones in composites, two clips of different tags side by side with the sound of one or the other. A model that does not listen
gives both halves the same whatever is heard: it is right in half of the pairs.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from stajax.data.composites import Composites
from stajax.data.jpeg import decode_jpeg
from stajax.data.records import Clip, Records
from stajax.data.split import held_out
from stajax.data.synthetic import TRUTH
from stajax.inference.predict import load
from stajax.media import MediaWarning, contact_sheet, overlay, save_png
from stajax.pipeline.predicted import maps_of, silent

KINDS = ("own", "silent", "foreign")
SIDE = 192  # pixels of a tile's height, about


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("records", type=Path)
    parser.add_argument(
        "--every", type=int, default=0, metavar="N", help="only the clips that training with validation=N held out"
    )
    parser.add_argument("--clips", type=int, default=64, help="at most (default: 64)")
    parser.add_argument("--composites", type=int, default=100, help="pairs of real clips (default: 100)")
    parser.add_argument("-o", "--out", type=Path, help="a picture of four clips, a row each: frame, and the map of each sound")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", MediaWarning)  # some are made silent
    records = Records(arguments.records)
    rows = held_out(records.entries, arguments.every)["validation"] if arguments.every else np.arange(len(records))
    heard = [i for i in rows.tolist() if records.entries[i].samples and records.entries[i].frames][: arguments.clips]
    engine = load(arguments.model).engine
    clips = [records[i] for i in heard]
    maps = [each_sound(lambda clip: maps_of(engine, clip), clip, foreign(clips, i)) for i, clip in enumerate(clips)]
    print(f"{len(clips)} clips, {sum(len(clip.frames) for clip in clips)} frames")
    for kind in KINDS[1:]:
        print(f"own sound against {kind}: the map changes by {np.mean([distance(m['own'], m[kind]) for m in maps]):.3f}")
    boxes = {}
    if (arguments.records / TRUTH).is_file():
        with np.load(arguments.records / TRUTH, allow_pickle=False) as file:
            boxes = {clip.name: file[clip.name][:, 0] for clip in clips}
        places = [inside(boxes[clip.name], clip) for clip in clips]
        for kind in KINDS:
            found = [share(m[kind], place(m[kind].shape[1])) for m, place in zip(maps, places, strict=True)]
            print(f"{kind} sound: {np.concatenate(found).mean():.3f} of the map lies in the sounding object")
    else:
        _composites(engine, Composites(records, arguments.composites, rows=heard, size=256, seconds=1.0, seed=1), clips)
    if arguments.out:
        ranked = sorted(range(len(clips)), key=lambda i: -distance(maps[i]["own"], maps[i]["silent"]))
        picked = [ranked[(2 * i + 1) * len(ranked) // 8] for i in range(4)]  # from a great change to hardly one
        save_png(arguments.out, picture([(clips[i], maps[i]) for i in picked], boxes))


def each_sound(maps: Callable[[Clip], np.ndarray], clip: Clip, other: Clip) -> dict[str, np.ndarray]:
    """Maps (T, h, w) of a clip's frames with each kind of sound."""
    return {"own": maps(clip), "silent": maps(silent(clip)), "foreign": maps(replace(clip, sound=other.sound))}


def foreign(clips: Sequence[Clip], i: int) -> Clip:
    """The next clip that has no tag in common with clip i."""
    others = [*clips[i + 1 :], *clips[:i]]
    return next((other for other in others if not set(other.tags) & set(clips[i].tags)), others[0])


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean total variation distance of maps (T, h, w), each made to sum to 1."""
    p, q = (x / np.maximum(x.sum((1, 2), keepdims=True), 1e-12) for x in (one, other))
    return float(np.abs(p - q).sum((1, 2)).mean() / 2)


def inside(boxes: np.ndarray, clip: Clip) -> Callable[[int], np.ndarray]:
    """A function from the maps' side to the pixels (T, side, side) in boxes (T, 4) of left, top, right, bottom."""
    height, width = decode_jpeg(clip.frames[0]).shape[:2]

    def place(side: int) -> np.ndarray:
        middle = (np.arange(side) + 0.5) / side
        across = (boxes[:, :1] <= middle * width) & (middle * width <= boxes[:, 2:3])
        down = (boxes[:, 1:2] <= middle * height) & (middle * height <= boxes[:, 3:])
        return down[:, :, None] & across[:, None]

    return place


def share(maps: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The part of each map (T, h, w) that lies in `place`, of the same shape: (T,)."""
    return (maps * place).sum((1, 2)) / np.maximum(maps.sum((1, 2)), 1e-12)


def _composites(engine, composites: Composites, clips: Sequence[Clip]) -> None:
    """The half that shows the clip whose sound is heard, with that sound and with the other clip's."""
    of_name = {clip.name: clip for clip in clips}
    gains = []
    for index in range(len(composites)):
        clip, seen = composites[index], composites.seen(index)
        rows, columns = composites.heard_half(index)
        other = replace(clip, sound=of_name[seen].sound[: len(clip.sound)])
        own, others = maps_of(engine, clip), maps_of(engine, other)
        side = own.shape[1]
        half = np.zeros(own.shape, bool)
        half[:, int(rows.start * side) : int(rows.stop * side), int(columns.start * side) : int(columns.stop * side)] = True
        gains.append((share(own, half) - share(others, half)).mean())
    right, mean = np.mean(np.array(gains) > 0), np.mean(gains)
    print(f"{len(composites)} composites: the half that sounds gains in {right:.0%} (chance 50 %), by {mean:.3f} of the map")


def picture(rows: Sequence[tuple[Clip, dict[str, np.ndarray]]], boxes: Mapping[str, np.ndarray]) -> np.ndarray:
    """A row for each clip at its middle frame: the frame, what sounds in a box if that is known, its map with each sound."""
    tiles = []
    for clip, maps in rows:
        at = len(clip.frames) // 2
        frame = Image.fromarray(decode_jpeg(clip.frames[at]))
        scale = max(1, round(SIDE / frame.height))
        frame = frame.resize((frame.width * scale, frame.height * scale))
        shown = frame.copy()
        if clip.name in boxes:
            ImageDraw.Draw(shown).rectangle((scale * boxes[clip.name][at]).tolist(), outline=(255, 255, 255), width=2)
        peak = max(float(maps[kind][at].max()) for kind in KINDS)
        tiles += [np.asarray(shown), *(overlay(np.asarray(frame), maps[kind][at] / max(peak, 1e-6)) for kind in KINDS)]
    return contact_sheet(tiles, 1 + len(KINDS), ["frame", "own sound", "silent", "another's sound"] * len(rows))


if __name__ == "__main__":
    main()
