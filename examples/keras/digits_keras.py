# %% [markdown]
# # From Keras to spikes
#
# A small convolutional network on handwritten digits: train, export with tf2onnx, compile, run.

# %%
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf2onnx
from sklearn.datasets import load_digits

import qcompiler

keras, layers = tf.keras, tf.keras.layers
keras.utils.set_random_seed(0)
images, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(images))
x: Any = images[order].reshape(-1, 8, 8, 1).astype(np.float32) / 16
y: Any = labels[order]
train_x, test_x, train_y, test_y = x[:1297], x[1297:], y[:1297], y[1297:]

# %%
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(8, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(10),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"])
model.fit(train_x, train_y, batch_size=64, epochs=15, verbose=0)
print(f"Keras    {model.evaluate(test_x, test_y, verbose=0)[1]:.2%}")

# %% [markdown]
# The exporter gets the model as a function for inference.

# %%
signature = [tf.TensorSpec((None, 8, 8, 1), tf.float32, name="image")]
inference = tf.function(lambda given: model(given, training=False), input_signature=signature)
proto, _ = tf2onnx.convert.from_function(inference, input_signature=signature, opset=17)
Path("digits.onnx").write_bytes(proto.SerializeToString())
np.savez("digits_test.npz", x=test_x, labels=test_y)

# %% [markdown]
# Keras has channels last, and so have the inputs of the compiled network.

# %%
program = qcompiler.compile("digits.onnx", calibration=train_x, t_max=16)
scores: Any = program.run(test_x)
print(f"spiking  {np.mean(scores.argmax(1) == test_y):.2%}")
report = program.report()
print(f"{report.neurons} neurons, last output spike at step {report.latency_steps}")
program.save("digits.loihi")
