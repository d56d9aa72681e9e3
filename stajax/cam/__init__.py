"""Class activation: where in a picture the evidence for a class lies. Works on plain arrays; public names load on first use.

`recover`, `released_class_map` and `resize_linear` are NumPy. All else is JAX, NumPy arrays in too, JAX arrays out. What makes
pseudo-fixations is jitted and takes any leading axes (smoothing: frames first); the CAM family can be jitted.
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
        # The CAM family of Table 7, for any net.
        "Split": "methods.split",
        "gap_linear": "methods.split",
        "class_activation_map": "methods.linear",
        "grad_cam": "methods.gradient",
        "grad_cam_pp": "methods.gradient",
        "xgrad_cam": "methods.gradient",
        "layer_cam": "methods.gradient",
        "activations_and_gradients": "methods.gradient",
        "smooth_grad_cam_pp": "methods.smooth",
        "eigen_cam": "methods.eigen",
        "eigen_grad_cam": "methods.eigen",
        "score_cam": "methods.score",
        "ss_cam": "methods.score",
        "is_cam": "methods.score",
        "ablation_cam": "methods.ablation",
        "gradient_family": "methods.family",
    },
)
