import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stajax.data.fixations import Osie, load_osie

FOLDER = Path(os.environ.get("STAJAX_DATA", "../shared")) / "data/osie"


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
