"""`stajax.load` and what it gives: a model with `predict` and `stream`."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from stajax.inference.bank import Bank, of_clip
from stajax.inference.engine import Engine
from stajax.inference.source import ArraySource, Source, VideoSource
from stajax.inference.stream import Stream
from stajax.layers.resize import resize
from stajax.media import SAMPLE_RATE, MediaWarning, VideoInfo, probe, to_mono_16k
from stajax.models import folder

BATCH = 16


class Prediction(NamedTuple):
    """Fixation maps of a clip."""

    maps: np.ndarray  # (T, h, w) float32 in [0, 1]
    time: np.ndarray  # (T,) float64 seconds since the start of the clip
    fps: float


class Shown(NamedTuple):
    """A frame with its map."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    time: float
    map: np.ndarray  # (h, w) float32 in [0, 1]


@dataclass(frozen=True, eq=False)
class Model:
    """A trained model, ready to predict. Made by `load`."""

    name: str
    model_card: str
    members: tuple[folder.ModelFolder, ...]  # its networks, one for most models
    engine: Engine

    @property
    def output_size(self) -> tuple[int, int]:
        """(h, w) of the maps."""
        return self.engine.output_size

    def predict(
        self,
        clip: str | os.PathLike | np.ndarray | Iterable[np.ndarray],
        *,
        sound: np.ndarray | None = None,
        rate: int = SAMPLE_RATE,
        fps: float = 25.0,
        size: tuple[int, int] | None = None,
    ) -> Prediction:
        """Fixation maps of a clip, which is held in memory; `shown` and `stream` work in bounded memory.

        Args:
            clip: path of a video or a picture, or frames (T, H, W, 3) uint8 RGB. Of an iterator, which cannot be looked ahead
                in, nets with long-term company get it from what has passed.
            sound, rate, fps: for frames only: samples (n,) or (n, channels) of any type and their rate in Hz, and the frame
                rate. Without sound the audio switch is off.
            size: (width, height) to stretch the maps to; by default they have the net's `output_size`.

        Raises:
            MediaError: the file cannot be used. ValueError: the arrays cannot.
        """
        if isinstance(clip, str | os.PathLike):
            if sound is not None:
                raise ValueError("sound is given beside a file; a file brings its own")
            info = probe(clip)
            fps, pairs = info.fps, [(item.time, item.map) for item in self.shown(info)]
            time = np.array([time for time, _ in pairs])
            maps = np.stack([saliency for _, saliency in pairs])
        else:
            heard = None if sound is None else to_mono_16k(sound, rate)
            clip = [clip] if isinstance(clip, np.ndarray) and clip.ndim == 3 else clip
            if isinstance(clip, np.ndarray | Sequence):
                stream = stream_of(self.engine, ArraySource(clip, heard, fps))
            else:
                stream = self.stream(fps=fps, sound=sound is not None)
            if heard is not None:
                stream.push((), sound=heard)
                stream.close_sound()
            parts = [stream.push(clip), stream.finish()]
            time = np.concatenate([part.time for part in parts])
            maps = np.concatenate([part.maps for part in parts])
            if not len(maps):
                raise ValueError("no frames to predict")
        return Prediction(maps if size is None else stretch(maps, size), time, fps)

    def stream(self, *, fps: float = 25.0, sound: bool = False, rate: int = SAMPLE_RATE) -> Stream:
        """A stream to push frames, and sound at `rate` Hz, into; see `Stream`."""
        return Stream(self.engine, fps=fps, sound=sound, rate=rate)

    def shown(self, clip: str | os.PathLike | VideoInfo, *, max_side: int = 1280) -> Iterator[Shown]:
        """Frames of a clip, at most `max_side` px, each with its map; bounded memory, one encoder pass a frame.

        clip: its path, or what `media.probe` found out about it (which has a `max_side` of its own).
        """
        info = clip if isinstance(clip, VideoInfo) else probe(clip, max_side=max_side)
        source = VideoSource(info)
        return stream_clip(stream_of(self.engine, source), source)


def stream_of(engine: Engine, source: Source, banks: Mapping[str, Bank] | None = None, **options: Any) -> Stream:
    """A stream for a clip, with banks of the clip itself for the nets that want one and are not in `banks`.

    Warns where the clip cannot be read by seeking, so that banks grow from what has passed. options: of `Stream`.
    """
    made = of_clip(engine, source, leave_out=banks or ())
    banks = made.banks | dict(banks or {})
    stream = Stream(engine, fps=source.fps, sound=source.has_sound, banks=banks, clip=source.name, **options)
    stream.bank_views = made.views
    if stream.banks.growing and source.moves:
        message = f"{source.path}: {made.why_not}; long-term company comes from what has passed"
        warnings.warn(message, MediaWarning, stacklevel=3)
    return stream


def stream_clip(
    stream: Stream, source: Source, *, view: Callable[[int, np.ndarray], np.ndarray] | None = None
) -> Iterator[Shown]:
    """A clip, and its sound, through `stream`: each frame with what the stream gives for it.

    view: (number, frame) -> the picture that the nets see of a frame, such as a crop; by default the frame.
    """
    if not source.has_sound and source.moves and stream.engine.listens:
        warnings.warn(f"{source.path}: no sound track; treated as silence", MediaWarning, stacklevel=3)
    blocks = source.sound() if stream.hears else iter(())
    reach = stream.engine.window / SAMPLE_RATE + stream.engine.hop  # how far ahead of a frame its sound may be needed
    images: deque[np.ndarray] = deque()

    def pairs(time, maps):
        for index, moment in enumerate(time):
            yield Shown(images.popleft(), float(moment), jax.tree.map(lambda x: x[index], maps))  # noqa: B023 (used at once)

    with closing(source.frames()) as frames:
        for number, (image, time) in enumerate(frames):
            while not stream.sound.closed and stream.sound.end < time + reach:
                block = next(blocks, None)
                if block is None:
                    stream.close_sound()
                else:
                    stream.push((), sound=block, in_flight=1)
            images.append(image)
            seen = image if view is None else view(number, image)
            yield from pairs(*stream.push(seen, times=time, in_flight=1))
    yield from pairs(*stream.finish())


def stretch(maps: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Maps (..., h, w) to `size` = (width, height), bilinear, antialiased when shrinking; values stay in [0, 1]."""
    width, height = size
    return resize(maps[..., None], (height, width), antialias=True, border="drop")[..., 0]


def load(
    name_or_path: str | os.PathLike = "sta-lite",
    *,
    batch: int = BATCH,
    nets: str | Sequence[str] | None = None,
    fusion: str = "paper",
) -> Model:
    """A trained model by the name of one that ships ("sta-lite") or by the path of a model folder.

    Args:
        batch: frames per call; 1 gives the lowest latency, 16 the best throughput on a CPU, more suits a GPU.
        nets: which nets of the model to run; by default all.
        fusion: how the maps of several nets become one: "paper" (Eq. 21), "paper_agg" (Eq. 23), "released_max".

    Raises:
        WeightsError: no such model, or weights that do not fit. ValueError: an unknown net or fusion, a bad batch.
    """
    members = folder.members(name_or_path)
    engine = Engine([(m.structure, m.variables) for m in members], batch=batch, nets=nets, fusion=fusion)
    name, card = folder.name_and_card(name_or_path)
    return Model(name=name, model_card=card, members=tuple(members), engine=engine)
