"""STA, the fixation net of a single fragment (section 5.1, Eq. 15 to 17, Fig. 12 D).

    stajax train --config configs/sta.py:lite --workdir runs/sta --config.records=PSEUDO --config.heard=RECORDS

Arguments: paper, lite (the default) or tiny. Sounds need their labels, `heard.npz` beside RECORDS, or
--config.switch=open. In size paper the frame encoder is VGG-16; ResNeXt-101, as released, is
--config.model.frames=resnext101_32x8d with weights of it.

Time, and what to expect of the held-out clips (cc with pseudo-fixations that it has not seen):

    paper   not measured; in the paper PF_sta scores AUC-J 0.873, CC 0.438, NSS 2.018 on AVAD (Table 6)
    lite    not measured
    tiny    not measured
"""

from stajax.training.config import stage_from


def get_config(arg: str = "lite"):
    return stage_from(arg, sta="sta")
