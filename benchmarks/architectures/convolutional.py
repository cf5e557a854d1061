"""Convolutional networks that name what an image shows."""

from __future__ import annotations

import torch
from torch import nn

from .building import Residual, architecture, conv_bn, pooled, real

_IMAGE = real(3, 16, 16)


def _bottleneck(channels: int, groups: int = 1, gate: bool = False) -> nn.Module:
    inner = [conv_bn(channels, channels, 1), conv_bn(channels, channels, 3, groups=groups)]
    inner += [Excite(channels)] if gate else []
    return Residual(nn.Sequential(*inner, conv_bn(channels, channels, 1, act=None)), act=nn.ReLU)


def _inverted(a: int, b: int, stride: int, act, gate=None) -> nn.Module:
    layers = [conv_bn(a, 2 * a, 1, act=act), conv_bn(2 * a, 2 * a, 3, stride, 2 * a, act=act)]
    layers += [] if gate is None else [Excite(2 * a, act, gate)]
    layers += [conv_bn(2 * a, b, 1, act=None)]
    return nn.Sequential(*layers) if a != b else Residual(nn.Sequential(*layers))


class Excite(nn.Module):
    """Squeeze and excite: a gate for each channel."""

    def __init__(self, channels: int, act=nn.ReLU, gate=nn.Sigmoid) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)
        self.act, self.gate = act(), gate()

    def forward(self, x):
        """The gated image."""
        return x * self.gate(self.up(self.act(self.down(x.mean((2, 3), keepdim=True)))))


@architecture("resnet", _IMAGE)
def _resnet():
    def block(a: int, b: int, stride: int) -> nn.Module:
        branch = nn.Sequential(conv_bn(a, b, 3, stride), conv_bn(b, b, act=None))
        return Residual(branch, conv_bn(a, b, 1, stride, act=None), nn.ReLU)

    return nn.Sequential(
        conv_bn(3, 8), nn.MaxPool2d(3, 2, 1), block(8, 8, 1), block(8, 16, 2), pooled(16)
    )


@architecture("mobilenetv2", _IMAGE)
def _mobilenetv2():
    body = [_inverted(8, 8, 1, nn.ReLU6), _inverted(8, 12, 2, nn.ReLU6)]
    return nn.Sequential(conv_bn(3, 8, 3, 2, act=nn.ReLU6), *body, pooled(12))


@architecture("mobilenetv3", _IMAGE)
def _mobilenetv3():
    body = [_inverted(8, 8, 1, nn.ReLU, nn.Hardsigmoid), _inverted(8, 12, 2, nn.Hardswish)]
    return nn.Sequential(conv_bn(3, 8, 3, 2, act=nn.Hardswish), *body, pooled(12))


@architecture("efficientnet", _IMAGE)
def _efficientnet():
    body = [_inverted(8, 8, 1, nn.SiLU, nn.Sigmoid), _inverted(8, 12, 2, nn.SiLU, nn.Sigmoid)]
    return nn.Sequential(conv_bn(3, 8, 3, 2, act=nn.SiLU), *body, pooled(12))


@architecture("regnetx", _IMAGE)
def _regnetx():
    return nn.Sequential(conv_bn(3, 8, 3, 2), _bottleneck(8, 2), _bottleneck(8, 2), pooled(8))


@architecture("regnety_se", _IMAGE)
def _regnety():
    return nn.Sequential(conv_bn(3, 8, 3, 2), _bottleneck(8, 2, gate=True), pooled(8))


@architecture("resnext", _IMAGE)
def _resnext():
    return nn.Sequential(conv_bn(3, 8, 3, 2), _bottleneck(8, 4), _bottleneck(8, 4), pooled(8))


@architecture("squeezenet", _IMAGE)
def _squeezenet():
    class Fire(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.squeeze = nn.Conv2d(8, 4, 1)
            self.one, self.three = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            x = self.squeeze(x).relu()
            return torch.cat([self.one(x).relu(), self.three(x).relu()], 1)

    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    head = nn.Conv2d(8, 10, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), pool, Fire(), Fire(), *head)


