"""SA, the spatial-audio classification net (section 3.3, Eq. 5, Fig. 5 B), coarse or fine.

    stajax train --config configs/sa.py:lite --workdir runs/sa --config.records=RECORDS
    stajax train --config configs/sa.py:lite,fine --workdir runs/sa_fine --config.records=CROPS --config.heard=RECORDS

Arguments: paper, lite (the default) or tiny; fine for the second stage, on records of crops. Sounds need their
labels, `heard.npz` beside the records, or --config.switch=open. In size paper the frame encoder is VGG-16;
ResNeXt-101, as released, is --config.model.frames=resnext101_32x8d with weights of it.

Time, and what to expect of the held-out clips (accuracy):

    paper   not measured
    lite    0.97 after 800 steps in 85 s, fine 0.94 after 400
    tiny    0.65 in 22 s, fine 0.77

Size lite: as in configs/shipped_lite.py, 44 real clips of 8 tags, 8 of them held out, so that a moment counts 0.03. Size
tiny: as in configs/synthetic_tiny.py, seed 0, where no picture alone tells the tag. On 2 CPU cores with other work on
them, features kept.
"""

from stajax.training.config import stage_from


def get_config(arg: str = "lite"):
    return stage_from(arg, coarse="sa", fine="sa_fine")
