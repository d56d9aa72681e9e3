"""Table 2: SCAM, which fuses the CAMs of three nets by their confidences, against the CAM of one net of all three sources.

    python launch/sweep.py --config configs/ablations/table2.py:lite --workdir runs/table2 --share \
        --config.data.records=RECORDS

CAM_sta is a classifier on the fusion of Eq. 15 (stages cam_sta, cam_sta_fine). pseudofix.sources says whose CAMs count,
pseudofix.fine whether there is a second stage. STA learns from them. Arguments: paper, lite (the default) or tiny.
Time and scores: not measured.
"""

from stajax.pipeline.config import SCAM, pipeline_config
from stajax.training.config import change


def get_config(arg: str = "lite"):
    return change(pipeline_config(arg, (*SCAM, "cam_sta", "cam_sta_fine", "sta")), {"nets": ("sta",)})


def sweep() -> list[dict]:
    cam_sta = {"pseudofix.sources": ("CAM_sta",), "pseudofix.selective": False}
    scam = {"pseudofix.sources": ("S", "ST", "SA"), "pseudofix.selective": True}
    return [
        {"name": "coarse_CAM_sta", "pseudofix.fine": False, **cam_sta},
        {"name": "coarse_SCAM", "pseudofix.fine": False, **scam},
        {"name": "fine_CAM_sta", "pseudofix.fine": True, **cam_sta},
        {"name": "fine_SCAM", "pseudofix.fine": True, **scam},
    ]
