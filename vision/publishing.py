"""Writing a network's saved form: card, weights, the OpenVINO export, and the check that torch and it agree."""

import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from catalogue.errors import BadRelease
from vision.networks import Network, ServingForm
from vision.runtimes import OpenVINORuntime
from vision.saved import SERVING, WEIGHTS, NetworkCard

PARITY = 1e-3


def save_network(network: Network, card: NetworkCard, folder: Path) -> None:
    """Write card, weights and the OpenVINO export into `folder`; `BadRelease` if the export disagrees with torch."""
    network = network.eval().float().cpu()
    card.write(folder)
    torch.save(network.state_dict(), folder / WEIGHTS)
    serving = ServingForm(network).eval()
    size = card.preprocessing.size
    example = torch.from_numpy(_example(size))
    _export(serving, example, folder / SERVING)
    with torch.inference_mode():
        expected = [each.numpy() for each in serving(example)]
    found = OpenVINORuntime(folder, threads=1).run(example.numpy())
    for what, ours, theirs in zip(("embeddings", "logits"), expected, found, strict=True):
        allowed = PARITY * max(1.0, float(np.abs(ours).max()))  # logits are as large as their head makes them
        if not np.abs(theirs - ours).max() <= allowed:
            raise BadRelease(f"the {what} of the OpenVINO export differ from torch's by "
                             f"{np.abs(theirs - ours).max():.2g} (allowed {allowed:.2g}); report this with the "
                             "versions of torch and openvino")


def _example(size: int) -> np.ndarray:
    """Four pictures (4, size, size, 3) uint8: noise, and noise and coloured blocks on a studio's white ground, without
    which colours would count for nothing."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (4, size, size, 3), dtype=np.uint8)
    border = max(1, size // 5)
    blocks = random.integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    at = np.arange(size) * 4 // size
    pictures[2:] = blocks[:, at][:, :, at]
    studio = np.full_like(pictures[1:], 250)
    studio[:, border:-border, border:-border] = pictures[1:, border:-border, border:-border]
    pictures[1:] = studio
    return pictures


def _export(serving: ServingForm, example: Tensor, path: Path) -> None:
    # OpenVINO's `convert_model` reports each use to its vendor over the network; the frontend under it does not.
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

    batch = torch.export.Dim("batch", min=1, max=4096)
    program = torch.export.export(serving, (example,), dynamic_shapes=({0: batch},))
    frontend = FrontEndManager().load_by_framework("pytorch")
    logging.disable(logging.WARNING)  # the decoder warns of operators this torch no longer lists, none of them ours
    try:
        decoder = TorchFXPythonDecoder.from_exported_program(program)  # must outlive the conversion
        model = frontend.convert(frontend.load(decoder))
    finally:
        logging.disable(logging.NOTSET)
    openvino.save_model(model, path, compress_to_fp16=False)
