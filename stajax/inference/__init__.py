"""From clips to maps: `load`, the streaming engine, and folders of results. Public names load on first use."""

from importlib import import_module

_HOMES = {
    "Model": "predict",
    "Prediction": "predict",
    "load": "predict",
    "Engine": "engine",
    "Maps": "stream",
    "Stream": "stream",
    "predict_clips": "clips",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__():
    return __all__
