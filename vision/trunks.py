"""Trunks: published backbones without their classifiers, each giving the feature maps of its last stages."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.models.vision_transformer import VisionTransformer

from catalogue.errors import BadInput
from vision.saved import TIMM

# The blocks of `features` after which a stage ends: a quarter, an eighth, a 16th and a 32nd of the photo's side.
CUTS = {"mobilenet_v2": (3, 6, 13, 18), "mobilenet_v3_large": (3, 6, 12, 16), "convnext_tiny": (1, 3, 5, 7)}
VIT_PATCH = 16
STEM = 32


def build_trunk(backbone: str, size: int) -> nn.Module:
    """Return the backbone without weights and without its classifier; `size` matters to transformers alone."""
    if backbone.startswith(TIMM):
        return _timm_trunk(backbone.removeprefix(TIMM), size)
    if backbone.startswith("vit"):
        if size % VIT_PATCH:
            raise BadInput(f"{backbone} takes sizes that are multiples of {VIT_PATCH}, not {size}; set another size")
        trunk = torchvision.models.vit_b_16(weights=None, image_size=size)
        trunk.heads = nn.Identity()
        return trunk
    if backbone in CUTS:
        trunk = getattr(torchvision.models, backbone)(weights=None)
        trunk.classifier = nn.Identity()
        return trunk
    trunk = getattr(torchvision.models, backbone.removesuffix("d"))(weights=None)
    trunk.fc = nn.Identity()
    if backbone.endswith("d"):
        _deepen(trunk)
    return trunk


def stage_maps(trunk: nn.Module, backbone: str, x: Tensor, levels: int, token: bool = False) -> list[Tensor]:
    """Return the feature maps (n, c, h, w) of the last `levels` stages, the deepest last.

    x: normalised pixels (n, 3, h, w). A transformer's stages are depths, and its maps its tokens laid out as they lie
    in the photo; with `token` they are its class tokens, as maps of one pixel.
    """
    if isinstance(trunk, VisionTransformer):
        return _token_maps(trunk, x, levels, token)
    if isinstance(trunk, ResNet):
        maps, x = [], trunk.maxpool(trunk.relu(trunk.bn1(trunk.conv1(x))))
        for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
            x = stage(x)
            maps.append(x)
        return maps[-levels:]
    if backbone in CUTS:
        maps = []
        for number, block in enumerate(trunk.features):  # type: ignore[arg-type]
            x = block(x)
            if number in CUTS[backbone]:
                maps.append(x)
        return maps[-levels:]
    found: list[Tensor] = trunk.forward_intermediates(  # type: ignore[operator]
        x, indices=levels, norm=True, output_fmt="NCHW", intermediates_only=True)
    return found


def stage_widths(trunk: nn.Module, backbone: str, size: int, levels: int) -> list[int]:
    """Return the channels of the last `levels` stages, by looking at a black photo."""
    was_training = trunk.training
    trunk.eval()
    with torch.no_grad():
        widths = [found.shape[1] for found in stage_maps(trunk, backbone, torch.zeros(1, 3, size, size), levels)]
    trunk.train(was_training)
    return widths


def zero_last_norms(trunk: nn.Module) -> None:
    """Set the last norm's scale of every residual block to 0: blocks begin as identities (Goyal et al. 2017)."""
    for block in trunk.modules():
        if isinstance(block, BasicBlock):
            nn.init.zeros_(block.bn2.weight)
        elif isinstance(block, Bottleneck):
            nn.init.zeros_(block.bn3.weight)
        elif isinstance(block, InvertedResidual) and block.use_res_connect:
            nn.init.zeros_(block.conv[-1].weight)
        elif callable(last := getattr(block, "zero_init_last", None)):  # what timm calls it
            last()


def _token_maps(trunk: VisionTransformer, x: Tensor, levels: int, token: bool) -> list[Tensor]:
    x = trunk.conv_proj(x)                                                      # (n, c, h, w)
    n, width, high, wide = x.shape
    tokens = torch.cat([trunk.class_token.expand(n, -1, -1), x.flatten(2).transpose(1, 2)], 1)
    tokens = trunk.encoder.dropout(tokens + trunk.encoder.pos_embedding)        # (n, 1 + h·w, c)
    depths = len(trunk.encoder.layers)
    maps = []
    for depth, layer in enumerate(trunk.encoder.layers, 1):
        tokens = layer(tokens)
        if depth % max(1, depths // 4) == 0:
            said = trunk.encoder.ln(tokens) if depth == depths else tokens
            maps.append(said[:, 0, :, None, None] if token
                        else said[:, 1:].transpose(1, 2).reshape(n, width, high, wide))
    return maps[-levels:]


def _deepen(trunk: ResNet) -> None:
    """Turn a ResNet into a ResNet-D: a stem of three small convolutions, shortcuts that average before they project.

    He et al. 2019, "Bag of Tricks for Image Classification"; the tensors' names are those of timm's `resnet50d`.
    """
    def convolution(inside: int, outside: int, stride: int = 1) -> nn.Conv2d:
        return nn.Conv2d(inside, outside, 3, stride, 1, bias=False)

    trunk.conv1 = nn.Sequential(
        convolution(3, STEM, 2), nn.BatchNorm2d(STEM), nn.ReLU(True),
        convolution(STEM, STEM), nn.BatchNorm2d(STEM), nn.ReLU(True), convolution(STEM, 64))
    for block in trunk.modules():
        if isinstance(block, BasicBlock | Bottleneck) and block.downsample is not None:
            plain, norm = block.downsample
            pool = (nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False) if plain.stride[0] > 1
                    else nn.Identity())
            block.downsample = nn.Sequential(OrderedDict([
                ("0", pool), ("1", nn.Conv2d(plain.in_channels, plain.out_channels, 1, bias=False)), ("2", norm)]))
    for part in trunk.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


def pretrained(name: str, size: int) -> Mapping[str, Tensor]:
    """Return the weights that timm offers for its model, downloaded once, for photos of this size."""
    try:
        return _timm_trunk(name, size, pretrained=True).state_dict()
    except (OSError, RuntimeError) as error:
        raise BadInput(f"timm's weights of {name} could not be had ({error}); name a local file") from error


def _timm_trunk(name: str, size: int, pretrained: bool = False) -> nn.Module:
    try:
        import timm
    except ModuleNotFoundError as error:
        raise BadInput(f"the backbone {TIMM}{name} needs timm: pip install 'solesearch[timm]'") from error
    if not timm.is_model(name):
        raise BadInput(f"timm {timm.__version__} has no model {name!r}; timm.list_models() says what it has")
    trunk: nn.Module | None = None
    # A transformer is made for one size, which exports; a windowed one takes the first alone; a convolutional none.
    choices: tuple[dict[str, Any], ...] = ({"img_size": size, "dynamic_img_size": False}, {"img_size": size}, {})
    for sized in choices:
        try:
            trunk = timm.create_model(name, pretrained, num_classes=0, **sized)
            break
        except TypeError:
            continue
        except (AssertionError, ValueError) as error:
            raise BadInput(f"timm's {name} cannot be had at {size} px: {error}") from error
    if trunk is None or not hasattr(trunk, "forward_intermediates"):
        raise BadInput(f"timm's {name} does not give its feature maps (forward_intermediates); choose another model")
    return trunk
