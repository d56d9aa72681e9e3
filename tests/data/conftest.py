"""Records of made clips, small ones, that tests of examples and batches read."""

import numpy as np
import pytest

from stajax.data.jpeg import decode_jpeg
from stajax.data.records import Records
from stajax.data.synthetic import SyntheticAVE, SyntheticConfig, write_synthetic

SIZE = 32


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The folder of 10 clips of 12 frames, one a shard."""
    folder = tmp_path_factory.mktemp("made")
    config = SyntheticConfig(size=SIZE, seconds=1.2, foreign=0.2, silent=0.2)
    write_synthetic(folder, SyntheticAVE(10, seed=3, config=config), shards=10)
    return folder


@pytest.fixture(scope="session")
def records(made):
    return Records(made)


@pytest.fixture(scope="session")
def place_of(records):
    """{bytes of a frame: (record, frame number)}: the noise makes every frame different."""
    return {decode_jpeg(frame).tobytes(): (row, t) for row, clip in enumerate(records) for t, frame in enumerate(clip.frames)}


@pytest.fixture
def places(place_of):
    """Function: views (..., 32, 32, 3) of unaugmented frames -> (..., 2) record and frame number."""

    def found(views):
        flat = views.reshape(-1, *views.shape[-3:])
        return np.array([place_of[view.tobytes()] for view in flat]).reshape(*views.shape[:-3], 2)

    return found
