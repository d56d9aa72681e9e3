"""The audio switch: does this sound belong to this picture (section 3.3)? The structure of the SA net, binary labels.

    stajax train --config configs/switch.py:lite --workdir runs/switch --config.records=RECORDS

Arguments: paper, lite (the default) or tiny. Its labels are `heard.npz` beside the records, what a sound tagger
hears (docs/data.md). Both labels count the same in the loss; --config.loss.balance=False lets the more frequent
win.

Time, and what to expect of the held-out clips (accuracy):

    paper   not measured
    lite    not measured
    tiny    not measured
"""

from stajax.training.config import stage_from


def get_config(arg: str = "lite"):
    return stage_from(arg, switch="switch")
