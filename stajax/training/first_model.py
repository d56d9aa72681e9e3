"""Train `sta-lite`, the first default model: STA on EfficientNet-Lite0 and YAMNet, both frozen, in minutes on a CPU.

    python -m stajax.training.first_model --data ../shared/data --out stajax/weights/sta-lite

What supervises which path:

- the picture: human fixations of OSIE's training photographs, whole and under small pans and zooms (`photographs`);
- the motion: an object cut from one photograph moves over another; the net learned so far says where people look in the
  composite at rest, and moving, the object draws half of it (`moving_objects`);
- the sound: frames of two tagged clips side by side with the sound of one; the net learned so far says where people
  look, and the half that sounds draws more of it (`sounding_halves`). A silent or foreign sound changes nothing.

The last two are priors on attention, not human fixations of videos, and the model card says so. Features are computed
once and kept, so a step costs only the net's heads.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from PIL import Image

from stajax.data.fixations import Osie, density_map
from stajax.encoders.params import WEIGHTS, check_fit, read_params
from stajax.evaluation.osie import SIGMA
from stajax.media import cut_windows, read_frames, read_sound
from stajax.models.fragments import Fragments
from stajax.models.losses import fixation_loss
from stajax.models.network import Network, Structure

SIZE, MAP = 256, 64  # px of a view and of a map
ENCODER_BATCH = 16
SHARED = {"frames": "efficientnet_lite0", "sound": "yamnet"}


@dataclass
class Examples:
    """Fragments with their targets. Views and windows are kept as features; fragments refer to them by row."""

    features: dict[str, np.ndarray]  # level -> (F, h, w, C) float16
    frames: np.ndarray  # (M, 3) int, rows of the features
    audio: np.ndarray  # (A, D) float32
    sound: np.ndarray  # (M,) int, rows of audio
    switch: np.ndarray  # (M,) float32
    target: np.ndarray  # (M, 64, 64) float16 in [0, 1], maximum 1

    def batch(self, rows: np.ndarray) -> tuple:
        """(features, audio, fragments, target) of the examples `rows`, with only what they read."""
        frames = self.frames[rows].reshape(-1)
        features = {name: x[frames].astype(np.float32) for name, x in self.features.items()}
        index = np.arange(len(frames), dtype=np.int32).reshape(-1, 1, 3)
        audio = self.audio[self.sound[rows]]
        fragments = Fragments.of(index, np.arange(len(rows))[:, None], self.switch[rows][:, None])
        return features, audio, fragments, self.target[rows].astype(np.float32)


class Encoders:
    """The frozen encoders, compiled once."""

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
        for start in range(0, len(views), ENCODER_BATCH):
            chunk = np.stack(views[start : start + ENCODER_BATCH])
            padded = np.concatenate([chunk, np.repeat(chunk[-1:], ENCODER_BATCH - len(chunk), axis=0)])
            for name, x in self._frames(padded).items():
                levels.setdefault(name, []).append(np.asarray(x)[: len(chunk)])
        return {name: np.concatenate(x) for name, x in levels.items()}

    def audio(self, windows: np.ndarray) -> np.ndarray:
        """(A, 15600) -> (A, 1024)."""
        return np.concatenate([np.asarray(self._audio(windows[i : i + 1])) for i in range(len(windows))])


def view(image: np.ndarray, box: tuple[float, float, float, float] | None = None) -> np.ndarray:
    """The part `box` (left, top, right, bottom) of an image, squashed to a view, by the filter that `media.squash` uses."""
    return np.asarray(Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box))


def to_target(density: np.ndarray, box=None) -> np.ndarray:
    """A density in the photograph's pixels -> (64, 64) target with maximum 1."""
    picture = Image.fromarray(density.astype(np.float32))
    target = np.asarray(picture.resize((MAP, MAP), Image.Resampling.BILINEAR, box=box))
    return target / max(float(target.max()), 1e-6)


