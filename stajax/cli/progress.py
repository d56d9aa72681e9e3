"""Progress on the terminal: a live line there, one line for each finished thing elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path


class ProgressPrinter:
    """Prints what a run over many clips reports: a live line on a terminal, one line per clip elsewhere.

    batch: frames that arrive at once. The first of a clip may wait for the compilation, so the rate of a clip of at least
    three batches leaves them out. verb: what is done to a clip.
    """

    def __init__(self, stream=None, *, batch: int = 16, verb: str = "predicted"):
        self.stream, self.batch, self.verb = stream or sys.stderr, batch, verb
        self.live = self.stream.isatty()
        self.begun = self.since = self.warm = self.shown = 0.0  # starts of clip and stage, end of its first batch; last line
        self.stage = ""
        self.finished, self.spent = 0, 0.0  # clips done so far, and the seconds they took

    def __call__(self, progress) -> None:
        now, name = time.monotonic(), f"[{progress.number}/{progress.count}] {progress.clip.name}"
        if progress.kind == "start":
            self.begun = self.since = now
            self.stage = ""
        elif progress.kind == "frame":
            if progress.stage != self.stage:
                self.since, self.stage = now, progress.stage
            if progress.frames == self.batch:
                self.warm = now
            if self.live and now - self.shown > 0.2:
                self.shown = now
                text = f"{name}: {self._frames(progress, now)}"
                self._line(text[: shutil.get_terminal_size().columns - 1], end="")  # of two rows only one can be erased
        elif progress.kind == "done":
            self.finished, self.spent = self.finished + 1, self.spent + now - self.begun
            rate = progress.frames / max(now - self.begun, 1e-3) if self.stage else self._rate(progress.frames, now)
            banks = f", {progress.bank_views} more for banks" if progress.bank_views else ""
            self._line(f"{name}: {progress.frames} frames{banks}, {rate:.0f} frames/s")
        elif progress.kind == "skipped":
            self._line(f"{name}: {progress.message or 'done already'}")
        elif progress.kind in ("warning", "failed"):
            self._line(f"stajax: {'warning: ' if progress.kind == 'warning' else ''}{progress.message}")

    def _rate(self, frames: int, now: float) -> float:
        if frames < 3 * self.batch:
            return frames / max(now - self.since, 1e-3)
        return (frames - self.batch) / max(now - self.warm, 1e-3)

    def _frames(self, progress, now: float) -> str:
        rate = self._rate(progress.frames, now)
        stage = f"{progress.stage}, " if progress.stage else ""
        if not progress.expected or progress.frames > progress.expected:
            return f"{stage}{progress.frames} frames, {rate:.0f} frames/s"
        left = (progress.expected - progress.frames) / rate
        text = f"{stage}{progress.frames}/{progress.expected} frames, {rate:.0f} frames/s, {clock(left)} left"
        if self.finished and progress.number < progress.count:
            left += (progress.count - progress.number) * self.spent / self.finished
            text += f", about {clock(left)} left in all"
        return text

    def close(self, summary, out: str) -> None:
        counts = [(len(summary.done), self.verb), (len(summary.skipped), "skipped"), (len(summary.failed), "failed")]
        print(", ".join(f"{count} {what}" for count, what in counts if count) + f"; results in {Path(out)}")

    def _line(self, text: str, end: str = "\n") -> None:
        erase = "\r\x1b[K" if self.live else ""
        print(f"{erase}{text}", end=end, file=self.stream, flush=True)


class Counter:
    """A live line with a count, a rate and the time left; silent where standard error is no terminal.

    unit: of what is counted, such as "frames".
    """

    def __init__(self, unit: str, stream=None):
        self.unit, self.stream = unit, stream or sys.stderr
        self.live = self.stream.isatty()
        self.begun = self.shown = time.monotonic()

    def __call__(self, done: float, total: float | None, name: str = "") -> None:
        """done, total: so far and in all, None where that is not known. name: what is being worked on."""
        now = time.monotonic()
        if self.live and now - self.shown > 0.2:
            self.shown, rate = now, done / max(now - self.begun, 1e-3)
            of = f"/{total:,.0f}" if total else ""
            left = f", {clock((total - done) / rate)} left" if total and rate else ""
            text = f"{name + ': ' if name else ''}{done:,.0f}{of} {self.unit}, {rate:,.0f} a second{left}"
            print(f"\r\x1b[K{text[: shutil.get_terminal_size().columns - 1]}", end="", file=self.stream, flush=True)

    def close(self) -> None:
        if self.live:
            print("\r\x1b[K", end="", file=self.stream, flush=True)


def clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"


def complain(error, code: int) -> int:
    erase = "\r\x1b[K" if sys.stderr.isatty() else ""  # the progress line, if one stands there
    print(f"{erase}stajax: {error}", file=sys.stderr)
    return code
