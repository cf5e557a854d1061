"""Writes networks of Keras as tf2onnx exports them; needs tensorflow and tf2onnx.

Run it in this folder. The weights are random: what counts is the spelling.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf
import tf2onnx
from tensorflow import keras

layers = keras.layers
IMAGE = (8, 8, 3)


def cnn() -> keras.Model:
    """Convolution, batch normalisation, pools, a dense head."""
    return keras.Sequential(
        [
            keras.Input(IMAGE),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Conv2D(6, 3, activation="relu", padding="same"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(5, activation="softmax"),
        ]
    )


def mobile() -> keras.Model:
    """A block of MobileNetV2 with its padding, ReLU6 and sum."""
    given = keras.Input(IMAGE)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(given)
    x = layers.Conv2D(4, 3, strides=2, use_bias=False)(x)
    kept = x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.Conv2D(8, 1, use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.BatchNormalization()(layers.Conv2D(4, 1, use_bias=False)(x))
    x = layers.GlobalAveragePooling2D()(layers.Add()([kept, x]))
    return keras.Model(given, layers.Dense(5)(layers.Dropout(0.2)(x)))


def unet() -> keras.Model:
    """Down and up again, joined with what was there before."""
    given = keras.Input(IMAGE)
    a = layers.Conv2D(4, 3, padding="same", activation="relu")(given)
    b = layers.Conv2D(6, 3, padding="same", activation="relu")(layers.MaxPooling2D()(a))
    joined = layers.Concatenate()([layers.UpSampling2D()(b), a])
    return keras.Model(given, layers.Conv2D(2, 3, padding="same")(joined))


def excite() -> keras.Model:
    """A block of squeeze and excitation."""
    given = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(given)
    s = layers.GlobalAveragePooling2D(keepdims=True)(x)
    s = layers.Conv2D(4, 1, activation="sigmoid")(layers.Conv2D(2, 1, activation="relu")(s))
    x = layers.Conv2D(3, 1)(layers.Multiply()([x, s]))
    return keras.Model(given, layers.GlobalAveragePooling2D()(x))


def resized() -> keras.Model:
    """Scales that are no whole numbers."""
    given = keras.Input((5, 5, 2))
    x = layers.Conv2D(3, 3, activation="relu")(given)
    x = layers.Resizing(7, 8, interpolation="nearest")(x)
    return keras.Model(given, layers.Conv2D(2, 3)(x))


def transposed() -> keras.Model:
    """A transposed convolution of sequences, cropped at its end."""
    layer = layers.Conv1DTranspose(4, 3, strides=2, padding="same", activation="relu")
    return keras.Sequential([keras.Input((5, 3)), layer, layers.Flatten(), layers.Dense(2)])


def recurrent(layer: keras.Layer, *head: keras.Layer) -> keras.Model:
    """A recurrent layer over three or four steps, and what follows."""
    return keras.Sequential([keras.Input((3, 3)), layer, *head])


def embedding() -> keras.Model:
    """Rows of a table, and the mean of those that are present."""
    given = keras.Input((6,), dtype="int32")
    rows = layers.Embedding(9, 4, mask_zero=True)(given)
    return keras.Model(given, layers.Dense(3)(layers.GlobalAveragePooling1D()(rows)))


def masked() -> keras.Model:
    """A recurrent layer that passes over steps of zeros."""
    steps = [layers.Masking(), layers.SimpleRNN(3, activation="relu"), layers.Dense(2)]
    return keras.Sequential([keras.Input((3, 3)), *steps])


MODELS = {
    "cnn": cnn,
    "mobile": mobile,
    "unet": unet,
    "excite": excite,
    "resized": resized,
    "transposed": transposed,
    "embedding": embedding,
    "masked": masked,
    "lstm": lambda: recurrent(layers.LSTM(2), layers.Dense(2)),
    "gru": lambda: recurrent(layers.GRU(2), layers.Dense(2)),
    "rnn": lambda: recurrent(
        layers.SimpleRNN(3, activation="relu", return_sequences=True),
        layers.TimeDistributed(layers.Dense(2)),
    ),
    "birnn": lambda: recurrent(
        layers.Bidirectional(layers.SimpleRNN(2, return_sequences=True)),
        layers.Flatten(),
        layers.Dense(2),
    ),
}

for name, make in MODELS.items():
    keras.utils.set_random_seed(1)
    model = make()
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if any(kind in weight.path for kind in ("gamma", "variance")):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape).astype("f4"))
        elif any(kind in weight.path for kind in ("bias", "beta", "mean")):
            weight.assign(rng.normal(0, 0.2, weight.shape).astype("f4"))
    shape = [tf.TensorSpec((None, *model.inputs[0].shape[1:]), model.inputs[0].dtype, name="x")]
    traced = tf.function(lambda x, model=model: model(x, training=False), input_signature=shape)
    proto, _ = tf2onnx.convert.from_function(traced, input_signature=shape, opset=17)
    Path(f"keras_{name}.onnx").write_bytes(proto.SerializeToString())
