# %% [markdown]
# # From PyTorch to spikes
#
# A small convolutional network on handwritten digits: train, compile the module, run.

# %%
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import qcompiler

torch.manual_seed(0)
images, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(images))
x = torch.from_numpy(images[order].reshape(-1, 1, 8, 8).astype(np.float32) / 16)
y = torch.from_numpy(labels[order])
train_x, test_x, train_y, test_y = x[:1297], x[1297:], y[:1297], y[1297:]

# %%
model: Any = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1, bias=False),
    nn.BatchNorm2d(8),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(8, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(64, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for _ in range(15):
    for batch in torch.randperm(len(train_x)).split(64):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(train_x[batch]), train_y[batch]).backward()
        optimizer.step()
model.eval()
with torch.no_grad():
    print(f"PyTorch  {(model(test_x).argmax(1) == test_y).float().mean():.2%}")

# %% [markdown]
# `from_torch` exports the module with torch.onnx, in memory, and compiles it. The second argument
# is a batch of inputs; the others are those of `qcompiler.compile`.

# %%
program = qcompiler.from_torch(model, test_x[:2], calibration=train_x.numpy(), t_max=16)
scores: Any = program.run(test_x.numpy())
print(f"spiking  {np.mean(scores.argmax(1) == test_y.numpy()):.2%}")
report = program.report()
print(f"{report.neurons} neurons, last output spike at step {report.latency_steps}")

# %% [markdown]
# The saved program runs with `qrun digits.loihi digits_test.npz`.

# %%
program.save("digits.loihi")
np.savez("digits_test.npz", x=test_x.numpy(), labels=test_y.numpy())
