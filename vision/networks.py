"""The network: a trunk, pooling, an embedding with a named exit, and a head over product classes."""

import math
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vision import zoo
from vision.colours import ColourEmbedding
from vision.preprocessing import Preprocessing
from vision.saved import BACKBONES, POOLINGS, TIMM, is_backbone
from vision.trunks import build_trunk, stage_maps, stage_widths


@dataclass(frozen=True)
class Architecture:
    """What is needed to build the network again.

    `pooling` of a feature map: `avg`, `moments` (mean and standard deviation of each channel: how a pattern varies over
    a shoe is as telling as how much of it there is), `gem` (Radenovic et al. 2019, with a learnt power), or `token` (a
    transformer's class token). `levels` is how many of the last stages are pooled: the earlier ones, each normed, stand
    beside the last, because colour and texture live there. `embedding` is the width of a linear reduction after
    pooling, 0 for the trunk's own width. `head` is `linear` (softmax regression) or `cosine` (classes are directions;
    Wang et al. 2018, "CosFace"), whose logits are `scale` · cosine, with `subcenters` directions a class (Deng et al.
    2020).
    `colours` is the width of a `vision.colours.ColourEmbedding` beside what the trunk learnt, 0: none; `colour_share`
    is what it counts for in a score, which `colours_by_ground` lessens for photos whose ground is not a studio's.
    `whitened` embeddings are weighed along their principal axes (see `Whitening`), with `colours_by_ground` what the
    trunk learnt alone: beside colours of changing length it would be centred wrongly. `neck` says whether features are
    normed over the batch before the head sees them; `dropout` is the share of them that a step of training leaves out.
    """

    backbone: str = "resnet18"
    embedding: int = 0
    head: str = "cosine"
    scale: float = 24.0
    pooling: str = "avg"
    levels: int = 1
    subcenters: int = 1
    colours: int = 0
    colour_share: float = 0.5
    colours_by_ground: bool = False  # as in releases of former versions, which do not say
    whitened: bool = False
    neck: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not is_backbone(self.backbone):
            raise ValueError(f"unknown backbone {self.backbone!r}; choose one of {', '.join(BACKBONES)}, {TIMM}NAME")
        if (self.head not in ("linear", "cosine") or self.pooling not in POOLINGS or self.embedding < 0
                or self.scale <= 0 or not 1 <= self.levels <= 4 or self.subcenters < 1
                or self.colours < 0 or not 0 < self.colour_share < 1 or not 0 <= self.dropout < 1):
            raise ValueError(f"impossible architecture: {self}")
        if self.pooling == "token" and not self.backbone.startswith("vit"):
            raise ValueError(f"{self.backbone} has no class token to pool; pooling is avg, moments or gem")
        if self.subcenters > 1 and self.head != "cosine":
            raise ValueError("a linear head has no sub-centres")


