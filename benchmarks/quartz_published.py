"""What the Quartz paper (arXiv 2309.16795) publishes, network by network, and what to download.

Accuracies are of all test images, with ranges that are calibrated on them. On CIFAR-10 and ImageNet
the first convolution runs outside of the spiking network, and pooling on decoded values. Steps are
the time to the mean output spike. Operations are updates of neurons, and steps at which a
neuron receives a current that is not 0, of a frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Row(NamedTuple):
    """Accuracy in percent; steps and operations of a frame, None where none are published."""

    accuracy: float
    steps: int | None
    operations: float | None


class Published(NamedTuple):
    """A network: accuracy of the ANN in percent, neurons, rows by t_max, its file and options.

    ``download`` says what the benchmark needs to run it.
    """

    title: str
    ann: float
    neurons: int
    rows: Mapping[int, Row]
    model: str
    options: Mapping[str, Any]
    download: str


NETWORKS: Mapping[str, Published] = {
    "mnist": Published(
        "MNIST ConvNet",
        99.23,
        4_354,
        {
            2: Row(89.69, None, 49e3),
            4: Row(98.11, None, 66e3),
            8: Row(99.05, None, 101e3),
            16: Row(99.16, 48, 171e3),
            32: Row(99.25, None, 310e3),
        },
        "mnist_convnet.onnx",
        {"scale_values": (255,)},
        "weights mnist-convnet.pth of github.com/biphasic/Quartz, exported as mnist_convnet.onnx "
        "for pixels from 0 to 1 (1x28x28); MNIST as two .npz files with images and labels",
    ),
    "cifar10": Published(
        "CIFAR-10 VGG11",
        92.39,
        159_754,
        {
            8: Row(83.31, None, 4.36e6),
            16: Row(91.36, 160, 6.91e6),
            32: Row(92.15, 320, 12.0e6),
            64: Row(92.26, 640, 22.2e6),
        },
        "cifar10_vgg11.onnx",
        {
            "mean_values": (125.307, 122.961, 113.8575),
            "scale_values": (63.0105, 62.0925, 66.708),
        },
        "vgg11_bn of github.com/huyvnphan/PyTorch_CIFAR10 (92.39 %), exported as "
        "cifar10_vgg11.onnx (3x32x32); the binary version of CIFAR-10 from "
        "www.cs.toronto.edu/~kriz/cifar.html, a folder with data_batch_1.bin and test_batch.bin",
    ),
    "imagenet": Published(
        "ImageNet VGG11",
        68.11,
        7_435_240,
        {
            16: Row(54.44, 146, 538e6),
            32: Row(64.44, 290, 776e6),
            64: Row(67.24, 578, 1_252e6),
        },
        "imagenet_vgg11.onnx",
        {
            "mean_values": (123.675, 116.28, 103.53),
            "scale_values": (58.395, 57.12, 57.375),
        },
        "vgg11 of torchvision with weights IMAGENET1K_V1, exported as imagenet_vgg11.onnx "
        "(3x224x224); ILSVRC2012 from image-net.org, of which some hundred training images and "
        "the validation images, resized to 256 and cropped to 224, as train.npz and val.npz with "
        "images (N x 224 x 224 x 3) and labels",
    ),
}
