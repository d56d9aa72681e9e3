"""A frame encoder with a batch norm."""

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.layers.conv import Conv


class Normed(nnx.Module):
    """Means of 8 px squares through a 1x1 convolution, a batch norm and ReLU."""

    strides, channels = (8,), (6,)

    def __init__(self, *, size: int = 64, rngs: nnx.Rngs):
        self.size = size
        self.conv = Conv(3, 6, (1, 1), rngs=rngs)
        self.norm = nnx.BatchNorm(6, use_running_average=True, momentum=0.99, epsilon=1e-3, rngs=rngs)

    def side(self, stride: int) -> int:
        return self.size // stride

    def __call__(self, views: jax.Array) -> dict[str, jax.Array]:
        x = views.reshape(len(views), self.size // 8, 8, self.size // 8, 8, 3).astype(jnp.float32).mean((2, 4)) / 64
        return {"stride8": jax.nn.relu(self.norm(self.conv(x.astype(self.conv.kernel.dtype))))}
