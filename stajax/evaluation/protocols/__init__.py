"""Scoring protocols: which frames count, what they are scored against, how scores are averaged. What one is: `base.py`."""

from importlib import import_module

from stajax.evaluation.protocols.options import POLICIES, check
from stajax.evaluation.protocols.others import check as check_others

PROTOCOLS = {
    "stavis": ("stavis", "Stavis"),
    "diem": ("diem", "Diem"),
    "osie": ("osie", "OsieProtocol"),
    "ucf": ("ucf", "Ucf"),
    "plain": ("plain", "Plain"),
}


def class_of(name):
    """The protocol's class. ValueError if there is none of that name."""
    if name not in PROTOCOLS:
        raise ValueError(f"no protocol {name!r}; there are {', '.join(PROTOCOLS)}")
    module, kind = PROTOCOLS[name]
    return getattr(import_module(f"stajax.evaluation.protocols.{module}"), kind)


def options_of(kind):
    """The names of the options that a protocol's class takes."""
    return (*(kind.__init__.__kwdefaults__ or {}), *POLICIES)


def open_protocol(name, root, datasets=None, splits=None, **options):
    """The protocol of that name on the data set in a folder.

    Args:
        name: "stavis", "diem", "osie", "ucf" or "plain".
        root: the folder; each module says its layout.
        datasets, splits: which of them to score; None for the protocol's default.
        options: see `options.OPTIONS`; those of POLICIES, and the keyword arguments of the protocol's class.

    Raises:
        ValueError: an unknown protocol, data set, split or option; a value that an option does not take.
        DataError: the folder is not as the protocol needs it.
    """
    kind = class_of(name)
    check(name, options, options_of(kind))
    policies = {key: options.pop(key) for key in POLICIES if key in options}
    rules = kind(root, datasets, splits, **options)
    for key, value in policies.items():
        setattr(rules, key, value)
    rules.settings |= {key: getattr(rules, key) for key in POLICIES}
    check_others(rules)
    return rules
