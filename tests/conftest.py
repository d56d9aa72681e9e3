import os
from pathlib import Path

import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--goldens",
        metavar="DIR",
        type=Path,
        default=Path(__file__).parent / "goldens/nets",
        help="goldens of the authors' nets (default: tests/goldens/nets)",
    )
    parser.addoption("--fast", action="store_true", help="of the authors' nets, only those that take seconds")
    parser.addoption(
        "--metric-goldens",
        metavar="DIR",
        type=Path,
        default=Path(__file__).parent / "goldens/metrics",
        help="goldens of the saliency metrics (default: tests/goldens/metrics)",
    )


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and goldens that is not part of the project; a test that asks for it skips without it."""
    folder = Path(os.environ.get("STAJAX_DATA", "../shared")).resolve()
    if not (folder / "data").is_dir():
        pytest.skip(f"no {folder}/data: STAJAX_DATA must name the shared folder")
    return folder
