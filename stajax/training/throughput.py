"""How fast training goes: steps and examples a second, and the share of an accelerator's peak that a step's FLOPs are."""

from __future__ import annotations

import time

import jax

# Peak dense bfloat16 FLOP/s of a device, from the vendors' data sheets; matched at the beginning of its kind's name.
PEAK = {
    "NVIDIA H100": 989e12,
    "NVIDIA H200": 989e12,
    "NVIDIA A100": 312e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5e": 197e12,
    "TPU v5": 459e12,
    "TPU v6": 918e12,
}


class Throughput:
    """Counts steps between two looks. batch: examples of a step, over all processes."""

    def __init__(self, batch: int):
        self.batch, self.flops = batch, 0.0
        self.restart()

    def restart(self) -> None:
        """Forget what took time outside of steps, such as an evaluation."""
        self.steps, self.since = 0, time.perf_counter()

    def tick(self) -> None:
        self.steps += 1

    def take_flops(self, compiled, parts: int = 1) -> None:
        """FLOPs of a step on one device, by XLA's own count of the compiled step; of a loop over parts it counts one."""
        cost = compiled.cost_analysis() or {}
        cost = cost[0] if isinstance(cost, list) else cost
        self.flops = parts * float(cost.get("flops", 0.0))

    def look(self) -> dict[str, float]:
        """Of the steps since the last look; call it where the device has been waited for."""
        seconds = time.perf_counter() - self.since
        if not self.steps:
            return {}
        rate = self.steps / max(seconds, 1e-9)
        found = {"steps_per_second": rate, "examples_per_second": rate * self.batch}
        kind = jax.devices()[0].device_kind
        peak = next((flops for name, flops in PEAK.items() if kind.startswith(name)), None)
        if peak and self.flops:
            found["flop_utilisation"] = self.flops * rate / peak
        self.restart()
        return found
