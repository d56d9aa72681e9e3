"""What the first model learns from: photographs with human fixations, and clips side by side with the sound of one.

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

from stajax.data.fixations import Osie, density_map
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
    """Fragments with their targets. A fragment is a still here, three times the same view."""

    features: dict[str, np.ndarray]  # level -> (F, h, w, C) float16
    view: np.ndarray  # (M,) int, rows of the features
    audio: np.ndarray  # (A, D) float32
    sound: np.ndarray  # (M,) int, rows of audio
    switch: np.ndarray  # (M,) float32
    target: np.ndarray  # (M, 64, 64) float16 in [0, 1], maximum 1

    def __len__(self) -> int:
        return len(self.view)

    def batch(self, rows: np.ndarray) -> tuple:
        """(features, audio, fragments, target) of the examples `rows`, with only what they read."""
        features = {name: x[self.view[rows]].astype(np.float32) for name, x in self.features.items()}
        index = np.arange(len(rows), dtype=np.int32)[:, None]
        fragments = Fragments.of(np.repeat(index[..., None], 3, axis=2), index, self.switch[rows][:, None])
        return features, self.audio[self.sound[rows]], fragments, self.target[rows].astype(np.float32)


def silent(features: dict[str, np.ndarray], target: Sequence[np.ndarray] | None = None) -> Examples:
    """Every view as an example without sound; without `target` for predicting only."""
    n = len(next(iter(features.values())))
    return Examples(
        features=features,
        view=np.arange(n),
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
            pairs = views.reshape(-1, 2, SIZE, SIZE, 3)  # two at a time stay in a CPU's cache
            levels = jax.lax.map(lambda x: structure.apply(variables, Network.encode_frames, x), pairs)
            return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]).astype(jnp.float16), levels)

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
    """The part `box` (left, top, right, bottom) of an image squashed to a view, by the filter that `media.squash` uses."""
    return np.asarray(Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box))


def photographs(osie: Osie, indices: np.ndarray, encoders: Encoders, rng: np.random.Generator, parts: int) -> Examples:
    """Photographs and their mirror images with the density of their fixations: whole, and `parts` random parts of each."""
    views, targets = [], []
    for i in indices:
        image = osie.image(i)
        height, width = image.shape[:2]
        density = density_map(osie.fixations(i), (height, width), SIGMA).astype(np.float32)
        for picture, truth in ((image, density), (image[:, ::-1], density[:, ::-1])):
            picture, truth = np.ascontiguousarray(picture), Image.fromarray(np.ascontiguousarray(truth))
            for scale in (1.0, *rng.uniform(0.6, 0.95, parts)):
                left, top = rng.uniform(0, 1 - scale, 2) * (width, height)
                box = (left, top, left + scale * width, top + scale * height)
                target = np.asarray(truth.resize((MAP, MAP), Image.Resampling.BILINEAR, box=box))
                if target.max() > 0.05:  # a part that nobody looked at has no density to learn
                    views.append(view(picture, box))
                    targets.append(target / target.max())
    return silent(encoders.frames(views), targets)


@dataclass
class Clip:
    """Views of a tagged clip and the sound around each."""

    tag: str
    views: np.ndarray  # (K, 256, 256, 3) uint8
    windows: np.ndarray  # (K, 15600) float32


def read_clips(root: Path, count: int) -> list[Clip]:
    """The clips of `labels.csv` whose coarse tag has at least three, each as `count` views spread over it."""
    with (root / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["file"])
    tags = [row["coarse"] for row in rows]
    clips = []
    for row in rows:
        if tags.count(row["coarse"]) < 3:
            continue
        frames = list(read_frames(root / row["file"], max_side=512))
        chosen = [frames[i] for i in np.linspace(0, len(frames) - 1, count).round().astype(int)]
        windows = cut_windows(read_sound(root / row["file"]), [frame.time for frame in chosen], WINDOW)
        clips.append(Clip(row["coarse"], np.stack([view(frame.image) for frame in chosen]), windows))
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
        picks = [rng.integers(len(clip.views)) for clip in trio]
        upright = bool(rng.random() < 0.5)
        views.append(halves(trio[0].views[picks[0]], trio[1].views[picks[1]], upright))
        windows += [clip.windows[pick] for clip, pick in zip(trio, picks, strict=True)]
        mask = np.zeros((MAP, MAP), bool)
        mask[(slice(MAP // 2), slice(None)) if upright else (slice(None), slice(MAP // 2))] = True
        masks.append(mask)
    features, mask = encoders.frames(views), np.stack(masks)
    rest = teacher(silent(features))
    target = np.concatenate([np.where(mask, boost, 1) * rest, np.where(mask, 1, boost) * rest, rest, rest])
    first = 3 * np.arange(count)
    examples = Examples(
        features=features,
        view=np.tile(np.arange(count), 4),
        audio=encoders.audio(np.stack(windows)),
        sound=np.concatenate([first, first + 1, first + 2, first]),
        switch=np.repeat([1, 1, 1, 0], count).astype(np.float32),
        target=(target / target.max((1, 2), keepdims=True)).astype(np.float16),
    )
    return examples, mask
