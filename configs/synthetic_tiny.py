"""The whole chain on made clips, on a CPU: tags to pseudo-fixations to fused predictions, and whether they find what sounds.

    stajax pipeline --config configs/synthetic_tiny.py --workdir runs/synthetic_tiny
    stajax pipeline --config configs/synthetic_tiny.py --workdir runs/synthetic_tiny1 --config.seed=1

Time: not measured. Number to expect: not measured.
"""

from stajax.pipeline import pipeline_config
from stajax.training.config import change


def get_config():
    config = change(pipeline_config("tiny"), {"data.synthetic.clips": 400, "stages.*.steps": 300})
    for stage in ("switch", "s", "st", "sa", "s_fine", "st_fine", "sa_fine", "sta"):
        change(config, {f"stages.{stage}.steps": 800})
    return config
