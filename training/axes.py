"""What is fitted to the photos without a gradient: the axes of the colours before a training, of the whole after it,
and the directions of the classes where no loss of theirs taught them."""

import logging

import numpy as np
import torch
from torch.nn import functional as F

from training.batches import CHUNK, Labelled, in_order
from training.measuring import predict
from vision.networks import CosineHead, Network

log = logging.getLogger(__name__)
MOST = 8192


def fit_colours(network: Network, data: Labelled) -> None:
    """Fit the colours' axes to one photo of each product, unless the start brought some."""
    if network.colours is None or bool(network.colours.axes.any()):
        return
    packed, rows = data.packed, spread(data)
    torch.manual_seed(0)  # the axes are found by random projections, in every process the same
    chunks = (np.ascontiguousarray(packed[rows[start:start + CHUNK], ..., :3]) for start in range(0, len(rows), CHUNK))
    network.colours.fit(torch.cat([network.colours.shares(torch.from_numpy(chunk).permute(0, 3, 1, 2).float())
                                   for chunk in chunks]))
    log.info("fitted the axes of colour to %d photos", len(rows))


def fit_whitening(network: Network, data: Labelled, power: float, device: torch.device) -> None:
    """Fit the whitening to the network's embeddings of one photo of each product, or to the part that it whitens."""
    if network.whitening is not None:
        vectors = torch.from_numpy(predict(network, data.packed, spread(data), device).vectors).to(device)
        network.whitening.fit(F.normalize(vectors[:, :network.whitening.width]), -power)


@torch.no_grad()
def imprint(network: Network, data: Labelled, device: torch.device, bf16: bool) -> None:
    """Point each class's direction to the mean of its photos' features (Qi et al. 2018, "Low-Shot Learning with
    Imprinted Weights")."""
    assert isinstance(network.head, CosineHead)
    network.eval()
    sums = torch.zeros_like(network.head.weight)
    for batch in in_order(data, data.packed.shape[1], device):
        pixels = batch.packed[..., :3].permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            pooled = network.pooled(pixels)
        sums.index_add_(0, batch.labels, F.normalize(network.finished(pooled.float())))
    network.head.weight.copy_(F.normalize(sums))


def spread(data: Labelled) -> list[int]:
    """The packed row of one photo of each product, of at most `MOST` products evenly from all over.

    Products with many photos must not bend the axes towards themselves.
    """
    first = np.unique(data.labels, return_index=True)[1]
    chosen = first[np.linspace(0, len(first) - 1, min(MOST, len(first))).astype(int)]
    return [int(row) for row in data.rows[chosen]]
