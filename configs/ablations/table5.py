"""Table 5: the steps m of semantic reasoning and the number n of nodes that keep the target company.

    python launch/sweep.py --config configs/ablations/table5.py:lite --workdir runs/table5 --share \
        --config.data.records=RECORDS

STA+ is trained anew with each on the pseudo-fixations of SCAM+ (section 6.3.2): net.steps is m, net.company is n. Without
reasoning (m = 0) the nodes are concatenated. m = 3 and n = 2, which are the paper's choice and two rows of its table, are
one run. Of the two STA+ nets it is the long-term one here, as in table4.py. Arguments: paper, lite (the default) or tiny.
Time and scores: not measured.
"""

from stajax.pipeline.config import COMPANY, SCAM, pipeline_config
from stajax.training.config import change

NET = "stages.sta_plus_long.net"


def get_config(arg: str = "lite"):
    return change(pipeline_config(arg, (*SCAM, *COMPANY, "sta_plus_long")), {"nets": ("sta_plus_long",)})


def sweep() -> list[dict]:
    return [
        {"name": "without_reasoning", f"{NET}.steps": 0},
        {"name": "m3_n2", f"{NET}.steps": 3, f"{NET}.company": 2},
        *({"name": f"m{m}", f"{NET}.steps": m} for m in (2, 4, 5)),
        *({"name": f"n{n}", f"{NET}.company": n} for n in (1, 3, 4)),
    ]
