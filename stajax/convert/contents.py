"""Which of a checkpoint's contents are the net's tensors: in a dict, an entry of a dict, or a pickled module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from stajax.convert.errors import ConvertError, listed
from stajax.convert.unpickle import Instance

ENTRIES = ("state_dict", "model_state_dict", "model", "net", "params")
_DEEPEST = 3  # entries within entries
_DEEPEST_MODULE = 100
_MOST_NAMES = 20_000


def named_tensors(content: Any, is_tensor: Callable[[Any], bool]) -> tuple[dict[str, Any], str]:
    """(name -> tensor, entry): the net's tensors, and the dotted keys of `ENTRIES` that they lay under ("" at the top).

    A leading ``module.`` is stripped from each name. What is beside the tensors (an optimiser's state, epochs) is left out.
    Raises ConvertError when there are none, or two of one name.
    """
    found, entry = _find(content, is_tensor, _DEEPEST)
    if not found:
        mapping = _mapping(content)
        what = f"its top-level keys: {listed([str(key)[:60] for key in mapping])}" if mapping else f"it is a {_kind(content)}"
        raise ConvertError(f"no tensors found ({what}); save model.state_dict() by itself, or under {' or '.join(ENTRIES[:2])}")
    return strip_module(found), entry


def strip_module(found: dict[str, Any]) -> dict[str, Any]:
    """Names without the leading ``module.`` of DataParallel. Raises ConvertError when that makes two of one."""
    stripped: dict[str, Any] = {}
    twice = []
    for name, tensor in found.items():
        short = name.removeprefix("module.")
        if short in stripped:
            twice.append(short)
        stripped[short] = tensor
    if twice:
        raise ConvertError(
            f"{len(twice)} names are there both with and without 'module.' ({listed(twice)}); remove one of each"
        )
    return stripped


def _find(content: Any, is_tensor: Callable[[Any], bool], depth: int) -> tuple[dict[str, Any], str]:
    if is_module(content):
        return dict(_of_module(content, is_tensor)), ""
    mapping = _mapping(content)
    for key in ENTRIES if depth else ():
        if key in mapping:
            found, inner = _find(mapping[key], is_tensor, depth - 1)
            if found:
                return found, f"{key}.{inner}".removesuffix(".")
    return {key: value for key, value in mapping.items() if isinstance(key, str) and is_tensor(value)}, ""


def is_module(content: Any) -> bool:
    """Whether `content` is a pickled torch.nn.Module, of whatever class."""
    return (
        isinstance(content, Instance)
        and isinstance(content.state, dict)
        and {"_parameters", "_modules"} <= content.state.keys()
    )


def _of_module(root: Instance, is_tensor: Callable[[Any], bool]) -> Iterator[tuple[str, Any]]:
    """What `root.state_dict()` would list, in its order: parameters, buffers that persist, then the children."""
    count = 0
    waiting = [("", root)]
    while waiting:
        prefix, module = waiting.pop()
        if prefix.count(".") > _DEEPEST_MODULE or count > _MOST_NAMES:
            raise ConvertError("the pickled module holds itself, or too many modules; save model.state_dict() in torch")
        state = module.state
        passing = state.get("_non_persistent_buffers_set") or ()
        for kind in ("_parameters", "_buffers"):
            for name, value in _mapping(state.get(kind)).items():
                if is_tensor(value) and not (kind == "_buffers" and name in passing):
                    yield f"{prefix}{name}", value
                count += 1
        children = [(f"{prefix}{name}.", child) for name, child in _mapping(state["_modules"]).items() if is_module(child)]
        count += len(children)
        waiting += reversed(children)


def _mapping(content: Any) -> dict:
    """The items of a dict, or of an instance of a class that behaves like one."""
    return content if isinstance(content, dict) else content.items if isinstance(content, Instance) else {}


def _kind(content: Any) -> str:
    return str(content)[:80] if isinstance(content, Instance) else type(content).__name__
