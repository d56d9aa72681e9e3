"""The paper's equations 5, 15, 16 and 17 in float64 NumPy, one picture at a time, written from the paper's text.

Weights are looked up by the dotted names of a model folder. `p` is one net's flat dict of arrays.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.where(x > 0, x, 0)


def conv_1x1(p, name, x):
    """(h, w, C) -> (h, w, O)."""
    return np.einsum("hwc,co->hwo", x, p[f"{name}.kernel"][0, 0]) + p[f"{name}.bias"]


def conv_3x3(p, name, x):
    """Cross-correlation with one pixel of zeros around."""
    kernel, (height, width) = p[f"{name}.kernel"], x.shape[:2]
    padded, y = np.pad(x, ((1, 1), (1, 1), (0, 0))), np.zeros((height, width, p[f"{name}.kernel"].shape[-1]))
    for i in range(height):
        for j in range(width):
            y[i, j] = np.einsum("abc,abco->o", padded[i : i + 3, j : j + 3], kernel)
    return y + p[f"{name}.bias"]


def deconvolutions(p, name, vector, strides):
    """DeConv of Eq. 5: the vector as a 1x1 picture, each pixel stamping the kernel; ReLU between the layers."""
    x = vector[None, None, :]
    for index, stride in enumerate(strides):
        kernel = p[f"{name}.layers.{index}.kernel"]  # k, k, out, in
        k = kernel.shape[0]
        y = np.zeros(((x.shape[0] - 1) * stride + k, (x.shape[1] - 1) * stride + k, kernel.shape[2]))
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                y[i * stride : i * stride + k, j * stride : j * stride + k] += np.einsum("aboc,c->abo", kernel, x[i, j])
        y += p[f"{name}.layers.{index}.bias"]
        x = relu(y) if index < len(strides) - 1 else y
    return x


def bilinear(x, size):
    """Pixel centres aligned, borders repeated."""

    def places(n_in, n_out):
        centre = np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
        low = np.floor(centre).astype(int)
        return low, np.minimum(low + 1, n_in - 1), centre - low

    (top, bottom, down), (left, right, across) = places(x.shape[0], size[0]), places(x.shape[1], size[1])
    down, across = down[:, None, None], across[None, :, None]
    upper = x[top][:, left] * (1 - across) + x[top][:, right] * across
    lower = x[bottom][:, left] * (1 - across) + x[bottom][:, right] * across
    return upper * (1 - down) + lower * down


def temporal(p, before, now, after):
    """The 3-D convolution that makes v of Eq. 6 from t-1, t, t+1."""
    taps = p["temporal.conv.kernel"][:, 0, 0]
    return np.einsum("thwc,tco->hwo", np.stack([before, now, after]), taps) + p["temporal.conv.bias"]


def sta_map(p, levels, triplet, vector, phi, *, inside, spatial, use_temporal, use_sound, strides, output_size):
    """Logits (H, W): Eq. 15, then Eq. 16, of frames `triplet`. `levels` are F5, F4, F3, each (F, h, w, C)."""
    before, now, after = triplet
    f5, f4, f3 = (level[now].astype(np.float64) for level in levels)
    s = f5
    sound, motion = s, s  # a path that is off leaves s
    if use_sound:
        vector = np.float64(vector)
        a = deconvolutions(p, "sound.deconv", phi * vector if inside else vector, strides)
        sound = sigmoid(a) * s + s if inside else phi * (sigmoid(a) * s) + s
    if use_temporal:
        motion = sigmoid(temporal(p, *(levels[0][[before, now, after]].astype(np.float64)))) * s + s
    fused = np.concatenate([sound, motion] + ([s] if spatial else []), axis=2)
    x = relu(conv_1x1(p, "cov", fused))
    for index, level in enumerate((f5, f4, f3)):
        refined = conv_1x1(p, f"decoder.inner.{index}", level)
        if index:
            x = bilinear(x, level.shape[:2])
        x = relu(conv_3x3(p, f"decoder.outer.{index}", np.concatenate([refined, x], axis=2)))
    return bilinear(conv_1x1(p, "decoder.readout", x), output_size)[..., 0]


def switch_logits(p, s, vector, strides):
    """The audio switch (section 3.3): Eq. 5, a 1x1 convolution to 2 classes, global average pooling."""
    s = s.astype(np.float64)
    a = deconvolutions(p, "deconv", np.float64(vector), strides)
    sa = np.concatenate([relu(sigmoid(a) * s + s), s], axis=2)
    return conv_1x1(p, "classifier", sa).mean((0, 1))
