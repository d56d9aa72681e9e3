"""Class activation: where in a picture the evidence for a class lies. Works on plain arrays; public names load on first use.

`recover`, `released_class_map` and `resize_linear` are NumPy. All else is JAX: jitted, over any leading axes (`smooth`: frames
first), NumPy arrays in too, JAX arrays out.
"""

from stajax.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        # From a tag to pseudo-fixations: Eqs. 1-3, 8, 22, section 3.2.
        "min_max": "normalise",
        "class_evidence": "class_map",
        "tagged_map": "class_map",
        "cam_from_features": "class_map",
        "cam_from_class_maps": "class_map",
        "SOURCES": "scam",
        "SOURCES_PLUS": "scam",
        "Selection": "scam",
        "soft_filter": "scam",
        "fuse_weighted": "scam",
        "fuse_scam": "scam",
        "fuse_scam_plus": "scam",
        "fuse_average": "scam",
        "coarse_boxes": "box",
        "scale_boxes": "box",
        "widen_boxes": "box",
        "crop_resize": "crop",
        "paste": "crop",
        "recover": "crop",
        "recursive_smooth": "smooth",
        "smooth_step": "smooth",
        "temporal_mean": "smooth",
        # As the authors' scripts write them.
        "released_class_map": "released_export",
        "resize_linear": "released_export",
        # The CAM family of Table 7, for any net: stajax/cam/methods/.
    },
)
