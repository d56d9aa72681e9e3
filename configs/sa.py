"""SA, the spatial-audio classification net (section 3.3, Eq. 5, Fig. 5 B), coarse or fine.

    stajax train --config configs/sa.py:lite --workdir runs/sa --config.records=RECORDS
    stajax train --config configs/sa.py:lite,fine --workdir runs/sa_fine --config.records=CROPS --config.heard=RECORDS

Arguments: paper, lite (the default) or tiny; fine for the second stage, on records of crops. Sounds need their
labels, `heard.npz` beside the records, or --config.switch=open. In size paper the frame encoder is VGG-16;
ResNeXt-101, as released, is --config.model.frames=resnext101_32x8d with weights of it.

Time, and what to expect of the held-out clips (accuracy):

    paper   not measured
    lite    not measured
    tiny    not measured
"""

from stajax.training.config import stage_from


def get_config(arg: str = "lite"):
    return stage_from(arg, coarse="sa", fine="sa_fine")
