"""The authors' nets with long company: a stream and its bank against the direct computation with further fragments."""

import jax
import numpy as np
import pytest
from inference.tagged import FPS, source
from inference.tiny import variables

from stajax.data.company import draw_from_bank
from stajax.inference.bank import of_clip
from stajax.inference.classification import target_maps
from stajax.inference.engine import Engine
from stajax.inference.predict import stream_clip, stream_of
from stajax.media import cut_windows, squash
from stajax.models.fragments import ONE_FRAME, STA_SPAN, Fragments
from stajax.models.network import Network, NetworkConfig, Structure
from stajax.models.released.base import ReleasedConfig

N, HOP = 50, 1 / FPS  # so that each frame has a sound window of its own
KINDS = ("S+", "SA+", "ST+", "STA+")


def told(predictions, aux, context):
    """Logits of the target, and the class maps before and after reasoning."""
    maps = {net: target_maps(found) for net, found in aux.items() if net != "STA+"}
    return {net: x[:, 0] for net, x in predictions.items()} | {f"{net} maps": x for net, x in maps.items()}


@pytest.fixture(scope="module")
def structure():
    nets = {kind: (f"released.{kind}", ReleasedConfig(channels=4, granularity="long")) for kind in KINDS}
    return Structure(NetworkConfig("tiny", "tiny", 64, HOP, nets=nets))


@pytest.fixture(scope="module")
def numbers(structure):
    found = variables(structure, 3)
    norm = found["nets"]["STA+"]["norm"]
    norm["var"] = 1 + np.abs(norm["var"])
    return found


@pytest.fixture(scope="module")
def engine(structure, numbers):
    return Engine([(structure, numbers)], batch=5, output=told)


def test_their_company_is_two_rows_of_a_bank_and_the_target_comes_first(engine):
    assert engine.banked == dict.fromkeys(KINDS, 2)
    assert engine.spans == {"S+": ONE_FRAME, "SA+": ONE_FRAME, "ST+": STA_SPAN, "STA+": STA_SPAN}
    assert set(engine.node_shapes().values()) == {(8, 8, 4)}


def test_a_stream_with_a_bank_equals_the_direct_computation(structure, numbers, engine):
    clip = source(N, 1)
    moments = of_clip(engine, clip).banks["S+"].moments
    company = moments[draw_from_bank(moments, np.arange(N), 2, seed=0)]
    stream = stream_of(engine, clip)
    found = jax.tree.map(lambda *x: np.stack(x), *(shown.map for shown in stream_clip(stream, clip)))

    @jax.jit
    @jax.default_matmul_precision("highest")
    def direct(views, windows, fragments):
        features = structure.apply(numbers, Network.encode_frames, views)
        audio = structure.apply(numbers, Network.encode_audio, windows)
        return told(*structure.apply(numbers, Network.__call__, features, audio, fragments), None)

    fragments = {}
    for net, span in engine.spans.items():
        targets = np.arange(N)[:, None, None] + np.array(span.nodes)
        rows = np.concatenate([targets, company[..., None] + np.array(span.nodes[0])], axis=1)
        rows = np.clip(rows, 0, N - 1)
        fragments[net] = Fragments.of(rows, rows[..., 1])
    windows = cut_windows(clip.waveform, np.arange(N) * HOP, 1600)
    expected = direct(np.stack([squash(image, 64) for image in clip.images]), windows, fragments)
    assert found.keys() == expected.keys() and len(found) == 7
    for name, values in expected.items():
        scale = np.abs(values).max()
        off = np.abs(found[name] - values)  # at a place at the threshold of the refine layer rounding decides
        assert (off > 1e-4 * scale).mean() < 2e-3 and off.max() < 0.02 * scale, name
        assert np.ptp(values, axis=0).max() > 1e-2 * scale, f"{name} must differ between frames"
    assert (stream.views_encoded, stream.bank_views) == (N, 96)


def test_company_changes_what_they_say(engine):
    clip = source(20, 1)
    bank = of_clip(engine, source(20, 2)).banks  # of another clip
    say = [[shown.map for shown in stream_clip(stream_of(engine, clip, banks), clip)] for banks in (None, bank)]
    for net in KINDS:
        own, other = (np.stack([x[net] for x in of]) for of in say)
        assert np.abs(own - other).max() > 1e-3 * np.abs(own).max(), net
