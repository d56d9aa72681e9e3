from functools import cache

import pytest
from training.small import ready, small, write_clips

from stajax.training.config import change


@pytest.fixture(scope="session")
def places(tmp_path_factory):
    """Folders of made clips, with and without maps; see `small.write_clips`."""
    return write_clips(tmp_path_factory.mktemp("places"))


@pytest.fixture(scope="session")
def stage(places):
    """Function: the name of a stage -> `small.Ready` of it with a constant rate. S trains the frame encoder, too; nets with
    company reason once.
    """

    @cache
    def made(name: str):
        config = small(name, places, optimiser__schedule="constant", freeze=("sound", "frames")[: 1 if name == "s" else 2])
        return ready(change(config, {"net.steps": 1}) if "steps" in config.net else config)

    return made
