"""What runs a saved network: torch (any device it knows) or OpenVINO (a CPU without torch), to the same numbers."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from catalogue.errors import BadInput, BadRelease
from vision.saved import SERVING

if TYPE_CHECKING:
    from vision.networks import Network


class Runtime(Protocol):
    """uint8 pixels (n, size, size, 3) → unit embeddings (n, d) float32 and class logits (n, c) float32."""

    def run(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run one batch."""


class TorchRuntime:
    """Runs the network in torch on `device`, in float32."""

    def __init__(self, network: "Network", device: str = "cpu", threads: int = 0) -> None:
        import torch

        from vision.networks import ServingForm
        if threads:
            torch.set_num_threads(threads)
        self.torch = torch
        self.device = torch.device(device)
        if self.device.type == "cuda":
            # cuDNN rounds to TF32 unless told, all of the process: a gallery and a query must come from the same
            # arithmetic.
            torch.backends.cudnn.allow_tf32 = False
        self.serving = ServingForm(network).eval().to(self.device)

    def run(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run one batch."""
        with self.torch.inference_mode():
            vectors, logits = self.serving(self.torch.from_numpy(pixels).to(self.device, non_blocking=True))
        return vectors.float().cpu().numpy(), logits.float().cpu().numpy()


class OpenVINORuntime:
    """Runs the exported network with OpenVINO on the CPU, in float32 on every processor; safe from several threads."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        import openvino

        if not (folder / SERVING).is_file():
            raise BadRelease(f"{folder} has no {SERVING}; publish the network again")
        # Processors with bf16 units would otherwise round: a gallery and a query must come from the same arithmetic.
        settings: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        self.compiled = openvino.Core().compile_model(folder / SERVING, "CPU", settings)

    def run(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run one batch."""
        answer = self.compiled.create_infer_request().infer([pixels])
        vectors, logits = (np.array(answer[output], dtype=np.float32) for output in self.compiled.outputs)
        return vectors, logits


def open_runtime(folder: Path, name: str, threads: int = 0) -> Runtime:
    """Return the runtime called `name`: `openvino`, or a torch device such as `cpu`, `cuda` or `cuda:1`."""
    if name == "openvino":
        return OpenVINORuntime(folder, threads)
    if name == "cpu" or name.split(":")[0] in ("cuda", "mps"):
        from vision.weights import load_network
        return TorchRuntime(load_network(folder), name, threads)
    raise BadInput(f"unknown runtime {name!r}; use openvino, cpu, cuda or cuda:N")
