"""What a model has to beat, and what it cannot: from chance to other people. Public names load on first use."""

from stajax.lazy import exports

# No module has the name of a function that it exports: once loaded, it would stand in the function's place.
__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "BASELINES": "catalogue",
        "centre_prior": "centre",
        "chance": "random_maps",
        "constant": "random_maps",
        "gbvs": "graph_based",
        "human": "human_ceiling",
        "itti": "itti_koch",
        "spectral_residual": "spectral",
    },
)
