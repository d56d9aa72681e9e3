"""The baselines that need nothing but the image, by name."""

from collections.abc import Callable

import numpy as np

from stajax.evaluation.baselines.graph_based import gbvs
from stajax.evaluation.baselines.itti_koch import itti
from stajax.evaluation.baselines.random_maps import chance
from stajax.evaluation.baselines.spectral import spectral_residual

IMAGE_BASELINES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "chance": chance,
    "itti": itti,
    "spectral_residual": spectral_residual,
    "gbvs": gbvs,
}
