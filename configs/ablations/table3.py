"""Table 3: how sound joins the picture in SA fuse: addition, multiplication, concatenation, bilinear, or Eq. 5.

    python launch/sweep.py --config configs/ablations/table3.py:lite --workdir runs/table3 --share \
        --config.data.records=RECORDS

net.audio_fuse of the SA+ nets says it (of SA and of the audio switch it would, too). The paper's row of SA fuse is line 24 of
Table 1: the nets with company, fused by their confidences, and STA that learns from them. Arguments: paper, lite (the default)
or tiny. Time and scores: not measured.
"""

from stajax.pipeline.config import COMPANY, pipeline_config
from stajax.training.config import STAGES, change

SA_PLUS = tuple(stage for stage in COMPANY if STAGES[stage].source == "sa")


def get_config(arg: str = "lite"):
    return change(pipeline_config(arg, ("switch", *COMPANY, "sta")), {"pseudofix.fine": False, "nets": ("sta",)})


def sweep() -> list[dict]:
    return [
        {"name": how, **{f"stages.{stage}.net.audio_fuse": how for stage in SA_PLUS}}
        for how in ("addition", "multiplication", "concatenation", "bilinear", "sa_fuse")
    ]
