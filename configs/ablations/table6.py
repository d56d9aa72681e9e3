"""Table 6: each fixation net alone, and two ways to fuse their maps.

    python launch/sweep.py --config configs/ablations/table6.py:lite --workdir runs/table6 --share \
        --config.data.records=RECORDS

The configuration is the whole procedure; nets says whose maps are taken, fusion how they become one (Eq. 21 or 23). With
--share the nets are trained once. Arguments: paper, lite (the default) or tiny. Time and scores: not measured.
"""

from stajax.pipeline.config import pipeline_config


def get_config(arg: str = "lite"):
    return pipeline_config(arg)


def sweep() -> list[dict]:
    return [
        {"name": "PF_final", "fusion": "paper"},
        {"name": "PF_agg", "fusion": "paper_agg"},
        {"name": "PF_sta", "nets": ("sta",)},
        {"name": "PF_sta_short", "nets": ("sta_plus_short",)},
        {"name": "PF_sta_long", "nets": ("sta_plus_long",)},
    ]
