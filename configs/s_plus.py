"""S+, the spatial classification net with company (section 4.3, Fig. 5 E).

    stajax train --config configs/s_plus.py:lite,short --workdir runs/s_plus_short --config.records=RECORDS
    stajax train --config configs/s_plus.py:lite,long --workdir runs/s_plus_long --config.records=RECORDS
    stajax train --config configs/s_plus.py:lite,cross --workdir runs/s_plus_cross --config.records=RECORDS

Arguments: paper, lite (the default) or tiny; short, long or cross, the company's kind, short by default.

Time, and what to expect of the held-out clips (accuracy):

    paper   not measured
    lite    short 0.84, long 0.84, cross 0.84 after 400 steps, 33 s each
    tiny    0.28, 0.29, 0.36 after 600 steps, 30 to 55 s each

Size lite: as in configs/shipped_lite.py, 44 real clips of 8 tags, 8 of them held out, so that a moment counts 0.03. Size
tiny: as in configs/synthetic_tiny.py, seed 0, where no picture alone tells the tag. On 2 CPU cores with other work on
them, features kept.
"""

from stajax.training.config import stage_from


def get_config(arg: str = "lite"):
    return stage_from(arg, short="s_plus_short", long="s_plus_long", cross="s_plus_cross")
