from types import SimpleNamespace

import numpy as np
import pytest
from flax import nnx

from stajax.encoders.params import flatten
from stajax.models.fragments import Fragments


def standing_in(size):
    """The announcements of a frame encoder and of a sound encoder: all that a net asks of them when it is made."""
    frames = SimpleNamespace(size=size, strides=(8, 16, 32), channels=(4, 6, 5), side=lambda stride: size // stride)
    return frames, SimpleNamespace(features=7)


class Case:
    """A net with random parameters (biases included), and random features for it to read."""

    def __init__(self, make, size, *, frames=5, sounds=4, seed=0):
        rng = np.random.default_rng(seed)
        self.encoders = standing_in(size)
        self.net = nnx.eval_shape(lambda: make(*self.encoders, rngs=nnx.Rngs(0)))
        self.graphdef, state = nnx.split(self.net)

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

    def apply(self, variables, *args, method="__call__"):
        return getattr(nnx.merge(self.graphdef, variables), method)(*args)

    def fragments(self, batch, nodes, seed=0):
        """Random rows, with closed, half open and open switches in turn."""
        rng = np.random.default_rng(seed)
        shape, frames = (batch, nodes), len(self.features["stride8"])
        switch = np.resize([1.0, 0.0, 0.5], shape)
        return Fragments.of(rng.integers(frames, size=(*shape, 3)), rng.integers(len(self.audio), size=shape), switch)

    def of_each(self, restated, fragments, stride):
        """`restated` of the level, the frames, the sound and the switch of each node: (B, nodes, ...)."""
        level, (batch, nodes) = self.features[f"stride{stride}"], fragments.frames.shape[:2]
        rows, heard, switch = (np.asarray(x) for x in (fragments.frames, fragments.audio, fragments.switch))
        return np.stack(
            [
                [restated(level, rows[b, k], self.audio[heard[b, k]], float(switch[b, k])) for k in range(nodes)]
                for b in range(batch)
            ]
        )


@pytest.fixture(scope="session")
def make_case():
    return Case