@architecture("alexnet_lrn", _IMAGE)
def _alexnet():
    norm = nn.LocalResponseNorm(3, alpha=1, k=2)
    front = nn.Conv2d(3, 8, 5, 2, 2), nn.ReLU(), norm, nn.MaxPool2d(3, 2)
    back = nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Dropout()
    return nn.Sequential(*front, *back, nn.Linear(108, 10))


@architecture("densenet", _IMAGE)
class _DenseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        def layer(channels: int) -> nn.Module:
            return nn.Sequential(
                nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, 4, 3, padding=1)
            )

        self.stem = conv_bn(3, 8, 3, 2)
        self.layers = nn.ModuleList(layer(8 + 4 * n) for n in range(3))
        self.fall = nn.Sequential(nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 8, 1))
        self.head = nn.Sequential(nn.AvgPool2d(2), nn.BatchNorm2d(8), nn.ReLU(), pooled(8))

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return self.head(self.fall(x))


@architecture("shufflenetv2", _IMAGE)
class _ShuffleNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(3, 8, 3, 2)
        inner = conv_bn(4, 4, 1), conv_bn(4, 4, 3, groups=4, act=None), conv_bn(4, 4, 1)
        self.branch, self.head = nn.Sequential(*inner), pooled(8)

    def forward(self, x):
        x = self.stem(x)
        for _ in range(2):
            kept, changed = x.chunk(2, 1)
            x = torch.cat([kept, self.branch(changed)], 1)
            n, c, h, w = x.shape
            x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.head(x)


@architecture("inception", _IMAGE)
class _Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one = conv_bn(3, 8, 3, 2), conv_bn(8, 4, 1)
        self.three = nn.Sequential(conv_bn(8, 4, 1), conv_bn(4, 4))
        self.five = nn.Sequential(conv_bn(8, 2, 1), conv_bn(2, 4, 5))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_bn(8, 4, 1))
        self.head = pooled(16)

    def forward(self, x):
        x = self.stem(x)
        return self.head(torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1))


@architecture("convnext", real(3, 12, 12))
class _ConvNext(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.weight = nn.Conv2d(3, 6, 4, 4), nn.Parameter(torch.rand(6) + 0.5)
        self.depth, self.norm = nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.LayerNorm(6)
        self.up, self.down = nn.Linear(6, 12), nn.Linear(12, 6)
        self.gamma, self.head = nn.Parameter(torch.rand(6)), nn.Linear(6, 10)

    def forward(self, x):
        x = self.stem(x)
        centred = x - x.mean(1, keepdim=True)  # the layer normalisation of its stem
        x = self.weight[:, None, None] * centred
        x = x / torch.sqrt(centred.pow(2).mean(1, keepdim=True) + 1e-6)
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        y = self.gamma * self.down(nn.functional.gelu(self.up(y)))
        return self.head((x + y.permute(0, 3, 1, 2)).mean((2, 3)))


@architecture("cbam_resnet", _IMAGE)
class _Cbam(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv = conv_bn(3, 8, 3, 2), conv_bn(8, 8, act=None)
        self.channel = nn.Sequential(nn.Conv2d(8, 2, 1), nn.ReLU(), nn.Conv2d(2, 8, 1))
        self.space, self.head = nn.Conv2d(2, 1, 3, padding=1), pooled(8)

    def forward(self, x):
        x = self.stem(x)
        y = self.conv(x)
        means, highs = y.mean((2, 3), keepdim=True), y.amax((2, 3), keepdim=True)
        y = y * torch.sigmoid(self.channel(means) + self.channel(highs))
        seen = torch.cat([y.mean(1, keepdim=True), y.amax(1, keepdim=True)], 1)
        return self.head(torch.relu(x + y * torch.sigmoid(self.space(seen))))
