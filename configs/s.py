"""S, the spatial classification net (section 3, Fig. 5 A), coarse or fine.

    stajax train --config configs/s.py:lite --workdir runs/s --config.records=RECORDS
    stajax train --config configs/s.py:lite,fine --workdir runs/s_fine --config.records=CROPS

Arguments: paper, lite or tiny; fine for the second stage, on records of crops.
"""

from stajax.training.config import stage_from


def get_config(arg: str = "lite"):
    return stage_from(arg, coarse="s", fine="s_fine")
