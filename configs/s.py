"""S, the spatial classification net (section 3.3, Fig. 5 A), coarse or fine.

    stajax train --config configs/s.py:lite --workdir runs/s --config.records=RECORDS
    stajax train --config configs/s.py:lite,fine --workdir runs/s_fine --config.records=CROPS

Arguments: paper, lite (the default) or tiny; fine for the second stage, on records of crops. In size paper the
frame encoder is VGG-16; ResNeXt-101, as released, is --config.model.frames=resnext101_32x8d with weights of it.

Time, and what to expect of the held-out clips (accuracy):

    paper   not measured
    lite    not measured
    tiny    not measured
"""

from stajax.training.config import stage_from


def get_config(arg: str = "lite"):
    return stage_from(arg, coarse="s", fine="s_fine")
