"""The backbones of the authors' STA and STA+ in plain PyTorch, for `released.py`. Tensors have their checkpoints' names."""

from __future__ import annotations

import torch
from torch import nn

VGG_D1 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "N", "D", "D", "D")


class Bottleneck(nn.Module):
    """1x1, 3x3 in 32 groups, 1x1; `width` channels inside, `out` at the end."""

    def __init__(self, channels: int, width: int, out: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=32, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out)
        self.downsample = None
        if stride > 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn1(self.conv1(x)).relu_()
        y = self.bn2(self.conv2(y)).relu_()
        y = self.bn3(self.conv3(y))
        return y.add_(x if self.downsample is None else self.downsample(x)).relu_()


class ResNeXt(nn.Module):
    """ResNeXt-101 32x8d to layer4, in the three parts of the released STA. blocks: of each of the four stages."""

    def __init__(self, blocks: tuple[int, int, int, int] = (3, 4, 23, 3)):
        super().__init__()
        channels, stages = 64, []
        for stage, count in enumerate(blocks):
            stages.append(nn.Sequential())
            for index in range(count):
                stages[-1].append(Bottleneck(channels, 256 << stage, 256 << stage, 2 if stage and not index else 1))
                channels = 256 << stage
        stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
        self.features0 = nn.Sequential(*stem, *stages[:2])
        self.features1, self.features2 = stages[2:]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, h, w) -> (N, 2048, h/32, w/32)."""
        return self.features2(self.features1(self.features0(x)))


class VGGD1(nn.Module):
    """VGG-16 D1 with the head of the released STA+: three 3x3 convolutions and a 1x1 one to 28 channels."""

    def __init__(self):
        super().__init__()
        channels, layers = 3, []
        for entry in VGG_D1:
            if entry in ("M", "N"):
                layers.append(nn.MaxPool2d(2, 2) if entry == "M" else nn.MaxPool2d(3, 1, 1))
            else:
                width, dilation = (512, 2) if entry == "D" else (entry, 1)
                layers += [nn.Conv2d(channels, width, 3, 1, dilation, dilation), nn.ReLU(inplace=True)]
                channels = width
        self.features = nn.Sequential(*layers)
        head = [layer for _ in range(3) for layer in (nn.Conv2d(512, 512, 3, padding=1), nn.ReLU(inplace=True))]
        self.extra_convs = nn.Sequential(*head, nn.Conv2d(512, 28, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, h, w) -> (N, 28, h/8, w/8)."""
        return self.extra_convs(self.features(x))


def with_weights(net: nn.Module, checkpoint: dict) -> nn.Module:
    """`net` with its own part of a checkpoint's arrays, ready for inference. Raises KeyError for a tensor that is not there."""
    net.load_state_dict({name: torch.as_tensor(checkpoint[name]) for name in net.state_dict()})
    return net.eval()
