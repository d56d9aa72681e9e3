"""The weak model that ships: tags alone, no fixation of anybody. Size lite, on 44 real clips, photographs and their own tags.

    stajax pipeline --config configs/weak_lite.py --workdir runs/weak
    stajax pipeline --config configs/weak_lite.py:/data --workdir runs/weak          # data elsewhere

The argument is a folder with clips/labels.csv (columns file and coarse) and the clips beside it, and with osie/stimuli, of which
the training split is taken, without its fixations.

Time, and what to expect: not measured.
"""

from stajax.pipeline.config import pipeline_config
from stajax.training.config import change


def get_config(data: str = "../shared/data"):
    config = pipeline_config("lite")
    change(
        config,
        {
            "data.clips": f"{data}/clips/labels.csv",
            "data.columns": ("file", "coarse"),
            "data.least": 3,
            "data.fps": 12.5,
            "data.short_side": 356,
            "data.composites": 120,
            "data.pictures": f"osie_train:{data}/osie",
            "stages.*.steps": 800,
            "stages.*.eval.every": 100,
            "stages.*.validation": 4,
        },
    )
    for stage in ("sta", "sta_plus_short", "sta_plus_long"):
        change(config, {f"stages.{stage}.steps": 2500, f"stages.{stage}.batch": 32, f"stages.{stage}.eval.every": 500})
    return config
