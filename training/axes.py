"""What is fitted to the photos without a gradient: the axes of the colours before a training, of the whole after it."""

import logging
from collections.abc import Sequence

import numpy as np
import torch

from training.measuring import predict
from vision.colours import colour_shares
from vision.networks import Network

log = logging.getLogger(__name__)
MOST = 8192
CHUNK = 64


def fit_colours(network: Network, packed: np.ndarray, rows: Sequence[int]) -> None:
    """Fit the colours' axes to these rows of packed pixels (N, s, s, 4), unless the start brought some."""
    if network.colours is None or bool(network.colours.axes.any()):
        return
    rows = spread(rows)
    torch.manual_seed(0)  # the axes are found by random projections, in every process the same
    chunks = (np.ascontiguousarray(packed[rows[start:start + CHUNK], ..., :3]) for start in range(0, len(rows), CHUNK))
    network.colours.fit(torch.cat([colour_shares(torch.from_numpy(chunk).permute(0, 3, 1, 2).float())
                                   for chunk in chunks]))
    log.info("fitted the axes of colour to %d photos", len(rows))


def fit_whitening(network: Network, packed: np.ndarray, rows: Sequence[int], power: float,
                  device: torch.device) -> None:
    """Fit the whitening to the network's embeddings of these rows of packed pixels (N, s, s, 4)."""
    if network.whitening is not None:
        network.whitening.fit(torch.from_numpy(predict(network, packed, spread(rows), device).vectors).to(device),
                              -power)


def spread(rows: Sequence[int]) -> Sequence[int]:
    """At most `MOST` of the rows, evenly from all over."""
    return [rows[at] for at in np.linspace(0, len(rows) - 1, min(MOST, len(rows))).astype(int)]
