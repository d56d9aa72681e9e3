"""Checkpoints of a run: orbax, written while training goes on, the last few and the best kept, config and git state inside."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import jax
from orbax.checkpoint import v1 as ocp

FOLDER = "checkpoints"


class Checkpoints:
    """Those in ``workdir/checkpoints``, as a context manager that waits for what is being written.

    keep: how many of the last ones stay. metric, higher: what the best one is by, and whether more is better; None keeps no
    best. notes: plain JSON kept in each, such as the config.
    """

    def __init__(
        self, workdir: Path, *, keep: int, metric: str | None = None, higher: bool = True, notes: Mapping | None = None
    ):
        policies = ocp.training.preservation_policies
        kept = [policies.LatestN(keep)]
        if metric is not None:
            rank = lambda metrics: metrics[metric]  # noqa: E731
            kept.append(policies.BestN(get_metric_fn=rank, reverse=not higher, n=1, keep_checkpoints_without_metrics=False))
        self.metric, self.higher, self.notes = metric, higher, dict(notes or {})
        # Arrays that all devices hold are cut up to be written by all only where that pays: it compiles a program for each.
        context = ocp.Context()
        context.array.saving.min_slice_bytes_for_replica_parallel = 2**20
        self._checkpointer = ocp.training.Checkpointer(
            (workdir / FOLDER).resolve(),
            context=context,
            preservation_policy=policies.AnyPreservationPolicy(kept),
            cleanup_tmp_directories=True,
        )

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *exception) -> None:
        self._checkpointer.close()

    @property
    def latest(self) -> int | None:
        """The step of the newest one."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def best(self) -> int | None:
        """The step of the best one; the newest where none has the metric."""
        scored = {c.step: c.metrics[self.metric] for c in self._checkpointer.checkpoints if self.metric in (c.metrics or {})}
        if not scored:
            return self.latest
        best = (max if self.higher else min)(scored.values())
        return max(step for step, value in scored.items() if value == best)

    def metrics(self, step: int) -> dict[str, float]:
        """Those that a step was saved with."""
        return next(dict(c.metrics or {}) for c in self._checkpointer.checkpoints if c.step == step)

    def save(self, step: int, state: dict, metrics: Mapping[str, float] | None = None) -> None:
        """Begin to write; every process must call it. A step that is there already stays as it is."""
        if step == self.latest:
            return
        notes = {**self.notes, "step": step}
        metrics = dict(metrics) if metrics else None
        self._checkpointer.save_checkpointables_async(
            step, {"state": state}, force=True, metrics=metrics, custom_metadata=notes
        )

    def wait(self) -> None:
        """Until all that was begun is on disk."""
        self._checkpointer.wait()

    def load(self, step: int, like: dict) -> dict:
        """The state of a step in the form, types and shardings of `like`, on however many devices it was written."""
        abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like)
        return self._checkpointer.load_checkpointables(step, {"state": abstract})["state"]


def git_state() -> dict[str, str]:
    """commit and whether files differ from it, of the source tree; empty outside of one."""
    here = Path(__file__).parent

    def git(*command: str) -> str:
        return subprocess.run(
            ("git", *command), cwd=here, capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "changed": git("status", "--porcelain", "--untracked-files=no")[:2000]}
    except (OSError, subprocess.SubprocessError):
        return {}