def silent(features: dict, frames: np.ndarray, target: Sequence[np.ndarray]) -> Examples:
    """Examples without sound."""
    n = len(frames)
    return Examples(
        features,
        frames,
        np.zeros((1, 1024), np.float32),
        np.zeros(n, int),
        np.zeros(n, np.float32),
        np.asarray(target, np.float16),
    )


def photographs(osie: Osie, indices: np.ndarray, encoders: Encoders, rng: np.random.Generator, pans: int) -> Examples:
    """Each photograph and its mirror image: whole, at rest; and `pans` slow pans and zooms of a part, three views each."""
    views, frames, targets = [], [], []
    for i in indices:
        points = osie.fixations(i)
        height, width = osie.image(i).shape[:2]
        for mirrored in (False, True):
            image = osie.image(i)[:, ::-1] if mirrored else osie.image(i)
            density = density_map(points, (height, width), SIGMA)
            density = density[:, ::-1] if mirrored else density
            frames.append([len(views)] * 3)
            views.append(view(np.ascontiguousarray(image)))
            targets.append(to_target(density))
            for _ in range(pans):
                boxes = _pan(rng, width, height)
                target = to_target(density, boxes[1])
                frames.append(range(len(views), len(views) + 3))
                views += [view(np.ascontiguousarray(image), box) for box in boxes]
                targets.append(target)
    return silent(encoders.frames(views), np.array([list(f) for f in frames]), targets)


def _pan(rng: np.random.Generator, width: int, height: int) -> list[tuple[float, float, float, float]]:
    """Boxes at t-1, t, t+1: 65 to 95 % of the frame, drifting by up to 2 % of it and zooming by up to 2 % a frame."""
    scale, drift, zoom = rng.uniform(0.65, 0.95), rng.uniform(-0.02, 0.02, 2), rng.uniform(-0.02, 0.02)
    left, top = rng.uniform(0, 1 - scale, 2)
    boxes = []
    for step in (-1, 0, 1):
        half = scale * (1 + zoom * step) / 2
        x = np.clip(left + scale / 2 + drift[0] * step, half, 1 - half) if half < 0.5 else 0.5
        y = np.clip(top + scale / 2 + drift[1] * step, half, 1 - half) if half < 0.5 else 0.5
        half = min(half, 0.5)
        boxes.append(((x - half) * width, (y - half) * height, (x + half) * width, (y + half) * height))
    return boxes


def moving_objects(
    osie: Osie, indices: np.ndarray, encoders: Encoders, rng: np.random.Generator, teacher: Callable, count: int
) -> Examples:
    """Discs cut from one photograph over another: at rest (the teacher's map) and moving (half of it is the object's)."""
    views, centres, sizes = [], [], []
    yy, xx = np.mgrid[:SIZE, :SIZE]
    for _ in range(count):
        ground, source = (view(osie.image(i)) for i in rng.choice(indices, 2, replace=False))
        radius = rng.uniform(14, 40)
        centre = rng.uniform(radius, SIZE - radius, 2)
        angle, speed = rng.uniform(0, 2 * np.pi), rng.uniform(2, 14)
        cut = rng.uniform(radius, SIZE - radius, 2)  # where the disc is taken from
        for step in (-1, 0, 1):
            x, y = np.clip(centre + step * speed * np.array([np.cos(angle), np.sin(angle)]), radius, SIZE - radius)
            mask = np.clip(radius - np.hypot(xx - x, yy - y), 0, 4)[..., None] / 4
            shifted = np.roll(source, (round(y - cut[1]), round(x - cut[0])), axis=(0, 1))
            views.append((ground * (1 - mask) + shifted * mask).astype(np.uint8))
        centres.append(centre)
        sizes.append(radius)
    features = encoders.frames(views)
    middle = np.arange(count) * 3 + 1
    resting = np.repeat(middle[:, None], 3, axis=1)
    moving = middle[:, None] + np.array([-1, 0, 1])
    rest = teacher(silent(features, resting, np.zeros((count, MAP, MAP))))
    grid = (np.arange(MAP) + 0.5) * SIZE / MAP
    targets = []
    for saliency, (x, y), radius in zip(rest, centres, sizes, strict=True):
        blob = np.exp(-((grid[None] - x) ** 2 + (grid[:, None] - y) ** 2) / (2 * max(radius / 2, 9) ** 2))
        mixed = saliency / saliency.sum() + blob / blob.sum()
        targets.append(mixed / mixed.max())
    rest = rest / rest.max((1, 2), keepdims=True)
    return silent(features, np.concatenate([resting, moving]), np.concatenate([rest, targets]))


