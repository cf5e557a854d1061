"""What an architecture is: a module of PyTorch, and its inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import nn


@dataclass(frozen=True)
class Input:
    """An input of one sample: normal real numbers, or integers below ``below``."""

    shape: tuple[int, ...]
    below: int | None = None

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """So many samples."""
        if self.below is not None:
            return rng.integers(0, self.below, (count, *self.shape))
        return rng.standard_normal((count, *self.shape)).astype(np.float32)


@dataclass(frozen=True)
class Architecture:
    """A network with random weights, and what it reads."""

    name: str
    build: Callable[[], nn.Module]
    inputs: tuple[Input, ...]

    def module(self) -> nn.Module:
        """The network for inference; the statistics of batch normalisations are measured."""
        torch.manual_seed(1)
        module = self.build()
        module.apply(_spread)
        norms = [
            one for one in module.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)
        ]
        if norms:
            for norm in norms:
                norm.momentum = None  # the mean over all batches
            module.train()
            with torch.no_grad():
                for seed in range(4):
                    module(*self.tensors(np.random.default_rng(100 + seed), 32))
        return module.eval()

    def tensors(self, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, ...]:
        """So many samples, as tensors."""
        return tuple(torch.from_numpy(one.sample(rng, count)) for one in self.inputs)


TABLE: dict[str, Architecture] = {}


def real(*shape: int) -> Input:
    """Real numbers."""
    return Input(shape)


def integers(below: int, *shape: int) -> Input:
    """Integers from 0 up."""
    return Input(shape, below)


def architecture(name: str, *inputs: Input) -> Callable:
    """Put what builds a module into the table: a class without parameters, or a function."""

    def noted(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        TABLE[name] = Architecture(name, build, inputs)
        return build

    return noted


def conv_bn(a: int, b: int, kernel: int = 3, stride: int = 1, groups: int = 1, act=nn.ReLU):
    """Convolution, batch normalisation and an activation (None: none)."""
    layers = [
        nn.Conv2d(a, b, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(b),
    ]
    return nn.Sequential(*layers, *([] if act is None else [act()]))


def pooled(channels: int, classes: int = 10) -> nn.Sequential:
    """A head for images."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def mlp(*widths: int, act=nn.ReLU) -> nn.Sequential:
    """Dense layers, the activation between them."""
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers[:-1])


class Residual(nn.Module):
    """Adds what a branch makes of x, and an activation behind it."""

    def __init__(self, branch: nn.Module, skip: nn.Module | None = None, act=nn.Identity) -> None:
        super().__init__()
        self.branch, self.skip, self.act = branch, skip or nn.Identity(), act()

    def forward(self, x):
        """The sum."""
        return self.act(self.skip(x) + self.branch(x))


def _spread(module: nn.Module) -> None:
    """Give weights a size that keeps the spread of values from layer to layer."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d) and module.groups == 1:
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.xavier_normal_(module.weight)
