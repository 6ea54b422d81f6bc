"""Trunks: published backbones without their classifiers, each giving the feature maps of its last stages."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.densenet import DenseNet
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.models.vision_transformer import VisionTransformer

from catalogue.errors import BadInput
from vision import zoo
from vision.saved import TIMM

# The blocks of `features` after which a stage ends: a quarter, an eighth, a 16th and a 32nd of the photo's side.
CUTS = {"mobilenet_v2": (3, 6, 13, 18), "mobilenet_v2_same": (3, 6, 13, 18), "mobilenet_v3_small": (1, 3, 8, 12),
        "mobilenet_v3_large": (3, 6, 12, 16), "efficientnet_b0": (2, 3, 5, 8), "convnext_tiny": (1, 3, 5, 7),
        "densenet121": (4, 6, 8, 11), "densenet201": (4, 6, 8, 11)}
# The parts of each stage, where a network names them one by one.
PARTS = {
    "googlenet": (("conv1", "maxpool1", "conv2", "conv3"), ("maxpool2", "inception3a", "inception3b"),
                  ("maxpool3", "inception4a", "inception4b", "inception4c", "inception4d", "inception4e"),
                  ("maxpool4", "inception5a", "inception5b")),
    "inception_v3": (("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
                     ("maxpool2", "Mixed_5b", "Mixed_5c", "Mixed_5d"),
                     ("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
                     ("Mixed_7a", "Mixed_7b", "Mixed_7c"))}
VIT_PATCH = 16
LARGEST = 1024


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
    return zoo.build(backbone)


def stage_maps(trunk: nn.Module, backbone: str, x: Tensor, levels: int, token: bool = False) -> list[Tensor]:
    """Return the feature maps (n, c, h, w) of the last `levels` stages, the deepest last; fewer if it has fewer.

    x: normalised pixels (n, 3, h, w). Fully connected layers are one more stage, with a map of one pixel. A
    transformer's stages are depths, and its maps its tokens laid out as they lie in the photo; with `token` they are
    its class tokens, as maps of one pixel.
    """
    if isinstance(trunk, VisionTransformer):
        return _token_maps(trunk, x, levels, token)
    if isinstance(trunk, ResNet):
        maps, x = [], trunk.maxpool(trunk.relu(trunk.bn1(trunk.conv1(x))))
        for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
            x = stage(x)
            maps.append(x)
        return maps[-levels:]
    if backbone in PARTS:
        maps, x = [], trunk._transform_input(x)  # type: ignore[operator]
        for names in PARTS[backbone]:
            for name in names:
                x = trunk.get_submodule(name)(x)
            maps.append(x)
        return maps[-levels:]
    if not backbone.startswith(TIMM):
        return _feature_maps(trunk, backbone, x)[-levels:]
    found: list[Tensor] = trunk.forward_intermediates(  # type: ignore[operator]
        x, indices=levels, norm=True, output_fmt="NCHW", intermediates_only=True)
    return found


def stage_widths(trunk: nn.Module, backbone: str, size: int, levels: int) -> list[int]:
    """Return the channels of the last `levels` stages, by looking at a black photo; `BadInput` where photos of this
    size are too small for the backbone, or it has fewer stages."""
    was_training = trunk.training
    trunk.eval()
    with torch.no_grad():
        try:
            widths = [found.shape[1] for found in stage_maps(trunk, backbone, torch.zeros(1, 3, size, size), levels)]
        except RuntimeError as error:
            raise BadInput(f"{backbone} cannot take photos of {size} px{_smallest(trunk, backbone, size)}") from error
    trunk.train(was_training)
    if len(widths) < levels:
        raise BadInput(f"{backbone} has {len(widths)} stages; set levels to that or less, not {levels}")
    return widths


def _smallest(trunk: nn.Module, backbone: str, size: int) -> str:
    """The sentence that says from which size on a backbone takes photos, found without computing anything."""
    sketch = copy.deepcopy(trunk).to("meta")
    for larger in range(size + 1, LARGEST + 1):
        try:
            stage_maps(sketch, backbone, torch.zeros(1, 3, larger, larger, device="meta"), 1)
            return f"; the smallest it takes are {larger} px"
        except RuntimeError:
            continue
    return ""


def _feature_maps(trunk: nn.Module, backbone: str, x: Tensor) -> list[Tensor]:
    """What the parts of `features` give at the end of each stage: at the cuts known, or else after each pooling."""
    maps = []
    for number, part in enumerate(trunk.features):  # type: ignore[arg-type]
        x = part(x)
        if number in CUTS[backbone] if backbone in CUTS else isinstance(part, nn.MaxPool2d):
            maps.append(x)
    if isinstance(trunk, DenseNet):
        maps[-1] = maps[-1].relu()
    return [*maps, zoo.connected(trunk, x)] if zoo.has_connected(trunk) else maps


def zero_last_norms(trunk: nn.Module) -> int:
    """Set the last norm's scale of every residual block to 0: blocks begin as identities (Goyal et al. 2017).

    Returns how many blocks there are that end in a norm.
    """
    blocks = 0
    for block in trunk.modules():
        if isinstance(block, BasicBlock):
            nn.init.zeros_(block.bn2.weight)
        elif isinstance(block, Bottleneck):
            nn.init.zeros_(block.bn3.weight)
        elif isinstance(block, InvertedResidual) and block.use_res_connect:
            nn.init.zeros_(block.conv[-1].weight)
        elif callable(last := getattr(block, "zero_init_last", None)):  # what timm calls it
            last()
        else:
            continue
        blocks += 1
    return blocks


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
