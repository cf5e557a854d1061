"""Networks with an output for each pixel, and detectors."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from .building import architecture, conv_bn, real

_IMAGE = real(3, 12, 12)


class _Unet(nn.Module):
    def __init__(self, up: nn.Module, gate: bool = False) -> None:
        super().__init__()
        self.first, self.deep = conv_bn(3, 6), conv_bn(6, 8)
        self.up, self.last, self.out = up, conv_bn(14, 6), nn.Conv2d(6, 2, 1)
        self.gate = nn.ModuleList([nn.Conv2d(8, 4, 1), nn.Conv2d(6, 4, 1), nn.Conv2d(4, 1, 1)])
        self.gated = gate

    def forward(self, x):
        side = self.first(x)
        deep = self.up(self.deep(F.max_pool2d(side, 2)))
        if self.gated:
            seen, skipped, out = self.gate
            side = side * torch.sigmoid(out(F.relu(seen(deep) + skipped(side))))
        return self.out(self.last(torch.cat([deep, side], 1)))


@architecture("unet", _IMAGE)
def _unet():
    return _Unet(nn.ConvTranspose2d(8, 8, 2, 2))


@architecture("unet_bilinear", _IMAGE)
def _unet_bilinear():
    return _Unet(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))


@architecture("attention_unet", _IMAGE)
def _attention_unet():
    return _Unet(nn.Upsample(scale_factor=2), gate=True)


@architecture("hrnet", _IMAGE)
class _HrNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.fine, self.coarse = conv_bn(3, 6), conv_bn(6, 6), conv_bn(6, 8)
        self.down, self.up = conv_bn(6, 8, 3, 2, act=None), conv_bn(8, 6, 1, act=None)
        self.out = nn.Conv2d(6, 3, 1)

    def forward(self, x):
        fine = self.fine(self.stem(x))
        coarse = self.coarse(F.avg_pool2d(fine, 2))
        mixed = F.relu(fine + F.interpolate(self.up(coarse), scale_factor=2))
        coarse = F.relu(coarse + self.down(fine))
        return self.out(mixed + F.interpolate(self.up(coarse), scale_factor=2))


@architecture("deeplabv3", real(3, 16, 16))
class _DeepLab(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(3, 8, 3, 2)
        self.branches = nn.ModuleList(
            nn.Conv2d(8, 4, 3, padding=rate, dilation=rate) for rate in (1, 2, 3)
        )
        self.pool, self.out = nn.Conv2d(8, 4, 1), nn.Conv2d(16, 3, 1)

    def forward(self, x):
        x = self.stem(x)
        whole = F.relu(self.pool(F.adaptive_avg_pool2d(x, 1)))
        whole = F.interpolate(whole, size=x.shape[2:], mode="bilinear", align_corners=False)
        mixed = torch.cat([*(F.relu(branch(x)) for branch in self.branches), whole], 1)
        return F.interpolate(self.out(mixed), scale_factor=2, mode="bilinear", align_corners=False)


@architecture("fcn", real(3, 16, 16))
def _fcn():
    down = conv_bn(3, 6, 3, 2), conv_bn(6, 8, 3, 2), nn.Dropout2d()
    return nn.Sequential(*down, nn.Conv2d(8, 3, 1), nn.ConvTranspose2d(3, 3, 8, 4, 2))


class _Yolo5(nn.Module):
    def __init__(self, decoded: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(3, 6, 3, 2, act=nn.SiLU), conv_bn(6, 8, 3, 2, act=nn.SiLU)
        )
        self.out, self.decoded = nn.Conv2d(8, 2 * 8, 1), decoded
        row = torch.arange(4.0)
        self.register_buffer("grid", torch.stack(torch.meshgrid(row, row, indexing="xy"), -1))
        self.register_buffer("anchors", torch.tensor([[10.0, 13], [16, 30]])[:, None, None])

    def forward(self, x):
        y = self.out(self.body(x)).view(-1, 2, 8, 4, 4).permute(0, 1, 3, 4, 2)
        if not self.decoded:
            return y
        centre, size, rest = y.sigmoid().split((2, 2, 4), -1)
        boxes = (centre * 2 + self.grid - 0.5) * 4, (size * 2) ** 2 * self.anchors
        return torch.cat([*boxes, rest], -1).view(-1, 32, 8)


class _Yolo8(nn.Module):
    def __init__(self, decoded: bool) -> None:
        super().__init__()
        self.stem, self.split = conv_bn(3, 8, 3, 2, act=nn.SiLU), conv_bn(4, 4, act=nn.SiLU)
        self.down = conv_bn(12, 8, 3, 2, act=nn.SiLU)
        self.boxes, self.classes = nn.Conv2d(8, 16, 1), nn.Conv2d(8, 3, 1)
        self.register_buffer("bins", torch.arange(4.0))
        row = torch.arange(4.0) + 0.5
        places = torch.stack(torch.meshgrid(row, row, indexing="xy")).view(1, 2, 16)
        self.register_buffer("places", places)
        self.decoded = decoded

    def forward(self, x):
        one, two = self.stem(x).chunk(2, 1)
        x = self.down(torch.cat([one, two, self.split(two)], 1))
        boxes, classes = self.boxes(x), self.classes(x)
        if not self.decoded:
            return torch.cat([boxes, classes], 1)
        bins = boxes.view(-1, 4, 4, 16).transpose(2, 1).softmax(1)
        near, far = (bins * self.bins.view(1, 4, 1, 1)).sum(1).chunk(2, 1)
        low, high = self.places - near, self.places + far
        box = torch.cat([(low + high) / 2, high - low], 1) * 4
        return torch.cat([box, classes.flatten(2).sigmoid()], 1)


for _name, _class in (("yolov5", _Yolo5), ("yolov8", _Yolo8)):
    architecture(f"{_name}_raw", real(3, 16, 16))(lambda _class=_class: _class(False))
    _last = "decoded" if _class is _Yolo5 else "dfl"
    architecture(f"{_name}_{_last}", real(3, 16, 16))(lambda _class=_class: _class(True))


class _Ssd(nn.Module):
    def __init__(self, decoded: bool) -> None:
        super().__init__()
        self.one, self.two = conv_bn(3, 8, 3, 2), conv_bn(8, 8, 3, 2)
        self.boxes = nn.ModuleList([nn.Conv2d(8, 8, 3, padding=1) for _ in range(2)])
        self.classes = nn.ModuleList([nn.Conv2d(8, 6, 3, padding=1) for _ in range(2)])
        self.register_buffer("priors", torch.rand(160, 4) + 0.1)
        self.decoded = decoded

    def forward(self, x):
        one = self.one(x)
        maps = one, self.two(one)

        def rows(heads, width):
            found = [head(m).permute(0, 2, 3, 1) for head, m in zip(heads, maps, strict=True)]
            return torch.cat([y.reshape(y.shape[0], -1, width) for y in found], 1)

        boxes, classes = rows(self.boxes, 4), rows(self.classes, 3)
        if self.decoded:
            centre = self.priors[:, :2] + boxes[..., :2] * 0.1 * self.priors[:, 2:]
            size = self.priors[:, 2:] * torch.exp(boxes[..., 2:] * 0.2)
            boxes = torch.cat([centre - size / 2, centre + size / 2], -1)
            classes = classes.softmax(-1)
        return boxes, classes


@architecture("ssd", real(3, 16, 16))
def _ssd():
    return _Ssd(False)


@architecture("ssd_decoded", real(3, 16, 16))
def _ssd_decoded():
    return _Ssd(True)


@architecture("centernet_topk", real(3, 16, 16))
class _CenterNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_bn(3, 8, 3, 2), nn.ConvTranspose2d(8, 8, 2, 2), nn.ReLU())
        self.heat, self.sizes = nn.Conv2d(8, 2, 1), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        x = self.body(x)
        heat = self.heat(x).sigmoid()
        peaks = heat * (F.max_pool2d(heat, 3, 1, 1) == heat).float()
        scores, places = peaks.flatten(1).topk(5)
        sizes = self.sizes(x).flatten(2)
        at = (places % 256).unsqueeze(1).expand(-1, 2, -1)
        return scores, places, sizes.gather(2, at)
