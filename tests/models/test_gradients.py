"""Every parameter of the paper's nets learns: gradients of Eq. 7, 17 and 20 through nets and encoders, back to pixels."""

import dataclasses

import jax
import numpy as np
import pytest

from stajax.encoders.params import flatten
from stajax.models.classifiers import ClassifierConfig, CompanyClassifierConfig
from stajax.models.fixation import STAConfig, STAPlusConfig
from stajax.models.fragments import Fragments
from stajax.models.losses import company_fixation_loss, fixation_loss, multilabel_soft_margin
from stajax.models.network import Network, NetworkConfig, Structure

SOURCES = ("s", "st", "sa", "sta")
CLASSIFIERS = {source: ClassifierConfig.tiny(source, classes=5) for source in SOURCES}
NETS = {
    **{source: ("classifier", config) for source, config in CLASSIFIERS.items()},
    "by concatenation": ("classifier", dataclasses.replace(CLASSIFIERS["sa"], audio_fuse="concatenation", head=1)),
    "by a bilinear form": ("classifier", dataclasses.replace(CLASSIFIERS["sa"], audio_fuse="bilinear")),
    **{f"{s}+": ("classifier+", dataclasses.replace(CompanyClassifierConfig.tiny(s, classes=5), steps=2)) for s in SOURCES},
    "STA": ("STA", STAConfig.tiny()),
    "STA+": ("STA+", dataclasses.replace(STAPlusConfig.tiny(), steps=2)),
}


@pytest.fixture(scope="module")
def gradients():
    """Of the sum of all nets' losses, by the parameters' dotted names, with logits as they are and with extreme ones."""
    structure = Structure(NetworkConfig("tiny", "tiny", 64, nets=NETS))
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.4, leaf.shape).astype(np.float32), structure.shapes)
    views, windows = rng.integers(0, 256, (9, 64, 64, 3), np.uint8), rng.uniform(-1, 1, (4, 1600)).astype(np.float32)
    fragments = Fragments.of(rng.integers(9, size=(2, 3, 3)), rng.integers(4, size=(2, 3)))
    target, tags = rng.random((2, 3, 16, 16)).astype(np.float32) ** 4, np.eye(5, dtype=np.float32)[[1, 4]]

    def loss(variables, scale):
        features = structure.apply(variables, Network.encode_frames, views)
        audio = structure.apply(variables, Network.encode_audio, windows)
        predictions, _ = structure.apply(variables, Network.__call__, features, audio, dict.fromkeys(NETS, fragments))
        maps = {name: predictions.pop(name) * scale for name in ("STA", "STA+")}
        fixations = fixation_loss(maps["STA"][:, 0], target[:, 0])[0] + company_fixation_loss(maps["STA+"], target)[0]
        return fixations + sum(multilabel_soft_margin(logits[:, 0] * scale, tags) for logits in predictions.values())

    gradient = jax.jit(jax.grad(loss))
    return {scale: flatten(gradient(variables, scale)) for scale in (1.0, 1e3)}


@pytest.mark.slow  # compiles twelve nets forwards and backwards
def test_every_parameter_gets_a_gradient_but_the_one_that_the_softmax_does_not_see(gradients):
    """A bias of the second argument of F_iatt adds the same to all positions of the neighbour, over which Eq. 9 normalises."""
    blind = {key for key in gradients[1.0] if key.endswith("cgcn.attention.second.bias")}
    assert len(blind) == len(SOURCES) + 1
    for key, gradient in gradients[1.0].items():
        assert np.isfinite(gradient).all(), key
        largest = np.abs(gradient).max()
        assert largest < 1e-9 if key in blind else largest > 1e-7, (key, largest)


@pytest.mark.slow
def test_gradients_of_extreme_logits_are_finite(gradients):
    assert all(np.isfinite(gradient).all() for gradient in gradients[1e3].values())
