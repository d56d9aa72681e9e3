"""Pseudo-fixations of tagged clips to a folder of results: `stajax pseudofix VIDEO... --tag TAG`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from stajax.inference.clips import Cost, Job, Progress, Summary, each_clip
from stajax.inference.pseudofix import PseudofixModel, pseudo_fixations
from stajax.inference.pseudofix_outputs import NPZ, STRIP, VIDEO, write_npz, write_pictures
from stajax.inference.source import VideoSource
from stajax.media import VideoInfo
from stajax.media.atomic import writing


def pseudofix_clips(
    model: PseudofixModel,
    inputs: Sequence[str | os.PathLike],
    tags: str | int | Sequence[str | int],
    out: str | os.PathLike,
    *,
    overlay: bool = True,
    overwrite: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Summary:
    """Pseudo-fixations of clips that carry the same tags, to `out`/CLIP; see `pseudofix_outputs` for the files.

    Args:
        inputs: clips and folders of clips.
        tags: names, aliases or numbers of the model's classes.
        overlay: write `overlay.mp4` too.
        overwrite, report: as in `clips.each_clip`, as is what it raises. Stages are "coarse", "fine" and "overlay".

    Raises:
        ValueError: no tag, or an unknown one (DataError). WeightsError: the model's banks are of other nets.
    """
    numbers = model.numbers(tags)
    if not numbers:
        raise ValueError("no tag: what do the clips show?")
    banks = model.banks(numbers)

    def make(job: Job, info: VideoInfo, settings: dict, outdated: bool, tell: Callable[..., None]) -> Cost:
        source = VideoSource(info)

        def told(stage: str, frames: int) -> None:
            tell("frame", frames=frames, expected=info.n_frames, stage=stage)

        with writing(job.folder):  # told now, not after minutes of work
            job.folder.mkdir(parents=True, exist_ok=True)
        found = pseudo_fixations(model, source, numbers, banks=banks, report=told)
        write_pictures(job.folder, source, found, video=overlay, report=lambda frames: told("overlay", frames))
        if outdated and not overlay:
            (job.folder / VIDEO).unlink(missing_ok=True)
        write_npz(job.folder / NPZ, found, settings)
        return Cost(len(found.maps), found.views["bank"])

    settings = {"model": model.fingerprint, "tags": list(numbers), "banks": model.banks_digest(numbers)}
    wanted = [NPZ, STRIP, *([VIDEO] if overlay else [])]
    return each_clip(inputs, out, make, settings=settings, wanted=wanted, overwrite=overwrite, report=report)
