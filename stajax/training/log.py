"""What a run says of itself: lines on the terminal, `metrics.jsonl`, and TensorBoard events with scalars and pictures."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np


class Log:
    """As a context manager; only process 0 writes. stream: for people, quiet if None."""

    def __init__(self, workdir: Path, *, stream=sys.stderr, writes: bool = True):
        self.workdir, self.stream, self.writes = workdir, stream, writes
        self.begun = time.monotonic()

    def __enter__(self) -> Log:
        if self.writes:
            from tensorboardX import SummaryWriter  # clu's writers import TensorFlow

            self.workdir.mkdir(parents=True, exist_ok=True)
            self._events = SummaryWriter(str(self.workdir / "tensorboard"), flush_secs=10)
            self._metrics = (self.workdir / "metrics.jsonl").open("a+", encoding="utf-8")
            self._metrics.write(_rest(self._metrics))
        return self

    def __exit__(self, *exception) -> None:
        if self.writes:
            self._events.close()
            self._metrics.close()

    def say(self, text: str) -> None:
        if self.writes and self.stream is not None:
            print(f"[{time.monotonic() - self.begun:6.0f} s] {text}", file=self.stream, flush=True)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One line of `metrics.jsonl`, one point of each curve. A resumed run writes the steps after its checkpoint again."""
        if self.writes:
            self._metrics.write(json.dumps({"step": step, **values}) + "\n")
            self._metrics.flush()
            for name, value in values.items():
                self._events.add_scalar(name, value, step)

    def picture(self, step: int, name: str, image: np.ndarray) -> None:
        """(h, w, 3) uint8."""
        if self.writes:
            self._events.add_image(name, image, step, dataformats="HWC")


def _rest(file) -> str:
    """What ends the line in which a run was killed."""
    file.seek(0)
    text = file.read()
    return "\n" if text and not text.endswith("\n") else ""


def read_metrics(workdir: str | Path) -> list[dict]:
    """The lines of `metrics.jsonl`, in order of their steps; of a step that was written twice the last one counts."""
    lines = (Path(workdir) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    found: dict[tuple, dict] = {}
    for line in lines:
        try:
            values = json.loads(line)
        except ValueError:  # the line at which a run was killed
            continue
        found[values["step"], "eval/loss" in values] = values
    return [found[key] for key in sorted(found)]
