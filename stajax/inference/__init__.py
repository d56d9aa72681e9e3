"""From clips to maps: `load`, the streaming engine, and folders of results. Public names load on first use."""

from stajax.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "ClassMaps": "classification",
        "Model": "predict",
        "Prediction": "predict",
        "load": "predict",
        "Engine": "engine",
        "Maps": "stream",
        "Stream": "stream",
        "class_maps": "classification",
        "predict_clips": "clips",
    },
)
