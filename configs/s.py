"""S, the spatial classification net (section 3.3, Fig. 5 A), coarse or fine.

    stajax train --config configs/s.py:lite --workdir runs/s --config.records=RECORDS
    stajax train --config configs/s.py:lite,fine --workdir runs/s_fine --config.records=CROPS

Arguments: paper, lite (the default) or tiny; fine for the second stage, on records of crops. In size paper the
frame encoder is VGG-16; ResNeXt-101, as released, is --config.model.frames=resnext101_32x8d with weights of it.

Time, and what to expect of the held-out clips (accuracy):

    paper   not measured
    lite    0.81 after 800 steps in 15 s, fine 0.69 after 400
    tiny    0.29 in 15 s, fine 0.41

Size lite: as in configs/shipped_lite.py, 44 real clips of 8 tags, 8 of them held out, so that a moment counts 0.03. Size
tiny: as in configs/synthetic_tiny.py, seed 0, where no picture alone tells the tag. On 2 CPU cores with other work on
them, features kept.
"""

from stajax.training.config import stage_from


def get_config(arg: str = "lite"):
    return stage_from(arg, coarse="s", fine="s_fine")
