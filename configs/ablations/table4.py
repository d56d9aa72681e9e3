"""Table 4: the thresholds T_d and T_r of the fixation refine layer (Eq. 13 and 14), and none at all.

    python launch/sweep.py --config configs/ablations/table4.py:lite --workdir runs/table4 --share \
        --config.data.records=RECORDS

STA+ is trained anew with each pair on the pseudo-fixations of SCAM+ (section 6.3.1): net.threshold is T_d, net.rate T_r,
net.refine whether there is such a layer. Of the two STA+ nets it is the long-term one here, whose score in Table 6 comes
nearest to the best row. Arguments: paper, lite (the default) or tiny. Time and scores: not measured.
"""

from stajax.pipeline.config import COMPANY, SCAM, pipeline_config
from stajax.training.config import change

NET = "stages.sta_plus_long.net"


def get_config(arg: str = "lite"):
    return change(pipeline_config(arg, (*SCAM, *COMPANY, "sta_plus_long")), {"nets": ("sta_plus_long",)})


def sweep() -> list[dict]:
    pairs = ((0.8, 0.4), (0.8, 0.8), (0.9, 0.6), (0.7, 0.6), (0.8, 0.6))
    return [
        {"name": "without_FRL", f"{NET}.refine": False},
        *({"name": f"Td{td}_Tr{tr}", f"{NET}.threshold": td, f"{NET}.rate": tr} for td, tr in pairs),
    ]
