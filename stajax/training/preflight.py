"""Before anything large is built: do all processes see each other, and the same kind of device?"""

from __future__ import annotations

import os
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from stajax.training.mesh import AXES, batch_sharding


class PreflightError(RuntimeError):
    """The processes do not make one machine; the message is one line."""


def connect(*, coordinator: str = "", processes: int = 0, process: int = -1, distributed: bool = False) -> None:
    """Join the other processes; call it before anything else of JAX. Without arguments there is one process.

    On Cloud TPU and under Slurm `distributed` alone will do: JAX finds the rest. A number of CPU devices may come in the
    environment variable STAJAX_CPU_DEVICES, for dry runs.
    """
    if count := os.environ.get("STAJAX_CPU_DEVICES"):
        jax.config.update("jax_num_cpu_devices", int(count))
    if coordinator:
        if processes < 1 or not 0 <= process < processes:
            raise PreflightError("--coordinator needs --processes N and --process I, I from 0 to N - 1")
        jax.distributed.initialize(coordinator, processes, process, initialization_timeout=120)
    elif distributed:
        jax.distributed.initialize(initialization_timeout=120)


def preflight(mesh: Mesh) -> str:
    """A line about the devices, after a sum over all of them came out right. Raises PreflightError."""
    kinds = Counter(device.device_kind for device in mesh.devices.flat)
    sharding = batch_sharding(mesh)
    ones = jax.make_array_from_callback((mesh.size,), sharding, lambda index: np.ones(1, np.float32))
    add = jax.jit(
        jax.shard_map(lambda x: jax.lax.psum(x, AXES), mesh=mesh, in_specs=PartitionSpec(AXES), out_specs=PartitionSpec())
    )
    total = float(np.asarray(jax.device_get(add(ones).addressable_data(0)))[0])
    if total != mesh.size:
        raise PreflightError(f"a sum over {mesh.size} devices gave {total}; some process or link is at fault")
    if len(kinds) > 1:
        raise PreflightError(f"devices of several kinds ({', '.join(kinds)}); training wants one")
    (kind,) = kinds
    shape = " x ".join(f"{name} {length}" for name, length in mesh.shape.items())
    return f"{jax.process_count()} process(es), {mesh.size} x {kind}, mesh {shape}"


def sum_over_processes(value: float) -> float:
    """The sum of each process's number, at every process."""
    if jax.process_count() == 1:
        return value
    from jax.experimental import multihost_utils

    return float(multihost_utils.process_allgather(jnp.float32(value)).sum())
