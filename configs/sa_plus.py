"""SA+, the spatial-audio classification net with company (section 4.3, Fig. 5 F); the paper has none of short-term.

    stajax train --config configs/sa_plus.py:lite,long --workdir runs/sa_plus_long --config.records=RECORDS
    stajax train --config configs/sa_plus.py:lite,cross --workdir runs/sa_plus_cross --config.records=RECORDS

Arguments: paper, lite (the default) or tiny; long or cross, the company's kind, long by default. Sounds need
their labels, `heard.npz` beside the records, or --config.switch=open.

Time, and what to expect of the held-out clips (accuracy):

    paper   not measured
    lite    not measured
    tiny    not measured
"""

from stajax.training.config import stage_from


def get_config(arg: str = "lite"):
    return stage_from(arg, long="sa_plus_long", cross="sa_plus_cross")
