"""What importing costs: the package itself nothing, prediction only what it needs."""

import json
import subprocess
import sys
import time

import stajax


def imported(code, *packages):
    """Which of `packages` a fresh Python has imported after `code`."""
    code += f"\nimport json, sys; print(json.dumps([name for name in {packages!r} if name in sys.modules]))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def test_importing_the_package_is_free():
    begun = time.monotonic()
    assert imported("import stajax", "jax", "jaxlib", "flax", "numpy", "av", "PIL") == []
    assert time.monotonic() - begun < 2  # with the start of Python, and with others on the machine


def test_version_and_help_are_free_too():
    code = "from stajax.cli import main\ntry: main(['predict', '--help'])\nexcept SystemExit: pass"
    assert imported(code, "jax", "numpy", "av") == []


def test_predicting_imports_no_device_and_nothing_of_training():
    heavy = ("tensorflow_datasets", "tensorflow", "grain", "clu", "librosa", "scipy", "orbax", "ml_collections", "torch", "cv2")
    code = """
import stajax.inference
for name in stajax.inference.__all__:
    getattr(stajax.inference, name)
import stajax.inference.doctor
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized()
"""  # optax is there: flax.nnx itself imports it
    assert imported(code, *heavy) == []


def test_python_m_stajax():
    run = subprocess.run([sys.executable, "-m", "stajax", "--version"], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, f"stajax {stajax.__version__}\n", "")


def test_public_names():
    assert {"Model", "Prediction", "load"} <= set(dir(stajax))
    assert stajax.load.__module__ == "stajax.inference.predict" and stajax.Model.__name__ == "Model"
    for name in ("nothing", "inference_"):
        assert not hasattr(stajax, name)
