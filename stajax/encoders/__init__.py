"""Encoders: a picture or a window of sound to features. See `base` for what a net may ask of one."""

from importlib import import_module

FRAME_ENCODERS = {
    "efficientnet_lite0": "stajax.encoders.efficientnet:EfficientNetLite0",
    "vgg16": "stajax.encoders.vgg:VGG16",
    "vgg16_d1": "stajax.encoders.vgg:VGG16D1",
    "resnet50": "stajax.encoders.resnext:resnet50",
    "resnet50_imagenet": "stajax.encoders.resnext:resnet50_imagenet",
    "resnext101_32x8d": "stajax.encoders.resnext:resnext101_32x8d",
    "resnext101_32x8d_layer3": "stajax.encoders.resnext:resnext101_32x8d_layer3",
    "resnext101_32x8d_imagenet": "stajax.encoders.resnext:resnext101_32x8d_imagenet",
    "tiny": "stajax.encoders.tiny:TinyFrames",
}
SOUND_ENCODERS = {
    "yamnet": "stajax.encoders.yamnet:YAMNet",
    "vggsound": "stajax.encoders.vggsound:VGGSound",
    "vggsound_309": "stajax.encoders.vggsound:vggsound_309",
    "tiny": "stajax.encoders.tiny:TinySound",
}


def constructor(name: str, known: dict[str, str]):
    """The constructor that `known` names "module:name"; ValueError that lists the known names otherwise."""
    if name not in known:
        raise ValueError(f"unknown encoder {name!r}; known: {', '.join(sorted(known))}")
    module, attribute = known[name].split(":")
    return getattr(import_module(module), attribute)
