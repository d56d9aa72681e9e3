"""What a pipeline runs: one configuration with those of all its stages inside."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ml_collections import ConfigDict

from stajax.inference.pseudofix import Settings
from stajax.training.config import STAGES, ConfigError, change, stage_config

# Nets whose stages train one source of SCAM, and those with company for SCAM+.
SCAM = ("switch", "s", "st", "sa", "s_fine", "st_fine", "sa_fine")
COMPANY = tuple(stage for stage, what in STAGES.items() if what.task == "classification" and what.granularity != "none")
FIXATION = ("sta", "sta_plus_short", "sta_plus_long")
PROCEDURE = (*SCAM, *COMPANY, *FIXATION)  # the paper's, in its order


def pipeline_config(size: str = "lite", stages: Sequence[str] = PROCEDURE) -> ConfigDict:
    """The defaults of a pipeline with these training stages, in their order.

    Fields: `data` (where the clips come from), `tagger` (who labels sounds: "yamnet", or "given" with the records), `switch`
    (the audio switch is trained and heeded; False leaves it open everywhere), `cache` (keep features of frozen encoders),
    `stages` (the configuration of each training stage; ``stages.*.optimiser.rate=...`` changes all), `pseudofix` (how CAMs
    become pseudo-fixations: `inference.pseudofix.Settings`), `nets` (fixation stages of the final model) with their `fusion`,
    `seed`. Stages that take no part in that (`taking_part`) are not trained.
    """
    settings = {key: 0 if value is None else value for key, value in dataclasses.asdict(Settings()).items()}
    config = ConfigDict(
        {
            "size": size,
            "seed": 0,
            "data": {
                # A CSV of path,tag or a folder of TAG/CLIP; or "synthetic"; or empty, with `records`.
                "clips": "",
                "columns": ("path", "tag"),  # of the CSV
                "least": 1,  # clips of a tag; rarer tags are left out
                "records": "",
                "classes": "",  # names of the classes, between semicolons; by default those of the clips, sorted
                "fps": 0.0,  # frames a second to keep; 0 keeps all
                "short_side": 256,
                "seconds": 0.0,  # at most, of a clip; 0 takes all
                "composites": 0,  # clips made of two real ones side by side, heard with the sound of one
                "pictures": "",  # a folder, or a file that lists pictures: they get pseudo-fixations by tags of their own
                # Photographs with people's fixations, "osie:FOLDER", on which the fixation nets are tuned in the end.
                "humans": "",
                "shards": 1,
                "workers": 0,
                # Made clips, as in `data.synthetic.SyntheticConfig`.
                "synthetic": {
                    "clips": 240,
                    "size": 64,
                    "fps": 10.0,
                    "seconds": 3.0,
                    "classes": 8,
                    "alike": 2,
                    "objects": 4,
                    "motion": 0.4,
                },
            },
            "tagger": "yamnet",
            "switch": True,
            "cache": True,
            "stages": {stage: stage_config(stage, size) for stage in stages},
            "pseudofix": settings,
            # Of fine-tuning: steps of each net, and how often photographs and clips come in an epoch.
            "tuning": {"steps": 2000, "repeats": (1, 4)},
            "nets": FIXATION,
            "fusion": "paper",
        }
    )
    if size == "tiny":
        change(config, {"data.clips": "synthetic", "tagger": "given"})
    return config


def taking_part(config: ConfigDict) -> tuple[str, ...]:
    """The training stages whose nets the final maps come from, in their order: of classification nets those that
    `config.pseudofix` fuses, the fixation nets that `config.nets` names, and the audio switch where it is heeded.

    Raises ConfigError for a source or a net that no stage trains.
    """
    sources, fine, company = config.pseudofix.sources, config.pseudofix.fine, config.pseudofix.company
    named = {STAGES[stage].net for stage in config.stages if STAGES[stage].task == "classification"}
    fixation = {stage for stage in config.stages if STAGES[stage].task == "fixation"}
    for field, chosen, known in (("pseudofix.sources", sources, named), ("nets", config.nets, fixation)):
        if unknown := sorted(set(chosen) - known):
            raise ConfigError(f"{field}: no stage trains {', '.join(unknown)}; there are {', '.join(sorted(known))}")

    def takes_part(stage: str) -> bool:
        what = STAGES[stage]
        if what.task == "switch":
            return config.switch
        if what.task == "fixation":
            return stage in config.nets
        chosen = not sources or what.net in sources
        return chosen and (fine or not what.fine) and (company or what.granularity == "none")

    return tuple(stage for stage in STAGES if stage in config.stages and takes_part(stage))  # a ConfigDict sorts its names
