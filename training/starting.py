"""The network of a recipe before its first step, and the weights that its trunk starts from."""

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from catalogue.errors import BadInput
from training.recipes import Recipe, shipped_start
from vision.networks import Architecture, Network
from vision.saved import TIMM
from vision.trunks import pretrained, stage_widths, zero_last_norms
from vision.weights import load_start, read_weights

log = logging.getLogger(__name__)


def start_weights(start: str, backbone: str, size: int) -> Mapping[str, Tensor] | None:
    """The weights to start from as the recipe names them; None only where it says `none`."""
    if start == "none":
        return None
    if start == "shipped":
        return read_weights(shipped_start(backbone))
    if start.startswith("torchvision:"):
        from torchvision.models import get_weight
        try:
            weights: Mapping[str, Tensor] = get_weight(start.partition(":")[2]).get_state_dict(check_hash=True)
        except (ValueError, KeyError, AttributeError) as error:
            raise BadInput(f"torchvision knows no weights {start.partition(':')[2]!r}; a name is like "
                           "ResNet18_Weights.IMAGENET1K_V1") from error
        except OSError as error:
            raise BadInput(f"the weights of {start} could not be downloaded ({error}); name a local file") from error
        return weights
    if start.startswith(TIMM):
        return pretrained(start.removeprefix(TIMM), size)
    return read_weights(Path(start))


def new_network(recipe: Recipe, classes: int) -> Network:
    """The untrained network of a recipe, its trunk loaded as the recipe says."""
    torch.manual_seed(recipe.seed)
    architecture = Architecture(
        backbone=recipe.backbone, embedding=recipe.embedding, head=recipe.head, scale=recipe.scale,
        pooling=recipe.pooling, levels=recipe.levels, subcenters=recipe.subcenters, colours=recipe.colours,
        colour_share=recipe.colour_share, colours_by_ground=recipe.colours_by_ground, whitened=recipe.whitening > 0,
        neck=recipe.neck, dropout=recipe.dropout)
    network = Network(architecture, classes, recipe.preprocessing)
    for smaller in filter(None, (recipe.size_from, recipe.train_size)):
        stage_widths(network.trunk, recipe.backbone, smaller, recipe.levels)  # too small for it is refused
    if recipe.zero_gamma and not zero_last_norms(network.trunk):
        raise BadInput(f"recipe: zero_gamma does nothing for {recipe.backbone}, which has no residual blocks that end "
                       "in a batch norm; leave it out, or choose a resnet")
    weights = start_weights(recipe.start, recipe.backbone, recipe.size)
    if weights is not None:
        fresh = load_start(network, weights, recipe.start)
        log.info("started from %s; new: %s", recipe.start, ", ".join(fresh) or "nothing")
    return network
