"""Frames and sound in, maps out, in bounded memory: the streaming engine, and the push API.

Each frame is encoded once, and so is each sound window (windows lie on a grid of `hop` seconds, and neighbouring frames share
one). A frame's map needs the frames around it, so maps come `ahead` frames late; at the ends of a clip the nearest frame is
repeated, so that every frame gets a map.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np

from stajax.inference.bank import Bank, Banks
from stajax.inference.engine import Engine
from stajax.inference.sound import SoundBuffer, window_number
from stajax.media import SAMPLE_RATE, MonoResampler, is_loud, squash
from stajax.models.fragments import Fragments, Span

MAX_WAIT = 30.0  # seconds of frames that may wait for their sound


class Maps(NamedTuple):
    """Maps in the order of their frames."""

    time: np.ndarray  # (n,) float64 seconds
    maps: np.ndarray  # (n, h, w) float32 in [0, 1]; where the engine has an `output` of its own, what that gives


class Stream:
    """Push frames (and sound), get maps. `engine` is shared; a stream has its own state.

    fps: spacing of frames that are pushed without times. sound: whether sound will be pushed, at `rate` Hz; frames then wait
    until their sound is there. Without it, and where the sound is silent, the audio switch is off. banks, clip: of nets with
    company from elsewhere, and this clip's name, which keeps its own moments out of its cross-term company; a net without a
    bank draws from what has passed. context: what the engine's `output` is told of this clip, such as its tag. phi: of each
    frame by its number, from an audio switch that was asked before.

        stream = model.stream(fps=25)
        for image in camera:
            for time, saliency in zip(*stream.push(image)):
                ...
        rest = stream.finish()
    """

    def __init__(
        self,
        engine: Engine,
        *,
        fps: float = 25.0,
        sound: bool = False,
        rate: int = SAMPLE_RATE,
        banks: Mapping[str, Bank] | None = None,
        clip: str = "",
        context: Any = None,
        phi: Callable[[int], float] = lambda number: 1.0,
    ):
        if not 0 < fps < math.inf:
            raise ValueError(f"{fps} frames per second; it must be positive")
        self.engine, self.fps, self.context, self.phi = engine, fps, context, phi
        self.hears = sound and engine.listens
        self.sound = SoundBuffer(engine.window)
        self._resampler = MonoResampler(rate)
        self.sound.closed = not sound
        self.views_encoded = self.windows_encoded = 0
        self.bank_views = 0  # of them, beside these: what banks of this clip took before it began
        self.banks = Banks(engine, banks, clip=clip)
        self._features, self._audio = engine.rings()
        if engine.hears_silence and not self.hears:
            self._audio = engine.encode_audio(self._audio, engine.silence(), 0)
        self._waiting: deque[tuple[float, dict[int, np.ndarray]]] = deque()  # frames not yet encoded: time, views by size
        self._encoded = self._predicted = 0  # frame numbers
        self._last_time = -1 / fps
        self._times = np.zeros(engine.rows)  # of the frames in the ring: seconds, row in the sound ring, φ
        self._sound_row = np.zeros(engine.rows, np.int32)
        self._switch = np.zeros(engine.rows, np.float32)
        self._heard: dict[int, tuple[int, bool]] = {}  # the last sound window: its number -> its row and φ
        self._next_sound_row = 0
        self._results: deque[tuple[np.ndarray, jax.Array]] = deque()
        self._finished = False

    def push(
        self,
        frames: np.ndarray | Iterable[np.ndarray],
        *,
        times: Sequence[float] | float | None = None,
        sound: np.ndarray | None = None,
        in_flight: int = 0,
    ) -> Maps:
        """Give frames, (H, W, 3) or (n, H, W, 3) uint8 RGB of any size, and sound, any type and channels; get ready maps.

        times: seconds, ascending, one per frame; by default 1/fps apart. in_flight: results that may stay on the device, for
        callers who want to decode on while it computes. Raises ValueError for frames that are no pictures, times that do not
        ascend, sound of another kind, with NaN or after its close, or frames that wait and are 30 s ahead of their sound.
        """
        if self._finished:
            raise ValueError("this stream is finished; start a new one")
        if sound is not None:
            self._hear(np.asarray(sound))
        frames = [frames] if getattr(frames, "ndim", 4) == 3 else frames
        if times is not None:
            frames, times = list(frames), np.atleast_1d(times).tolist()
            if len(frames) != len(times):
                raise ValueError(f"{len(frames)} frames but {len(times)} times; give each frame its own")
        for index, frame in enumerate(frames):
            time = self._last_time + 1 / self.fps if times is None else times[index]
            if not self._last_time < time < math.inf:
                raise ValueError(f"frame times must ascend: {time} s after {self._last_time} s")
            # A copy: a frame of the net's own size comes back as it is, and cameras reuse their buffers.
            self._waiting.append((time, {size: np.array(squash(frame, size)) for size in self.engine.sizes}))
            self._last_time = time
            self._advance()
        self._advance()
        return self._collect(in_flight)

    def finish(self) -> Maps:
        """The maps that are left. The stream takes nothing after that."""
        self.close_sound()
        while self._waiting:
            self._step()
        self._finished = True
        self._predict(until=self._encoded)
        return self._collect(0)

    def close_sound(self) -> None:
        """No more sound will come: what is missing is silence."""
        if not self.sound.closed:
            self.sound.append(self._resampler.rest())
            self.sound.closed = True

    def _hear(self, sound: np.ndarray) -> None:
        if self.sound.closed:
            raise ValueError("this stream takes no sound: it was made with sound=False, or its sound was closed")
        sound = self._resampler(sound)
        if self.hears:
            self.sound.append(sound)

    def _advance(self) -> None:
        while len(self._waiting) >= self.engine.batch:
            last = self._waiting[self.engine.batch - 1][0]
            if self.hears and not self.sound.reaches(window_number(last, self.engine.hop) * self.engine.hop):
                if self._last_time - self.sound.end > MAX_WAIT:
                    raise ValueError(
                        f"frames are over {MAX_WAIT:.0f} s ahead of their sound; push sound too, or stream with sound=False"
                    )
                return
            self._step()

    def _step(self) -> None:
        """Encode one batch of waiting frames, then predict every frame whose neighbours are there."""
        engine = self.engine
        count = min(engine.batch, len(self._waiting))
        times, given = zip(*(self._waiting.popleft() for _ in range(count)), strict=True)
        given += given[-1:] * (engine.batch - count)
        views = {size: np.stack([view[size] for view in given]) for size in engine.sizes}
        first = self._encoded % engine.rows
        self._features = engine.encode_frames(self._features, views, first)
        self._times[first : first + count] = times
        if self.hears:
            heard = self._listen([window_number(time, engine.hop) for time in times])
            self._sound_row[first : first + count], loud = np.transpose(heard)
            self._switch[first : first + count] = loud * [self.phi(self._encoded + k) for k in range(count)]
        self._encoded += count
        self.views_encoded += count
        self._predict(until=self._encoded - engine.ahead)

    def _listen(self, numbers: list[int]) -> list[tuple[int, bool]]:
        """Row and φ of each of the ascending window `numbers`; windows not heard before are encoded."""
        engine = self.engine
        heard = dict(self._heard)
        new = [number for number in dict.fromkeys(numbers) if number not in heard]
        for start in range(0, len(new), engine.sound_group):
            group = new[start : start + engine.sound_group]
            cut = self.sound.cut([number * engine.hop for number in group], engine.windows)
            missing = ((0, engine.sound_group - len(group)), (0, 0))
            windows = {window: np.pad(samples, missing) for window, samples in cut.items()}
            self._audio = engine.encode_audio(self._audio, windows, self._next_sound_row)
            loud = is_loud(cut[engine.window])
            heard |= {number: (self._next_sound_row + k, bool(loud[k])) for k, number in enumerate(group)}
            self._next_sound_row = (self._next_sound_row + engine.sound_group) % engine.sound_rows
            self.windows_encoded += len(group)
        self._heard = {numbers[-1]: heard[numbers[-1]]}
        return [heard[number] for number in numbers]

    def _predict(self, until: int) -> None:
        engine = self.engine
        while self._predicted < until:
            count = min(engine.batch, until - self._predicted)
            targets = self._predicted + np.minimum(np.arange(engine.batch), count - 1)
            fragments = {name: self._fragments(span, targets, count) for name, span in engine.spans.items()}
            if growing := self.banks.growing:
                nodes = engine.nodes(self._features, self._audio, {name: fragments[name] for name in growing})
                self.banks.grow(targets[:count], nodes)
            for name in engine.banked:
                fragments[name] = replace(fragments[name], company=self.banks.rows(name, targets))
            times = self._times[targets[:count] % engine.rows]
            found = engine.predict(self._features, self._audio, fragments, self.banks.nodes, self.context)
            self._results.append((times, found))
            self._predicted += count

    def _fragments(self, span: Span, targets: np.ndarray, count: int) -> Fragments:
        """Rows for `targets`: each node reads its own three frames, and the sound around its middle one."""
        frames = np.clip(targets[:, None, None] + np.asarray(span.nodes), 0, self._encoded - 1) % self.engine.rows
        middle = frames[..., 1]
        return Fragments(
            frames=frames.astype(np.int32),
            audio=self._sound_row[middle],
            switch=self._switch[middle],
            valid=np.broadcast_to((np.arange(len(targets)) < count)[:, None], middle.shape),
        )

    def _collect(self, in_flight: int) -> Maps:
        times, maps = [np.zeros(0)], []
        while len(self._results) > in_flight:
            time, result = self._results.popleft()
            times.append(time)
            maps.append(jax.tree.map(lambda x: np.asarray(x)[: len(time)], result))  # noqa: B023 (used at once)
        if not maps:
            return Maps(np.zeros(0), np.zeros((0, *self.engine.output_size), np.float32))
        return Maps(np.concatenate(times), jax.tree.map(lambda *parts: np.concatenate(parts), *maps))
