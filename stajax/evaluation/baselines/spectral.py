"""Looking at what is odd in the spectrum."""

import numpy as np

from stajax.evaluation.baselines.rgb import require_rgb


def spectral_residual(image):
    """The spectral residual saliency of Hou and Zhang 2007, by OpenCV's contrib module.

    Args:
        image: (h, w, 3) uint8 RGB.

    Returns:
        (h, w) float32 in [0, 1].

    Raises:
        ImportError: OpenCV, or its module `saliency`, is not installed.
        ValueError: not an image.
    """
    require_rgb(image, "spectral_residual")
    try:
        import cv2

        method = cv2.saliency.StaticSaliencySpectralResidual_create()
    except (ImportError, AttributeError) as error:
        raise ImportError("spectral_residual needs `pip install opencv-contrib-python-headless`") from error
    _, saliency = method.computeSaliency(np.ascontiguousarray(image[..., ::-1]))  # OpenCV's BGR
    return saliency
