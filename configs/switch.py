"""The audio switch: does this sound belong to this picture (section 3.3)? The structure of the SA net, binary labels.

    stajax train --config configs/switch.py:lite --workdir runs/switch --config.records=RECORDS

Arguments: paper, lite (the default) or tiny. Its labels are `heard.npz` beside the records, what a sound tagger
hears (docs/data.md). Both labels count the same in the loss; --config.loss.balance=False lets the more frequent
win.

Time, and what to expect of the held-out clips (accuracy):

    paper   not measured
    lite    0.88 after 800 steps in 40 s
    tiny    0.89 in 27 s

Size lite: as in configs/shipped_lite.py, 44 real clips of 8 tags, 8 of them held out, so that a moment counts 0.03. Size
tiny: as in configs/synthetic_tiny.py, seed 0, where no picture alone tells the tag. On 2 CPU cores with other work on
them, features kept.
"""

from stajax.training.config import stage_from


def get_config(arg: str = "lite"):
    return stage_from(arg, switch="switch")
