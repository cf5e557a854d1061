# %% [markdown]
# # From scikit-learn to spikes
#
# A multi-layer perceptron on handwritten digits: train, export with skl2onnx, compile, run.

# %%
from pathlib import Path
from typing import Any

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import qcompiler

images, labels = load_digits(return_X_y=True)
split: Any = train_test_split(images.astype(np.float32), labels, test_size=500, random_state=0)
train_x, test_x, train_y, test_y = split

# %% [markdown]
# The scaler is a part of the pipeline, and so of the compiled network.

# %%
pipeline = make_pipeline(StandardScaler(), MLPClassifier((32,), max_iter=400, random_state=0))
pipeline.fit(train_x, train_y)
print(f"scikit-learn  {pipeline.score(test_x, test_y):.2%}")

# %% [markdown]
# `zipmap` would make dictionaries of the scores.

# %%
model = to_onnx(pipeline, train_x[:1], target_opset=17, options={"zipmap": False})
Path("digits.onnx").write_bytes(model.SerializeToString())
np.savez("digits_test.npz", x=test_x, labels=test_y)

# %% [markdown]
# Training inputs measure the ranges. The network has two outputs: the class and its scores.

# %%
program = qcompiler.compile("digits.onnx", calibration=train_x, t_max=32)
found, scores = program.run(test_x)
print(f"spiking       {np.mean(found == test_y):.2%}")
report = program.report()
print(f"{report.neurons} neurons, last output spike at step {report.latency_steps}")
program.save("digits.loihi")
