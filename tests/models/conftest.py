from types import SimpleNamespace

import numpy as np
import pytest
from flax import nnx

from stajax.encoders.params import flatten


def standing_in(size):
    """The announcements of a frame encoder and of a sound encoder: all that a net asks of them when it is made."""
    return SimpleNamespace(size=size, strides=(8, 16, 32), channels=(4, 6, 5)), SimpleNamespace(features=7)


class Case:
    """A net with random parameters (biases included), and random features for it to read."""

    def __init__(self, make, size, *, frames=5, sounds=4, seed=0):
        rng = np.random.default_rng(seed)
        self.encoders = standing_in(size)
        self.graphdef, state = nnx.split(nnx.eval_shape(lambda: make(*self.encoders, rngs=nnx.Rngs(0))))

        def fill(node):
            return {
                key: fill(leaf) if isinstance(leaf, dict) else rng.normal(0, 0.4, leaf.shape).astype(np.float32)
                for key, leaf in node.items()
            }

        self.variables = fill(nnx.to_pure_dict(state))
        self.flat = {key: value.astype(np.float64) for key, value in flatten(self.variables).items()}
        self.features = {
            f"stride{stride}": rng.normal(size=(frames, size // stride, size // stride, channels)).astype(np.float32)
            for stride, channels in zip(self.encoders[0].strides, self.encoders[0].channels, strict=True)
        }
        self.audio = rng.normal(size=(sounds, self.encoders[1].features)).astype(np.float32)

    def apply(self, variables, *args):
        return nnx.merge(self.graphdef, variables)(*args)


@pytest.fixture(scope="session")
def make_case():
    return Case
