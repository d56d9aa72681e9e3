"""`stajax pipeline`: all steps in order, each resumable; what is done and still valid is skipped."""

from __future__ import annotations

import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from stajax.media.errors import MediaWarning
from stajax.pipeline.manifest import Manifest, digest


class Step(NamedTuple):
    """One step.

    needs: steps whose results it reads. settings: all else that its result depends on. run: (its folder) -> notes for the
    manifest. place: its folder below the working directory. what: it does, for people.
    """

    name: str
    needs: tuple[str, ...]
    settings: Any
    run: Callable[[Path], Mapping[str, Any]]
    place: str
    what: str


class Planned(NamedTuple):
    """What a run does about a step: done, run, resume, again (of other settings), later or before (beyond --until, --from)."""

    step: Step
    made_of: str
    action: str


def plan(steps: Sequence[Step], manifest: Manifest, *, begin: str | None = None, until: str | None = None) -> list[Planned]:
    """The steps with what is to be done about each.

    begin: run from this step on, even what is done; until: the last step to run. Raises ValueError for unknown names.
    """
    names = [step.name for step in steps]
    for option, name in (("--from", begin), ("--until", until)):
        if name is not None and name not in names:
            raise ValueError(f"{option} {name}: no such step; this pipeline has {', '.join(names)}")
    made_of: dict[str, str] = {}
    planned, reached = [], begin is None
    for number, step in enumerate(steps):
        made_of[step.name] = digest(step.name, step.settings, [made_of[need] for need in step.needs])
        state = manifest.state(step.name, made_of[step.name])
        reached = reached or step.name == begin
        if until is not None and number > names.index(until):
            action = "later"
        elif state == "done" and not (begin is not None and reached):
            action = "done"
        elif not reached:
            action = "before"
        else:
            action = {"begun": "resume", "other": "again", "done": "again"}.get(state, "run")
        planned.append(Planned(step, made_of[step.name], action))
    return planned


def run(
    config: ConfigDict,
    workdir: str | os.PathLike,
    *,
    begin: str | None = None,
    until: str | None = None,
    like: Sequence[str | os.PathLike] = (),
    dry: bool = False,
    stream=sys.stderr,
) -> dict[str, dict]:
    """Run what is to be run; gives the manifest's entries. dry: only say what would be done.

    like: working directories of other pipelines, from which finished steps that mean the same are taken (`adopt`).

    Raises:
        ValueError (ConfigError, DataError, WeightsError among them): a step cannot be done; what was done stays.
    """
    import jax

    from stajax.pipeline.adopt import adopt
    from stajax.pipeline.steps import steps_of
    from stajax.training.settled import check_workdir

    check_workdir(workdir)
    workdir, first = Path(workdir).resolve(), jax.process_index() == 0
    begun = time.monotonic()

    def say(text: str) -> None:
        if first and stream is not None:
            print(f"[{time.monotonic() - begun:6.0f} s] {text}", file=stream, flush=True)

    manifest = Manifest(workdir, writes=first)
    steps = steps_of(config, workdir, say)
    if like and not dry:
        if first and (adopted := adopt(plan(steps, manifest), manifest, workdir, like)):
            say(f"taken from {', '.join(map(str, like))}: {', '.join(adopted)}")
        _wait_for_all("adopt")
        manifest = Manifest(workdir, writes=first)
    planned = plan(steps, manifest, begin=begin, until=until)
    if dry:
        for step, _, action in planned:
            print(f"{action:7} {step.name:16} {step.what}", file=sys.stdout)
        return manifest.steps
    missing = [p.step.name for p in planned if p.action == "before"]
    if missing:
        raise ValueError(f"--from {begin}: {', '.join(missing)} not made yet, or of other settings; run those first")
    for number, (step, made_of, action) in enumerate(planned, 1):
        if action in ("done", "later"):
            continue
        how = {"resume": ", going on", "again": ", made again"}.get(action, "")
        say(f"== {number}/{len(planned)} {step.name}: {step.what}{how}")
        folder = workdir / step.place
        if action == "again" and first and folder.is_dir():
            shutil.rmtree(folder)
        manifest.begin(step.name, made_of)
        _wait_for_all(f"begin {step.name}")
        since = time.monotonic()
        with _warnings_counted(say):
            notes = step.run(folder) or {}
        _wait_for_all(f"finish {step.name}")
        manifest.finish(step.name, made_of, time.monotonic() - since, notes)
        if notes:
            say("   " + ", ".join(f"{key} {_short(value)}" for key, value in notes.items()))
        jax.clear_caches()  # the next step compiles its own; hundreds of programs would stay in memory
    return manifest.steps


@contextmanager
def _warnings_counted(say: Callable[[str], None]) -> Iterator[None]:
    """Says at the end what clips are wrong with, each reason once, with a clip's name and how many there are."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MediaWarning)
        yield
    reasons: dict[str, list[str]] = {}
    for warning in caught:
        if issubclass(warning.category, MediaWarning):
            clip, _, reason = str(warning.message).rpartition(": ")
            reasons.setdefault(reason, []).append(clip)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    for reason, clips in reasons.items():
        names = dict.fromkeys(clips)
        say(f"   {next(iter(names))}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {reason}")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _wait_for_all(what: str) -> None:
    import jax

    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(f"stajax pipeline: {what}")
