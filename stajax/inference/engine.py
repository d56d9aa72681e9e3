"""The compiled calls of a network at fixed shapes: encode into rings on the device, predict from the rings by index.

A ring holds the features of the last rows written; row i of the clip lives in ring row i modulo its length. Frames and sound
vectors are written once and gathered as often as the nets like, and nothing ever recompiles.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from stajax.inference.fusion import FUSIONS, fuse
from stajax.layers.resize import resize
from stajax.models.fragments import Fragments
from stajax.models.network import Network, Structure

SOUND_GROUP = 4  # sound windows per call: 16 frames at 25 frames/s and a hop of 0.2 s need three or four


class Engine:
    """Compiled once per model and batch size; `Stream`s share it, each with rings of its own.

    batch: frames per encoder call and predictions per net call. nets: those to run, by default all of the network. fusion: how
    the maps of several become one, a name in `fusion.FUSIONS`. precision: of matrix products and convolutions; the default
    keeps float32 on accelerators, whose own default rounds to 8 or 10 bits and would drown what motion changes.
    """

    def __init__(
        self,
        structure: Structure,
        variables: dict,
        *,
        batch: int = 16,
        nets: Sequence[str] | None = None,
        fusion: str = "paper",
        precision: str = "highest",
    ):
        if not (isinstance(batch, int) and batch >= 1):
            raise ValueError(f"a batch of {batch} frames; it must be a whole number of at least 1")
        if fusion not in FUSIONS:
            raise ValueError(f"unknown fusion {fusion!r}; known: {', '.join(FUSIONS)}")
        network: Network = structure.module
        self.config = structure.config
        known = self.config.nets  # in the order of config.json
        self.nets = tuple([nets] if isinstance(nets, str) else nets or known)
        if unknown := sorted(set(self.nets) - set(known)):
            raise ValueError(f"no net {', '.join(unknown)} in this model; it has {', '.join(known)}")
        used = [network.nets[name] for name in self.nets]
        self.fusion = fusion
        self.spans = {name: net.span for name, net in zip(self.nets, used, strict=True)}
        self.behind = max(span.behind for span in self.spans.values())
        self.ahead = max(span.ahead for span in self.spans.values())
        self.listens = any(net.listens for net in used)
        self.output_size = used[0].output_size
        self.size, self.hop, self.window = self.config.size, self.config.hop, network.sound.window
        self.batch, self.sound_group = batch, min(SOUND_GROUP, batch)
        self.rows = -(-(batch + self.behind + self.ahead) // batch) * batch
        windows = -(-batch // self.sound_group) * self.sound_group  # at most one for each frame of a batch, in whole groups
        self.sound_rows = (self.rows // batch + 1) * windows
        self.variables = jax.device_put(variables)

        def encode_frames(variables, ring, views, row):
            levels = structure.encode_frames(variables, views)
            return jax.tree.map(lambda r, x: jax.lax.dynamic_update_slice_in_dim(r, x, row, 0), ring, levels)

        def encode_audio(variables, ring, windows, row):
            vectors = structure.apply(variables, Network.encode_audio, windows)
            return jax.lax.dynamic_update_slice_in_dim(ring, vectors, row, 0)

        def predict(variables, features, audio, fragments):
            logits, _ = structure.apply(variables, Network.__call__, features, audio, fragments)
            maps = [jax.nn.sigmoid(logits[name][:, 0]) for name in self.nets]
            return fuse([resize(x[..., None], self.output_size)[..., 0] for x in maps], fusion)

        exactly = jax.default_matmul_precision(precision)
        self._encode_frames = jax.jit(exactly(encode_frames), donate_argnums=1)
        self._encode_audio = jax.jit(exactly(encode_audio), donate_argnums=1)
        self._predict = jax.jit(exactly(predict))
        views = jax.ShapeDtypeStruct((1, self.size, self.size, 3), jnp.uint8)
        self._levels = jax.eval_shape(lambda v, x: structure.apply(v, Network.encode_frames, x), self.variables, views)
        self._sound_features = network.sound.features

    def rings(self) -> tuple[dict[str, jax.Array], jax.Array]:
        """Empty rings: frame features {level: (rows, h, w, C)} and sound vectors (sound_rows, D)."""
        features = {name: jnp.zeros((self.rows, *x.shape[1:]), x.dtype) for name, x in self._levels.items()}
        return features, jnp.zeros((self.sound_rows, self._sound_features))

    def encode_frames(self, ring: dict, views: np.ndarray, row: int) -> dict:
        """Encode `views` (batch, size, size, 3) uint8 into ring rows row .. row + batch - 1; the old ring is given up."""
        return self._encode_frames(self.variables, ring, views, row)

    def encode_audio(self, ring: jax.Array, windows: np.ndarray, row: int) -> jax.Array:
        """Encode `windows` (sound_group, window) float32 into ring rows row ..; the old ring is given up."""
        return self._encode_audio(self.variables, ring, windows, row)

    def predict(self, features: dict, audio: jax.Array, fragments: dict[str, Fragments]) -> jax.Array:
        """Maps (batch, h, w) float32 in [0, 1], of all nets fused, computed asynchronously."""
        return self._predict(self.variables, features, audio if self.listens else None, fragments)
