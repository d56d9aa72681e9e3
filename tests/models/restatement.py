"""The paper's equations in float64 NumPy, one picture at a time, written from the paper's text.

Branches (Eq. 5, 6, 15 and the fuses of Table 3), classifiers (section 3.3), the C-GCN (Eq. 9 to 14), the decoder (Eq. 16), the
ReadOut (Eq. 19), the losses (Eq. 7, 17, 20). Weights are looked up by the dotted names of a model folder: `p` is one net's flat
dict of arrays, `name` a part's place in it. Of a `config` only the fields are read.
"""

import numpy as np

# strides of the deconvolutions, by the side of s
STRIDES = {
    2: (1,),
    4: (1,),
    8: (1, 1, 1),
    11: (2, 2, 1),
    12: (2, 2, 1),
    16: (1, 1, 1, 2),
    32: (1, 1, 1, 2, 2),
}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.where(x > 0, x, 0)


def joined(*parts):
    """The paper's ⊗ between features."""
    return np.concatenate(parts, axis=2)


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


def temporal(p, name, three):
    """The 3-D convolution that makes v of Eq. 6 from t-1, t, t+1."""
    return np.einsum("thwc,tco->hwo", three, p[f"{name}.conv.kernel"][:, 0, 0]) + p[f"{name}.conv.bias"]


def plain_fuse(p, name, how, s, a):
    """What the rows of Table 3 do with s and a: two vectors at every position."""
    y = np.zeros_like(s)
    for i, j in np.ndindex(s.shape[:2]):
        one, other = s[i, j], a[i, j]
        if how == "addition":
            y[i, j] = one + other
        if how == "multiplication":
            y[i, j] = one * other
        if how == "concatenation":
            y[i, j] = np.concatenate([one, other]) @ p[f"{name}.out.kernel"][0, 0] + p[f"{name}.out.bias"]
        if how == "bilinear":
            left = one @ p[f"{name}.left.kernel"][0, 0] + p[f"{name}.left.bias"]
            right = other @ p[f"{name}.right.kernel"][0, 0] + p[f"{name}.right.bias"]
            y[i, j] = (left * right) @ p[f"{name}.out.kernel"][0, 0] + p[f"{name}.out.bias"]
    return y


def branch(p, config, level, triplet, vector, phi, name="branch"):
    """s, st (Eq. 6), sa (Eq. 5) or sta (Eq. 15) of the frames `triplet` of `level` (F, h, w, C), (h, w, features)."""
    three, vector = level[np.asarray(triplet)].astype(np.float64), np.float64(vector)
    s, inside = three[1], config.switch_position == "inside"

    def sound():
        return deconvolutions(p, f"{name}.sound.deconv", phi * vector if inside else vector, STRIDES[len(s)])

    phi_outside = 1 if inside else phi
    if config.source == "s":
        return s
    if config.source == "st":
        return joined(relu(sigmoid(temporal(p, f"{name}.temporal", three)) * s + s), s)
    if config.source == "sa":
        if config.audio_fuse == "sa_fuse":
            return joined(relu(phi_outside * sigmoid(sound()) * s + s), s)
        neutral = 1 if config.audio_fuse == "multiplication" else 0  # what a closed switch puts in the sound's place
        heard = phi_outside * sound() + (1 - phi_outside) * neutral
        return joined(relu(plain_fuse(p, f"{name}.plain", config.audio_fuse, s, heard)), s)
    by_sound, by_motion = s, s  # a path that is off leaves s
    if config.use_sound:
        by_sound = phi_outside * sigmoid(sound()) * s + s
    if config.use_temporal:
        by_motion = sigmoid(temporal(p, f"{name}.temporal", three)) * s + s
    return relu(conv_1x1(p, f"{name}.cov", joined(by_sound, by_motion, *([s] if config.fuse_spatial else []))))


def sta_map(p, config, levels, triplet, vector, phi, output_size):
    """Logits (H, W): Eq. 15, then Eq. 16, of frames `triplet`. `levels` are F5, F4, F3, each (F, h, w, C)."""
    x = branch(p, config, levels[0], triplet, vector, phi)
    for index, level in enumerate(level[triplet[1]].astype(np.float64) for level in levels):
        refined = conv_1x1(p, f"decoder.inner.{index}", level)
        x = relu(conv_3x3(p, f"decoder.outer.{index}", joined(refined, bilinear(x, level.shape[:2]))))
    return bilinear(conv_1x1(p, "decoder.readout", x), output_size)[..., 0]


