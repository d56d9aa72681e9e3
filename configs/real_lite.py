"""The whole procedure in size lite on clips of one's own: a CSV with columns path and tag, or a folder of TAG/CLIP.

    stajax pipeline --config configs/real_lite.py --workdir runs/mine --config.data.clips=clips.csv

At most 10 s of a clip, 10 frames a second. Encoders are frozen, and their features are kept beside the records: 0.75 MB
a frame. A few dozen clips of each tag are little: the nets stop early (600 steps), and the best of a net on held-out
clips counts.

Time, and what to expect: not measured.
"""

from stajax.pipeline.config import pipeline_config
from stajax.training.config import change


def get_config():
    return change(
        pipeline_config("lite"),
        {"data.fps": 10.0, "data.seconds": 10.0, "stages.*.steps": 600, "stages.*.eval.every": 100},
    )
