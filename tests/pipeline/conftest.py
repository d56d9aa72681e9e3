import pytest

from stajax.pipeline.config import pipeline_config
from stajax.training.config import change


@pytest.fixture
def tiny():
    """Function: changes -> a pipeline of the switch, S, SA and STA on 16 made clips, a few steps each."""

    def made(**changes):
        config = pipeline_config("tiny", stages=("switch", "s", "sa", "sa_fine", "sta"))
        few = {
            "data.synthetic.clips": 16,
            "data.synthetic.seconds": 1.0,
            "stages.*.steps": 3,
            "stages.*.batch": 8,
            "stages.*.eval.every": 3,
            "stages.*.eval.moments": 1,
            "stages.*.log.every": 1,
            "pseudofix.sources": ("S", "SA"),
            "nets": ("sta",),
        }
        return change(config, few | {key.replace("__", "."): value for key, value in changes.items()})

    return made
