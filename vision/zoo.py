"""The zoo: every backbone by name, as torchvision has it or, where it lacks one, as its paper describes it.

AlexNet and VGG keep their two fully connected layers of 4096 (most of their weights): they are the last stage, a map of
one pixel. All others end in the feature maps of their last convolutions. Auxiliary classifiers are left out.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.ops import SqueezeExcitation

RESNETS: dict[str, tuple[bool, tuple[int, int, int, int]]] = {  # whether its blocks are bottlenecks, how many a stage
    "18": (False, (2, 2, 2, 2)), "34": (False, (3, 4, 6, 3)), "50": (True, (3, 4, 6, 3)),
    "101": (True, (3, 4, 23, 3)), "152": (True, (3, 8, 36, 3))}
NAMES = {"resnext50": "resnext50_32x4d"}  # as torchvision calls them
STEM = 32
SQUEEZE = 16
VGG8 = (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0)               # 0: a pooling; the convolutions of VGG-11
VGG10 = (64, 64, 0, 128, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0)     # those of VGG-13
CNN3 = (32, 0, 64, 0, 128, 0)


def build(backbone: str) -> nn.Module:
    """Return a backbone of the zoo without weights and without its classifier."""
    own: dict[str, Callable[[], nn.Module]] = {
        "cnn3": lambda: Convolutions(CNN3), "vgg8": lambda: Convolutions(VGG8), "vgg10": lambda: Convolutions(VGG10),
        "alexnet": alexnet, "mobilenet_v2_same": lambda: pad_behind(build("mobilenet_v2"))}
    if backbone in own:
        return own[backbone]()
    if backbone.startswith(("resnet", "seres")):
        return residual(backbone)
    settings: dict[str, Any] = {}
    if backbone in ("googlenet", "inception_v3"):
        # torchvision's weights expect their own scale of pixels, to which the network itself brings them.
        settings = {"aux_logits": False, "transform_input": True, "init_weights": True}
    trunk: nn.Module = getattr(torchvision.models, NAMES.get(backbone, backbone))(weights=None, **settings)
    if backbone.startswith("vgg"):
        trunk.classifier = trunk.classifier[:5]  # type: ignore[index]  # up to the second layer of 4096
    elif hasattr(trunk, "classifier"):
        trunk.classifier = nn.Identity()
    else:
        trunk.fc = nn.Identity()
    return trunk


class Convolutions(nn.Module):
    """A plain stack: convolutions of 3 × 3 with batch norm, and poolings that halve; nothing fully connected.

    `cnn3` is three such convolutions, `vgg8` and `vgg10` are those of VGG-11 and VGG-13 (Simonyan & Zisserman 2015).
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        before = 3
        for width in widths:
            parts += ([nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True)]
                      if width else [nn.MaxPool2d(2)])
            before = width or before
        self.features = nn.Sequential(*parts)
        kaiming(self)


def alexnet() -> nn.Module:
    """AlexNet (Krizhevsky et al. 2012): its widths on one GPU, batch norm in place of local response norm.

    The first convolution pads by 2, so that photos of 64 px still pass; at 227 px the maps are those of the paper.
    """
    trunk = nn.Module()
    parts: list[nn.Module] = []
    for inside, outside, kernel, stride, pooled in (
            (3, 96, 11, 4, True), (96, 256, 5, 1, True), (256, 384, 3, 1, False), (384, 384, 3, 1, False),
            (384, 256, 3, 1, True)):
        parts += [nn.Conv2d(inside, outside, kernel, stride, 2 if kernel > 3 else 1, bias=False),
                  nn.BatchNorm2d(outside), nn.ReLU(True)]
        if pooled:
            parts.append(nn.MaxPool2d(3, 2))
    trunk.features = nn.Sequential(*parts)
    trunk.avgpool = nn.AdaptiveAvgPool2d((6, 6))
    trunk.classifier = nn.Sequential(
        nn.Dropout(0), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(True), nn.Dropout(0), nn.Linear(4096, 4096), nn.ReLU(True))
    kaiming(trunk)
    return trunk


def pad_behind(trunk: nn.Module) -> nn.Module:
    """Let convolutions that stride pad as TensorFlow does ("SAME"): at the bottom and right of photos of even sizes.

    Weights that were trained there see the borders of their maps as they know them; the tensors' names stay.
    """
    for part in trunk.modules():
        if isinstance(part, nn.Conv2d) and part.stride == (2, 2) and part.kernel_size == (3, 3):
            part.padding = (0, 0)
            part.register_forward_pre_hook(_padded_behind)
    return trunk


