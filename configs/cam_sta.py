"""CAM_sta, one classification net of all three sources, which Table 2 holds against SCAM; no part of the procedure.

    stajax train --config configs/cam_sta.py:lite --workdir runs/cam_sta --config.records=RECORDS
    stajax train --config configs/cam_sta.py:lite,fine --workdir runs/cam_sta_fine --config.records=CROPS --config.heard=RECORDS

Arguments: paper, lite (the default) or tiny; fine for the second stage, on records of crops. Sounds need their
labels, `heard.npz` beside the records, or --config.switch=open.

Time, and what to expect of the held-out clips (accuracy):

    paper   not measured
    lite    not measured
    tiny    not measured
"""

from stajax.training.config import stage_from


def get_config(arg: str = "lite"):
    return stage_from(arg, coarse="cam_sta", fine="cam_sta_fine")
