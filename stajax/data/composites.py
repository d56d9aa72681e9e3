"""Made clips of two real ones side by side, heard with the sound of one: of what is seen, the sound tells what is meant.

A net that is to find what sounds needs scenes with more than one thing in them. Real tagged clips mostly show one; two in one
picture with one's sound and tag are such a scene, and their tag is as honest as the clip's that is heard. Each picture comes
twice, once with the sound and the tag of either clip: whoever remembers pictures, without listening, is wrong half of the time.
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

    Two clips that have no tag in common stand beside or above each other, each squashed to half of a square of `size` px.
    Numbers 2i and 2i + 1 show the same: in the one the first clip is heard and gives the tag, in the other the second.

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
        rows, heard, upright, rng = self._draw(index)
        name = f"{self.name}_{self.seed}_{range(self.count)[index]:04d}"
        return self._join([self.records[row] for row in rows], heard, upright, rng, name)

    def heard_half(self, index: int) -> tuple[slice, slice]:
        """Rows and columns, as parts of the picture, that show the clip that is heard: for measuring."""
        _, heard, upright, _ = self._draw(index)
        half, whole = slice(heard / 2, (heard + 1) / 2), slice(0.0, 1.0)
        return (half, whole) if upright else (whole, half)

    def seen(self, index: int) -> str:
        """The name of the clip that is seen and not heard."""
        rows, heard, _, _ = self._draw(index)
        return self.records.entries[rows[1 - heard]].name

    def _draw(self, index: int) -> tuple[tuple[int, int], int, bool, np.random.Generator]:
        """Rows of the first clip and the second, which of them is heard, whether they stand above each other."""
        number, heard = divmod(range(self.count)[index], 2)
        rng = np.random.default_rng((self.seed, number))
        first = list(self.partners)[rng.integers(len(self.partners))]
        second = self.partners[first][rng.integers(len(self.partners[first]))]
        return (first, second), heard, bool(rng.random() < 0.5), rng

    def _join(self, clips: list[Clip], heard: int, upright: bool, rng: np.random.Generator, name: str) -> Clip:
        starts = [rng.uniform(0, max(0.0, float(clip.times[-1]) - self.seconds)) for clip in clips]
        begin = [int(np.searchsorted(clip.times, start)) for clip, start in zip(clips, starts, strict=True)]
        first, second = (clip.times[at:] - clip.times[at] for clip, at in zip(clips, begin, strict=True))
        # The second clip shows what it shows at the first one's times, a millisecond for rounding.
        times = first[(first < self.seconds - 1e-3) & (first <= second[-1] + 1e-3)]
        moments = [np.arange(len(times)), np.searchsorted(second, times + 1e-3, side="right") - 1]
        frames = []
        for pair in zip(*moments, strict=True):
            halves = [self._half(clip.frames[at + i], upright) for clip, at, i in zip(clips, begin, pair, strict=True)]
            frames.append(encode_jpeg(np.concatenate(halves, axis=0 if upright else 1)))
        fps, start = clips[0].fps, float(clips[heard].times[begin[heard]])
        from_, to = (round(t * SAMPLE_RATE) for t in (start, start + float(times[-1]) + 1 / fps))
        return Clip(name, clips[heard].tags, frames, times, fps, clips[heard].sound[from_:to])

    def _half(self, jpeg: bytes, upright: bool) -> np.ndarray:
        from PIL import Image

        shape = (self.size, self.size // 2) if upright else (self.size // 2, self.size)
        return np.asarray(Image.fromarray(decode_jpeg(jpeg)).resize(shape, Image.Resampling.BILINEAR))
