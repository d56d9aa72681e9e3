"""stajax/models/cgcn.py and frl.py against the goldens of Eqs. 9 to 14, float64 NumPy, and what must hold of them."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from restatement import c_gcn

from stajax.encoders.params import flatten
from stajax.models.cgcn import CGCN, edge, neighbours
from stajax.models.frl import fixation_refine, refine_mask

GOLDENS = Path(__file__).parents[1] / "goldens/nets/paper"
sys.path.insert(0, str(Path(__file__).parents[1] / "parity"))
import detw  # noqa: E402


def golden(name):
    with np.load(GOLDENS / f"{name}.npz") as archive:
        return dict(archive)


def channels_last(x):
    return np.moveaxis(x, 0, -1)


def test_a_step_equals_the_golden_of_eq_9_to_12():
    g = golden("eq09_12_cgcn_step")
    names = ("TA", "MG1", "MG2")
    nodes = [channels_last(0.8 * detw.normal(f"paper:h_{name}", (28, 32, 32))) for name in names]
    net = CGCN(28, steps=1, refine=False, rngs=nnx.Rngs(0))
    for conv, which in ((net.attention.first, "a"), (net.attention.second, "b")):
        conv.kernel[...] = jnp.asarray(g[f"in_W{which}"].T[None, None])
        conv.bias[...] = jnp.asarray(g[f"in_b{which}"])
    batch = jnp.asarray(np.stack(nodes))[None]
    with jax.default_matmul_precision("highest"):
        first, second = net.attention(batch)
        edges = np.asarray(edge(first[:, 0], second[:, 1])[0])
        states = np.asarray(net(batch)[0])
    np.testing.assert_allclose(edges.sum(-1), 1, rtol=1e-5)
    ours = edges.T.reshape(-1)[:: int(g["out_stride_e"])]  # theirs is source x target
    np.testing.assert_allclose(ours, g["out_e_TA_MG1"], rtol=2e-4, atol=1e-8)
    for name, state in zip(names, states, strict=True):
        ours = np.moveaxis(state, -1, 0).reshape(-1)[:: int(g["out_stride_h"])]
        np.testing.assert_allclose(ours, g[f"out_h_{name}"], rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("case", ["a", "b"])
def test_the_refine_layer_equals_the_golden_of_eq_13_and_14(case):
    g = golden(f"eq13_14_frl_{case}")
    h = channels_last(detw.normal(f"paper:frl{case}", (28, 32, 32)) + np.float32(g["in_shift"]))[None]
    options = {"threshold": float(g["in_Td"])}
    np.testing.assert_array_equal(refine_mask(jnp.asarray(h), **options)[0, ..., 0], g["out_mask"].astype(bool))
    ours = np.moveaxis(np.asarray(fixation_refine(jnp.asarray(h), rate=float(g["in_Tr"]), **options))[0], -1, 0)
    np.testing.assert_allclose(ours.reshape(-1)[:: int(g["out_stride"])], g["out"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("company", "steps"), [(1, 1), (2, 3), (4, 2)])
def test_any_company_and_any_steps_equal_float64_numpy(company, steps):
    rng = np.random.default_rng(company)
    nodes = rng.normal(0.2, 0.7, (2, 1 + company, 4, 5, 6)).astype(np.float32)
    net = CGCN(6, steps=steps, threshold=0.7, rate=0.5, rngs=nnx.Rngs(3))
    for conv in (net.attention.first, net.attention.second):
        conv.bias[...] = jnp.asarray(rng.normal(0, 0.3, 6), jnp.float32)
    p = {f"cgcn.{key}": np.float64(value) for key, value in flatten(nnx.to_pure_dict(nnx.state(net))).items()}
    expected = [c_gcn(p, "cgcn", item, steps=steps, threshold=0.7, rate=0.5) for item in nodes]
    np.testing.assert_allclose(nnx.jit(net)(jnp.asarray(nodes)), expected, atol=2e-5)


def test_a_target_without_company_is_halved_by_step_and_refined():
    h = np.random.default_rng(0).normal(size=(1, 1, 3, 3, 4)).astype(np.float32)
    net = CGCN(4, steps=1, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(net(jnp.asarray(h)), fixation_refine(jnp.asarray(h) / 2), atol=1e-6)  # σ(0) = 1/2


def test_the_order_of_the_company_does_not_matter():
    nodes = jnp.asarray(np.random.default_rng(1).normal(size=(2, 4, 3, 3, 5)).astype(np.float32))
    net = CGCN(5, rngs=nnx.Rngs(0))
    order = np.array([0, 3, 1, 2])
    np.testing.assert_allclose(net(nodes[:, order]), net(nodes)[:, order], atol=1e-6)


def test_neighbours_are_all_others():
    assert neighbours(3).tolist() == [[1, 2], [0, 2], [0, 1]]
    assert neighbours(1).shape == (1, 0)
