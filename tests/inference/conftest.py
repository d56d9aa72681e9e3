import pytest
from inference.tagged import write_scam
from inference.tiny import write_model

import stajax
from stajax.inference import pseudofix


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def model(model_folder):
    """Shared, for compiling takes seconds; batches of 5, so that short clips fill several."""
    return stajax.load(model_folder, batch=5)


@pytest.fixture(scope="session")
def scam_folder(tmp_path_factory):
    return write_scam(tmp_path_factory.mktemp("models") / "scam")


@pytest.fixture(scope="session")
def scam(scam_folder):
    """Shared, for compiling takes seconds."""
    return pseudofix.load(scam_folder, batch=4)
