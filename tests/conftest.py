import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and goldens that is not part of the project; a test that asks for it skips without it."""
    folder = Path(os.environ.get("STAJAX_DATA", "../shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no {folder}/data: STAJAX_DATA must name the shared folder")
    return folder
