"""The saved form of a trained network: a folder with `model.json`, `weights.pt` and `serving.xml` (OpenVINO)."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from catalogue.errors import BadRelease
from vision.preprocessing import Preprocessing

CARD = "model.json"
WEIGHTS = "weights.pt"
SERVING = "serving.xml"
TIMM = "timm:"
BACKBONES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnet18d", "resnet34d", "resnet50d",
             "mobilenet_v2", "mobilenet_v3_large", "convnext_tiny", "vit_b_16")
POOLINGS = ("avg", "moments", "gem", "token")


@dataclass(frozen=True)
class NetworkCard:
    """What a trained network carries beside its weights.

    `architecture` are the fields of `vision.networks.Architecture` (kept plain here, so that reading a card needs no
    torch); `classes` are product keys in the order of the logits; `temperature` divides the logits before softmax;
    `snapshot` is the digest of what it was trained on.
    """

    architecture: dict[str, Any]
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    width: int
    temperature: float = 1.0
    snapshot: str = ""
    recipe: dict[str, Any] = field(default_factory=dict)
    measures: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.temperature <= 0 or self.width < 1:
            raise ValueError(f"impossible network card: temperature {self.temperature}, width {self.width}")

    def write(self, folder: Path) -> None:
        """Write `model.json`."""
        (folder / CARD).write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False), encoding="utf-8")


def is_backbone(name: str) -> bool:
    """Whether a network can be built on the backbone called so; what timm has is known only when it is built."""
    return name in BACKBONES or name.startswith(TIMM)


def read_card(folder: Path) -> NetworkCard:
    """Read `model.json`; `BadRelease` if it is missing or does not hold a network card."""
    try:
        raw = json.loads((folder / CARD).read_text(encoding="utf-8"))
        fit = raw.pop("preprocessing")
        preprocessing = Preprocessing(fit["size"], tuple(fit["mean"]), tuple(fit["std"]), fit["mirrored"])
        return NetworkCard(preprocessing=preprocessing,
                           classes=tuple(raw.pop("classes")), **raw)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadRelease(f"{folder / CARD} is no network card ({error}); train and publish it again") from error
