"""The whole chain on made clips, on a CPU: tags to pseudo-fixations to fused predictions, and whether they find what sounds.

    stajax pipeline --config configs/synthetic_tiny.py --workdir runs/synthetic_tiny
    stajax pipeline --config configs/synthetic_tiny.py --workdir runs/synthetic_tiny1 --config.seed=1

Time: not measured. Number to expect: not measured.
"""

from stajax.pipeline.config import FIXATION, pipeline_config
from stajax.training.config import change


def get_config():
    config = pipeline_config("tiny")
    change(
        config,
        {
            "data.synthetic.clips": 1000,
            "data.synthetic.seconds": 1.2,
            "data.synthetic.motion": 0.25,
            "pseudofix.min_side": 0.5,  # an object fills a sixth of the picture: in a narrower box there is nothing to find
            "stages.*.steps": 600,
        },
    )
    for stage in ("switch", "s", "st", "sa", "s_fine", "st_fine", "sa_fine"):
        change(config, {f"stages.{stage}.steps": 800})
    for stage in FIXATION:
        change(config, {f"stages.{stage}.steps": 1600, f"stages.{stage}.optimiser.rate": 2e-2})
    for stage in FIXATION[1:]:
        change(config, {f"stages.{stage}.batch": 16})
    return config
