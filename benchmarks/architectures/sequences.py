"""Networks over time: recurrent ones, convolutions of sound, and video."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from .building import Residual, architecture, conv_bn, pooled, real


class _Last(nn.Module):
    def __init__(self, cell: nn.Module, width: int) -> None:
        super().__init__()
        self.cell, self.head = cell, nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.cell(x)[0][:, -1])


@architecture("lstm_cls", real(5, 3))
def _lstm():
    return _Last(nn.LSTM(3, 6, 2, batch_first=True), 6)


@architecture("gru_cls", real(5, 3))
def _gru():
    return _Last(nn.GRU(3, 6, batch_first=True), 6)


@architecture("bilstm_cls", real(4, 3))
def _bilstm():
    return _Last(nn.LSTM(3, 4, batch_first=True, bidirectional=True), 8)


@architecture("rnn_tanh", real(5, 3))
def _rnn():
    return _Last(nn.RNN(3, 6, batch_first=True), 6)


@architecture("gru_attention_pool", real(5, 3))
class _Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.score = nn.GRU(3, 6, batch_first=True), nn.Linear(6, 1)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        h = self.cell(x)[0]
        return self.head((h * self.score(h).softmax(1)).sum(1))


@architecture("crnn", real(1, 8, 12))
class _Crnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_bn(1, 4), nn.MaxPool2d(2), conv_bn(4, 4), nn.MaxPool2d(2))
        self.cell = nn.LSTM(8, 4, batch_first=True, bidirectional=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.body(x).permute(0, 3, 1, 2).flatten(2)
        return self.head(self.cell(x)[0]).log_softmax(-1)


@architecture("mamba_ssm", real(4, 4))
class _Mamba(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter, self.conv = nn.Linear(4, 12), nn.Conv1d(6, 6, 2, padding=1, groups=6)
        self.mix, self.step = nn.Linear(6, 5), nn.Linear(1, 6)
        self.rates = nn.Parameter(torch.log(torch.arange(1.0, 3).repeat(6, 1)))
        self.skip, self.leave = nn.Parameter(torch.ones(6)), nn.Linear(6, 4)

    def forward(self, x):
        x, gate = self.enter(x).chunk(2, -1)
        x = F.silu(self.conv(x.transpose(1, 2))[..., :4].transpose(1, 2))
        step, put, get = self.mix(x).split((1, 2, 2), -1)
        step, rates = F.softplus(self.step(step)), -torch.exp(self.rates)
        h = torch.zeros(x.shape[0], 6, 2)
        found = []
        for t in range(4):
            decay = torch.exp(step[:, t, :, None] * rates)
            h = decay * h + (step[:, t] * x[:, t])[..., None] * put[:, t, None]
            found.append((h * get[:, t, None]).sum(-1) + self.skip * x[:, t])
        return self.leave(torch.stack(found, 1) * F.silu(gate))


@architecture("tcn", real(3, 16))
def _tcn():
    def block(rate: int) -> nn.Module:
        conv = nn.Conv1d(6, 6, 3, dilation=rate)
        return Residual(nn.Sequential(nn.ConstantPad1d((2 * rate, 0), 0.0), conv, nn.ReLU()))

    pool = nn.AdaptiveAvgPool1d(1), nn.Flatten()
    return nn.Sequential(nn.Conv1d(3, 6, 1), block(1), block(2), block(4), *pool, nn.Linear(6, 4))


@architecture("wavenet", real(2, 12))
class _Wavenet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv1d(2, 4, 1)
        self.convs = nn.ModuleList(nn.Conv1d(4, 8, 2, dilation=rate) for rate in (1, 2))
        self.skips = nn.ModuleList(nn.Conv1d(4, 6, 1) for _ in range(2))
        self.sums = nn.ModuleList(nn.Conv1d(4, 4, 1) for _ in range(2))
        self.leave = nn.Sequential(nn.ReLU(), nn.Conv1d(6, 6, 1), nn.ReLU(), nn.Conv1d(6, 5, 1))

    def forward(self, x):
        x, found = self.enter(x), 0
        for conv, skip, total in zip(self.convs, self.skips, self.sums, strict=True):
            y = conv(F.pad(x, (conv.dilation[0], 0)))
            y = torch.tanh(y[:, :4]) * torch.sigmoid(y[:, 4:])
            found = found + skip(y)
            x = x + total(y)
        return self.leave(found)


@architecture("ecg_resnet1d", real(1, 32))
def _ecg():
    def conv(a: int, b: int, stride: int = 1) -> list[nn.Module]:
        return [nn.Conv1d(a, b, 5, stride, 2), nn.BatchNorm1d(b)]

    inner = nn.Sequential(*conv(6, 6), nn.ReLU(), *conv(6, 6))
    pool = nn.AdaptiveMaxPool1d(1), nn.Flatten()
    return nn.Sequential(*conv(1, 6, 2), nn.ReLU(), Residual(inner, act=nn.ReLU), *pool,
                         nn.Linear(6, 4))  # fmt: skip


@architecture("kws_dscnn", real(1, 16, 10))
def _dscnn():
    parts = [(conv_bn(8, 8, groups=8), conv_bn(8, 8, 1)) for _ in range(2)]
    first = nn.Conv2d(1, 8, (10, 4), 2, (4, 1)), nn.BatchNorm2d(8), nn.ReLU()
    return nn.Sequential(*first, *(one for pair in parts for one in pair), pooled(8, 6))


@architecture("kws_bcresnet", real(1, 12, 10))
class _Bc(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.act = conv_bn(1, 6, 3, (2, 1)), nn.BatchNorm2d(6), nn.SiLU()
        self.rows = nn.Conv2d(6, 6, (3, 1), padding=(1, 0), groups=6)
        self.columns = nn.Conv2d(6, 6, (1, 3), padding=(0, 1), groups=6)
        self.point, self.head = nn.Conv2d(6, 6, 1), pooled(6, 6)

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(self.rows(x))
        wide = self.act(self.columns(y.mean(2, keepdim=True)))
        return self.head(torch.relu(x + y + self.point(wide)))


@architecture("c3d", real(2, 4, 8, 8))
def _c3d():
    front = nn.Conv3d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool3d((1, 2, 2))
    back = nn.Conv3d(4, 6, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2), nn.Flatten()
    return nn.Sequential(*front, *back, nn.Linear(48, 5))