def class_maps(p, config, level, triplet, vector, phi):
    """The maps (h, w, classes) whose means are the logits of S, ST, SA (section 3.3); 3x3 convolutions first, if any."""
    x = branch(p, config, level, triplet, vector, phi)
    for index in range(config.head):
        x = relu(conv_3x3(p, f"head.{index}", x))
    return classified(p, config, refined(x) if config.refine else x)


def classified(p, config, x):
    """Class maps, positive ones as log(1 + e^x)."""
    maps = conv_1x1(p, "classifier", x)
    return np.log1p(np.exp(maps)) if config.positive else maps


def class_logits(p, config, maps):
    """(..., h, w, classes) -> (..., classes): means, those of positive maps with their bias."""
    return maps.mean((-3, -2)) + (p["bias"] if config.positive else 0)


def refined(h, threshold=0.8, rate=0.6):
    """Eq. 13 and 14 of (h, w, C)."""
    mean = h.mean(2, keepdims=True)
    mask = np.where(mean.max() * threshold - mean > 0, 1, 0)
    return (h * (rate * sigmoid(mean) * mask + sigmoid(mean) * (1 - mask)) + h) / 2


def switch_logits(p, config, level, triplet, vector):
    """The audio switch (section 3.3): Eq. 5, a 1x1 convolution to 2 classes, global average pooling."""
    return conv_1x1(p, "classifier", branch(p, config, level, triplet, vector, 1)).mean((0, 1))


def node(p, config, level, triplet, vector, phi):
    """h⁰ (h, w, width) of one fragment (section 4.3.1)."""
    x = branch(p, config, level, triplet, vector, phi, "company.branch")
    if config.source == "sta":
        return x  # it ends in Eq. 15's own convolution and ReLU
    x = conv_1x1(p, "company.project", x)
    return relu(x) if config.rectify else x


def c_gcn(p, name, nodes, *, steps, threshold=0.8, rate=0.6, refine=True):
    """States (K, h, w, C) after `steps` steps of Eq. 9 to 14, of `nodes` (K, h, w, C): node by node, pair by pair."""
    _, height, width, c = np.shape(nodes)
    states = [np.float64(h).reshape(-1, c).T for h in nodes]  # C x N, as printed

    def conv(which, h):
        return p[f"{name}.attention.{which}.kernel"][0, 0].T @ h + p[f"{name}.attention.{which}.bias"][:, None]

    for _ in range(steps):
        before = states
        states = []
        for i, h in enumerate(before):
            messages = np.zeros_like(h)
            for j, other in enumerate(before):
                if j != i:
                    similarity = np.exp((conv("first", h).T @ conv("second", other)).T)  # Eq. 10, transposed as in Eq. 9
                    messages += other @ (similarity / similarity.sum(0))  # over the neighbour's positions
            h = h * sigmoid(messages)
            if refine:
                h = refined(h.T[None], threshold, rate)[0].T
            states.append(h)
    return np.stack([h.T.reshape(height, width, c) for h in states])


def reasoned(p, config, nodes):
    """h^m of Eq. 11, 12 and 18: the C-GCN of a net with company over h⁰ (K, h, w, width). Without steps a concatenation."""
    if config.steps == 0:
        count = len(nodes)
        ordered = [[nodes[i], *(nodes[j] for j in range(count) if j != i)] for i in range(count)]
        return np.stack([conv_1x1(p, "company.join", joined(*parts)) for parts in ordered])
    chosen = {"steps": config.steps, "threshold": config.threshold, "rate": config.rate, "refine": config.refine}
    return c_gcn(p, "company.cgcn", nodes, **chosen)


def read_out(p, h, s, output_size):
    """Eq. 19, in its order: Ref_32 of h ⊗ S, ↑, Ref_1 -> logits (H, W)."""
    x = relu(conv_1x1(p, "readout.inner", joined(h, np.float64(s))))
    return conv_1x1(p, "readout.outer", bilinear(x, output_size))[..., 0]


def soft_margin(logits, tags):
    """Eq. 7 of one item, class by class."""
    total = 0.0
    for x, tag in zip(np.float64(logits), np.float64(tags), strict=True):
        total += tag * np.log(1 / (1 + np.exp(-x))) + (1 - tag) * np.log(np.exp(-x) / (1 + np.exp(-x)))
    return -total / len(logits)


def bce_and_kl(logits, target):
    """The two terms of Eq. 17 of one map (H, W): the pixels' mean cross-entropy, and KL of the target from the prediction."""
    p, q = sigmoid(np.float64(logits)), np.float64(target)
    bce = -(q * np.log(p) + (1 - q) * np.log(1 - p)).mean()
    p, q = p / p.sum(), q / q.sum()
    return np.array([bce, (q[q > 0] * np.log(q[q > 0] / p[q > 0])).sum()])
