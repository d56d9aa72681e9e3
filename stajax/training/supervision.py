"""What the first model learns from: photographs with human fixations, moving discs, clips side by side with one's sound.

Views and sound windows are encoded once and kept as features; an example refers to them by row.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from stajax.data.fixations import density_map
from stajax.data.osie import Osie
from stajax.encoders.params import WEIGHTS, check_fit, read_params
from stajax.evaluation.osie import SIGMA
from stajax.media import cut_windows, read_frames, read_sound
from stajax.models.fragments import Fragments
from stajax.models.network import Network, Structure

SHARED = {"frames": "efficientnet_lite0", "sound": "yamnet"}
SIZE, MAP, WINDOW = 256, 64, 15600  # px of a view and of a map, samples of a sound window
_BATCH = 16


@dataclass
class Examples:
    """Fragments with their targets."""

    features: dict[str, np.ndarray]  # level -> (F, h, w, C) float16
    frames: np.ndarray  # (M, 3) int, rows of the features: t-1, t, t+1
    audio: np.ndarray  # (A, D) float32
    sound: np.ndarray  # (M,) int, rows of audio
    switch: np.ndarray  # (M,) float32
    target: np.ndarray  # (M, 64, 64) float16 in [0, 1], maximum 1

    def __len__(self) -> int:
        return len(self.frames)

    def batch(self, rows: np.ndarray) -> tuple:
        """(features, audio, fragments, target) of the examples `rows`, with only what they read."""
        views = self.frames[rows].reshape(-1)
        features = {name: x[views].astype(np.float32) for name, x in self.features.items()}
        frames = np.arange(len(views), dtype=np.int32).reshape(-1, 1, 3)
        fragments = Fragments.of(frames, np.arange(len(rows))[:, None], self.switch[rows][:, None])
        return features, self.audio[self.sound[rows]], fragments, self.target[rows].astype(np.float32)


def still(views: np.ndarray) -> np.ndarray:
    """Rows (n,) -> fragments (n, 3) of three times the same view."""
    return np.repeat(np.asarray(views)[:, None], 3, axis=1)


def silent(features: dict[str, np.ndarray], frames: np.ndarray, target: Sequence[np.ndarray] | None = None) -> Examples:
    """Examples without sound; without `target` for predicting only."""
    n = len(frames)
    return Examples(
        features=features,
        frames=np.asarray(frames),
        audio=np.zeros((1, 1024), np.float32),
        sound=np.zeros(n, int),
        switch=np.zeros(n, np.float32),
        target=np.zeros((n, MAP, MAP), np.float16) if target is None else np.asarray(target, np.float16),
    )


class Encoders:
    """The frozen encoders that ship, compiled once."""

    def __init__(self, structure: Structure):
        self.variables: dict = {
            part: check_fit(read_params(WEIGHTS / "encoders" / f"{name}.npz"), structure.shapes[part], name)
            for part, name in SHARED.items()
        }
        nets = jax.tree.map(lambda x: jnp.zeros(x.shape), structure.shapes["nets"])
        variables = jax.device_put({**self.variables, "nets": nets})

        def frames(views):
            return jax.tree.map(lambda x: x.astype(jnp.float16), structure.encode_frames(variables, views))

        self._frames = jax.jit(frames)
        self._audio = jax.jit(lambda windows: structure.apply(variables, Network.encode_audio, windows))

    def frames(self, views: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """`views`, each (256, 256, 3) uint8 -> levels (F, h, w, C) float16."""
        levels: dict[str, list] = {}
        for start in range(0, len(views), _BATCH):
            chunk = np.stack(views[start : start + _BATCH])
            padded = np.concatenate([chunk, np.repeat(chunk[-1:], _BATCH - len(chunk), axis=0)])
            for name, x in self._frames(padded).items():
                levels.setdefault(name, []).append(np.asarray(x)[: len(chunk)])
        return {name: np.concatenate(x) for name, x in levels.items()}

    def audio(self, windows: np.ndarray) -> np.ndarray:
        """(A, 15600) -> (A, 1024) float32."""
        return np.concatenate([np.asarray(self._audio(windows[i : i + 1])) for i in range(len(windows))])


def view(image: np.ndarray, box: tuple[float, float, float, float] | None = None) -> np.ndarray:
    """The part `box` (left, top, right, bottom) of an image squashed to a view, bilinear, antialiased, like `media.squash`."""
    return np.asarray(Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box))


def photographs(osie: Osie, indices: np.ndarray, encoders: Encoders, rng: np.random.Generator, pans: int) -> Examples:
    """Photographs and their mirror images with the density of their fixations: whole and at rest, and `pans` of each.

    A pan shows a part of the photograph that drifts and zooms slowly; where people look does not change by that.
    """
    views, frames, targets = [], [], []
    for i in indices:
        image = osie.image(i)
        height, width = image.shape[:2]
        density = density_map(osie.fixations(i), (height, width), SIGMA).astype(np.float32)
        for picture, truth in ((image, density), (image[:, ::-1], density[:, ::-1])):
            picture, truth = np.ascontiguousarray(picture), Image.fromarray(np.ascontiguousarray(truth))
            whole = (0, 0, width, height)
            for boxes in [[whole], *(_pan(rng, width, height) for _ in range(pans))]:
                target = np.asarray(truth.resize((MAP, MAP), Image.Resampling.BILINEAR, box=boxes[len(boxes) // 2]))
                if target.max() > 0.05:  # a part that nobody looked at has no density to learn
                    first = len(views)
                    views += [view(picture, box) for box in boxes]
                    frames.append([first] * 3 if len(boxes) == 1 else [first, first + 1, first + 2])
                    targets.append(target / target.max())
    return silent(encoders.frames(views), np.array(frames), targets)


def _pan(rng: np.random.Generator, width: int, height: int) -> list[tuple[float, float, float, float]]:
    """Boxes at t-1, t, t+1: 60 to 95 % of the picture, drifting and zooming by up to 2 % of it a frame."""
    half, drift, zoom = rng.uniform(0.6, 0.95) / 2, rng.uniform(-0.02, 0.02, 2), rng.uniform(-0.02, 0.02)
    centre = rng.uniform(half, 1 - half, 2)
    boxes = []
    for step in (-1, 0, 1):
        reach = min(half * (1 + zoom * step), 0.5)
        x, y = np.clip(centre + drift * step, reach, 1 - reach)
        boxes.append(((x - reach) * width, (y - reach) * height, (x + reach) * width, (y + reach) * height))
    return boxes


def moving_discs(
    osie: Osie, indices: np.ndarray, encoders: Encoders, rng: np.random.Generator, teacher: Callable, count: int
) -> tuple[Examples, np.ndarray]:
    """Two discs cut from photographs over a third, `count` times: all at rest, then one moving by 4 to 18 px a frame.

    At rest the target is the map of `teacher` (a function of Examples); when one disc moves, it draws half of the map. The
    discs look alike, so only the motion tells. Examples come in two blocks, at rest and moving. Also gives the discs'
    places (count, 2, 64, 64) bool, the moving one first, for measuring.
    """
    ground = [view(osie.image(i)) for i in indices]
    ys, xs = np.mgrid[:SIZE, :SIZE]
    views, discs = [], []
    for _ in range(count):
        base, *sources = (ground[i] for i in rng.choice(len(ground), 3, replace=False))
        centres, taken = rng.uniform(40, SIZE - 40, (2, 2, 2))
        while np.hypot(*(centres[0] - centres[1])) < 100:
            centres = rng.uniform(40, SIZE - 40, (2, 2))
        radii = rng.uniform(14, 36, 2)
        angle, speed = rng.uniform(0, 2 * np.pi), rng.uniform(4, 18)
        velocity = np.array([[np.cos(angle), np.sin(angle)], [0, 0]]) * speed
        for step in (-1, 0, 1):
            picture = base.astype(np.float32)
            for source, (x, y), radius, (left, top) in zip(sources, centres + step * velocity, radii, taken, strict=True):
                mask = np.clip(radius - np.hypot(xs - x, ys - y), 0, 4)[..., None] / 4
                picture += (np.roll(source, (round(y - top), round(x - left)), axis=(0, 1)) - picture) * mask
            views.append(picture.astype(np.uint8))
        discs.append((centres, radii))
    features, middle = encoders.frames(views), 3 * np.arange(count) + 1
    rest = teacher(silent(features, still(middle)))
    grid = (np.arange(MAP) + 0.5) * SIZE / MAP
    far = np.array([np.hypot(grid - x, grid[:, None] - y) for centres, _ in discs for x, y in centres]).reshape(
        count, 2, MAP, MAP
    )
    radii = np.array([radii for _, radii in discs])[..., None, None]
    blob = np.exp(-(far[:, 0] ** 2) / (2 * np.maximum(radii[:, 0] / 2, 9) ** 2))
    moving = rest / rest.sum((1, 2), keepdims=True) + blob / blob.sum((1, 2), keepdims=True)
    target = np.concatenate([x / x.max((1, 2), keepdims=True) for x in (rest, moving)])
    frames = np.concatenate([still(middle), middle[:, None] + np.array([-1, 0, 1])])
    return silent(features, frames, target), far < radii + 8


@dataclass
class Clip:
    """Moments of a tagged clip: three consecutive views each, and the sound around the middle one."""

    tag: str
    triplets: np.ndarray  # (K, 3, 256, 256, 3) uint8
    windows: np.ndarray  # (K, 15600) float32


def read_clips(root: Path, count: int) -> list[Clip]:
    """The clips of `labels.csv` whose coarse tag has at least three, each as `count` moments spread over it."""
    with (root / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["file"])
    tags = [row["coarse"] for row in rows]
    clips = []
    for row in rows:
        if tags.count(row["coarse"]) < 3:
            continue
        frames = list(read_frames(root / row["file"], max_side=512))
        middles = np.linspace(1, len(frames) - 2, count).round().astype(int)
        triplets = np.array([[view(frames[i + step].image) for step in (-1, 0, 1)] for i in middles])
        windows = cut_windows(read_sound(root / row["file"]), [frames[i].time for i in middles], WINDOW)
        clips.append(Clip(row["coarse"], triplets, windows))
    return clips


def held_out(clips: Sequence[Clip]) -> tuple[list[Clip], list[Clip]]:
    """(training, validation): of each tag the third clip, the seventh and so on are kept back."""
    seen: dict[str, int] = {}
    parts: tuple[list[Clip], list[Clip]] = ([], [])
    for clip in clips:
        seen[clip.tag] = seen.get(clip.tag, 0) + 1
        parts[seen[clip.tag] % 4 == 3].append(clip)
    return parts


def halves(one: np.ndarray, other: np.ndarray, upright: bool) -> np.ndarray:
    """Two views (256, 256, 3) uint8 beside each other, or one above the other, each squashed to half by averaging pairs."""
    axis = 0 if upright else 1
    pairs = [np.moveaxis(x, axis, 0).astype(np.uint16) for x in (one, other)]
    squashed = [np.moveaxis((x[::2] + x[1::2]) // 2, 0, axis) for x in pairs]
    return np.concatenate(squashed, axis=axis).astype(np.uint8)


def sounding_halves(
    clips: Sequence[Clip], encoders: Encoders, rng: np.random.Generator, teacher: Callable, count: int, boost: float = 3.0
) -> tuple[Examples, np.ndarray]:
    """Two clips of different tags in one picture, `count` times, each with four sounds: either clip's, a third tag's, none.

    Where a half's own sound is heard, the map of `teacher` (a function of Examples) counts `boost` times in that half; a
    foreign sound and silence leave the teacher's map as it is. The examples come in four blocks, in that order of sounds.
    Also gives the first half's mask (count, 64, 64) bool, for measuring.
    """
    tags = sorted({clip.tag for clip in clips})
    by_tag = {tag: [clip for clip in clips if clip.tag == tag] for tag in tags}
    views, windows, masks = [], [], []
    for _ in range(count):
        trio = [by_tag[tag][rng.integers(len(by_tag[tag]))] for tag in rng.choice(tags, 3, replace=False)]
        picks = [rng.integers(len(clip.triplets)) for clip in trio]
        upright = bool(rng.random() < 0.5)
        views.append(halves(trio[0].triplets[picks[0], 1], trio[1].triplets[picks[1], 1], upright))
        windows += [clip.windows[pick] for clip, pick in zip(trio, picks, strict=True)]
        mask = np.zeros((MAP, MAP), bool)
        mask[(slice(MAP // 2), slice(None)) if upright else (slice(None), slice(MAP // 2))] = True
        masks.append(mask)
    features, mask = encoders.frames(views), np.stack(masks)
    rest = teacher(silent(features, still(np.arange(count))))
    target = np.concatenate([np.where(mask, boost, 1) * rest, np.where(mask, 1, boost) * rest, rest, rest])
    first = 3 * np.arange(count)
    examples = Examples(
        features=features,
        frames=np.tile(still(np.arange(count)), (4, 1)),
        audio=encoders.audio(np.stack(windows)),
        sound=np.concatenate([first, first + 1, first + 2, first]),
        switch=np.repeat([1, 1, 1, 0], count).astype(np.float32),
        target=(target / target.max((1, 2), keepdims=True)).astype(np.float16),
    )
    return examples, mask
