"""What is asked of the logits: a class, a class for each item, the likeliest class, or any function of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

# A class for all items; (N,) classes; None, each item's likeliest class on the input as it is; or logits (N, classes) -> (N,).
Target = int | Sequence[int] | jax.Array | np.ndarray | Callable[[jax.Array], jax.Array] | None


def scorer(target: Target, logits: jax.Array) -> Callable[[jax.Array], jax.Array]:
    """The function logits (N, classes) -> scores (N,) that `target` means for items whose unchanged logits are `logits`.

    A class scores by its logit, before any softmax: for its probability give
    ``lambda logits: jax.nn.softmax(logits)[:, c]``.

    Raises:
        ValueError, TypeError: those of `class_indices`; a function that gives another shape than (N,).
    """
    if not callable(target):
        indices = class_indices(target, logits)[:, None]
        return lambda logits: jnp.take_along_axis(logits, indices, axis=1)[:, 0]
    shape = jax.eval_shape(target, logits).shape
    if shape != logits.shape[:1]:
        raise ValueError(f"cam: the target function gives shape {shape} for logits {logits.shape}; ({len(logits)},) is needed")
    return target


def class_indices(target: Target, logits: jax.Array) -> jax.Array:
    """The class (N,) integer of each item. `logits`: (N, classes) of the unchanged items.

    Raises:
        TypeError: `target` is a function or no integer. ValueError: not one class or N; a class the net does not have
        (under `jit`, where the values of a traced array are unknown, that goes unnoticed).
    """
    if target is None:
        return logits.argmax(-1)
    if callable(target):
        raise TypeError("cam: this method needs a class as target, for it reads that class's weights; not a function")
    items, classes = logits.shape
    known = not isinstance(target, jax.core.Tracer)
    indices = np.asarray(target) if known else target
    if not jnp.issubdtype(indices.dtype, jnp.integer):
        raise TypeError(f"cam: target of type {indices.dtype}; give class numbers, None or a function of the logits")
    if indices.shape not in ((), (items,)):
        raise ValueError(f"cam: target of shape {indices.shape} for {items} items; give one class or {items}")
    if known and indices.size and not 0 <= indices.min() <= indices.max() < classes:
        raise ValueError(f"cam: target {indices.tolist()}; this net has classes 0..{classes - 1}")
    return jnp.broadcast_to(indices, (items,))
