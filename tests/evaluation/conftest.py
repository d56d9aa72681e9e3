import os
from pathlib import Path

import numpy as np
import pytest
from metric_goldens import MetricGoldens
from PIL import Image

from stajax.data.osie import Osie, load_osie

GOLDENS = pytest.StashKey[MetricGoldens]()
FOLDER = Path(os.environ.get("STAJAX_DATA", "../shared")) / "data/osie"


def pytest_configure(config):
    try:
        config.stash[GOLDENS] = MetricGoldens.read(config.getoption("--metric-goldens"))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_generate_tests(metafunc):
    """A test that takes `metric_case` or `pysaliency_case` runs once for each case of the goldens."""
    goldens = metafunc.config.stash[GOLDENS]
    for argument, cases in (("metric_case", goldens.expected), ("pysaliency_case", goldens.pysaliency)):
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, list(cases))


def pytest_terminal_summary(terminalreporter, config):
    goldens = config.stash[GOLDENS]
    if goldens.compared:
        counts = f"{len(goldens.compared)} of {len(goldens.values)} values compared, {len(goldens.differing)} known to differ"
        terminalreporter.write_line(f"metric goldens: {counts}")


@pytest.fixture(scope="session")
def metric_goldens(request):
    """The goldens of the metrics, as `tests/evaluation/metric_goldens.py` reads them."""
    return request.config.stash[GOLDENS]


@pytest.fixture(scope="module")
def small_osie(tmp_path_factory):
    """60 images, so that each test and validation image has 11 others; 20 fixations each; image i is the constant i."""
    root, rng, n = tmp_path_factory.mktemp("osie"), np.random.default_rng(0), 60
    (root / "stimuli").mkdir()
    names = [f"{i:03d}.png" for i in range(n)]
    for i, name in enumerate(names):
        Image.fromarray(np.full((300, 400, 3), i, np.uint8)).save(root / "stimuli" / name)
    return Osie(
        root=root,
        names=tuple(names),
        points=(rng.random((20 * n, 2)) * (400, 300)).astype(np.float32),
        subject=np.tile(np.arange(20), n),
        duration=np.ones(20 * n, np.float32),
        start=np.arange(n + 1) * 20,
        dropped=0,
    )


@pytest.fixture(scope="session")
def real_osie():
    if not FOLDER.is_dir():
        pytest.skip(f"no {FOLDER}: STAJAX_DATA must name the shared folder")
    return load_osie(FOLDER)
