"""What has been made of what: the manifest of a pipeline's working directory, by which a rerun skips what is done and valid."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stajax.media.atomic import replacing, writing

FILE = "manifest.json"


def digest(*parts: Any) -> str:
    """Of plain values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


class Manifest:
    """``workdir/manifest.json``: step -> made_of, state ("begun", "done"), seconds, finished, notes; written at once."""

    def __init__(self, workdir: Path, *, writes: bool = True):
        self.path, self.writes = workdir / FILE, writes
        try:
            self.steps: dict[str, dict] = json.loads(self.path.read_text())["steps"]
        except FileNotFoundError:
            self.steps = {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.path}: not a readable manifest ({error}); delete it, and what is done is made again"
            ) from None

    def state(self, step: str, made_of: str) -> str:
        """ "done" or "begun", of the same; "other" if it was made of something else; "" if never."""
        entry = self.steps.get(step)
        if entry is None:
            return ""
        return entry["state"] if entry["made_of"] == made_of else "other"

    def begin(self, step: str, made_of: str) -> None:
        self._set(step, {"made_of": made_of, "state": "begun"})

    def finish(self, step: str, made_of: str, seconds: float, notes: Mapping[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        entry = {"made_of": made_of, "state": "done", "seconds": round(seconds, 1), "finished": now, "notes": dict(notes)}
        self._set(step, entry)

    def _set(self, step: str, entry: dict) -> None:
        self.steps[step] = entry
        if self.writes:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.path) as part, writing(self.path):
                part.write_text(json.dumps({"steps": self.steps}, indent=1) + "\n")
