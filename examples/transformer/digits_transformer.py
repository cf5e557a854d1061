# mypy: allow-subclassing-any
# %% [markdown]
# # A transformer in spikes
#
# A small encoder on handwritten digits: train, export, compile, run. A row of pixels is a token.

# %%
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import qcompiler

torch.manual_seed(0)
images, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(images))
x = torch.from_numpy(images[order].reshape(-1, 8, 8).astype(np.float32) / 16)
y = torch.from_numpy(labels[order])
train_x, test_x, train_y, test_y = x[:1257], x[1257:], y[:1257], y[1257:]


# %%
class Block(nn.Module):
    """Attention and a two-layer network, each behind a layer normalisation, around a residual."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.mix = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        """``batch x tokens x width`` in and out."""
        batch, tokens, width = x.shape
        inner = self.norm1(x)
        q, k, v = (
            part(inner).view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        scores = q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, tokens, width)
        x = x + self.mix(mixed)
        residual: Tensor = x + self.mlp(self.norm2(x))
        return residual


class Transformer(nn.Module):
    """An encoder of 8 tokens, and the mean of its tokens as 10 scores."""

    def __init__(self, width: int = 32, layers: int = 2) -> None:
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.position = nn.Parameter(0.02 * torch.randn(1, 8, width))
        self.blocks = nn.Sequential(*(Block(width, 4, 2 * width) for _ in range(layers)))
        self.norm, self.classify = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """``batch x 8 x 8`` to ``batch x 10``."""
        found: Tensor = self.blocks(self.embed(x) + self.position)
        scores: Tensor = self.classify(self.norm(found).mean(1))
        return scores


# %% [markdown]
# Images are shifted by up to a pixel, and get noise.

# %%
EPOCHS = 120
model: Any = Transformer()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=EPOCHS * 20)
for _ in range(EPOCHS):
    for batch in torch.randperm(len(train_x)).split(63):
        shift = torch.randint(-1, 2, (2,)).tolist()
        given = torch.roll(train_x[batch], shift, (1, 2))
        given = given + 0.02 * torch.randn_like(given)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(given), train_y[batch], label_smoothing=0.05).backward()
        optimizer.step()
        schedule.step()
model.eval()
with torch.no_grad():
    print(f"PyTorch  {(model(test_x).argmax(1) == test_y).float().mean():.2%}")

# %% [markdown]
# Attention multiplies values of one sample with each other. Such products take neurons:
# `allow_products` compiles them, whatever they cost.

# %%
program = qcompiler.from_torch(
    model,
    test_x[:2],
    calibration=train_x.numpy(),
    target="reference",
    t_max=16,
    allow_products=True,
)
found: Any = program.run(test_x.numpy())
print(f"spiking  {np.mean(found.argmax(1) == test_y.numpy()):.2%}")
report = program.report()
print(f"{report.neurons} neurons, last output spike at step {report.latency_steps}")

# %% [markdown]
# The saved program runs with `qrun transformer.reference digits_test.npz`.

# %%
program.save("transformer.reference")
np.savez("digits_test.npz", x=test_x.numpy(), labels=test_y.numpy())
