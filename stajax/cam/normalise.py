"""Z, the min-max normalisation of Eqs. 1, 2, 21 and 23."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

_FLAT = 1e-6  # of the largest value: what rounding makes of a constant map


@partial(jax.jit, static_argnames=("constant", "axes"))
def min_max(maps: jax.Array, *, constant: str = "zeros", axes: tuple[int, ...] = (-2, -1)) -> jax.Array:
    """Z: each map to [0, 1] by its own minimum and maximum.

    Args:
        maps: (..., h, w).
        constant: what becomes of a map that is the same everywhere, for which the equations say nothing. "zeros", or
            "unchanged" as the release's MatrixNormalization leaves it.
        axes: those of one map.

    Returns:
        (..., h, w), in [0, 1] but for an unchanged constant. Constant is what varies by less than a millionth of its largest
        absolute value, and a map that holds NaN.

    Raises:
        ValueError: another `constant`.
    """
    if constant not in ("zeros", "unchanged"):
        raise ValueError(f"min_max: constant {constant!r}, give 'zeros' or 'unchanged'")
    low, high = maps.min(axes, keepdims=True), maps.max(axes, keepdims=True)
    span = high - low
    varies = span > _FLAT * jnp.maximum(jnp.abs(low), jnp.abs(high))
    return jnp.where(varies, (maps - low) / jnp.where(varies, span, 1), 0 if constant == "zeros" else maps)
