"""Fusion against the golden of Eqs. 21 and 23, and several nets in one engine."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from stajax import cam
from stajax.inference.engine import Engine
from stajax.inference.fusion import FUSIONS, fuse
from stajax.inference.stream import Stream
from stajax.models.fixation import STAConfig
from stajax.models.network import NetworkConfig, Structure

GOLDEN = np.load(Path(__file__).parents[1] / "goldens" / "nets" / "paper" / "eq21_23_fusion.npz")


@pytest.mark.parametrize("how, name", [("paper", "out_final"), ("paper_agg", "out_agg"), ("released_max", "out_released_max")])
def test_fusion_equals_the_golden(how, name):
    maps = [jnp.asarray(GOLDEN[f"in_{net}"])[None] for net in ("sta", "short", "long")]
    np.testing.assert_allclose(fuse(maps, how)[0], GOLDEN[name], atol=2e-6)


def test_a_single_net_is_left_alone_and_a_flat_map_counts_as_zeros():
    only, flat = jnp.asarray(np.random.default_rng(0).random((2, 5, 4))), jnp.full((2, 5, 4), 0.7)
    assert all((fuse([only], how) == only).all() for how in FUSIONS)
    np.testing.assert_array_equal(fuse([only, flat], "paper_agg"), 0)  # a factor of its product is zero
    np.testing.assert_allclose(fuse([only, flat], "paper"), fuse([only, 0 * flat], "paper"), atol=1e-6)
    np.testing.assert_allclose(fuse([only, flat], "released_max"), cam.min_max(only), atol=1e-6)


def test_two_nets_share_one_encoder_pass_and_are_fused():
    nets = {"sta": ("STA", STAConfig.tiny()), "other": ("STA", STAConfig(width=4, output_size=(8, 8)))}
    structure = Structure(NetworkConfig(frames="tiny", sound="tiny", size=64, nets=nets))
    variables = structure.initialise(0)
    frames = np.random.default_rng(1).integers(0, 256, (5, 64, 64, 3), np.uint8)

    def maps(**options):
        engine, calls = Engine([(structure, variables)], batch=4, **options), []
        encode = engine.encode_frames
        engine.encode_frames = lambda *args: calls.append(1) or encode(*args)
        stream = Stream(engine)
        parts = [stream.push(frames).maps, stream.finish().maps]
        assert len(calls) == 2, "five frames in batches of four"
        return np.concatenate(parts)

    from stajax.layers.resize import resize

    one, other = maps(nets="sta"), resize(maps(nets=["other"])[..., None], (16, 16))[..., 0]
    np.testing.assert_allclose(maps(), fuse([jnp.asarray(one), jnp.asarray(other)], "paper"), atol=1e-5)
    with pytest.raises(ValueError, match="unknown fusion 'mean'; known: paper"):
        Engine([(structure, variables)], fusion="mean")
    with pytest.raises(ValueError, match="no net nothing in this model; it has sta, other"):
        Engine([(structure, variables)], nets=["nothing"])
