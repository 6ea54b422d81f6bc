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
BACKBONES = (
    "cnn3", "alexnet", "vgg8", "vgg10", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19",
    "vgg19_bn", "googlenet", "inception_v3", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152",
    *(f"resnet{depth}{tweak}" for depth in (50, 101, 152) for tweak in "ab"),
    *(f"resnet{depth}{tweak}" for depth in (18, 34, 50, 101, 152) for tweak in "cd"),
    "seresnet18", "seresnet34", "seresnet50", "resnext50", "seresnext50", "densenet121", "densenet201", "mobilenet_v2",
    "mobilenet_v2_same", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "convnext_tiny", "vit_b_16")
# The sides in pixels of the photos that networks were made for, where that is not 224.
NATIVE = {"cnn3": 64, "alexnet": 227, "inception_v3": 299}
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

    @property
    def colours(self) -> int:
        """How many of an embedding's last numbers are colours whose length says how much they count; 0: none."""
        return self.architecture["colours"] if self.architecture.get("colours_by_ground") else 0

    def write(self, folder: Path) -> None:
        """Write `model.json`."""
        (folder / CARD).write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False), encoding="utf-8")


def is_backbone(name: str) -> bool:
    """Whether a network can be built on the backbone called so; what timm has is known only when it is built."""
    return name in BACKBONES or name.startswith(TIMM)


def native_size(backbone: str) -> int:
    """The side in pixels of the photos that a network was made for."""
    return NATIVE.get(backbone, 224)


def read_card(folder: Path) -> NetworkCard:
    """Read `model.json`; `BadRelease` if it is missing or does not hold a network card."""
    try:
        raw = json.loads((folder / CARD).read_text(encoding="utf-8"))
        told = raw.pop("preprocessing")
        preprocessing = Preprocessing(told["size"], tuple(told["mean"]), tuple(told["std"]), told["mirrored"],
                                      told.get("fit", "pad"))
        return NetworkCard(preprocessing=preprocessing, classes=tuple(raw.pop("classes")), **raw)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadRelease(f"{folder / CARD} is no network card ({error}); train and publish it again") from error
