"""Weights with torch: loading a saved network, starting one from others' weights, writing weights to start from."""

import io
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from catalogue.errors import BadInput, BadRelease
from vision.networks import Architecture, Network
from vision.saved import WEIGHTS, read_card


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

    `weights` is a torchvision state dict of the same backbone, or one of ours; heads are never copied. A file none of
    whose trunk weights fit is `BadInput`: starting from nothing must be asked for, never happen.
    """
    own = network.state_dict()
    ours = any(name.startswith("trunk.") for name in weights)
    given = {name if ours else f"trunk.{name}": value for name, value in weights.items()}
    fits = {name: value.to(own[name].dtype) for name, value in given.items()
            if name in own and not name.startswith("head.") and own[name].shape == value.shape}
    trunk = [name for name in own if name.startswith("trunk.")]
    if not all(name in fits for name in trunk):
        missing = [name for name in trunk if name not in fits]
        raise BadInput(f"{source} holds no {network.architecture.backbone} weights: {len(missing)} of its {len(trunk)} "
                       f"trunk tensors do not fit, the first is {missing[0]!r}; choose the matching backbone")
    network.load_state_dict(fits, strict=False)
    return [name for name in own if name not in fits]


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
