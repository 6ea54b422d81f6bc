"""Weights with torch: loading a saved network, starting one from others' weights, writing weights to start from."""

import io
import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from catalogue.errors import BadInput, BadRelease
from vision.networks import Architecture, Network
from vision.saved import WEIGHTS, read_card

POSITIONS = "trunk.encoder.pos_embedding"
# torchvision's files of DenseNets have names of before PyTorch 0.4: denselayer1.norm.1.weight is norm1.weight today.
DENSENET_FORMER = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


def load_network(folder: Path) -> Network:
    """Build the network a card describes and load its weights; `BadRelease` if they do not fit."""
    card = read_card(folder)
    network = Network(Architecture(**card.architecture), len(card.classes), card.preprocessing)
    try:
        network.load_state_dict(torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, EOFError) as error:
        raise BadRelease(f"the weights in {folder} do not fit their card ({error})") from error
    return network.eval()


def load_start(network: Network, weights: Mapping[str, Tensor], source: str) -> list[str]:
    """Copy every trunk, reduction and neck weight that fits into `network`; return the names that found no match.

    `weights` is a torchvision state dict of the same backbone, or one of ours; of these, heads are never copied, and
    no whitening: it is fitted to embeddings after the training, which a former one must not have whitened before. A
    file none of whose trunk weights fit is `BadInput`: starting from nothing must be asked for, never happen.
    """
    own = network.state_dict()
    ours = any(name.startswith("trunk.") for name in weights)
    given = {DENSENET_FORMER.sub(r"\1\2", name if ours else f"trunk.{name}"): value for name, value in weights.items()}
    if POSITIONS in own and POSITIONS in given:
        given[POSITIONS] = _positions_like(own[POSITIONS], given[POSITIONS])
    fits = {name: value.to(own[name].dtype) for name, value in given.items()
            if name in own and not name.startswith(("head.", "whitening.")) and own[name].shape == value.shape}
    # How many batches a norm has seen is not in files older than PyTorch 0.4.1, and is of no use without momentum.
    wanted = [name for name in own if not name.endswith(".num_batches_tracked")]
    trunk = [name for name in wanted if name.startswith("trunk.")]
    if not all(name in fits for name in trunk):
        missing = [name for name in trunk if name not in fits]
        backbone = network.architecture.backbone
        plain = backbone.rstrip("abcd") if backbone.startswith("resnet") else backbone
        hint = (f" (a plain {plain}'s weights never fit a {backbone}: its stem and shortcuts are others)"
                if plain != backbone else "")
        raise BadInput(f"{source} holds no {backbone} weights: {len(missing)} of its {len(trunk)} trunk tensors do not "
                       f"fit, the first is {missing[0]!r}; choose the matching backbone{hint}")
    network.load_state_dict(fits, strict=False)
    return [name for name in wanted if name not in fits]


def _positions_like(own: Tensor, given: Tensor) -> Tensor:
    """A transformer's positions (1, 1 + h·w, c), learnt at another photo size, stretched to that of `own`."""
    if own.shape == given.shape or own.shape[2] != given.shape[2]:
        return given
    new, old = (math.isqrt(positions.shape[1] - 1) for positions in (own, given))
    grid = given[:, 1:].float().transpose(1, 2).unflatten(2, (old, old))        # (1, c, old, old)
    grid = F.interpolate(grid, (new, new), mode="bicubic", align_corners=True)
    return torch.cat([given[:, :1].float(), grid.flatten(2).transpose(1, 2)], 1)


def start_of(folder: Path) -> bytes:
    """Return a saved network's weights but for the head, in half precision, as a file `load_start` takes."""
    weights = {name: value.half() if value.is_floating_point() else value
               for name, value in load_network(folder).state_dict().items() if not name.startswith("head.")}
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    return buffer.getvalue()


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """Read a local state dict; `BadInput` if the file is none. Only tensors are unpickled."""
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise BadInput(f"there is no weights file {path}") from error
    except Exception as error:
        raise BadInput(f"{path} is no torch state dict: {error}") from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise BadInput(f"{path} holds no plain state dict (names to tensors)")
    return weights
