"""Encoders: a picture or a window of sound to features. See `base` for what a net may ask of one."""

from importlib import import_module

FRAME_ENCODERS = {
    "efficientnet_lite0": "stajax.encoders.efficientnet:EfficientNetLite0",
    "tiny": "stajax.encoders.tiny:TinyFrames",
}
SOUND_ENCODERS = {
    "yamnet": "stajax.encoders.yamnet:YAMNet",
    "tiny": "stajax.encoders.tiny:TinySound",
}


def constructor(name: str, known: dict[str, str]):
    """The class that `known` names "module:class"; ValueError that lists the known names otherwise."""
    if name not in known:
        raise ValueError(f"unknown encoder {name!r}; known: {', '.join(sorted(known))}")
    module, attribute = known[name].split(":")
    return getattr(import_module(module), attribute)
