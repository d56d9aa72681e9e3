import pytest
from inference.tiny import write_model

import stajax


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def model(model_folder):
    """Shared, for compiling takes seconds; batches of 5, so that short clips fill several."""
    return stajax.load(model_folder, batch=5)
