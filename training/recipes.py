"""A recipe: every setting of one training in one dataclass; an experiment states only its differences."""

import hashlib
import json
import tomllib
import types
import typing
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from catalogue.errors import BadInput
from vision.saved import BACKBONES, POOLINGS, TIMM, is_backbone


@dataclass(frozen=True)
class Recipe:
    """Settings of `train sku`; the defaults suit a shop of tens to thousands of products on two CPU cores.

    `start` is where the trunk's weights come from: `none` (random), `shipped` (the network trained on rendered shoes
    that comes with the project), `torchvision:NAME` (downloads the weights of that name) or a path to a state dict.
    `margin` is CosFace's, in cosine units, for the cosine head. Augmentation strengths run from 0 (off) to 1.
    """

    backbone: str = "resnet18"
    pooling: str = "avg"            # of the trunk's feature maps: avg, gem, or a transformer's class token
    levels: int = 1                 # how many of the trunk's last stages are pooled, side by side
    embedding: int = 0
    head: str = "cosine"
    scale: float = 24.0
    margin: float = 0.2
    margin_warmup: float = 0.4      # share of the steps over which the margin grows from 0
    contrastive: float = 1.0        # weight of the supervised contrastive loss beside the classes'; 0: none
    group: int = 4                  # photos of one product in a contrastive batch
    size: int = 128
    start: str = "none"
    epochs: int = 30
    views: int = 8                  # photos drawn of each product in an epoch
    batch: int = 64
    lr: float = 0.02                # at batch 64; scaled linearly with the batch (Goyal et al. 2017)
    trunk_lr: float = 1.0           # the trunk's learning rate as a share of the head's
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup: float = 0.05            # share of the steps
    label_smoothing: float = 0.0
    background: float = 0.5         # how often a plain studio ground is replaced
    geometry: float = 0.7           # crop, scale, rotation, perspective
    light: float = 0.6              # brightness, contrast, colour of the light (hue is never turned)
    blur: float = 0.3               # blur, low resolution, noise
    erase: float = 0.3              # how often a rectangle is covered
    flip: bool = True
    precision: str = "auto"         # auto, fp32 or bf16
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "views", "batch", "size", "group"):
            if getattr(self, name) < 1:
                raise BadInput(f"recipe: {name} must be at least 1, not {getattr(self, name)}")
        for name in ("background", "geometry", "light", "blur", "erase", "label_smoothing", "warmup", "margin",
                     "margin_warmup"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"recipe: {name} must lie in [0, 1], not {getattr(self, name)}")
        if self.contrastive < 0 or self.batch % self.group or self.views % self.group:
            raise BadInput(f"recipe: batch ({self.batch}) and views ({self.views}) must be multiples of group "
                           f"({self.group}), contrastive at least 0")
        if not is_backbone(self.backbone):
            raise BadInput(f"recipe: unknown backbone {self.backbone!r}; choose one of {', '.join(BACKBONES)}, or "
                           f"{TIMM}NAME for one of timm's")
        if self.pooling not in POOLINGS or not 1 <= self.levels <= 4:
            raise BadInput(f"recipe: pooling is one of {', '.join(POOLINGS)}, levels 1 to 4, "
                           f"not {self.pooling!r} and {self.levels}")
        if self.pooling == "token" and not self.backbone.startswith("vit"):
            raise BadInput(f"recipe: {self.backbone} has no class token to pool; pooling is avg or gem")
        if self.head not in ("cosine", "linear"):
            raise BadInput(f"recipe: head is cosine or linear, not {self.head!r}")
        if not 16 <= self.size <= 1024 or self.batch < 2 or self.lr <= 0 or self.scale <= 0 or self.embedding < 0:
            raise BadInput("recipe: size lies between 16 and 1024, batch is at least 2, lr and scale are above 0")
        if self.precision not in ("auto", "fp32", "bf16"):
            raise BadInput(f"recipe: precision is auto, fp32 or bf16, not {self.precision!r}")

    @property
    def digest(self) -> str:
        """A short name for exactly these settings."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


def read_recipe(path: Path | None, changes: typing.Iterable[str] = ()) -> Recipe:
    """Return the default recipe changed by a TOML file and by `name=value` words; unknown names are `BadInput`."""
    stated: dict[str, Any] = {}
    if path is not None:
        try:
            stated = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadInput(f"the recipe {path} cannot be read: {error}") from error
    for word in changes:
        name, equals, value = word.partition("=")
        if not equals:
            raise BadInput(f"a change to the recipe is written name=value, not {word!r}")
        stated[name.strip()] = value.strip()
    kinds = {column.name: typing.cast(type, column.type) for column in fields(Recipe)}
    unknown = sorted(stated.keys() - kinds.keys())
    if unknown:
        raise BadInput(f"a recipe has no setting {unknown[0]!r}; it has {', '.join(kinds)}")
    return replace(Recipe(), **{name: _as(kinds[name], name, value) for name, value in stated.items()})


def _as(kind: Any, name: str, value: Any) -> Any:
    assert not isinstance(kind, types.UnionType)
    try:
        if kind is bool and isinstance(value, str):
            return {"true": True, "false": False}[value.lower()]
        return kind(value)
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"recipe: {name} must be a {kind.__name__}, not {value!r}") from error