def _padded_behind(_: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    height, width = inputs[0].shape[-2:]
    return F.pad(inputs[0], (width % 2, 1, height % 2, 1))


def residual(backbone: str) -> ResNet:
    """A ResNet by name: `resnet50` with a suffix of He et al. 2019, "Bag of Tricks", or `seresnet50`, `seresnext50`.

    `a` is the network of 2015, whose bottlenecks stride in their first convolution; `b` strides in the second, which is
    what torchvision builds without a suffix; `c` has a stem of three small convolutions besides; `d` has shortcuts that
    average before they project, too. Networks of plain blocks (18, 34) have no a and b.
    """
    squeezed, name = backbone.startswith("se"), backbone.removeprefix("se")
    wide = {"groups": 32, "width_per_group": 4} if name.startswith("resnext") else {}
    number = name.removeprefix("resnet").removeprefix("resnext").rstrip("abcd")
    tweak = name[-1] if name[-1] in "abcd" else ""
    bottlenecks, depths = RESNETS[number]
    block: type[BasicBlock | Bottleneck] = Bottleneck if bottlenecks else BasicBlock
    if squeezed:
        block = SqueezedBottleneck if bottlenecks else SqueezedBlock
    trunk = ResNet(block, list(depths), **wide)
    trunk.fc = nn.Identity()
    if tweak == "a":
        stride_first(trunk)
    elif tweak in ("c", "d"):
        deepen(trunk, tweak == "d")
    return trunk


class SqueezedBlock(BasicBlock):
    """A plain residual block whose channels are weighed by what they hold (Hu et al. 2018); names as in timm."""

    def __init__(self, inplanes: int, planes: int, *rest: Any, **named: Any) -> None:
        super().__init__(inplanes, planes, *rest, **named)
        self.se = SqueezeExcitation(planes, planes // SQUEEZE)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of this block."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.se(self.bn2(self.conv2(out)))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class SqueezedBottleneck(Bottleneck):
    """A bottleneck whose channels are weighed by what they hold (Hu et al. 2018); names as in timm."""

    def __init__(self, inplanes: int, planes: int, *rest: Any, **named: Any) -> None:
        super().__init__(inplanes, planes, *rest, **named)
        self.se = SqueezeExcitation(planes * self.expansion, planes * self.expansion // SQUEEZE)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of this block."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.se(self.bn3(self.conv3(out)))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


def stride_first(trunk: ResNet) -> None:
    """Let every bottleneck stride in its first convolution, as in 2015."""
    for block in trunk.modules():
        if isinstance(block, Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, (1, 1)


def deepen(trunk: ResNet, shortcuts: bool) -> None:
    """Give a ResNet a stem of three small convolutions and, with `shortcuts`, ones that average before they project.

    The tensors' names are those of timm's `resnet50c` and `resnet50d`.
    """
    def convolution(inside: int, outside: int, stride: int = 1) -> nn.Conv2d:
        return nn.Conv2d(inside, outside, 3, stride, 1, bias=False)

    trunk.conv1 = nn.Sequential(
        convolution(3, STEM, 2), nn.BatchNorm2d(STEM), nn.ReLU(True),
        convolution(STEM, STEM), nn.BatchNorm2d(STEM), nn.ReLU(True), convolution(STEM, 64))
    for block in trunk.modules():
        if shortcuts and isinstance(block, BasicBlock | Bottleneck) and block.downsample is not None:
            plain, norm = block.downsample
            pool = (nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False) if plain.stride[0] > 1
                    else nn.Identity())
            block.downsample = nn.Sequential(OrderedDict([
                ("0", pool), ("1", nn.Conv2d(plain.in_channels, plain.out_channels, 1, bias=False)), ("2", norm)]))
    kaiming(trunk)


def kaiming(network: nn.Module) -> None:
    """Draw the convolutions' weights as He et al. 2015 do."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


def connected(trunk: nn.Module, maps: Tensor) -> Tensor:
    """Return what the fully connected layers of AlexNet or VGG make of the last maps: (n, 4096, 1, 1)."""
    fixed: Tensor = torch.flatten(trunk.avgpool(maps), 1)  # type: ignore[operator]
    found: Tensor = trunk.classifier(fixed)  # type: ignore[operator]
    return found[:, :, None, None]


def has_connected(trunk: nn.Module) -> bool:
    """Whether the trunk ends in fully connected layers."""
    return isinstance(getattr(trunk, "classifier", None), nn.Sequential)


def drop_between(trunk: nn.Module, share: float) -> None:
    """Leave out a share of what passes between fully connected layers at a step of training."""
    if has_connected(trunk):
        for part in trunk.classifier.modules():  # type: ignore[union-attr]
            if isinstance(part, nn.Dropout):
                part.p = share
