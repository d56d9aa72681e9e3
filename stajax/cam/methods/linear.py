"""CAM: the linear classifier applied to every place (Zhou et al. 2016, arXiv 1512.04150, Eq. 2; Eq. 1 of STANet)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from stajax.cam.methods.maps import finish, weighted_sum
from stajax.cam.methods.split import Split
from stajax.cam.methods.targets import Target, class_indices


def class_activation_map(
    model: Split,
    x: Any,
    target: Target = None,
    *,
    relu: bool = True,
    normalise: bool = False,
    size: Sequence[int] | None = None,
) -> jax.Array:
    """CAM: sum over channels k of w_k A_k, w the target's column of the linear layer. The bias is left out.

    The mean of the map over places, with ``relu=False``, plus the bias is the logit. Cost: one forward pass.

    Args:
        model: of `gap_linear`.
        x: whatever `model.features` takes, N items.
        target: a class or (N,) classes; None for the likeliest.
        relu, normalise, size: see `finish`; the paper has no ReLU.

    Returns:
        (N, *places) float32, or (N, *size).

    Raises:
        ValueError: the head is not linear. TypeError: `target` is a function.
    """
    if model.kernel is None:
        raise ValueError("cam: CAM needs a head of mean and linear layer; make the model with gap_linear, or use grad_cam")
    activations, rest = model.encode(x)
    weights = model.kernel[:, class_indices(target, model.score(activations, *rest))].T
    return finish(weighted_sum(activations, weights.astype(jnp.float32)), relu=relu, normalise=normalise, size=size)
