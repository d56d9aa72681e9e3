"""S+, the spatial classification net with company (section 4.3, Fig. 5 E).

    stajax train --config configs/s_plus.py:lite,short --workdir runs/s_plus_short --config.records=RECORDS
    stajax train --config configs/s_plus.py:lite,long --workdir runs/s_plus_long --config.records=RECORDS
    stajax train --config configs/s_plus.py:lite,cross --workdir runs/s_plus_cross --config.records=RECORDS

Arguments: paper, lite (the default) or tiny; short, long or cross, the company's kind, short by default.

Time, and what to expect of the held-out clips (accuracy):

    paper   not measured
    lite    not measured
    tiny    not measured
"""

from stajax.training.config import stage_from


def get_config(arg: str = "lite"):
    return stage_from(arg, short="s_plus_short", long="s_plus_long", cross="s_plus_cross")