@dataclass
class Clip:
    """A tagged clip: views of consecutive frames and the sound around them."""

    tag: str
    triplets: np.ndarray  # (K, 3, 256, 256, 3) uint8
    windows: np.ndarray  # (K, 15600) float32


def read_clips(root: Path, triplets: int) -> list[Clip]:
    """The labelled clips of the coarse tags that have at least three, `triplets` of consecutive frames from each."""
    with (root / "labels.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["file"])
    tags = [row["coarse"] for row in rows]
    clips = []
    for row in rows:
        if tags.count(row["coarse"]) < 3:
            continue
        frames = list(read_frames(root / row["file"], max_side=512))
        middles = np.linspace(2, len(frames) - 3, triplets).round().astype(int)
        views = [[view(frames[middle + step].image) for step in (-1, 0, 1)] for middle in middles]
        windows = cut_windows(read_sound(root / row["file"]), [frames[middle].time for middle in middles], 15600)
        clips.append(Clip(row["coarse"], np.array(views), windows))
    return clips


def held_out(clips: Sequence[Clip]) -> tuple[list[Clip], list[Clip]]:
    """(training, validation): every fourth clip of each tag is kept back."""
    seen: dict[str, int] = {}
    parts: tuple[list[Clip], list[Clip]] = ([], [])
    for clip in clips:
        seen[clip.tag] = seen.get(clip.tag, 0) + 1
        parts[seen[clip.tag] % 4 == 3].append(clip)
    return parts


def halves(one: np.ndarray, other: np.ndarray, upright: bool) -> np.ndarray:
    """Two views (..., 256, 256, 3) beside each other (or one above the other), each squashed to half."""
    axis = -3 if upright else -2
    pairs = [np.moveaxis(x, axis, 0).astype(np.uint16) for x in (one, other)]
    return np.concatenate([np.moveaxis((x[::2] + x[1::2]) // 2, 0, axis) for x in pairs], axis=axis).astype(np.uint8)


def sounding_halves(
    clips: Sequence[Clip], encoders: Encoders, rng: np.random.Generator, teacher: Callable, count: int, boost: float = 3.0
) -> tuple[Examples, np.ndarray]:
    """Two clips of different tags in one picture, four times: with the sound of each, with a third tag's sound, in silence.

    Where a half's own sound is heard, the teacher's map counts `boost` times in that half; a foreign sound and silence leave
    the teacher's map as it is. Also gives the mask of the first half (M, 64, 64) for measuring.
    """
    views, windows, masks = [], [], []
    for _ in range(count):
        first, second, third = _different_tags(clips, rng)
        picks = [rng.integers(len(clip.triplets)) for clip in (first, second, third)]
        upright = bool(rng.random() < 0.5)
        views += list(halves(first.triplets[picks[0]], second.triplets[picks[1]], upright))
        windows += [clip.windows[pick] for clip, pick in zip((first, second, third), picks, strict=True)]
        mask = np.zeros((MAP, MAP), bool)
        mask[(slice(None, MAP // 2), slice(None)) if upright else (slice(None), slice(None, MAP // 2))] = True
        masks.append(mask)
    features, audio = encoders.frames(views), encoders.audio(np.stack(windows))
    frames = np.arange(3 * count).reshape(count, 3)
    rest = teacher(silent(features, frames, np.zeros((count, MAP, MAP))))
    mask = np.stack(masks)
    first_sounds, second_sounds = np.where(mask, boost, 1) * rest, np.where(mask, 1, boost) * rest
    target = np.concatenate([first_sounds, second_sounds, rest, rest])
    examples = Examples(
        features=features,
        frames=np.tile(frames, (4, 1)),
        audio=audio,
        sound=np.concatenate([frames[:, 0], frames[:, 1], frames[:, 2], frames[:, 0]]),
        switch=np.repeat([1.0, 1.0, 1.0, 0.0], count).astype(np.float32),
        target=(target / target.max((1, 2), keepdims=True)).astype(np.float16),
    )
    return examples, np.tile(mask, (4, 1, 1))


def _different_tags(clips: Sequence[Clip], rng: np.random.Generator) -> list[Clip]:
    tags = rng.choice(sorted({clip.tag for clip in clips}), 3, replace=False)
    return [rng.choice(np.array([clip for clip in clips if clip.tag == tag], dtype=object)) for tag in tags]


class Trainer:
    """AdamW on the nets' parameters, the encoders frozen; keeps an exponential moving average, which is what is used."""

    def __init__(self, structure: Structure, encoders: dict, seed: int):
        self.structure, self.frozen = structure, jax.device_put(encoders)
        self.nets = self.mean = structure.initialise(seed)["nets"]
        self._predict = jax.jit(lambda *args: jax.nn.sigmoid(self._logits(*args)))

    def _logits(self, nets, frozen, features, audio, fragments):
        logits, _ = self.structure.apply({**frozen, "nets": nets}, Network.__call__, features, audio, {"sta": fragments})
        return logits["sta"][:, 0]

    def predict(self, examples: Examples) -> np.ndarray:
        """Maps (M, 64, 64) of the averaged parameters, in chunks of one shape."""
        maps = []
        for start in range(0, len(examples.frames), 16):
            rows = np.minimum(np.arange(start, start + 16), len(examples.frames) - 1)
            features, audio, fragments, _ = examples.batch(rows)
            maps.append(np.asarray(self._predict(self.mean, self.frozen, features, audio, fragments)))
        return np.concatenate(maps)[: len(examples.frames)]

    def train(
        self,
        parts: Sequence[tuple[Examples, int]],
        steps: int,
        rate: float,
        rng: np.random.Generator,
        report: Callable[[int, float], None],
        *,
        gate_rate: float = 1.0,
    ) -> None:
        """`parts`: examples and how many of them each batch takes. gate_rate: of the paths that make v and a, over `rate`."""
        schedule = optax.warmup_cosine_decay_schedule(0, rate, min(100, steps // 10), steps)
        faster = lambda step: gate_rate * schedule(step)  # noqa: E731
        labels = jax.tree_util.tree_map_with_path(
            lambda path, _: "gate" if path[1].key in ("temporal", "sound") else "rest", self.nets
        )
        optimiser = optax.chain(
            optax.clip_by_global_norm(1.0),
            optax.multi_transform(
                {"rest": optax.adamw(schedule, weight_decay=0.05), "gate": optax.adamw(faster, weight_decay=0.05)}, labels
            ),
        )
        state = optimiser.init(self.nets)

        @jax.jit
        def step(nets, mean, state, frozen, batches, number):
            def loss(nets):
                total = 0.0
                for features, audio, fragments, target in batches:
                    logits = self._logits(nets, frozen, features, audio, fragments)
                    total += fixation_loss(logits, target)[0] * len(target)
                return total / sum(len(batch[-1]) for batch in batches)

            value, gradient = jax.value_and_grad(loss)(nets)
            update, state = optimiser.update(gradient, state, nets)
            nets = optax.apply_updates(nets, update)
            decay = jnp.minimum(0.995, (1 + number) / (10 + number))
            return nets, jax.tree.map(lambda m, p: decay * m + (1 - decay) * p, mean, nets), state, value

        for number in range(steps):
            batches = [examples.batch(rng.choice(len(examples.frames), size, replace=False)) for examples, size in parts]
            self.nets, self.mean, state, value = step(self.nets, self.mean, state, self.frozen, batches, number)
            if (number + 1) % 100 == 0 or number + 1 == steps:
                report(number + 1, float(value))
