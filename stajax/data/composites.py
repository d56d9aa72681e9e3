"""Made clips of two real ones side by side, heard with the sound of one: of what is seen, the sound tells what is meant.

A net that is to find what sounds needs scenes with more than one thing in them. Real tagged clips mostly show one; two in one
picture with one's sound and tag are such a scene, and their tag is as honest as the clip's that is heard.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stajax.data.fixations import DataError
from stajax.data.jpeg import decode_jpeg, encode_jpeg
from stajax.data.records import Clip, Records
from stajax.media import SAMPLE_RATE


class Composites(Sequence):
    """`count` composites of some records, each a function of (seed, its number), made when it is asked for.

    The first clip of a pair is heard and gives the tag, the other one has no tag in common with it. They stand beside or above
    each other, in either order, each squashed to half of a square of `size` px.

    Args:
        rows: numbers of the records to draw from; all by default.
        seconds: length at most.

    Raises:
        DataError: there are no two clips with sound and other tags.
    """

    def __init__(
        self,
        records: Records,
        count: int,
        *,
        rows: Sequence[int] | None = None,
        size: int = 256,
        seconds: float = 3.0,
        seed: int = 0,
        name: str = "composite",
    ):
        self.records, self.count, self.size, self.seconds, self.seed, self.name = records, count, size, seconds, seed, name
        entries = records.entries
        rows = range(len(records)) if rows is None else rows
        usable = [row for row in rows if entries[row].frames and entries[row].samples and entries[row].tags]
        self.partners = {
            row: found
            for row in usable
            if (found := [other for other in usable if not set(entries[other].tags) & set(entries[row].tags)])
        }
        if not self.partners:
            raise DataError("composites: no two clips with sound and other tags; give more clips, or ask for none")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Clip:
        heard, seen, upright, second, rng = self._draw(index)
        return self._join(self.records[heard], self.records[seen], upright, second, rng, f"{self.name}_{self.seed}_{index:04d}")

    def heard_half(self, index: int) -> tuple[slice, slice]:
        """Rows and columns, as parts of the picture, that show the clip that is heard: for measuring."""
        _, _, upright, second, _ = self._draw(index)
        half, whole = slice(0.5, 1.0) if second else slice(0.0, 0.5), slice(0.0, 1.0)
        return (half, whole) if upright else (whole, half)

    def seen(self, index: int) -> str:
        """The name of the clip that is seen and not heard."""
        return self.records.entries[self._draw(index)[1]].name

    def _draw(self, index: int) -> tuple[int, int, bool, bool, np.random.Generator]:
        """Rows of the clip that is heard and of the other, whether they stand above each other, and the heard one second."""
        rng = np.random.default_rng((self.seed, range(self.count)[index]))
        heard = list(self.partners)[rng.integers(len(self.partners))]
        seen = self.partners[heard][rng.integers(len(self.partners[heard]))]
        return heard, seen, bool(rng.random() < 0.5), bool(rng.random() < 0.5), rng

    def _join(self, heard: Clip, seen: Clip, upright: bool, second: bool, rng: np.random.Generator, name: str) -> Clip:
        start = rng.uniform(0, max(0.0, float(heard.times[-1]) - self.seconds))
        kept = np.flatnonzero((heard.times >= start) & (heard.times < start + self.seconds))
        offset = rng.integers(max(1, len(seen.frames) - len(kept) + 1))
        beside = np.minimum(offset + np.arange(len(kept)), len(seen.frames) - 1)
        frames = []
        for t, other in zip(kept.tolist(), beside.tolist(), strict=True):
            pair = [self._half(clip.frames[at], upright) for clip, at in ((heard, t), (seen, other))]
            frames.append(encode_jpeg(np.concatenate(pair[::-1] if second else pair, axis=0 if upright else 1)))
        first, last = (round(float(heard.times[at]) * SAMPLE_RATE) for at in (kept[0], kept[-1]))
        sound = heard.sound[first : last + round(SAMPLE_RATE / heard.fps)]
        times = heard.times[kept] - heard.times[kept[0]]
        return Clip(name, heard.tags, frames, times, heard.fps, sound)

    def _half(self, jpeg: bytes, upright: bool) -> np.ndarray:
        from PIL import Image

        shape = (self.size, self.size // 2) if upright else (self.size // 2, self.size)
        return np.asarray(Image.fromarray(decode_jpeg(jpeg)).resize(shape, Image.Resampling.BILINEAR))
