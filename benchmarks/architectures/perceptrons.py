"""Dense networks with the layers that stand between others."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from .building import architecture, mlp, real


@architecture("layernorm_mlp", real(8))
def _layernorm():
    return nn.Sequential(nn.Linear(8, 12), nn.LayerNorm(12), nn.ReLU(), nn.Linear(12, 4))


@architecture("batchnorm1d_mlp", real(8))
def _batchnorm():
    return nn.Sequential(nn.Linear(8, 12), nn.BatchNorm1d(12), nn.Mish(), nn.Linear(12, 4))


@architecture("glu_swiglu_mlp", real(8))
class _Swiglu(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.out = nn.Linear(8, 10), nn.Linear(8, 10), nn.Linear(10, 4)

    def forward(self, x):
        return self.out(F.silu(self.one(x)) * self.two(x))


@architecture("prelu_rrelu_softplus", real(8))
def _softplus():
    acts = nn.PReLU(10), nn.Linear(10, 10), nn.RReLU(), nn.Linear(10, 10), nn.Softplus()
    return nn.Sequential(nn.Linear(8, 10), *acts, nn.Linear(10, 4))


@architecture("kan_rbf", real(4))
class _Kan(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centres", torch.linspace(-2, 2, 5))
        self.one, self.two = nn.Linear(20, 5), nn.Linear(25, 3)

    def forward(self, x):
        for layer in (self.one, self.two):
            x = layer(torch.exp(-((x[..., None] - self.centres) ** 2)).flatten(1))
        return x


@architecture("moe_soft", real(6))
class _Moe(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(mlp(6, 8, 4) for _ in range(3))
        self.gate = nn.Linear(6, 3)

    def forward(self, x):
        found = torch.stack([expert(x) for expert in self.experts], 1)
        return (found * self.gate(x).softmax(-1)[..., None]).sum(1)
