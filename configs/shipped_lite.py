"""The three models that ship. Size lite: 44 real clips with tags, photographs with the tags that a net gives them, and, for
`sta-lite` alone, people's fixations on photographs.

    stajax pipeline --config configs/shipped_lite.py --workdir runs/shipped
    stajax pipeline --config configs/shipped_lite.py --workdir runs/shipped --until predict      # the weak model alone
    stajax pipeline --config configs/shipped_lite.py:/data --workdir runs/shipped                # data elsewhere

WORKDIR/scam makes pseudo-fixations of tagged clips (`scam-lite`), WORKDIR/model is the weak fixation model, which no
fixation of anybody entered (`weak-lite`), and WORKDIR/tuned is `sta-lite`.

The argument is a folder with clips/labels.csv (columns file and coarse), the clips beside it, and osie/ (photographs in
stimuli/, and fixations.npz). Of OSIE the training split is used, and for choosing among checkpoints of `sta-lite` the
validation split.

Time: two hours on 2 CPU cores, summed over the steps, most of which had other work beside them. What to expect: the model
cards in stajax/weights, and the table in the README.
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
            "data.humans": f"osie:{data}/osie",
            "stages.*.steps": 400,
            "stages.*.eval.every": 100,
            "stages.*.validation": 4,
            "tuning.steps": 900,
        },
    )
    for stage in ("switch", "s", "st", "sa"):
        change(config, {f"stages.{stage}.steps": 800})
    for stage in ("sta", "sta_plus_short", "sta_plus_long"):
        # Of clips, composites and pictures; of the latter there are many more, and they are silent.
        change(config, {f"stages.{stage}.steps": 900, f"stages.{stage}.eval.every": 225, f"stages.{stage}.repeats": (4, 4, 1)})
    return config
