"""The whole procedure on AVE: 18 nets, from tagged clips to pseudo-fixations to fused fixation maps.

    stajax pipeline --config configs/pipeline.py:lite --workdir runs/ave --config.data.records=RECORDS
    stajax pipeline --config configs/pipeline.py:paper --workdir runs/ave_paper --config.data.records=RECORDS \
        --config.stages.*.model.frames_weights=VGG16 --config.stages.*.model.sound_weights=VGGSOUND

RECORDS: of AVE's training split (docs/data.md). VGG16, VGGSOUND: model folders that `stajax convert` made of fetched
weights (`stajax weights`). Arguments: lite (the default) or paper. See what would be done with --dry-run.

Time, and what to expect on AVAD (AUC-J, CC, NSS):

    paper   not measured; the paper has 0.887, 0.490, 2.318 (Table 6, PF_final)
    lite    not measured
"""

from stajax.pipeline.config import pipeline_config
from stajax.training.config import ConfigError


def get_config(arg: str = "lite"):
    if arg not in ("paper", "lite"):
        raise ConfigError(f"unknown argument {arg!r}; sizes: paper, lite (tiny: configs/synthetic_tiny.py)")
    return pipeline_config(arg)
