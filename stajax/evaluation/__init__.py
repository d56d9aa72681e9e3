"""How good a map is: `metrics`, OSIE's protocol, baselines. Public names load on first use."""

from stajax.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {"Scores": "osie", "score": "osie", "centre_prior": "baselines", "spectral_residual": "baselines"},
)
