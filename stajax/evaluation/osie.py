"""The scoring protocol on OSIE (docs/evaluation.md): five metrics at 400x300, the same for every model.

Density maps have a Gaussian of 12 px (1 degree). The shuffled AUC's negatives are the pixels fixated on 10 other images
of the same part of the split, drawn by seed and image, so that an image's score does not depend on which others are
scored, and validation sees nothing of test.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stajax.data.fixations import density_map, fixation_map
from stajax.data.osie import OSIE_SHAPE, osie_split
from stajax.evaluation.metrics import five

SIGMA = 12  # px at 400x300
N_OTHER = 10


@dataclass(frozen=True)
class Scores:
    """What `score` returns.

    Attributes:
        indices: (n,) int64, the images scored, in the order given.
        names: their file names.
        per_image: metric -> (n,) float64, NaN where the metric says nothing (a constant map).
    """

    indices: np.ndarray
    names: tuple
    per_image: dict

    @property
    def mean(self):
        """metric -> mean over the images that have a value; NaN if none has."""
        kept = {name: values[~np.isnan(values)] for name, values in self.per_image.items()}
        return {name: float(values.mean()) if values.size else float("nan") for name, values in kept.items()}

    @property
    def dropped(self):
        """How many images lack a value in some metric, and so are not in all of the means."""
        return int(np.isnan(list(self.per_image.values())).any(axis=0).sum())


def truth(osie, i, *, n_other=N_OTHER, seed=0):
    """What image i is scored against.

    Args:
        osie: `stajax.data.osie.Osie`.
        i: index of the image.
        n_other: how many other images of the same part the negatives come from; all, if it has no more.
        seed: of the draw of other images.

    Returns:
        `fixations` (300, 400) bool, `density` (300, 400) float64 in [0, 1], `other` (300, 400) bool.
    """
    part = next(part for part in osie_split(len(osie)).values() if i in part)
    part = part[part != i]
    others = np.random.default_rng([seed, i]).choice(part, min(n_other, len(part)), replace=False)
    return (
        fixation_map(osie.fixations(i), OSIE_SHAPE),
        density_map(osie.fixations(i), OSIE_SHAPE, SIGMA),
        fixation_map(np.concatenate([np.zeros((0, 2)), *(osie.fixations(j) for j in others)]), OSIE_SHAPE),
    )


def score(osie, indices, predict, *, seed=0):
    """Scores maps on images of OSIE.

    Args:
        osie: `stajax.data.osie.Osie`.
        indices: images to score, e.g. `osie_split()["validation"]`.
        predict: a function from an image, (300, 400, 3) uint8 RGB, to a map (h, w); or the maps themselves, (n, h, w)
            or a list in the order of `indices`, or a dict by index. Any size, brought to 400x300 by MATLAB's imresize.
        seed: of the draw of other images.

    Returns:
        `Scores`.

    Raises:
        ValueError: an index outside the data, another number of maps than of images, a map missing, not 2-D, or with
            NaN or infinity.
        DataError: an image that cannot be read.
    """
    indices = np.asarray(indices, int)
    if np.any((indices < 0) | (indices >= len(osie))):
        raise ValueError(f"OSIE: indices to score must lie in 0..{len(osie) - 1}")
    if not callable(predict) and not isinstance(predict, Mapping):
        if len(predict) != len(indices):
            raise ValueError(f"OSIE: {len(predict)} maps for {len(indices)} images")
        predict = dict(zip(indices.tolist(), predict, strict=True))
    rows = []
    for i in indices.tolist():
        if not callable(predict) and i not in predict:
            raise ValueError(f"OSIE: no map for image {i}, {osie.names[i]}")
        saliency = predict(osie.image(i)) if callable(predict) else predict[i]
        try:
            rows.append(five(saliency, *truth(osie, i, seed=seed)))
        except ValueError as error:
            raise ValueError(f"OSIE: image {i}, {osie.names[i]}: {error}") from error
    metrics = rows[0] if rows else ()
    return Scores(
        indices=indices,
        names=tuple(osie.names[i] for i in indices.tolist()),
        per_image={name: np.array([row[name] for row in rows]) for name in metrics},
    )
