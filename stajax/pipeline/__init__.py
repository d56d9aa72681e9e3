"""The whole chain, from tagged clips to a trained predictor: order and bookkeeping. Public names load on first use."""

from stajax.lazy import exports

__getattr__, __dir__, __all__ = exports(__name__, {"pipeline_config": "config", "run": "run"})
