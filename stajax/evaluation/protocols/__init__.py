"""Scoring protocols: which frames count, what they are scored against, how scores are averaged. What one is: `base.py`."""

import math
from importlib import import_module

PROTOCOLS = {
    "stavis": ("stavis", "Stavis"),
    "diem": ("diem", "Diem"),
    "osie": ("osie", "OsieProtocol"),
    "ucf": ("ucf", "Ucf"),
    "plain": ("plain", "Plain"),
}

_WHOLE = {"first_frame": 1, "step": 1, "seed": 0, "all": 0}  # options that are whole numbers, and the least they may be


def open_protocol(name, root, datasets=None, splits=None, **options):
    """The protocol of that name on the data set in a folder.

    Args:
        name: "stavis", "diem", "osie", "ucf" or "plain".
        root: the folder; each module says its layout.
        datasets, splits: which of them to score; None for the protocol's default.
        options: the protocol's own, keyword arguments of its class.

    Raises:
        ValueError: an unknown protocol, data set, split or option.
        DataError: the folder is not as the protocol needs it.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"no protocol {name!r}; there are {', '.join(PROTOCOLS)}")
    module, kind = PROTOCOLS[name]
    kind = getattr(import_module(f"stajax.evaluation.protocols.{module}"), kind)
    allowed = kind.__init__.__kwdefaults__ or {}
    if unknown := set(options) - set(allowed):
        raise ValueError(f"{name}: no option {', '.join(sorted(unknown))}; there are {', '.join(allowed) or 'none'}")
    for key, value in options.items():
        if key in _WHOLE and not (isinstance(value, int) and value >= _WHOLE[key]):
            raise ValueError(f"{name}: {key} is {value}, it must be a whole number of at least {_WHOLE[key]}")
        if key == "sigma" and not (value is None or (isinstance(value, int | float) and 0 < value < math.inf)):
            raise ValueError(f"{name}: sigma is {value}, it must be positive")
    return kind(root, datasets, splits, **options)
