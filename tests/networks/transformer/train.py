"""Train the transformer of `examples/transformer` and write it as ``digits.onnx``.

    pip install torch scikit-learn onnx
    python train.py

Only this script needs PyTorch. It prints the accuracy on the digits that
`tests.networks.test_trained_transformer` takes: 98.3 %.
"""

from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[2] / "examples" / "transformer" / "digits_transformer.py"


def main() -> None:
    trained: dict[str, Any] = {}
    training, _, _ = EXAMPLE.read_text().partition("# Attention multiplies values")
    exec(training.rpartition("# %% [markdown]")[0], trained)
    torch.onnx.export(
        trained["model"],
        (trained["test_x"][:2],),
        str(HERE / "digits.onnx"),
        input_names=["x"],
        dynamic_axes={"x": {0: "N"}},
        dynamo=False,
    )


if __name__ == "__main__":
    main()
