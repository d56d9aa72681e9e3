"""stajax: audio-visual saliency in JAX. Where people look in a video with sound, learned from category tags.

    import stajax
    model = stajax.load("sta-lite")
    prediction = model.predict("clip.mp4")   # .maps (T, h, w) in [0, 1], .time (T,) seconds, .fps

Importing the package imports nothing heavy and touches no device.
"""

__version__ = "0.1.0"
__all__ = ["Model", "Prediction", "__version__", "load"]


def __getattr__(name):
    if name in ("Model", "Prediction", "load"):
        from stajax import inference

        return getattr(inference, name)
    raise AttributeError(f"module 'stajax' has no attribute {name!r}")


def __dir__():
    return __all__
