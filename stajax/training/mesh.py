"""The mesh and who holds what: the batch is split over all devices, parameters over the axis `fsdp` where that is asked for.

"pjit" is `jax.jit` with shardings today. The same code runs on one CPU, eight pretended ones, a GPU, or all hosts of a TPU
slice.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXES = ("data", "fsdp")
_SMALL = 2**14  # elements below which an array is not worth splitting


def make_mesh(fsdp: int = 1) -> Mesh:
    """All devices as (data, fsdp). Raises ValueError if they do not divide by `fsdp`."""
    count = jax.device_count()
    if fsdp < 1 or count % fsdp:
        raise ValueError(f"fsdp={fsdp}: {count} devices cannot be divided by it")
    return jax.make_mesh((count // fsdp, fsdp), AXES, axis_types=(AxisType.Auto,) * 2)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Rows over all devices."""
    return NamedSharding(mesh, PartitionSpec(AXES))


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def state_sharding(mesh: Mesh, tree):
    """For each array of `tree`: over `fsdp` along its longest axis that divides, if it is large; else whole everywhere."""
    fsdp = mesh.shape["fsdp"]

    def sharding(x) -> NamedSharding:
        shape = np.shape(x)
        fits = [axis for axis, length in enumerate(shape) if length % fsdp == 0]
        if fsdp == 1 or not fits or np.prod(shape) < _SMALL:
            return replicated(mesh)
        longest = max(fits, key=lambda axis: shape[axis])
        return NamedSharding(mesh, PartitionSpec(*("fsdp" if axis == longest else None for axis in range(len(shape)))))

    return jax.tree.map(sharding, tree)


def put_batch(mesh: Mesh, batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """A process's own rows as its part of the whole batch on the mesh; the copy to the devices goes on by itself."""
    sharding = batch_sharding(mesh)
    with jax.transfer_guard_host_to_device("allow"):  # this transfer is meant; of several processes it counts as implicit
        return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), dict(batch))


def put_state(tree, shardings):
    """Arrays that every process has whole, onto the mesh."""
    return jax.tree.map(
        lambda x, sharding: jax.make_array_from_callback(np.shape(x), sharding, lambda index, x=x: np.asarray(x)[index]),
        tree,
        shardings,
    )
