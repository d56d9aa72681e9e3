"""SA+, the spatial-audio classification net with company (section 4.3, Fig. 5 F); the paper has none of short-term.

    stajax train --config configs/sa_plus.py:lite,long --workdir runs/sa_plus_long --config.records=RECORDS
    stajax train --config configs/sa_plus.py:lite,cross --workdir runs/sa_plus_cross --config.records=RECORDS

Arguments: paper, lite (the default) or tiny; long or cross, the company's kind, long by default. Sounds need
their labels, `heard.npz` beside the records, or --config.switch=open.

Time, and what to expect of the held-out clips (accuracy):

    paper   not measured
    lite    long 0.84, cross 0.81 after 400 steps, 2 to 2.5 min each
    tiny    0.34, 0.55 after 600 steps, 45 to 60 s each

Size lite: as in configs/shipped_lite.py, 44 real clips of 8 tags, 8 of them held out, so that a moment counts 0.03. Size
tiny: as in configs/synthetic_tiny.py, seed 0, where no picture alone tells the tag. On 2 CPU cores with other work on
them, features kept.
"""

from stajax.training.config import stage_from


def get_config(arg: str = "lite"):
    return stage_from(arg, long="sa_plus_long", cross="sa_plus_cross")
