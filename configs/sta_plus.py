"""STA+, the fixation net with short- or long-term company (section 5.2, Eq. 18 to 20, Fig. 12 H).

    stajax train --config configs/sta_plus.py:lite,short --workdir runs/sta_short --config.records=PSEUDO --config.heard=RECORDS
    stajax train --config configs/sta_plus.py:lite,long --workdir runs/sta_long --config.records=PSEUDO --config.heard=RECORDS

Arguments: paper, lite (the default) or tiny; short (the default) or long. Sounds need their labels, `heard.npz`
beside RECORDS, or --config.switch=open.

Time, and what to expect of the held-out clips (cc with pseudo-fixations that it has not seen):

    paper   not measured; in the paper on AVAD (Table 6): short AUC-J 0.881, CC 0.465, NSS 2.151, long 0.886, 0.469, 2.159
    lite    not measured
    tiny    not measured
"""

from stajax.training.config import stage_from


def get_config(arg: str = "lite"):
    return stage_from(arg, short="sta_plus_short", long="sta_plus_long")
