"""ST+, the spatial-temporal classification net with company (section 4.3, Fig. 5 G).

    stajax train --config configs/st_plus.py:lite,short --workdir runs/st_plus_short --config.records=RECORDS
    stajax train --config configs/st_plus.py:lite,long --workdir runs/st_plus_long --config.records=RECORDS
    stajax train --config configs/st_plus.py:lite,cross --workdir runs/st_plus_cross --config.records=RECORDS

Arguments: paper, lite (the default) or tiny; short, long or cross, the company's kind, short by default.

Time, and what to expect of the held-out clips (accuracy):

    paper   not measured
    lite    not measured
    tiny    not measured
"""

from stajax.training.config import stage_from


def get_config(arg: str = "lite"):
    return stage_from(arg, short="st_plus_short", long="st_plus_long", cross="st_plus_cross")
