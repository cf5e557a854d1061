"""Networks of tables, point clouds, graphs, fields, pairs, and of agents."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from .building import architecture, conv_bn, integers, mlp, pooled, real
from .transformers import block


class _Points(nn.Module):
    def __init__(self, turned: bool) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv1d(3, 6, 1), nn.ReLU()) if turned else None
        self.matrix, self.head = nn.Linear(6, 9), nn.Linear(8, 4)
        self.body = nn.Sequential(nn.Conv1d(3, 8, 1), nn.BatchNorm1d(8), nn.ReLU())

    def forward(self, x):
        if self.net is not None:
            matrix = self.matrix(self.net(x).amax(2)).view(-1, 3, 3) + torch.eye(3)
            x = torch.bmm(matrix, x)
        return self.head(self.body(x).amax(2))


@architecture("pointnet", real(3, 8))
def _pointnet():
    return _Points(False)


@architecture("pointnet_tnet", real(3, 8))
def _pointnet_tnet():
    return _Points(True)


class _Graph(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        edges = torch.rand(6, 6) > 0.5
        edges = (edges | edges.T | torch.eye(6, dtype=torch.bool)).float()
        self.register_buffer("edges", edges)
        root = edges.sum(1) ** -0.5
        self.register_buffer("shares", root[:, None] * edges * root)
        self.one, self.two, self.head = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 3)


@architecture("gcn_const_adj", real(6, 4))
class _Gcn(_Graph):
    def forward(self, x):
        x = F.relu(self.shares @ self.one(x))
        return self.head(F.relu(self.shares @ self.two(x)).mean(1))


@architecture("gat", real(6, 4))
class _Gat(_Graph):
    def __init__(self) -> None:
        super().__init__()
        self.sends, self.takes = nn.Linear(6, 1), nn.Linear(6, 1)

    def forward(self, x):
        x = self.one(x)
        scores = F.leaky_relu(self.takes(x) + self.sends(x).transpose(1, 2), 0.2)
        shares = scores.masked_fill(self.edges == 0, -1e9).softmax(-1)
        return self.head(F.elu(shares @ x).mean(1))


@architecture("wide_deep", real(4), integers(8, 3))
class _WideDeep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.wide, self.deep = nn.Embedding(8, 2), nn.Linear(4, 1), mlp(10, 8, 1)

    def forward(self, numbers, kinds):
        deep = torch.cat([numbers, self.table(kinds).flatten(1)], 1)
        return torch.sigmoid(self.wide(numbers) + self.deep(deep))


@architecture("dlrm", real(4), integers(8, 2))
class _Dlrm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(8, 4) for _ in range(2))
        self.bottom, self.top = mlp(4, 8, 4), mlp(7, 8, 1)

    def forward(self, numbers, kinds):
        dense = self.bottom(numbers)
        rows = torch.stack([dense, *(t(kinds[:, i]) for i, t in enumerate(self.tables))], 1)
        pairs = torch.bmm(rows, rows.transpose(1, 2))
        pairs = torch.stack([pairs[:, 0, 1], pairs[:, 0, 2], pairs[:, 1, 2]], 1)
        return torch.sigmoid(self.top(torch.cat([dense, pairs], 1)))


@architecture("tab_transformer", real(4), integers(8, 3))
class _TabTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.block, self.norm = nn.Embedding(8, 4), block(4), nn.LayerNorm(4)
        self.head = mlp(16, 8, 2)

    def forward(self, numbers, kinds):
        rows = self.block(self.table(kinds)).flatten(1)
        return self.head(torch.cat([rows, self.norm(numbers)], 1))


@architecture("nbeats", real(8))
class _Nbeats(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(mlp(8, 10, 12) for _ in range(2))

    def forward(self, x):
        found = 0
        for one in self.blocks:
            back, ahead = one(x).split((8, 4), -1)
            x, found = x - back, found + ahead
        return found


class _Pair(nn.Module):
    def __init__(self, cosine: bool) -> None:
        super().__init__()
        self.body, self.cosine = nn.Sequential(conv_bn(1, 6, 3, 2), pooled(6, 6)), cosine
        self.head = nn.Linear(6, 1)

    def forward(self, a, b):
        a, b = self.body(a), self.body(b)
        return F.cosine_similarity(a, b) if self.cosine else torch.sigmoid(self.head((a - b).abs()))


@architecture("siamese_l1", real(1, 8, 8), real(1, 8, 8))
def _siamese():
    return _Pair(False)


@architecture("siamese_cosine", real(1, 8, 8), real(1, 8, 8))
def _siamese_cosine():
    return _Pair(True)


@architecture("face_embedding_l2", real(3, 12, 12))
class _Face(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_bn(3, 8, 3, 2, act=nn.PReLU), pooled(8, 8))

    def forward(self, x):
        return F.normalize(self.body(x))


class _Sine(nn.Module):
    def __init__(self, a: int, b: int, rate: float) -> None:
        super().__init__()
        self.layer, self.rate = nn.Linear(a, b), rate

    def forward(self, x):
        return torch.sin(self.rate * self.layer(x))


@architecture("siren", real(2))
def _siren():
    return nn.Sequential(_Sine(2, 8, 3.0), _Sine(8, 8, 1.0), nn.Linear(8, 3))


@architecture("nerf", real(3), real(3))
class _Nerf(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.density, self.colour = mlp(15, 12, 12), nn.Linear(12, 1), mlp(15, 8, 3)

    def forward(self, x, view):
        waves = [f(rate * x) for rate in (1.0, 2.0) for f in (torch.sin, torch.cos)]
        h = F.relu(self.body(torch.cat([x, *waves], -1)))
        return self.colour(torch.cat([h, view], -1)).sigmoid(), F.softplus(self.density(h))


@architecture("rl_ppo_actor_critic", real(6))
class _Ppo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.actor, self.critic = mlp(6, 12, 4, act=nn.Tanh), mlp(6, 12, 1, act=nn.Tanh)

    def forward(self, x):
        return self.actor(x).softmax(-1), self.critic(x)


@architecture("rl_dqn_dueling", real(2, 8, 8))
class _Dqn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 6, 4, 2), nn.ReLU(), nn.Flatten())
        self.value, self.gains = mlp(54, 8, 1), mlp(54, 8, 4)

    def forward(self, x):
        x = self.body(x)
        gains = self.gains(x)
        return self.value(x) + gains - gains.mean(1, keepdim=True)


@architecture("rl_sac_gaussian", real(6))
class _Sac(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.mean, self.log = mlp(6, 16, 16), nn.Linear(16, 2), nn.Linear(16, 2)

    def forward(self, x):
        x = F.relu(self.body(x))
        return torch.tanh(self.mean(x)), self.log(x).clamp(-20, 2).exp()
