"""What fine-tuning learns from: people's fixations on photographs, and what a net of these and pseudo-fixations agree on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from stajax.data.fixations import density_map
from stajax.data.osie import OSIE_SHAPE, load_osie, osie_split
from stajax.data.photographs import Pans, Photographs
from stajax.data.records import Clip, Records, write_records
from stajax.inference.clip_sets import RecordSet
from stajax.inference.fusion import FUSIONS
from stajax.inference.predict import Model
from stajax.inference.record_shards import Made, over_clips
from stajax.layers.resize import resize
from stajax.models.folder import fingerprint
from stajax.pipeline.predicted import maps_of, silent

SIGMA = 12.0  # pixels of OSIE's 400x300 pictures: 1 degree


def osie_records(
    root: str | os.PathLike, out: Path, classes: dict[str, tuple[str, ...]], *, pans: Pans, seed: int = 0
) -> tuple[Records, Records]:
    """`out`/training and `out`/validation: OSIE's photographs with the densities of all observers' fixations.

    Training photographs come still, mirrored and panned over, those of the validation split still. The test split is not read.
    """
    osie = load_osie(root)

    @cache
    def density(number: int) -> np.ndarray:
        return density_map(osie.fixations(number), OSIE_SHAPE, SIGMA)

    def write(split: str, pans: Pans) -> Records:
        numbers = osie_split(len(osie))[split].tolist()
        names = [f"osie_{Path(osie.names[number]).stem}" for number in numbers]
        made = Photographs(names, lambda i: osie.image(numbers[i]), lambda i: density(numbers[i]), pans=pans, seed=seed)
        folder = out / {"train": "training"}.get(split, split)
        return write_records(folder, made, classes, made_of=f"OSIE {split} {pans} {seed}")

    return write("train", pans), write("validation", replace(pans, pans=0, mirrored=False))


def agreed_records(people: Model, pseudo: Records, out: Path, *, shards: int = 1, **share: int) -> Made:
    """Clips with maps on which a model of people's fixations and the clips' pseudo-fixations agree: Eq. 21 of both.

    people: learned from people's fixations on photographs; it sees a clip without its sound. pseudo: the clips with their
    pseudo-fixations, which know the tag, and so what sounds; frames without a valid one stay so.
    """
    clips = RecordSet(pseudo)

    def make(clip: Clip, told: Callable[[str, int, int], None]) -> tuple[Clip, Counter]:
        seen = maps_of(people.engine, silent(clip))
        tagged = resize(clip.maps[..., None] / np.float32(255), seen.shape[1:], antialias=True, border="drop")[..., 0]
        maps = np.asarray(FUSIONS["paper"]([jnp.asarray(seen), jnp.asarray(tagged)]))
        return replace(clip, maps=np.rint(255 * maps).astype(np.uint8)), Counter(valid=int(clip.valid.sum()))

    return over_clips(
        clips, out, make, f"agreement of {fingerprint(people.members)} and {clips.made_of}", shards=shards, **share
    )
