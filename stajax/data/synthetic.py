"""`synthetic_ave`: made clips of sounding objects whose places are known, to measure whether tags alone find what sounds.

Each clip shows several objects on a textured ground. One sounds, and the clip's tag is its class. A scene is, at random, of
two kinds:

- "motion": the sounding object moves; its twin, and twins of another class, stand still and are silent. Only motion tells
  the sounding object from its twin.
- "voice": objects of different classes all move alike and one is heard. Only what is heard tells which; and as several classes
  sound alike, only who looks at the object that sounds can tell its class.

Places, sizes, shades and paths are drawn alike for all objects, and what stands still rests at a random moment of a path of
its own: nothing else tells the sounding object from the others. Some clips are heard with a sound that no object of theirs
makes, or with none, for the audio switch to learn from.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from stajax.data.heard import count_hops, write_heard
from stajax.data.jpeg import decode_jpeg, encode_jpeg
from stajax.data.records import Clip, Records, write_records
from stajax.data.synthetic_picture import COLOURS, SHAPES, grainy, ground, paint
from stajax.data.synthetic_sound import voice
from stajax.media.atomic import replacing, writing
from stajax.media.audio import SAMPLE_RATE

TRUTH = "truth.npz"

# In parts of the picture's side, ranges of what is drawn for each object.
_RADIUS = (0.08, 0.11)
_SWING = (0.06, 0.09)  # how far a path leads from its middle
_APART = 0.22  # the middles of two paths, at least
_RATE = (1.2, 2.0)  # swings a second

_SHADE = 12  # levels: deviation of an object's colour from its class's
_QUALITY = 92  # of the JPEGs


@dataclass(frozen=True)
class SyntheticConfig:
    """What the clips are like.

    Attributes:
        size: pixels of the square picture's side.
        fps: frames a second.
        seconds: length of a clip.
        classes: 3 to 8.
        alike: so many classes have the same voice: 0 to alike - 1 one, the next another.
        objects: in each clip, 2 to 6.
        motion: share of the scenes of that kind.
        foreign: share of the clips that are heard with a sound of a class that they do not show.
        silent: share of the clips without a sound track.
        noise: deviation of the noise under each sound; full scale is 1.
    """

    size: int = 64
    fps: float = 10.0
    seconds: float = 3.0
    classes: int = 4
    alike: int = 1
    objects: int = 4
    motion: float = 0.4
    foreign: float = 0.1
    silent: float = 0.1
    noise: float = 0.01

    def __post_init__(self):
        if not 3 <= self.classes <= len(SHAPES):
            raise ValueError(f"synthetic clips of {self.classes} classes; 3 to {len(SHAPES)} are possible")
        if not 1 <= self.alike <= self.classes // 3:
            raise ValueError(f"{self.alike} of {self.classes} classes sound alike; three voices are needed")
        if not 2 <= self.objects <= 6:
            raise ValueError(f"synthetic clips of {self.objects} objects; 2 to 6 have room")


@dataclass(frozen=True, eq=False)
class SyntheticClip:
    """The truth about a clip, and the clip itself. Objects are listed with the sounding one first; it may lie behind others."""

    name: str
    scene: Literal["motion", "voice"]
    classes: np.ndarray  # (n,) int64; the first is the clip's tag
    moving: np.ndarray  # (n,) bool
    centres: np.ndarray  # (T, n, 2) float32, x and y in pixels
    radii: np.ndarray  # (n,) float32, pixels
    voiced: bool  # the sounding object is heard; otherwise there is a foreign sound, or none
    heard: np.ndarray  # (A,) int32, the class that is heard at i * 0.2 s, or -1
    config: SyntheticConfig
    _seed: tuple[int, int]
    _swing: tuple[float, float]  # swings a second of the sounding object, and where in its swing it begins, in radians

    @property
    def boxes(self) -> np.ndarray:
        """(T, n, 4) float32: left, top, right, bottom in pixels, the sounding object's first."""
        reach = self.radii[:, None]
        return np.concatenate([self.centres - reach, self.centres + reach], axis=-1)

    @cached_property
    def clip(self) -> Clip:
        """The clip, as it goes into a record."""
        rng = np.random.default_rng((*self._seed, 1))
        return Clip(
            name=self.name,
            tags=self.classes[:1],
            frames=[encode_jpeg(picture, _QUALITY) for picture in self._pictures(rng)],
            times=(np.arange(len(self.centres)) / self.config.fps).astype(np.float32),
            fps=self.config.fps,
            sound=self._sound(rng),
        )

    def _pictures(self, rng):
        names = list(SHAPES)
        colours = [np.array(COLOURS[names[kind]]) + rng.normal(0, _SHADE, 3) for kind in self.classes]
        turns, behind = rng.uniform(-0.3, 0.3, len(self.classes)), rng.permutation(len(self.classes))
        empty = ground(self.config.size, rng)
        for centres in self.centres:
            canvas = empty.copy()
            for i in behind:
                paint(canvas, names[self.classes[i]], colours[i], centres[i], self.radii[i], turns[i])
            yield grainy(canvas, rng)

    def _sound(self, rng):
        count, kind = round(self.config.seconds * SAMPLE_RATE), self.heard[0]
        if kind < 0:
            return np.zeros(0, np.int16)
        rate, phase = self._swing
        speed = np.abs(np.cos(2 * np.pi * rate * np.arange(count) / SAMPLE_RATE + phase))  # over the highest
        sound = 0.4 * voice(kind // self.config.alike, count, rng) * (0.6 + 0.4 * speed)
        sound += rng.normal(0, self.config.noise, count)
        return np.rint(32767 * np.clip(sound, -1, 1)).astype(np.int16)


class SyntheticAVE(Sequence):
    """`count` clips, each a function of (seed, its number), made when it is asked for.

    Attributes:
        classes: their names, in the order of the tags.
    """

    def __init__(self, count: int, *, seed: int = 0, config: SyntheticConfig | None = None):
        self.count, self.seed, self.config = count, seed, config or SyntheticConfig()
        self.classes = tuple(SHAPES)[: self.config.classes]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> SyntheticClip:
        return synthetic_clip(self.config, self.seed, range(self.count)[index])  # negative ones; IndexError


def synthetic_clip(config: SyntheticConfig, seed: int, index: int) -> SyntheticClip:
    """Clip number `index` of the set of this seed."""
    rng = np.random.default_rng((seed, index, 0))
    scene = "motion" if rng.random() < config.motion else "voice"
    # A class of each voice, in random order.
    tag, other, *rest = rng.permutation([rng.choice(group) for group in np.split(np.arange(config.classes), _voices(config))])
    kind = rng.random()
    foreign, silent = kind < config.foreign, kind > 1 - config.silent
    twins = 2 if scene == "motion" else 1
    rest = rest if foreign else [other, *rest]
    # As many of each class as of the sounding one, so that counting does not tell; different voices as far as there are.
    strangers = np.resize(np.repeat(rest, twins), config.objects - twins)
    moving = np.arange(config.objects) < (1 if scene == "motion" else config.objects)
    radii, centres, swing = _paths(config, moving, rng)
    heard = -1 if silent else other if foreign else tag
    return SyntheticClip(
        name=f"synthetic_{seed}_{index:05d}",
        scene=scene,
        classes=np.array([tag] * twins + strangers.tolist(), np.int64),
        moving=moving,
        centres=centres,
        radii=radii,
        voiced=not (foreign or silent),
        heard=np.full(count_hops((len(centres) - 1) / config.fps), heard, np.int32),
        config=config,
        _seed=(seed, index),
        _swing=swing,
    )


def write_synthetic(folder: str | os.PathLike, clips: SyntheticAVE, *, name: str = "clips", shards: int = 1) -> Records:
    """The set as records, with `heard.npz` and `truth.npz` beside them; a rerun keeps the shards that are there.

    truth.npz: clip name -> (T, n, 4) float32 boxes as in `SyntheticClip`, the sounding object's first.

    Raises:
        DataError: the folder holds other records. OutputError: it cannot be written.
    """
    made_of = f"synthetic_ave {clips.count} of seed {clips.seed}, {clips.config}"
    records = write_records(folder, _Rendered(clips), clips.classes, name=name, shards=shards, made_of=made_of)
    write_heard(folder, {clip.name: clip.heard for clip in clips})
    path = Path(folder) / TRUTH
    with replacing(path) as part, writing(path), part.open("wb") as file:
        np.savez_compressed(file, **{clip.name: clip.boxes for clip in clips})
    return records


def sheet(clips: Sequence[SyntheticClip], moments: int = 4) -> np.ndarray:
    """A row of pictures for each clip, with a white box around what sounds: (h, w, 3) uint8."""
    from PIL import Image, ImageDraw

    from stajax.media.draw import contact_sheet

    pictures, labels = [], []
    for clip in clips:
        for t in np.linspace(0, len(clip.boxes) - 1, moments).astype(int):
            picture = Image.fromarray(decode_jpeg(clip.clip.frames[t]))
            ImageDraw.Draw(picture).rectangle(clip.boxes[t, 0].tolist(), outline=(255, 255, 255))
            pictures.append(np.asarray(picture))
            labels.append("" if t else clip.scene)
    return contact_sheet(pictures, moments, labels)


class _Rendered(Sequence):
    """The clips themselves, for `write_records`, which asks for those that it lacks."""

    def __init__(self, clips: SyntheticAVE):
        self.clips = clips

    def __len__(self):
        return len(self.clips)

    def __getitem__(self, index):
        return self.clips[index].clip


def _voices(config: SyntheticConfig) -> list[int]:
    """Where the classes of the next voice begin."""
    return list(range(config.alike, config.classes, config.alike))


def _paths(config: SyntheticConfig, moving: np.ndarray, rng: np.random.Generator):
    """radii (n,) and centres (T, n, 2) in pixels, and the first object's swings a second and the angle that it begins at."""
    n = len(moving)
    radii, reach = rng.uniform(*_RADIUS, n), rng.uniform(*_SWING, n)
    heading, phase, rate = rng.uniform(0, 2 * np.pi, n), rng.uniform(0, 2 * np.pi, n), rng.uniform(*_RATE, n)
    times = np.arange(round(config.seconds * config.fps)) / config.fps
    # What stands still rests where its path begins, which is anywhere on it.
    angles = 2 * np.pi * rate * moving * times[:, None] + phase
    way = np.stack([np.cos(heading), np.sin(heading)], axis=-1) * reach[:, None]
    centres = _middles(n, rng) + np.sin(angles)[..., None] * way
    return (config.size * radii).astype(np.float32), (config.size * centres).astype(np.float32), (rate[0], phase[0])


def _middles(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, 2) places in the unit square, inside by the reach of any object and apart from each other, in random order."""
    edge = _RADIUS[1] + _SWING[1]
    while True:
        middles = np.empty((0, 2))
        for candidate in rng.uniform(edge, 1 - edge, (50 * n, 2)):
            if (np.hypot(*(middles - candidate).T) >= _APART).all():
                middles = np.concatenate([middles, candidate[None]])
            if len(middles) == n:
                return rng.permutation(middles)  # the first ones had more room
