"""Finished steps of other pipelines that mean the same: taken over instead of made again, as in the runs of an ablation."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from stajax.pipeline.manifest import FILE, Manifest
from stajax.pipeline.run import Planned


def adopt(planned: Sequence[Planned], manifest: Manifest, workdir: Path, others: Sequence[str | os.PathLike]) -> list[str]:
    """Put into `workdir` what `others` have finished of the steps that are to be run; gives the names of the steps.

    A step is the same if all that it was made of is (`Planned.made_of`). Files are hard links where the file system has them:
    pipelines write their files anew and never change a finished step's.

    Args:
        others: working directories, or folders of such.

    Raises:
        ValueError: a manifest that cannot be read.
    """
    places = [place for other in map(Path, others) for place in ([other] if (other / FILE).is_file() else _below(other))]
    manifests = [(place, Manifest(place, writes=False)) for place in places if place.resolve() != workdir.resolve()]
    adopted = []
    for step, made_of, action in planned:
        if action not in ("run", "again"):
            continue
        found = next((other for other, theirs in manifests if theirs.state(step.name, made_of) == "done"), None)
        if found is None:
            continue
        folder, part = workdir / step.place, workdir / f"{step.place}.part"
        for old in (folder, part):
            shutil.rmtree(old, ignore_errors=True)
        if (found / step.place).is_dir():  # records that are elsewhere leave none
            try:
                shutil.copytree(found / step.place, part, copy_function=_link)
            except (shutil.Error, OSError):  # a run is at work there, on features beside the records
                shutil.rmtree(part, ignore_errors=True)
                continue
            part.replace(folder)
        entry = Manifest(found, writes=False).steps[step.name]
        manifest.finish(step.name, made_of, entry["seconds"], {**entry["notes"], "adopted": str(found)})
        adopted.append(step.name)
    return adopted


def _below(folder: Path) -> list[Path]:
    return sorted(found.parent for found in folder.glob(f"*/{FILE}"))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
