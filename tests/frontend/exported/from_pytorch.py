"""Writes networks of PyTorch as both of its exporters do; needs torch and onnxscript.

Run it in this folder. The weights are random: what counts is the spelling.
"""

import onnx
import torch
from torch import nn


class Last(nn.Module):
    """The last state of a recurrent layer."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell, self.head = cell, nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Batch first."""
        return self.head(self.cell(x)[0][:, -1])


class Scripted(nn.Module):
    """A loop that stays a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.back, self.head = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Five steps."""
        h = torch.zeros(x.size(0), 4)
        for t in range(5):
            h = torch.relu(self.inner(x[:, t]) + self.back(h))
        return self.head(h)


def clean(path: str) -> None:
    """Take the traces of the exporting machine out of a file."""
    proto = onnx.load(path)
    nodes = [*proto.graph.node, *(n for f in proto.functions for n in f.node)]
    for held in (proto, proto.graph, *nodes, *proto.graph.value_info, *proto.graph.initializer):
        del held.metadata_props[:]
        held.doc_string = ""
    onnx.save(proto, path)


torch.manual_seed(0)
x = torch.rand(2, 3, 3)
cells = {
    "rnn": Last(nn.RNN(3, 3, batch_first=True, nonlinearity="relu")),
    "gru": Last(nn.GRU(3, 3, batch_first=True)),
}
for name, module in cells.items():
    torch.onnx.export(
        module.eval(),
        (x,),
        f"pytorch_{name}.onnx",
        input_names=["x"],
        dynamic_shapes=({0: torch.export.Dim("N")},),
        external_data=False,
        dynamo=True,
    )
    clean(f"pytorch_{name}.onnx")
torch.onnx.export(
    torch.jit.script(Scripted()),
    (torch.rand(2, 5, 3),),
    "pytorch_loop.onnx",
    input_names=["x"],
    dynamic_axes={"x": {0: "N"}},
    opset_version=17,
    dynamo=False,
)
clean("pytorch_loop.onnx")
