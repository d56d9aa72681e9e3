"""The whole chain on made clips, on a CPU: tags to pseudo-fixations to fused predictions, and whether they find what sounds.

    stajax pipeline --config configs/synthetic_tiny.py --workdir runs/synthetic_tiny
    stajax pipeline --config configs/synthetic_tiny.py --workdir runs/synthetic_tiny1 --config.seed=1

Time: 13 minutes on 2 CPU cores that had other work, too. To expect, of seeds 0, 1 and 2 (docs/story.md has the whole
table): STA hits what sounds in 0.43, 0.47, 0.45 of the frames, a centre prior in 0.07, 0.06, 0.11, STA without motion and
sound in 0.27, 0.28, 0.21, STA on clips without sound in 0.23, 0.28, 0.18.
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
