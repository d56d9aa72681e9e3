"""The methods that need one forward pass, all from the same one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from stajax.cam.methods import gradient
from stajax.cam.methods.eigen import first_component
from stajax.cam.methods.maps import finish
from stajax.cam.methods.split import Split
from stajax.cam.methods.targets import Target

_MAPS = {
    "grad_cam": gradient.grad_cam_map,
    "grad_cam_pp": gradient.grad_cam_pp_map,
    "xgrad_cam": gradient.xgrad_cam_map,
    "layer_cam": gradient.layer_cam_map,
    "eigen_cam": lambda activations, gradients: first_component(activations),
    "eigen_grad_cam": lambda activations, gradients: first_component(activations * gradients),
}


def gradient_family(
    model: Split,
    x: Any,
    target: Target = None,
    *,
    relu: bool = True,
    normalise: bool = False,
    size: Sequence[int] | None = None,
) -> dict[str, jax.Array]:
    """The maps of the six methods that read activations and gradients, by the names of their functions.

    Cost: one forward pass and one backward pass through the head, for all six.

    Args: as `gradient.grad_cam`.

    Returns:
        {"grad_cam": (N, *places) float32, ...}: what each function gives alone.
    """
    found = gradient.activations_and_gradients(model, x, target)
    return {name: finish(to_map(*found), relu=relu, normalise=normalise, size=size) for name, to_map in _MAPS.items()}
