"""`stajax doctor`: does this installation work? Versions, devices, models, and a real prediction of a made-up clip."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import tempfile
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stajax import __version__
from stajax.inference import compile_cache

REQUIRED = ("jax", "jaxlib", "flax", "numpy", "av", "pillow")
FOR_TRAINING = ("optax", "orbax-checkpoint", "grain", "tensorflow-datasets")
ACCELERATORS = ("jax-cuda", "jax-rocm", "libtpu")  # how the names of JAX's plugins begin


class Finding(NamedTuple):
    """One thing looked at; `mend` says what to do, or adds a remark."""

    ok: bool
    what: str
    mend: str = ""


def examine() -> Iterator[Finding]:
    """All findings, one after the other."""
    yield Finding(True, f"stajax {__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield _packages()
    yield _devices()
    yield _cache()
    yield _prediction()


def _packages() -> Finding:
    versions, missing = [], []
    for name in REQUIRED + FOR_TRAINING:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    needed = [name for name in missing if name in REQUIRED]
    mend = ""
    if needed:
        mend = f"missing: {', '.join(needed)}; run: pip install {' '.join(needed)}"
    elif missing:
        mend = f"not installed, and not needed to predict: {', '.join(missing)}"
    return Finding(not needed, ", ".join(versions), mend)


def _devices() -> Finding:
    try:
        import jax

        devices = jax.devices()
    except Exception as error:  # a broken driver raises whatever it likes
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return Finding(False, f"JAX finds no device: {reason}", "set JAX_PLATFORMS=cpu, or mend the driver")
    idle = ""
    if jax.default_backend() == "cpu" and os.environ.get("JAX_PLATFORMS") != "cpu":
        idle = _idle_accelerator()
    mend = f"{idle}; or set JAX_PLATFORMS=cpu to mean the CPU" if idle else ""
    return Finding(not idle, f"devices: {', '.join(str(device) for device in devices)}; {os.cpu_count()} CPU cores", mend)


def _idle_accelerator() -> str:
    """What to do about an accelerator that this machine seems to have but JAX does not use; empty if there is none."""
    names = {(package.name or "").lower().replace("_", "-") for package in importlib.metadata.distributions()}
    if plugins := sorted(name for name in names if name.startswith(ACCELERATORS)):
        return f"{', '.join(plugins)} installed, yet JAX uses the CPU; check the driver of the accelerator"
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if listed.startswith("GPU "):
        return "nvidia-smi lists a GPU, yet JAX uses the CPU; run: pip install 'stajax[cuda]'"
    return ""


def _cache() -> Finding:
    folder = compile_cache.folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free / 1e9
    except OSError as error:
        mend = "set STAJAX_CACHE to a folder that can be written; until then every start compiles anew"
        return Finding(False, f"compile cache {folder}: {error.strerror}", mend)
    return Finding(True, f"compile cache {folder}, {free:.0f} GB free")


def _prediction() -> Finding:
    from stajax.inference.clips import predict_clips
    from stajax.inference.predict import load

    compile_cache.enable()
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder:
            clip = synthetic_clip(Path(folder) / "clip.mp4")
            model = load()
            summary = predict_clips(model, [clip], folder)
            if summary.failed:
                raise RuntimeError(summary.failed[clip])
            with np.load(Path(folder) / "clip" / "maps.npz") as archive:
                maps = archive["maps"]
    except Exception as error:  # whatever it is, it is the finding
        return Finding(
            False, f"prediction of a synthetic clip failed: {error}", "reinstall stajax; if it stays, report this line"
        )
    good = maps.shape == (25, *model.output_size) and np.isfinite(maps).all() and maps.max() > maps.min()
    took = time.monotonic() - begun
    return Finding(
        bool(good),
        f"{model.name}: a synthetic clip of {len(maps)} frames became maps {maps.shape} and an overlay in {took:.1f} s",
        "" if good else "the maps are not what they should be; reinstall stajax",
    )


def synthetic_clip(path: Path, *, seconds: float = 1.0, size: tuple[int, int] = (320, 240), fps: float = 25.0) -> Path:
    """An mp4 with a bright square that moves over noise, and a 440 Hz tone. size: (width, height)."""
    from stajax.media import VideoWriter

    sound = path.with_suffix(".wav")
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(16000 * seconds)) / 16000)
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((tone * 32767).astype("<i2").tobytes())
    width, height = size
    ground = np.random.default_rng(0).integers(60, 120, (height, width, 3), np.uint8)
    count, side = round(fps * seconds), height // 6
    with VideoWriter(path, width=width, height=height, fps=fps, sound_from=sound) as writer:
        for index in range(count):
            image = ground.copy()
            left = round((width - side) * index / max(count - 1, 1))
            image[height // 3 : height // 3 + side, left : left + side] = (250, 220, 60)
            writer.write(image)
    sound.unlink()
    return path
