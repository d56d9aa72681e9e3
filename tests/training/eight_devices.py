"""Run by a test, in a process of its own: one step of stages on eight devices, and of some on one.

Prints a line of JSON for each: the stage, its loss on eight devices and perhaps on one, the kinds of collectives of the
compiled step, how many arrays of the new state lie elsewhere than the mesh says, the shape of a device's weights of rows, and
how many trained arrays are split.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

import jax

jax.config.update("jax_num_cpu_devices", 8)  # before anything asks for devices

from training.small import ready, small, write_clips

from stajax.training import mesh as made_mesh
from stajax.training.config import STAGES, change
from stajax.training.mesh import batch_sharding, put_batch, put_state, replicated, state_sharding

KINDS = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter|collective-broadcast"


ALONE = ("switch", "st_plus_cross", "sta_plus_short")  # stages whose step is compiled for one device, too


def main(places, fsdp: int, stages: list[str]) -> None:
    made_mesh._SMALL = 64  # elements; nets of size tiny have no large arrays
    mesh = made_mesh.make_mesh(fsdp)
    for stage in stages:
        config = small(stage, places)
        made = ready(change(config, {"net.steps": 1}) if "steps" in config.net else config)
        alone = float(made.step(made.state, made.fixed, made.batch)[1]["loss"]) if stage in ALONE else None
        shardings = state_sharding(mesh, made.state), state_sharding(mesh, made.fixed), batch_sharding(mesh)
        given = (put_state(made.state, shardings[0]), put_state(made.fixed, shardings[1]), put_batch(mesh, made.batch))
        placed = {"in_shardings": shardings, "out_shardings": (shardings[0], replicated(mesh)), "donate_argnums": 0}
        jitted = jax.jit(made.make(mesh=mesh), compiler_options={"xla_backend_optimization_level": 0}, **placed)
        compiled = jitted.lower(*given).compile()
        state, measured = compiled(*given)
        kinds = sorted(set(re.findall(rf" ({KINDS})(?:-start)?\(", compiled.as_text())))
        leaves = zip(jax.tree.leaves(state), jax.tree.leaves(shardings[0]), strict=True)
        elsewhere = sum(not x.sharding.is_equivalent_to(sharding, x.ndim) for x, sharding in leaves)
        rows = given[2]["weight"].sharding.shard_shape(given[2]["weight"].shape)
        found = {"loss": [float(measured["loss"]), alone], "kinds": kinds, "elsewhere": elsewhere}
        split = sum(x.sharding.shard_shape(x.shape) != x.shape for x in jax.tree.leaves(state["trained"]))
        print(json.dumps({"stage": stage, **found, "rows": list(rows), "split": split}), flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(write_clips(Path(folder)), int(sys.argv[1]), sys.argv[2:] or list(STAGES))