class Network(nn.Module):
    """Trunk → pooled features → embedding → head. `embed` is the exit for retrieval, `forward` gives class logits."""

    mean: Tensor
    std: Tensor

    def __init__(self, architecture: Architecture, classes: int, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.architecture = architecture
        self.mirrored = preprocessing.mirrored
        self.trunk = build_trunk(architecture.backbone, preprocessing.size)
        zoo.drop_between(self.trunk, architecture.dropout)
        widths = stage_widths(self.trunk, architecture.backbone, preprocessing.size, architecture.levels)
        if architecture.pooling == "moments":
            widths = [2 * width for width in widths]
        width, self.widths = sum(widths), widths
        if architecture.pooling == "gem":
            self.powers = nn.Parameter(torch.full((architecture.levels,), 3.0))
        # Parts differ in scale by orders; side by side, each must weigh what it says. One alone is left to the neck.
        self.level_norms = nn.ModuleList(nn.BatchNorm1d(one) for one in widths if len(widths) > 1)
        self.reduce = nn.Linear(width, architecture.embedding, bias=False) if architecture.embedding else nn.Identity()
        self.learnt = architecture.embedding or width
        self.neck: nn.Module = (Neck(self.learnt, architecture.dropout) if architecture.neck
                                else nn.Dropout(architecture.dropout))
        self.colours = (ColourEmbedding(architecture.colours, architecture.colours_by_ground)
                        if architecture.colours else None)
        self.width = self.learnt + architecture.colours
        self.whitening = (Whitening(self.learnt if architecture.colours_by_ground else self.width)
                          if architecture.whitened else None)
        self.head: nn.Module = (CosineHead(self.width, classes, architecture.scale, architecture.subcenters)
                                if architecture.head == "cosine" else nn.Linear(self.width, classes))
        self.register_buffer("mean", 255 * torch.tensor(preprocessing.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(preprocessing.std).view(1, 3, 1, 1), persistent=False)

    def stages(self, pixels: Tensor, colours: Tensor | None = None) -> Tensor:
        """Return what the trunk sees in float RGB pixels 0–255 (n, 3, h, w): each stage pooled (n, sum of widths), then
        the colours (n, c), which who knows them already may give."""
        kind = self.architecture
        maps = stage_maps(self.trunk, kind.backbone, (pixels - self.mean) / self.std, kind.levels,
                          kind.pooling == "token")
        if kind.pooling == "gem":
            parts = [generalized_mean(found, power) for found, power in zip(maps, self.powers, strict=True)]
        elif kind.pooling == "moments":
            parts = [moments(found) for found in maps]
        else:
            parts = [found.mean((2, 3)) for found in maps]
        if self.colours is not None:
            parts.append(self.colours(pixels) if colours is None else colours)
        return torch.cat(parts, 1)

    def joined(self, stages: Tensor) -> Tensor:
        """Return what stands before the neck (n, d) of what `stages` gave, and the colours as they are."""
        learnt, colours = stages.split([sum(self.widths), stages.shape[1] - sum(self.widths)], 1)
        if len(self.level_norms):
            parts = zip(self.level_norms, learnt.split(self.widths, 1), strict=True)
            learnt = torch.cat([norm(part) for norm, part in parts], 1)
        return torch.cat([self.reduce(learnt), colours], 1) if self.colours is not None else self.reduce(learnt)

    def pooled(self, pixels: Tensor, colours: Tensor | None = None) -> Tensor:
        """Return what stands before the neck (n, d) of float RGB pixels 0–255 (n, 3, h, w)."""
        return self.joined(self.stages(pixels, colours))

    def finished(self, pooled: Tensor) -> Tensor:
        """Return penultimate features (n, d) of what `pooled` gave: through the neck, and joined with the colours."""
        if self.colours is None:
            return self.neck(pooled)
        learnt, colours = pooled.split([self.learnt, self.architecture.colours], 1)
        share = self.architecture.colour_share
        # As long as features through the neck alone would be: roots of the width.
        return math.sqrt(self.width) * torch.cat([math.sqrt(1 - share) * F.normalize(self.neck(learnt).float()),
                                                  math.sqrt(share) * colours.float()], 1)

    def features(self, pixels: Tensor) -> Tensor:
        """Return penultimate features (n, d), not yet of unit length, of float RGB pixels 0–255 (n, 3, h, w)."""
        return self.finished(self.pooled(pixels))

    def placed(self, features: Tensor) -> Tensor:
        """Return unit embeddings (n, d) of penultimate features (n, d)."""
        features = features.float()
        if self.whitening is None:
            return F.normalize(features)
        if self.whitening.width == self.width:
            return self.whitening(F.normalize(features))
        learnt, colours = features.split([self.learnt, self.architecture.colours], 1)
        return F.normalize(torch.cat([learnt.norm(dim=1, keepdim=True) * self.whitening(F.normalize(learnt)),
                                      colours], 1))

    def embed(self, pixels: Tensor) -> Tensor:
        """Return unit embeddings (n, d) of float RGB pixels 0–255 (n, 3, h, w)."""
        return self.placed(self.features(pixels))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return class logits (n, classes) of float RGB pixels 0–255 (n, 3, h, w)."""
        return self.head(self.features(pixels))


class Neck(nn.BatchNorm1d):
    """BNNeck (Luo et al. 2019): the classifier sees features of zero mean and unit variance, and so does retrieval."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__(width)
        self.dropout = dropout
        self.bias.requires_grad_(False)

    def forward(self, features: Tensor) -> Tensor:
        """Return the features (n, d) normed; in training, without those that a step leaves out."""
        return F.dropout(super().forward(features), self.dropout, self.training)


class Whitening(nn.Module):
    """Unit vectors (n, d) → unit vectors (n, d), centred, along the principal axes of those it was fitted to.

    Each axis is weighed with a power of its variance, so that what all shoes share counts less (Jégou & Chum 2012,
    "Negative evidences and co-occurences in image retrieval"). Until it is fitted it changes nothing.
    """

    mean: Tensor
    axes: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("axes", torch.eye(width))

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the whitened vectors."""
        return F.normalize((vectors - self.mean) @ self.axes)

    @torch.no_grad()
    def fit(self, vectors: Tensor, power: float) -> None:
        """Take mean and axes from unit vectors (n, d); `power` 0 only centres, −0.5 makes all axes equal."""
        self.mean.copy_(vectors.mean(0))
        centred = (vectors - self.mean).double()
        variance, axes = torch.linalg.eigh(centred.T @ centred / len(vectors))
        # Axes that hardly any photo moves along hold noise; weighed up, they would hold nothing else.
        variance = variance.clamp(min=float(variance.max()) * 1e-4)
        self.axes.copy_(axes * variance**power)


class CosineHead(nn.Module):
    """Logits are `scale` times the cosine between the features and the nearest of a class's directions."""

    def __init__(self, width: int, classes: int, scale: float, subcenters: int = 1) -> None:
        super().__init__()
        self.scale = scale
        self.subcenters = subcenters
        # Class c's directions are the rows c · subcenters and following.
        self.weight = nn.Parameter(F.normalize(torch.randn(classes * subcenters, width)))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (n, classes) of features (n, width)."""
        cosines = F.linear(F.normalize(features), F.normalize(self.weight))
        if self.subcenters > 1:
            cosines = cosines.unflatten(1, (-1, self.subcenters)).amax(2)
        return self.scale * cosines


def generalized_mean(maps: Tensor, power: Tensor) -> Tensor:
    """Return (mean x^p)^(1/p) (n, c) of maps (n, c, h, w); what is negative counts as 0 (Radenovic et al. 2019)."""
    with torch.autocast(maps.device.type, enabled=False):  # powers overflow and vanish in half precision
        return maps.float().clamp(min=1e-6).pow(power.float()).mean((2, 3)).pow(1 / power.float())


def moments(maps: Tensor) -> Tensor:
    """Return the means and standard deviations (n, 2c) of the channels of maps (n, c, h, w)."""
    with torch.autocast(maps.device.type, enabled=False):  # a small spread about a large mean is lost in half precision
        maps = maps.float()
        mean = maps.mean((2, 3), keepdim=True)
        spread = ((maps - mean).square().mean((2, 3)) + 1e-6).sqrt()
        return torch.cat([mean.flatten(1), spread], 1)


class ServingForm(nn.Module):
    """The network as it is exported: uint8 pixels (n, h, w, 3) → unit embeddings (n, d) and class logits (n, c).

    With `bf16` the trunk computes in bf16, to measure many photos sooner; what stands on it needs all its digits.
    """

    def __init__(self, network: Network, bf16: bool = False) -> None:
        super().__init__()
        self.bf16 = bf16
        self.network = network
        self.mirrored = network.mirrored

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Both exits from one pass through the trunk; of a mirrored network the mean of photo and mirror image."""
        upright = pixels.permute(0, 3, 1, 2).float()                    # (n, 3, h, w)
        # A mirror image has the same colours.
        colours = None if self.network.colours is None else self.network.colours(upright)
        vectors, logits = self._exits(upright, colours)
        if not self.mirrored:
            return vectors, logits
        other_vectors, other_logits = self._exits(upright.flip(3), colours)
        return F.normalize(vectors + other_vectors), (logits + other_logits) / 2

    def _exits(self, pixels: Tensor, colours: Tensor | None) -> tuple[Tensor, Tensor]:
        with torch.autocast(pixels.device.type, torch.bfloat16) if self.bf16 else nullcontext():
            pooled = self.network.pooled(pixels, colours)
        features = self.network.finished(pooled.float())
        return self.network.placed(features), self.network.head(features)
