"""Where implementations of the metrics disagree, and what each of them does: `COMPAT["mit"]`, "stavis", "pysaliency".

"mit" is the MIT saliency benchmark's MATLAB code, which papers compare with. "stavis" is the evaluation of the six
audio-visual benchmarks: the same metrics after `stavis_postprocess`. "pysaliency" is the package of that name, version
0.2.22. It has no resizing (another size is an error there); here every size is brought to the truth's by `imresize`.
It counts a fixation as often as it was made, and a map cannot say that: here a pixel counts once.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Choices:
    """What an implementation does.

    Attributes:
        postprocess: the saliency map goes through `stavis_postprocess` before all else.
        ties: AUC-Judd without jitter: "against" the map, or "together" in one point of the ROC.
        thresholds: of the shuffled AUC: "grid" 0, 0.1, .. 1, or "all" values.
        negatives: of `auc`: "others", the pixels that are not fixated, or "all" pixels.
        shift: SIM and KL make a map a density by subtracting its minimum if that is negative and dividing by the sum; an
            all-zero map is uniform. Otherwise SIM scales a map to [0, 1] and divides by the sum, KL only divides.
        ddof: NSS divides by the standard deviation over N - ddof.
        constant: what a constant saliency map scores in NSS, CC and the AUCs: "nan", or "chance".
        nan_auc: the AUC of a map with NaN among the values compared, if it is not what comparing with NaN gives.
        eps: KL's.
    """

    postprocess: bool = False
    ties: str = "against"
    thresholds: str = "grid"
    negatives: str = "others"
    shift: bool = False
    ddof: int = 1
    constant: str = "nan"
    nan_auc: float | None = None
    eps: float = 2.0**-52


COMPAT = {
    "mit": Choices(),
    "stavis": Choices(postprocess=True),
    "pysaliency": Choices(
        ties="together",
        thresholds="all",
        negatives="all",
        shift=True,
        ddof=0,
        constant="chance",
        nan_auc=0.0,
        eps=2.2204e-16,
    ),
}


def choices(compat):
    """The `Choices` of that name. ValueError if there is none."""
    if compat not in COMPAT:
        raise ValueError(f"compat is {compat!r}, give one of {', '.join(COMPAT)}")
    return COMPAT[compat]


def stavis_postprocess(saliency):
    """What STAViS' evaluation does to a predicted map, at the map's own size, before it is resized and scored.

    Clips to [0, 1], scales to [0, 1], and blurs: Gaussian of 2 px cut at 6 px (13x13), borders mirrored. Equals its
    `postprocessMap(saliency, 2)` to 1e-14. Needs SciPy.

    Args:
        saliency: (h, w), uint8 in [0, 255] or real in [0, 1], as a picture is read.

    Returns:
        (h, w) float64. A constant map is 0.5 everywhere; an all-zero one is all NaN, and all metrics are NaN for it.
    """
    from scipy.ndimage import gaussian_filter

    saliency = np.asarray(saliency)
    saliency = saliency / 255 if saliency.dtype == np.uint8 else saliency.astype(np.float64)
    if saliency.ndim != 2 or not saliency.size:
        raise ValueError(f"stavis_postprocess: a map must have two axes and a pixel, got shape {saliency.shape}")
    saliency = np.clip(saliency, 0, 1)
    low, high = saliency.min(), saliency.max()
    if not low < high:
        return np.full(saliency.shape, 0.5 if high > 0 else np.nan)
    # Dividing by the highest value first, as there, decides how the last bits are rounded.
    saliency = saliency / high
    low = saliency.min()
    return gaussian_filter((saliency - low) / (1 - low), 2, truncate=3, mode="reflect")
